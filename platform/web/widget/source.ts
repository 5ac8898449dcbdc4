/** The popover of a source: the passage with what stands around it, beside its mark. */

import { h, icon } from "./elements";
import { outwards } from "./messages";
import type { OpenedCitation } from "./server";
import type { Cited } from "./thread";
import type { Say } from "./texts";

const GAP = 8;

export class SourcePopover {
  private chip: HTMLElement | null = null;
  private element: HTMLElement | null = null;

  constructor(
    private readonly panel: HTMLElement,
    private readonly say: Say,
  ) {}

  get isOpen(): boolean {
    return this.element !== null;
  }

  /** What is known is shown at once; what stands around it comes when the server has told it. */
  open(chip: HTMLElement, cited: Cited, around: Promise<OpenedCitation>): void {
    if (this.chip === chip) return this.close();
    this.close();
    this.chip = chip;
    chip.setAttribute("aria-expanded", "true");
    const quote = h("blockquote", {}, h("mark", {}, cited.quote));
    const element = (this.element = this.make(cited, quote));
    this.panel.append(element);
    this.place();
    element.querySelector("button")!.focus({ preventScroll: true });
    around.then(
      (opened) => {
        if (this.element !== element) return;
        quote.replaceChildren(opened.before.trimStart(), h("mark", {}, opened.quote), opened.after.trimEnd());
        this.place();
        element.scrollTop = 0;
      },
      () => undefined, // the quote is there already
    );
  }

  close(takeFocusBack = false): void {
    this.element?.remove();
    this.chip?.setAttribute("aria-expanded", "false");
    if (takeFocusBack) this.chip?.focus();
    this.element = this.chip = null;
  }

  contains(node: EventTarget | null): boolean {
    return node instanceof Node && (this.element?.contains(node) === true || this.chip?.contains(node) === true);
  }

  private make(cited: Cited, quote: HTMLElement): HTMLElement {
    const close = h("button", { type: "button", "aria-label": this.say("closeSource"), onclick: () => this.close(true) }, icon("close"));
    const place = cited.locator !== "" && cited.locator !== cited.title && h("p", { class: "place" }, cited.locator);
    const link = cited.url !== null && /^https?:\/\//i.test(cited.url) && outwards(cited.url, this.say("openDocument"));
    if (link) link.append(h("span", { class: "unseen" }, ` ${this.say("newTab")}`));
    return h(
      "div",
      { class: "source", role: "dialog", "aria-label": `${this.say("source")} ${cited.number}: ${cited.title}` },
      h("header", {}, h("h3", {}, cited.title), close),
      place,
      quote,
      link,
    );
  }

  /** Above the mark where there is room, else below it, and always inside the panel. */
  private place(): void {
    if (this.element === null || this.chip === null) return;
    const [panel, chip] = [this.panel.getBoundingClientRect(), this.chip.getBoundingClientRect()];
    const height = this.element.offsetHeight;
    const above = chip.top - panel.top - height - GAP;
    const top = above >= GAP ? above : chip.bottom - panel.top + GAP;
    this.element.style.top = `${Math.max(GAP, Math.min(top, panel.height - height - GAP))}px`;
  }
}
