import { useRef, useState } from "react";

import { raw } from "../../api/client";
import { ApiProblem, problemOf } from "../../api/problem";
import type { Played, PlayIn } from "../../api/schema";
import { eventsOf } from "../../api/sse";
import { historyOf, type Turn } from "./history";

export type Asked = Pick<PlayIn, "question" | "version" | "history" | "overrides">;

/** A talk that nothing is kept of: each question goes with what was said before. */
export function useTurns() {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const [isAsking, setAsking] = useState(false);
  const ending = useRef<AbortController>(null);

  const patch = (id: number, change: Partial<Turn>) => setTurns((now) => now.map((turn) => (turn.id === id ? { ...turn, ...change } : turn)));

  const ask = async (assistantId: string, question: string, version: PlayIn["version"]) => {
    const id = Date.now();
    const asked: Asked = { question, history: historyOf(turns), ...(version && { version }) };
    setTurns((now) => [...now, { id, question, text: "" }]);
    setAsking(true);
    ending.current = new AbortController();
    try {
      let text = "";
      for await (const piece of play(assistantId, asked, ending.current.signal)) {
        if (typeof piece === "string") patch(id, { text: (text += piece) });
        else patch(id, { text: piece.text, played: piece });
      }
    } catch (error) {
      if (!ending.current.signal.aborted) patch(id, { error });
    } finally {
      setAsking(false);
    }
  };

  const clear = () => {
    ending.current?.abort();
    setTurns([]);
  };

  return { turns, isAsking, ask, clear, stop: () => ending.current?.abort() };
}

/** Pieces of the text as they come, then everything about the answer. */
async function* play(assistantId: string, asked: Asked, signal: AbortSignal): AsyncGenerator<string | Played> {
  const headers = { Accept: "text/event-stream", "Content-Type": "application/json" };
  const response = await raw(`assistants/${assistantId}/playground`, { method: "POST", headers, body: JSON.stringify(asked), signal });
  for await (const { name, data } of eventsOf(response.body as ReadableStream<Uint8Array>)) {
    if (name === "delta") yield (JSON.parse(data) as { text: string }).text;
    if (name === "error") throw problemOf(JSON.parse(data), 500);
    if (name === "final") {
      yield JSON.parse(data) as Played;
      return;
    }
  }
  throw new ApiProblem("cut_off", "", 0);
}
