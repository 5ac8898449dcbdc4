export type Span = { kind: "text"; text: string } | { kind: "bold"; text: string } | { kind: "source"; number: number };
export type Block = { kind: "paragraph" | "bullets" | "numbers"; items: Span[][]; first: number };

const ITEM = /^\s*(?:[-*•]|(\d{1,3})[.)])\s+/;
const PARTS = /\*\*(.+?)\*\*|\[(\d{1,3})\]/g;

/** Paragraphs and lists; a line of its own stays one, everything unknown is text. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  for (const line of text.split("\n")) {
    const found = ITEM.exec(line);
    if (!found) {
      open = undefined;
      if (line.trim()) blocks.push({ kind: "paragraph", items: [spansOf(line.trim())], first: 1 });
      continue;
    }
    const kind = found[1] ? "numbers" : "bullets";
    if (open?.kind !== kind) blocks.push((open = { kind, items: [], first: Number(found[1] ?? 1) }));
    open.items.push(spansOf(line.slice(found[0].length)));
  }
  return blocks;
}

export function spansOf(line: string): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const found of line.matchAll(PARTS)) {
    if (found.index > end) spans.push({ kind: "text", text: line.slice(end, found.index) });
    spans.push(found[1] ? { kind: "bold", text: found[1] } : { kind: "source", number: Number(found[2]) });
    end = found.index + found[0].length;
  }
  if (end < line.length) spans.push({ kind: "text", text: line.slice(end) });
  return spans;
}
