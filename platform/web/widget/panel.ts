/** The panel: who answers, the conversation, and where one writes. */

import type { Chat } from "./chat";
import type { Config } from "./config";
import { focusable, h, icon } from "./elements";
import { messageElement, pendingElement } from "./messages";
import { SourcePopover } from "./source";
import { sentence } from "./texts";
import type { Say } from "./texts";
import type { Message, Pending } from "./thread";

const MOST_CHARACTERS = 4_000;
const NEAR_END = 80;

export class Panel {
  readonly element: HTMLElement;
  private readonly source: SourcePopover;
  private readonly title = h("h2", {});
  private readonly status = h("p", { role: "status" });
  private readonly lost: HTMLElement;
  private readonly log: HTMLElement;
  private readonly textarea: HTMLTextAreaElement;
  private readonly send: HTMLButtonElement;
  private readonly note: HTMLElement;
  private readonly person: HTMLButtonElement;
  private readonly shown = new Map<string, { of: Message | Pending; element: HTMLElement }>();

  constructor(
    private readonly chat: Chat,
    private readonly config: Config,
    private readonly say: Say,
    private readonly close: () => void,
  ) {
    this.lost = h("p", { class: "lost", role: "status" });
    this.log = h("div", { class: "log", role: "log", "aria-label": say("messages"), tabindex: "0", onscroll: () => this.source.close() });
    this.textarea = h("textarea", {
      "aria-label": say("question"), placeholder: say("placeholder"), maxlength: `${MOST_CHARACTERS}`, rows: "1", enterkeyhint: "send", oninput: () => this.grow(),
    });
    this.send = h("button", { type: "submit", class: "send", "aria-label": say("send"), disabled: true }, icon("send"));
    this.note = h("span", {}, say("note"));
    this.person = h("button", { type: "button", class: "link", onclick: () => this.speak(say("askPerson")) }, say("callPerson"));
    this.element = h(
      "section",
      { class: "panel", role: "dialog", "aria-label": say("chat"), hidden: true, onpointerdown: (event: PointerEvent) => this.leaveSource(event) },
      h(
        "header",
        { class: "head" },
        h("div", {}, this.title, this.status),
        !config.isFrame && h("button", { type: "button", "aria-label": say("close"), onclick: close }, icon("close")),
      ),
      this.lost,
      this.log,
      this.foot(),
    );
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.source = new SourcePopover(this.element, say);
  }

  focus(): void {
    this.textarea.focus({ preventScroll: true });
  }

  render(): void {
    const { session, state, isLost, thread } = this.chat;
    this.title.textContent = session?.assistant ?? this.say("chat");
    this.element.setAttribute("aria-label", session?.assistant ?? this.say("chat"));
    const words = state.typing ? `${this.say("assistant")} ${this.say("typing")}` : this.say(state.status);
    if (this.status.textContent !== words) this.status.textContent = words;
    this.note.hidden = state.status === "person";
    this.note.parentElement!.hidden = this.note.hidden;
    this.textarea.readOnly = this.chat.problem !== null;
    this.allow();
    this.lost.textContent = isLost ? this.say("lost") : "";
    this.lost.hidden = !isLost;
    this.person.hidden = state.status === "waiting" || state.status === "person" || thread.told.length === 0;
    this.renderLog();
  }

  private renderLog(): void {
    const { log } = this;
    const [wasAtEnd, height, top] = [log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END, log.scrollHeight, log.scrollTop];
    const [first, last] = [log.querySelector(".row"), this.newest()];
    const wanted = this.rows();
    for (const [at, element] of wanted.entries()) {
      if (log.children[at] !== element) log.insertBefore(element, log.children[at] ?? null);
    }
    while (log.children.length > wanted.length) log.lastChild!.remove();
    const added = this.newest();
    if (first !== null && log.querySelector(".row") !== first && last === added) log.scrollTop = top + log.scrollHeight - height;
    else if (wasAtEnd || (added !== last && added?.matches(".visitor"))) {
      // A long answer is read from its beginning.
      log.scrollTop = added !== last && added !== null ? Math.min(log.scrollHeight, added.offsetTop - log.offsetTop - 12) : log.scrollHeight;
    }
  }

