/** The widget's routes: a session that begins again where it ended, messages, history, the live stream. */

import type { Config, Identity } from "./config";
import { keepSession, keptSession } from "./keeping";
import { eventReader } from "./sse";
import type { Cited, Message, State } from "./thread";

export interface Session {
  token: string;
  assistant: string;
  greeting: string | null;
  is_known: boolean;
  has_conversation: boolean;
  state: State;
}

export interface History {
  items: Message[];
  next: string | null;
  last_event: string;
  state: State;
}

export type OpenedCitation = Cited & { before: string; after: string };

/** `code` is the server's; `unreachable` where no answer came, which is all that a page of a foreign origin learns. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    readonly seconds = 0,
  ) {
    super(code);
  }
}

/** The server says something every 15 seconds; a connection that is silent for longer is dead. */
const SILENCE_MS = 40_000;

export class Server {
  private token = "";
  private visitor = 0;
  private beginning: Promise<Session> | null = null;

  constructor(
    private readonly config: Config,
    private identity: Identity | null,
  ) {}

  /** From now on the visitor is somebody else; null: nobody that the site knows. */
  becomes(identity: Identity | null): void {
    this.identity = identity;
    this.visitor += 1;
    this.token = "";
    this.beginning = null;
  }

  /** Goes on with the session before. Raises Refused. */
  async begin(): Promise<Session> {
    const beginning = (this.beginning ??= this.session(this.tokenBefore(), this.visitor));
    try {
      return await beginning;
    } finally {
      if (this.beginning === beginning) this.beginning = null;
    }
  }

  async say(key: string, text: string): Promise<void> {
    await this.call("messages", { method: "POST", body: JSON.stringify({ id: key, text }) });
  }

  async history(after: string | null = null): Promise<History> {
    const query = after === null ? "" : `?after=${encodeURIComponent(after)}`;
    return (await this.call(`history${query}`)).json() as Promise<History>;
  }

  async citation(messageId: string, number: number): Promise<OpenedCitation> {
    return (await this.call(`messages/${messageId}/citations/${number}`)).json() as Promise<OpenedCitation>;
  }

  /** What comes until the stream ends, which it always does some day. Raises Refused. */
  async listen(
    lastEvent: string,
    signal: AbortSignal,
    heard: (name: string, id: string, data: unknown) => void,
    opened: () => void,
  ): Promise<void> {
    const query = new URLSearchParams({ token: this.token, last_event: lastEvent });
    const gone = new AbortController();
    const stop = () => gone.abort();
    signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENCE_MS);
    try {
      const response = await this.send(`events?${query}`, { signal: gone.signal, cache: "no-store" });
      opened();
      const reader = response.body!.getReader();
      const [decoder, read] = [new TextDecoder(), eventReader()];
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        clearTimeout(silence);
        silence = setTimeout(stop, SILENCE_MS);
        const events = read(decoder.decode(piece.value, { stream: true }));
        for (const event of events) heard(event.name, event.id, JSON.parse(event.data));
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
    }
  }

  /** An anonymous session may go on, also as that of somebody who has signed in; that of another visitor may not. */
  private tokenBefore(): string | null {
    const kept = keptSession(this.config.id);
    if (kept === null) return null;
    return kept.user === undefined || kept.user === this.identity?.user_id ? kept.token : null;
  }

  private async session(before: string | null, visitor: number): Promise<Session> {
    const identity = this.identity;
    const body: Record<string, unknown> = { language: this.config.language };
    if (before !== null) body["token"] = before;
    if (identity !== null) body["identity"] = identity;
    try {
      const answer = await this.send("session", { method: "POST", body: JSON.stringify(body) });
      const session = (await answer.json()) as Session;
      if (visitor === this.visitor) {
        this.token = session.token;
        const user = session.is_known ? identity?.user_id : undefined;
        keepSession(this.config.id, { token: session.token, ...(user === undefined ? {} : { user }) });
      }
      return session;
    } catch (failed) {
      if (before === null || !isExpired(failed)) throw failed;
      if (visitor === this.visitor) keepSession(this.config.id, null);
      return this.session(null, visitor);
    }
  }

  /** Once more with a new session where this one has ended. */
  private async call(path: string, options: RequestInit = {}): Promise<Response> {
    if (this.token === "") await this.begin();
    try {
      return await this.send(path, options, this.token);
    } catch (failed) {
      if (!isExpired(failed)) throw failed;
      await this.begin();
      return this.send(path, options, this.token);
    }
  }

  private async send(path: string, options: RequestInit, token?: string): Promise<Response> {
    const headers: Record<string, string> = { "Accept-Language": this.config.language };
    if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(this.config.api + path, { credentials: "omit", ...options, headers });
    } catch {
      throw new Refused("unreachable");
    }
    if (response.ok) return response;
    const seconds = Number(response.headers.get("Retry-After")) || 0;
    const problem = (await response.json().catch(() => ({}))) as { code?: string };
    throw new Refused(problem.code ?? `http_${response.status}`, seconds);
  }
}

export function isExpired(failed: unknown): boolean {
  return failed instanceof Refused && ["token_expired", "token_invalid", "not_signed_in"].includes(failed.code);
}

/** As a UUID that `crypto.randomUUID` would make, which is missing where the page or its parent is not encrypted. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
