/** The button on the page and the panel behind it, in a tree of their own. */

import { Chat, codeOf } from "./chat";
import type { Config, Identity } from "./config";
import { isIdentity } from "./config";
import { h, icon } from "./elements";
import { keepOpen, wasOpen } from "./keeping";
import { Panel } from "./panel";
import { Server } from "./server";
import { sheetOf } from "./styles";
import { speak } from "./texts";
import type { Message } from "./thread";

const NARROW = "(max-width: 520px)";
const TRIES_MS = [3_000, 15_000, 60_000];
/** Then the widget is not for this page, or not now, and nothing is shown. */
const HIDDEN = ["origin_refused", "channel_resting", "not_found"];

export class Widget {
  private readonly say;
  private readonly chat: Chat;
  private readonly panel: Panel;
  private readonly launcher: HTMLButtonElement;
  private readonly root: HTMLElement;
  private readonly host = document.createElement("asissto-widget");
  private isOpen = false;
  private hasUnread = false;

  constructor(private readonly config: Config) {
    this.say = speak(config.language);
    const server = new Server(config, config.user);
    this.chat = new Chat(server, () => this.render(), (message) => this.hear(message));
    this.panel = new Panel(this.chat, config, this.say, () => this.close());
    this.launcher = h("button", { type: "button", class: "launcher", onclick: () => this.toggle() });
    const sides = `${config.side} ${config.isFrame ? "frame" : ""}`;
    const label = this.say("chat");
    this.root = h("section", { class: `root ${sides}`, lang: config.language, "aria-label": label }, this.panel.element, !config.isFrame && this.launcher);
  }

  /** The first look at the server decides whether anything is shown. */
  async start(tries = TRIES_MS): Promise<void> {
    try {
      const session = await this.chat.begin();
      this.mount();
      const { status, typing } = session.state;
      if (this.config.isFrame || (wasOpen(this.config.id) && !matchMedia(NARROW).matches)) this.open(false);
      else if (session.has_conversation && (typing || status === "waiting" || status === "person")) void this.chat.open();
    } catch (failed) {
      const code = codeOf(failed);
      if (code === "unreachable" && !this.config.isFrame) this.tryLater(tries);
      else if (!this.isHiddenBy(code)) this.showProblem(code);
    }
  }

  open(takeFocus = true): void {
    this.mount();
    this.isOpen = true;
    this.hasUnread = false;
    if (!this.config.isFrame) keepOpen(this.config.id, true);
    this.render();
    void this.chat.open();
    if (takeFocus) this.panel.focus();
  }

  close(): void {
    if (this.config.isFrame || !this.isOpen) return;
    this.isOpen = false;
    keepOpen(this.config.id, false);
    this.render();
    this.launcher.focus();
  }

  toggle(): void {
    if (this.isOpen) this.close();
    else this.open();
  }

  /** Whether the server has believed it; null: the visitor has signed out. */
  async identify(identity: Identity | null): Promise<boolean> {
    if (identity !== null && !isIdentity(identity)) return false;
    try {
      await this.chat.become(identity);
    } catch (failed) {
      const code = codeOf(failed);
      if (!this.isHiddenBy(code)) this.showProblem(code);
      return false;
    }
    this.mount();
    if (this.isOpen) await this.chat.open();
    return true;
  }

  private showProblem(code: string): void {
    this.chat.problem = code;
    this.mount();
    if (this.config.isFrame) this.isOpen = true;
    this.render();
  }

  /** A widget for known visitors alone is not there for others; a wrong signature is told, so that it is noticed. */
  private isHiddenBy(code: string): boolean {
    if (this.config.isFrame) return false;
    if (HIDDEN.includes(code)) console.warn(`Asissto: the widget is not shown (${code}).`);
    return HIDDEN.includes(code) || (code === "identity_refused" && this.config.user === null && !this.host.isConnected);
  }

  /** A page of a foreign origin hears as little as one without a network. */
  private tryLater(tries: number[]): void {
    const [ms, ...rest] = tries;
    if (ms === undefined) return;
    if (rest.length === 2) console.warn(`Asissto: the widget is not shown: no answer, or ${location.origin} is not allowed.`);
    setTimeout(() => void this.start(rest), ms);
  }

  private mount(): void {
    if (this.host.isConnected) return;
    const shadow = this.host.shadowRoot ?? this.host.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [sheetOf(this.config)];
    shadow.append(this.root);
    // Not into the body, whose content the page may replace and transform.
    document.documentElement.append(this.host);
    this.raise();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    for (const media of [dark, matchMedia(NARROW)]) media.addEventListener("change", () => this.render());
    this.render();
  }

  /** Above everything, whatever numbers the page gives its own layers. */
  private raise(): void {
    try {
      this.host.popover = "manual";
      this.host.showPopover();
    } catch {
      this.host.removeAttribute("popover");
    }
  }

  private hear(message: Message): void {
    if (!this.isOpen && message.sender !== "visitor") this.hasUnread = true;
  }

  private render(): void {
    if (!this.host.isConnected) return;
    const { theme, isFrame } = this.config;
    const isDark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.root.classList.toggle("dark", isDark);
    this.root.classList.toggle("opened", this.isOpen);
    this.panel.element.hidden = !this.isOpen;
    this.panel.element.setAttribute("aria-modal", `${!isFrame && matchMedia(NARROW).matches}`);
    this.launcher.classList.toggle("unread", this.hasUnread);
    this.launcher.setAttribute("aria-expanded", `${this.isOpen}`);
    this.launcher.setAttribute("aria-label", this.say(this.isOpen ? "close" : this.hasUnread ? "openUnread" : "open"));
    this.launcher.replaceChildren(icon(this.isOpen ? "close" : "chat"));
    if (this.isOpen) this.panel.render();
  }
}
