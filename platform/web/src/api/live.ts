import type { QueryClient } from "@tanstack/react-query";

import { raw } from "./client";
import type { DocumentOut } from "./schema";
import { merge } from "./shown-documents";
import { eventsOf, type ServerEvent } from "./sse";

/** Topics of the stream, and the permission that each asks for. */
const TOPICS = { documents: "documents.read", conversations: "conversations.read", channels: "channels.read" } as const;
const SILENCE_MS = 45_000; // three heartbeats
const PAUSES_MS = [1_000, 2_000, 5_000, 10_000];

export type Listening = "connecting" | "live" | "down";

/** One stream a tab: what changes in the workspace goes into the cache of the queries until `signal` ends. */
export async function follow(cache: QueryClient, permissions: readonly string[], signal: AbortSignal, tell: (now: Listening) => void): Promise<void> {
  const topics = Object.entries(TOPICS).filter(([, needed]) => permissions.includes(needed)).map(([topic]) => topic);
  if (!topics.length) return;
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const event of watch(topics, signal)) {
        failures = 0;
        tell("live");
        take(cache, event);
      }
    } catch {
      failures += 1;
    }
    if (signal.aborted) return;
    if (failures > 1) tell("down");
    await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)] ?? 0, signal);
  }
}

async function* watch(topics: string[], signal: AbortSignal): AsyncGenerator<ServerEvent> {
  const silence = new AbortController();
  const query = topics.map((topic) => `topics=${topic}`).join("&");
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await raw(`events?${query}`, { headers: { Accept: "text/event-stream" }, signal: AbortSignal.any([signal, silence.signal]) });
    for await (const event of eventsOf(response.body as ReadableStream<Uint8Array>)) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      yield event;
    }
  } finally {
    clearTimeout(timer);
  }
}

function take(cache: QueryClient, { name, data }: ServerEvent): void {
  if (name === "reset") void cache.invalidateQueries({ predicate: ({ queryKey }) => LIVE.has(String(queryKey[0])) });
  if (name === "document") takeDocument(cache, JSON.parse(data) as DocumentOut | Gone);
  if (name === "conversation") {
    const { id } = JSON.parse(data) as { id: string };
    void cache.invalidateQueries({ queryKey: ["inbox"] });
    void cache.invalidateQueries({ queryKey: ["conversation", id] });
  }
  if (name === "channel") void cache.invalidateQueries({ queryKey: ["channels"] });
}

const LIVE = new Set(["documents", "document", "inbox", "conversation", "channels"]);
type Gone = { id: string; state: "deleted" };

export function takeDocument(cache: QueryClient, told: DocumentOut | Gone): void {
  const gone = told.state === "deleted";
  cache.setQueryData<DocumentOut[]>(["documents"], (shown) => shown && merge(shown, told as DocumentOut, gone));
  if (!gone) cache.setQueryData(["document", told.id], told);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
