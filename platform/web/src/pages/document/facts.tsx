import { useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import { takeDocument } from "../../api/live";
import type { DocumentOut } from "../../api/schema";
import { bytes, moment } from "../../format";
import { fieldsOf, useSending } from "../../session/form";
import { useMay } from "../../session/me";
import { Button } from "../../ui/button";
import { Field } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { useCollections } from "../knowledge";

const list = (words: string) => words.split(",").map((each) => each.trim()).filter(Boolean);

export function Facts({ document }: { document: DocumentOut }) {
  const { t } = useTranslation();
  const collections = useCollections();
  const collection = collections.data?.find(({ id }) => id === document.collection_id)?.name;
  const facts: [string, ReactNode][] = [
    [t("knowledge.collection"), collection ?? "—"],
    [t("document.file"), document.file_name],
    [t("document.type"), document.media_type],
    [t("knowledge.size"), bytes(document.size)],
    [t("document.added"), moment(document.created_at)],
    [t("document.finished"), document.finished_at ? moment(document.finished_at) : "—"],
  ];
  return (
    <div className="space-y-5 px-5 py-4">
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-5 gap-y-2 text-[13px]">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-soft">{name}</dt>
            <dd className="break-words">{value}</dd>
          </div>
        ))}
      </dl>
      {document.warnings.length > 0 && (
        <ul className="list-disc space-y-1 rounded-lg bg-warn-tint py-2 pr-3 pl-7 text-[13px] text-warn">
          {document.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      <Labels document={document} />
    </div>
  );
}

function Labels({ document }: { document: DocumentOut }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const mayWrite = useMay()("documents.write");
  const sending = useSending(async ({ tags = "", audience = "" }: Record<string, string>) => {
    const body = { tags: list(tags), audience: list(audience) };
    takeDocument(cache, await done(api.PATCH("/api/v1/documents/{document_id}", { params: { path: { document_id: document.id } }, body })));
    tell(t("document.labelsSaved"));
  });
  return (
    <form className="space-y-3.5 border-t border-line pt-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
      <Field label={t("document.tags")} name="tags" defaultValue={document.tags.join(", ")} hint={t("document.tagsHint")} disabled={!mayWrite} />
      <Field label={t("document.audience")} name="audience" defaultValue={document.audience.join(", ")} hint={t("document.audienceHint")} disabled={!mayWrite} />
      <Trouble error={sending.error} />
      {mayWrite && (
        <Button small type="submit" busy={sending.busy}>
          {t("action.save")}
        </Button>
      )}
    </form>
  );
}
