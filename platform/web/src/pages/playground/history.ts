import type { Played, PlayIn } from "../../api/schema";

export type Turn = { id: number; question: string; text: string; played?: Played; error?: unknown };

/** What was said before, without what failed. */
export function historyOf(turns: readonly Turn[]): NonNullable<PlayIn["history"]> {
  return turns.filter(({ text, error }) => text && !error).flatMap(({ question, text }) => [
    { role: "user" as const, text: question },
    { role: "assistant" as const, text },
  ]);
}
