/** The visitor's conversation on this page: loaded, followed while it lives, written to. */

import type { Identity } from "./config";
import { isExpired, newKey, Refused } from "./server";
import type { OpenedCitation, Server, Session } from "./server";
import { EMPTY, withEarlier, withPending, withTold } from "./thread";
import type { Message, State, Thread } from "./thread";

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_000, 30_000];

export class Chat {
  session: Session | null = null;
  thread: Thread = EMPTY;
  state: State = { status: "assistant", typing: false };
  /** Leads to earlier messages. */
  next: string | null = null;
  isLoaded = false;
  /** The stream is gone, and tried anew. */
  isLost = false;
  /** Why the conversation cannot be opened. */
  problem: string | null = null;
  /** Grows with each visitor: what was asked for another one is of no use any more. */
  private visitor = 0;
  private lastEvent = "";
  private following: AbortController | null = null;
  private loading: Promise<void> | null = null;

  constructor(
    private readonly server: Server,
    private readonly changed: () => void,
    private readonly came: (message: Message) => void,
  ) {}

  /** Raises Refused. */
  async begin(): Promise<Session> {
    const visitor = this.visitor;
    const session = await this.server.begin();
    if (visitor === this.visitor) [this.session, this.state] = [session, session.state];
    return session;
  }

  /** Somebody else is in front of the page, or nobody that the site knows. Raises Refused. */
  async become(identity: Identity | null): Promise<void> {
    this.leave();
    this.server.becomes(identity);
    this.changed();
    const visitor = this.visitor;
    await this.begin();
    if (visitor === this.visitor) this.problem = null;
    this.changed();
  }

  /** Loads the conversation and follows it, once. */
  async open(): Promise<void> {
    if (this.isLoaded) return;
    const loading = (this.loading ??= this.load());
    await loading;
    if (this.loading === loading) this.loading = null;
  }

  async earlier(): Promise<void> {
    if (this.next === null) return;
    const [visitor, next] = [this.visitor, this.next];
    const page = await this.server.history(next).catch(() => null);
    if (page === null || visitor !== this.visitor || next !== this.next) return;
    this.next = page.next;
    this.thread = withEarlier(this.thread, page.items);
    this.changed();
  }

  async say(text: string, key = newKey()): Promise<void> {
    const visitor = this.visitor;
    this.thread = withPending(this.thread, { key, text, error: null });
    this.changed();
    try {
      await this.open();
      if (this.problem !== null) throw new Refused(this.problem);
      await this.server.say(key, text);
      if (this.isLost) void this.follow(); // the network is back: the pause need not be waited for
    } catch (failed) {
      if (visitor !== this.visitor) return;
      this.thread = withPending(this.thread, { key, text, error: codeOf(failed) });
      this.changed();
    }
  }

  citation(messageId: string, number: number): Promise<OpenedCitation> {
    return this.server.citation(messageId, number);
  }

  private leave(): void {
    this.visitor += 1;
    this.following?.abort();
    this.following = null;
    Object.assign(this, { thread: EMPTY, next: null, isLoaded: false, isLost: false, lastEvent: "", loading: null });
    this.state = { status: "assistant", typing: false };
  }

  private async load(): Promise<void> {
    const visitor = this.visitor;
    this.problem = null;
    this.changed();
    try {
      if (this.session === null) await this.begin();
      await this.read();
      if (visitor !== this.visitor) return;
      this.isLoaded = true;
      void this.follow();
    } catch (failed) {
      if (visitor !== this.visitor) return;
      this.problem = codeOf(failed);
    }
    this.changed();
  }

  private async read(): Promise<void> {
    const visitor = this.visitor;
    const history = await this.server.history();
    if (visitor !== this.visitor) return;
    this.thread = withEarlier({ ...EMPTY, pending: this.thread.pending }, history.items);
    this.next = history.next;
    this.state = history.state;
    this.lastEvent = history.last_event;
  }

  private async follow(): Promise<void> {
    this.following?.abort();
    const { signal } = (this.following = new AbortController());
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      let asked = 0;
      try {
        await this.server.listen(this.lastEvent, signal, (...event) => this.hear(signal, ...event), () => {
          pause = FIRST_PAUSE_MS;
          this.setLost(false);
        });
      } catch (failed) {
        if (signal.aborted) return;
        if (isExpired(failed)) await this.beginAgain();
        else this.setLost(true);
        asked = failed instanceof Refused ? failed.seconds * 1_000 : 0;
      }
      await waited(Math.max(asked, pause * (0.75 + Math.random() / 2)), signal);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  private async beginAgain(): Promise<void> {
    const visitor = this.visitor;
    try {
      await this.begin();
      await this.read();
    } catch {
      if (visitor === this.visitor) this.isLost = true;
    }
    this.changed();
  }

  private hear(signal: AbortSignal, name: string, id: string, data: unknown): void {
    if (signal.aborted) return;
    if (id !== "") this.lastEvent = id;
    if (name === "state") this.state = data as State;
    if (name === "message") {
      const before = this.thread;
      this.thread = withTold(before, data as Message);
      if (this.thread !== before) this.came(data as Message);
    }
    this.changed();
  }

  private setLost(isLost: boolean): void {
    if (this.isLost === isLost) return;
    this.isLost = isLost;
    this.changed();
  }
}

export function codeOf(failed: unknown): string {
  return failed instanceof Refused ? failed.code : "failed";
}

/** Shorter where the browser says that the network is back. */
function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
