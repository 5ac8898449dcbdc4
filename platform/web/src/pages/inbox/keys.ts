import { useEffect } from "react";

const TYPING = new Set(["INPUT", "TEXTAREA", "SELECT"]);
export const KEYS = { reply: "inbox:reply", close: "inbox:close" } as const;

/** Which of the list comes `step` places later; the first one where none is open. */
export function neighbour(ids: readonly string[], current: string | undefined, step: number): string | undefined {
  const place = current ? ids.indexOf(current) : -1;
  if (place < 0) return ids[0];
  return ids[Math.min(Math.max(place + step, 0), ids.length - 1)];
}

/** j and k go through the list, r begins a reply, e closes; never while somebody types. */
export function useKeys(ids: readonly string[], current: string | undefined, open: (id: string) => void): void {
  useEffect(() => {
    const go = (step: number) => {
      const next = neighbour(ids, current, step);
      if (next && next !== current) open(next);
    };
    const deeds: Record<string, () => void> = {
      KeyJ: () => go(1),
      KeyK: () => go(-1),
      KeyR: () => window.dispatchEvent(new Event(KEYS.reply)),
      KeyE: () => window.dispatchEvent(new Event(KEYS.close)),
    };
    const hear = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || TYPING.has(target.tagName) || target.closest("[role=dialog],[role=menu]")) return;
      const deed = deeds[event.code];
      if (!deed) return;
      event.preventDefault();
      deed();
    };
    window.addEventListener("keydown", hear);
    return () => window.removeEventListener("keydown", hear);
  });
}

/** The other end: what a key asks of the open conversation. */
export function useAsked(name: string, deed: () => void): void {
  useEffect(() => {
    window.addEventListener(name, deed);
    return () => window.removeEventListener(name, deed);
  });
}
