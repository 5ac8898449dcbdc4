import type { ReactNode } from "react";

import { blocksOf, type Span } from "./answer-blocks";

type Props = { text: string; numbers: ReadonlySet<number>; onCite: (number: number) => void; citeLabel: (number: number) => string; current?: number | undefined };

/** The words of an answer with its lists, bold words and numbered sources; made of text nodes alone. */
export function AnswerText({ text, ...chips }: Props) {
  return (
    <div className="space-y-2.5 leading-relaxed break-words">
      {blocksOf(text).map((block, place) => {
        if (block.kind === "paragraph") return <p key={place}>{spans(block.items[0] ?? [], chips)}</p>;
        const items = block.items.map((item, number) => <li key={number}>{spans(item, chips)}</li>);
        return block.kind === "numbers" ? (
          <ol key={place} start={block.first} className="list-decimal space-y-1 pl-5">
            {items}
          </ol>
        ) : (
          <ul key={place} className="list-disc space-y-1 pl-5">
            {items}
          </ul>
        );
      })}
    </div>
  );
}

function spans(parts: readonly Span[], { numbers, onCite, citeLabel, current }: Omit<Props, "text">): ReactNode[] {
  return parts.map((part, place) => {
    if (part.kind === "bold") return <strong key={place} className="font-semibold">{part.text}</strong>;
    if (part.kind === "text") return part.text;
    if (!numbers.has(part.number)) return `[${part.number}]`;
    return (
      <button
        key={place}
        type="button"
        aria-label={`${part.number}: ${citeLabel(part.number)}`}
        aria-pressed={current === part.number}
        onClick={() => onCite(part.number)}
        className="mx-0.5 inline-flex h-[18px] min-w-[18px] -translate-y-px items-center justify-center rounded-[5px] bg-tint px-1 align-middle text-[11px] leading-none font-semibold text-on-tint tabular-nums transition-colors hover:bg-accent hover:text-on-accent aria-pressed:bg-accent aria-pressed:text-on-accent"
      >
        {part.number}
      </button>
    );
  });
}
