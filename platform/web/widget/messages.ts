/** One message as elements: blocks of spans, marks of sources that can be pressed, the notice below. */

import { h } from "./elements";
import { unmarked } from "./thread";
import type { Block, Cited, Message, Pending, Span } from "./thread";
import { sentence } from "./texts";
import type { Say } from "./texts";

const SAFE_LINK = /^(?:https?:\/\/|mailto:|tel:)/i;

export type OpenSource = (chip: HTMLElement, message: Message, cited: Cited) => void;

export function messageElement(message: Message, say: Say, assistant: string, open: OpenSource): HTMLElement {
  const name = { visitor: say("you"), person: say("operator"), assistant }[message.sender];
  const chip = (cited: Cited) => sourceChip(cited, say, (element) => open(element, message, cited));
  const left = unmarked(message);
  return h(
    "div",
    { class: `row ${message.sender}` },
    h("span", { class: message.sender === "person" ? "name" : "unseen" }, message.sender === "person" ? name : `${name}: `),
    h(
      "div",
      { class: "bubble" },
      ...bodyOf(message.blocks, (number) => {
        const cited = message.citations.find((each) => each.number === number);
        return cited === undefined ? null : chip(cited);
      }),
      left.length > 0 && h("p", { class: "sources" }, ...left.map(chip)),
    ),
    message.notice !== "" && h("p", { class: "notice" }, message.notice),
  );
}

export function pendingElement(pending: Pending, say: Say, retry: () => void): HTMLElement {
  return h(
    "div",
    { class: `row visitor ${pending.error === null ? "sending" : ""}` },
    h("span", { class: "unseen" }, `${say("you")}: `),
    h("div", { class: "bubble" }, h("p", {}, pending.text)),
    pending.error === null
      ? h("span", { class: "unseen" }, say("sending"))
      : h(
          "p",
          { class: "problem" },
          `${sentence(say, pending.error)} `,
          h("button", { type: "button", class: "link", onclick: retry }, say("retry")),
        ),
  );
}

type Chip = (number: number) => HTMLElement | null;

/** Items that follow each other stand in one list. */
function bodyOf(blocks: readonly Block[], chip: Chip): HTMLElement[] {
  const made: HTMLElement[] = [];
  for (const block of blocks) {
    const spans = bound(block.spans.map((span) => nodeOf(span, chip)).filter((node) => node !== null));
    if (block.kind === "item") {
      const before = made.at(-1);
      const list = before?.tagName === "UL" ? before : h("ul", { role: "list" });
      list.append(
        h("li", { class: `level-${Math.min(block.level, 3)}` }, h("span", { class: "marker" }, block.marker), h("span", {}, ...spans)),
      );
      if (list !== before) made.push(list);
    } else if (block.kind === "code") made.push(h("pre", { tabindex: "0" }, h("code", {}, ...spans)));
    else if (block.kind === "quote") made.push(h("blockquote", {}, ...spans));
    else made.push(h("p", { class: block.kind }, ...spans));
  }
  return made;
}

const LONGEST_BOUND = 24;

/** A mark never stands alone at the beginning of a line: the word before it comes along. */
function bound(nodes: Node[]): Node[] {
  const made: Node[] = [];
  for (const node of nodes) {
    const before = made.at(-1);
    const isChip = node instanceof HTMLElement && node.className === "chip";
    if (isChip && before instanceof HTMLElement && before.className === "bound") before.append(node);
    else if (isChip && before instanceof Text) {
      const word = /\S+$/.exec(before.data)?.[0] ?? "";
      if (word === "" || word.length > LONGEST_BOUND) made.push(node);
      else {
        before.data = before.data.slice(0, -word.length);
        made.push(h("span", { class: "bound" }, word, node));
      }
    } else made.push(node);
  }
  return made;
}

function nodeOf(span: Span, chip: Chip): Node | null {
  if (typeof span.number === "number") return chip(span.number);
  let node: Node = document.createTextNode(span.text ?? "");
  if (span.code) node = h("code", {}, node);
  if (span.italic) node = h("em", {}, node);
  if (span.bold) node = h("strong", {}, node);
  if (span.url && SAFE_LINK.test(span.url)) node = outwards(span.url, node);
  return node;
}

export function outwards(url: string, ...children: (Node | string)[]): HTMLElement {
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

/** Its name begins with what is seen, the number. */
function sourceChip(cited: Cited, say: Say, open: (chip: HTMLElement) => void): HTMLElement {
  const named = `${cited.number}: ${say("source")}, ${cited.title}`;
  const chip = h("button", { type: "button", class: "chip", "aria-label": named, "aria-haspopup": "dialog" }, `${cited.number}`);
  chip.addEventListener("click", () => open(chip));
  return chip;
}
