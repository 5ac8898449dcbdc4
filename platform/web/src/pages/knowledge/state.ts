import type { DocumentOut } from "../../api/schema";

export const GROUPS = ["all", "ready", "working", "failed"] as const;
export type Group = (typeof GROUPS)[number];
const ON_THE_WAY = new Set(["queued", "parsing", "chunking", "embedding", "publishing"]);
/** How much of the whole is done when a stage begins; embedding takes most of the time. */
const BEGINS: Record<string, [number, number]> = { queued: [0, 0.02], parsing: [0.02, 0.3], chunking: [0.32, 0.06], embedding: [0.38, 0.57], publishing: [0.95, 0.04] };

type Stated = Pick<DocumentOut, "state" | "stage" | "done" | "total">;

export const isOnTheWay = ({ state }: Pick<DocumentOut, "state">) => ON_THE_WAY.has(state);

export function groupOf(document: Pick<DocumentOut, "state">): Group {
  if (isOnTheWay(document)) return "working";
  return document.state === "failed" ? "failed" : "ready";
}

/** From 0 to 1. */
export function shareOf({ stage, done, total }: Stated): number {
  const [begin, length] = BEGINS[stage] ?? [0, 0];
  return begin + (total > 0 ? length * Math.min(done / total, 1) : 0);
}

export function matches(document: Pick<DocumentOut, "title" | "file_name" | "tags">, words: string): boolean {
  const wanted = words.trim().toLowerCase();
  return !wanted || [document.title, document.file_name, ...document.tags].some((each) => each.toLowerCase().includes(wanted));
}
