import { type QueryClient, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { api, done, raw } from "../../api/client";
import { takeDocument } from "../../api/live";
import type { DocumentOut } from "../../api/schema";
import { tell, tellError, tellUndoable } from "../../ui/toasts";

const LEAVING = ["leaving"];

/** Documents that are deleted in a moment, unless that is undone. */
export const useLeaving = () => useQuery<readonly string[]>({ queryKey: LEAVING, queryFn: () => [], enabled: false }).data;

export type Deeds = ReturnType<typeof useDeeds>;
const path = (id: string) => ({ params: { path: { document_id: id } } });

/** What can be done with documents, one or many. */
export function useDeeds(cache: QueryClient) {
  const { t } = useTranslation();

  const again = async (documents: readonly DocumentOut[]) => {
    try {
      for (const { id } of documents) takeDocument(cache, await done(api.POST("/api/v1/documents/{document_id}/reprocess", path(id))));
      tell(t("knowledge.againStarted", { count: documents.length }));
    } catch (error) {
      tellError(error);
    }
  };

  /** They are out of sight at once, whatever is read meanwhile, and deleted when nobody has undone it. */
  const remove = (documents: readonly DocumentOut[]) => {
    const ids = documents.map(({ id }) => id);
    const hide = (hidden: boolean) => cache.setQueryData<readonly string[]>(LEAVING, (now = []) => (hidden ? [...now, ...ids] : now.filter((id) => !ids.includes(id))));
    const restore = () => void hide(false);
    const what = documents.length === 1 ? t("knowledge.removedOne", { name: documents[0]?.title }) : t("knowledge.removed", { count: documents.length });
    hide(true);
    tellUndoable(what, (leaving) => void destroy(documents, leaving).catch((error: unknown) => (restore(), tellError(error))), restore);
  };

  return { again, remove };
}

async function destroy(documents: readonly DocumentOut[], keepalive: boolean): Promise<void> {
  await Promise.all(documents.map(({ id }) => done(api.DELETE("/api/v1/documents/{document_id}", { ...path(id), keepalive }))));
}

/** By our own `fetch`, so that a session that has just expired is renewed. */
export async function fetchOriginal({ id, file_name }: Pick<DocumentOut, "id" | "file_name">): Promise<void> {
  try {
    const response = await raw(`documents/${id}/original`);
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await response.blob()), download: file_name });
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    tellError(error);
  }
}
