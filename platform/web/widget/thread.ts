/** The conversation as it is shown: what the server has told, and what is still on its way to it. */

export interface Span {
  text?: string;
  number?: number | null;
  bold?: boolean;
  italic?: boolean;
  code?: boolean;
  url?: string;
}

export interface Block {
  kind: "paragraph" | "heading" | "item" | "quote" | "code";
  spans: Span[];
  marker: string;
  level: number;
}

export interface Cited {
  number: number;
  title: string;
  locator: string;
  quote: string;
  url: string | null;
}

export interface Message {
  id: string;
  sender: "visitor" | "assistant" | "person";
  text: string;
  key: string | null;
  blocks: Block[];
  citations: Cited[];
  notice: string;
}

export interface State {
  status: "assistant" | "waiting" | "person" | "closed";
  typing: boolean;
}

/** What the visitor wrote and the server has not told yet; `error` is the code of why it did not arrive. */
export interface Pending {
  key: string;
  text: string;
  error: string | null;
}

export interface Thread {
  told: readonly Message[];
  pending: readonly Pending[];
}

export const EMPTY: Thread = { told: [], pending: [] };

/** One more message, oldest first; one that is there already changes nothing. */
export function withTold(thread: Thread, message: Message): Thread {
  if (thread.told.some((each) => each.id === message.id)) return thread;
  return { told: [...thread.told, message], pending: thread.pending.filter((each) => each.key !== message.key) };
}

/** `newestFirst` is a page of the history: older than all that is there, or all that there is. */
export function withEarlier(thread: Thread, newestFirst: readonly Message[]): Thread {
  const known = new Set(thread.told.map((each) => each.id));
  const keys = new Set(newestFirst.map((each) => each.key));
  const earlier = newestFirst.filter((each) => !known.has(each.id)).reverse();
  return { told: [...earlier, ...thread.told], pending: thread.pending.filter((each) => !keys.has(each.key)) };
}

export function withPending(thread: Thread, sent: Pending): Thread {
  const isTold = thread.told.some((each) => each.key === sent.key);
  const others = thread.pending.filter((each) => each.key !== sent.key);
  if (isTold) return { ...thread, pending: others };
  const isThere = others.length < thread.pending.length;
  const pending = isThere ? thread.pending.map((each) => (each.key === sent.key ? sent : each)) : [...others, sent];
  return { ...thread, pending };
}

/** The sources that no mark in the text leads to. */
export function unmarked(message: Message): Cited[] {
  const marked = new Set(message.blocks.flatMap((block) => block.spans.map((span) => span.number)));
  return message.citations.filter((cited) => !marked.has(cited.number));
}
