import { useQuery } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import { useSyncExternalStore } from "react";

import { all, api } from "../../api/client";
import type { InboxOut } from "../../api/schema";
import { useMay } from "../../session/me";
import type { Tone } from "../../ui/badge";

const TICK_MS = 30_000;
const LONG_MS = 10 * 60_000;
const TOO_LONG_MS = 60 * 60_000;

/** What the customer is called: by name, else by what they can be reached at. */
export function nameOf({ contact, user_id }: Pick<InboxOut, "contact" | "user_id">, t: TFunction): string {
  return contact?.name || contact?.email || contact?.phone || (user_id ? t("inbox.fromConsole") : t("inbox.visitor"));
}

export function waitTone(since: string, now: number): Tone {
  const waited = now - new Date(since).getTime();
  return waited > TOO_LONG_MS ? "bad" : waited > LONG_MS ? "warn" : "neutral";
}

/** The members by id, for names beside their words. */
export function useMembers() {
  const may = useMay();
  return useQuery({ queryKey: ["members"], queryFn: () => all((after) => api.GET("/api/v1/members", { params: { query: { limit: 200, after } } })), enabled: may("members.read") });
}

let now = Date.now();
const listeners = new Set<() => void>();
setInterval(() => {
  now = Date.now();
  for (const listener of listeners) listener();
}, TICK_MS);

/** The present, anew every half minute: what was 5 minutes ago becomes 6. */
export const useTick = () => useSyncExternalStore((listener) => (listeners.add(listener), () => listeners.delete(listener)), () => now);
