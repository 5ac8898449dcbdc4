export type Place = { start: number; end: number };
export type Piece = { text: string; marked: boolean };
export type Paragraph = { start: number; pieces: Piece[]; isHeading: boolean };

/** The stored text has no marks of headings: a short line that ends as no sentence does, with something below it. */
const HEADING = /^\S[^\n]{1,78}[^\s.,;:!]$/u;
const ASTRAL = /[\ud800-\udbff]/;

/** The API counts characters, JavaScript halves of some of them. */
export function unitsOf(text: string, characters: number): number {
  if (!ASTRAL.test(text)) return Math.max(0, characters);
  let units = 0;
  for (let left = characters; left > 0 && units < text.length; left -= 1) units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1;
  return units;
}

/** The text that begins at `from` of the whole, in paragraphs, with the place marked that lies in it. */
export function paragraphsOf(text: string, from: number, place?: Place): Paragraph[] {
  const marked = place && { start: unitsOf(text, place.start - from), end: unitsOf(text, place.end - from) };
  const paragraphs: Paragraph[] = [];
  const gap = /\n[ \t]*\n+/g;
  let start = 0;
  for (let found = gap.exec(text); ; found = gap.exec(text)) {
    const end = found ? found.index : text.length;
    if (end > start) paragraphs.push({ start, pieces: cut(text, start, end, marked), isHeading: found !== null && HEADING.test(text.slice(start, end)) });
    if (!found) return paragraphs;
    start = found.index + found[0].length;
  }
}

function cut(text: string, start: number, end: number, place?: Place): Piece[] {
  const [first, last] = place ? [clamp(place.start, start, end), clamp(place.end, start, end)] : [end, end];
  const pieces = [
    { text: text.slice(start, first), marked: false },
    { text: text.slice(first, last), marked: true },
    { text: text.slice(last, end), marked: false },
  ];
  return pieces.filter((piece) => piece.text);
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
