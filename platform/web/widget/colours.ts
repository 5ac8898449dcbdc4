/** The site's own colour, and what can be read on it. */

export const USUAL = "#4f46e5";
const DARK = "#0d0e16";

/** `#rrggbb`; the usual one where it is written in any other way. */
export function accentOf(color: string): string {
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(color.trim());
  if (short) return `#${short.slice(1).map((digit) => digit + digit).join("")}`.toLowerCase();
  return /^#[0-9a-f]{6}$/i.test(color.trim()) ? color.trim().toLowerCase() : USUAL;
}

/** White where it reaches the contrast of WCAG AA, 4.5, on the colour; else nearly black, which then does. */
export function onAccent(accent: string): string {
  return contrast("#ffffff", accent) >= 4.5 ? "#ffffff" : DARK;
}

/** The colour where it can be seen beside the page, at a contrast of 3; else that of the words. */
export function ringOn(page: string, accent: string, ink: string): string {
  return contrast(accent, page) >= 3 ? accent : ink;
}

export function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
