import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { api, done } from "../../api/client";
import { bytes, moment } from "../../format";
import { Badge } from "../../ui/badge";
import { ErrorState } from "../../ui/states";
import { SkeletonRows } from "../../ui/waiting";

/** How the document came to be what it is; each version's text can be read. */
export function Versions({ documentId }: { documentId: string }) {
  const { t } = useTranslation();
  const [, setSearch] = useSearchParams();
  const query = useQuery({ queryKey: ["versions", documentId], queryFn: () => done(api.GET("/api/v1/documents/{document_id}/versions", { params: { path: { document_id: documentId }, query: { limit: 100 } } })) });
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <SkeletonRows rows={2} />;
  return (
    <ol className="divide-y divide-line">
      {query.data.items.map((version) => (
        <li key={version.id} className="flex items-center gap-3 px-5 py-3">
          <div className="min-w-0 grow">
            <button type="button" className="block max-w-full truncate text-left font-medium hover:underline" onClick={() => setSearch({ tab: "versions", version: version.id }, { replace: true })}>
              {version.file_name}
            </button>
            <p className="text-xs text-soft">
              {moment(version.created_at)} · {bytes(version.size)}
            </p>
            {version.detail && <p className="text-xs text-bad">{version.detail}</p>}
          </div>
          {version.active ? <Badge tone="good">{t("version.active")}</Badge> : <Badge tone={version.state === "failed" ? "bad" : "neutral"}>{t(`document.state.${version.state}`)}</Badge>}
        </li>
      ))}
    </ol>
  );
}
