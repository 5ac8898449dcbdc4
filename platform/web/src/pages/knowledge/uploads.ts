import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { raw } from "../../api/client";
import { takeDocument } from "../../api/live";
import type { DocumentOut } from "../../api/schema";
import { sentence } from "../../errors";

export type Refused = { name: string; why: string };
export type Uploads = ReturnType<typeof useUploads>;

/** Files on their way to the server, one after another: what becomes of them then is told by the list. */
export function useUploads(collectionId: string | undefined) {
  const cache = useQueryClient();
  const [state, setState] = useState<{ done: number; total: number; refused: Refused[] }>({ done: 0, total: 0, refused: [] });

  const send = async (files: readonly File[]) => {
    if (!collectionId || !files.length) return;
    const refused: Refused[] = [];
    for (const [done, file] of files.entries()) {
      setState({ done, total: files.length, refused });
      try {
        takeDocument(cache, await upload(collectionId, file));
      } catch (error) {
        refused.push({ name: file.name, why: sentence(error) });
      }
    }
    setState({ done: 0, total: 0, refused });
  };

  return { ...state, send, forget: () => setState({ done: 0, total: 0, refused: [] }) };
}

async function upload(collectionId: string, file: File): Promise<DocumentOut> {
  const response = await raw(`collections/${collectionId}/documents?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  return (await response.json()) as DocumentOut;
}