  private rows(): HTMLElement[] {
    const { chat } = this;
    if (chat.problem !== null) return [this.problem(chat.problem)];
    const { told, pending } = chat.thread;
    if (!chat.isLoaded && told.length + pending.length === 0) return [this.kept("loading", () => h("p", { class: "centre" }, this.say("loading")))];
    const rows: HTMLElement[] = [];
    if (chat.next !== null) rows.push(this.kept("earlier", () => h("button", { type: "button", class: "earlier", onclick: () => void chat.earlier() }, this.say("earlier"))));
    else rows.push(this.greeting());
    const name = chat.session?.assistant ?? this.say("assistant");
    for (const each of told) rows.push(this.row(each.id, each, () => messageElement(each, this.say, name, (chip, message, cited) => this.source.open(chip, cited, chat.citation(message.id, cited.number)))));
    for (const each of pending) rows.push(this.row(each.key, each, () => pendingElement(each, this.say, () => void chat.say(each.text, each.key))));
    if (told.length + pending.length === 0 && this.config.suggestions.length > 0) rows.push(this.kept("suggestions", () => this.suggestions()));
    if (chat.state.typing) rows.push(this.kept("dots", () => h("div", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"))));
    return rows;
  }

  private row(key: string, of: Message | Pending, make: () => HTMLElement): HTMLElement {
    const before = this.shown.get(key);
    if (before?.of === of) return before.element;
    const element = make();
    this.shown.set(key, { of, element });
    return element;
  }

  private readonly others = new Map<string, HTMLElement>();

  private kept(name: string, make: () => HTMLElement): HTMLElement {
    let element = this.others.get(name);
    if (element === undefined) this.others.set(name, (element = make()));
    return element;
  }

  private greeting(): HTMLElement {
    const words = this.chat.session?.greeting ?? this.say("greeting");
    return this.kept(`greeting ${words}`, () => h("div", { class: "row assistant" }, h("div", { class: "bubble" }, h("p", {}, words))));
  }

  private suggestions(): HTMLElement {
    const buttons = this.config.suggestions.map((words) =>
      h("button", { type: "button", class: "suggestion", onclick: () => this.speak(words) }, words),
    );
    return h("div", { class: "suggestions" }, ...buttons);
  }

  private problem(code: string): HTMLElement {
    const words = code === "unreachable" ? this.say("cannotOpen") : sentence(this.say, code);
    const again = () => h("button", { type: "button", class: "again", onclick: () => void this.chat.open() }, this.say("retry"));
    return this.kept(`problem ${code}`, () => h("div", { class: "centre", role: "alert" }, h("p", {}, words), again()));
  }

  private foot(): HTMLElement {
    const submit = (event: Event) => {
      event.preventDefault();
      this.speak(this.textarea.value);
    };
    return h(
      "footer",
      { class: "foot" },
      h("form", { onsubmit: submit }, this.textarea, this.send),
      h("div", { class: "note" }, this.note, this.person),
    );
  }

  private speak(words: string): void {
    if (words.trim() === "" || this.chat.problem !== null) return;
    if (words === this.textarea.value) this.textarea.value = "";
    this.grow();
    this.focus();
    void this.chat.say(words.trim());
  }

  private grow(): void {
    this.allow();
    this.textarea.style.height = "44px";
    this.textarea.style.height = `${Math.min(132, Math.max(44, this.textarea.scrollHeight + 2))}px`;
  }

  private allow(): void {
    this.send.disabled = this.textarea.value.trim() === "" || this.chat.problem !== null;
  }

  /** The page's own keys are not for what is typed here. */
  private press(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      if (this.source.isOpen) this.source.close(true);
      else this.close();
    } else if (event.key === "Enter" && !event.shiftKey && event.target === this.textarea) {
      event.preventDefault();
      this.speak(this.textarea.value);
    } else if (event.key === "Tab" && this.element.getAttribute("aria-modal") === "true") this.stay(event);
  }

  /** On a telephone the panel is all that there is. */
  private stay(event: KeyboardEvent): void {
    const all = focusable(this.element);
    const [from, to] = event.shiftKey ? [all[0], all.at(-1)] : [all.at(-1), all[0]];
    if (event.target !== from) return;
    event.preventDefault();
    to?.focus();
  }

  private leaveSource(event: PointerEvent): void {
    if (!this.source.contains(event.target)) this.source.close();
  }

  private newest(): HTMLElement | null {
    return [...this.log.querySelectorAll<HTMLElement>(".row")].at(-1) ?? null;
  }
}
