import type { DocumentOut } from "./schema";

/** In place of the row that is shown already; a document that is new comes first. */
export function merge(shown: DocumentOut[], told: DocumentOut, gone: boolean): DocumentOut[] {
  if (gone) return shown.filter(({ id }) => id !== told.id);
  if (told.kind === "pair") return shown;
  return shown.some(({ id }) => id === told.id) ? shown.map((each) => (each.id === told.id ? told : each)) : [told, ...shown];
}
