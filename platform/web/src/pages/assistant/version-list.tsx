import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { AssistantOut } from "../../api/schema";
import { moment } from "../../format";
import { useMay } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Sure } from "../../ui/dialog";
import { ErrorState } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { SkeletonRows } from "../../ui/waiting";
import { pathOf } from "../assistant";
import { useMembers } from "../inbox/people";

/** What was published when and by whom; an old one comes back as the next version. */
export function VersionList({ assistant }: { assistant: AssistantOut }) {
  const { t } = useTranslation();
  const canWrite = useMay()("assistants.write");
  const cache = useQueryClient();
  const members = useMembers();
  const [wanted, setWanted] = useState<number>();
  const query = useQuery({ queryKey: ["assistant", assistant.id, "versions"], queryFn: () => done(api.GET("/api/v1/assistants/{assistant_id}/versions", { params: { path: { assistant_id: assistant.id }, query: { limit: 100 } } })) });
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <SkeletonRows rows={3} />;
  const nameOf = (id: string | null) => members.data?.find(({ user_id }) => user_id === id)?.name;
  const bringBack = async () => {
    if (wanted === undefined) return;
    await done(api.POST("/api/v1/assistants/{assistant_id}/rollback", { ...pathOf(assistant.id), body: { version: wanted } }));
    await Promise.all([cache.invalidateQueries({ queryKey: ["assistant", assistant.id] }), cache.invalidateQueries({ queryKey: ["assistants"] })]);
    tell(t("assistant.restored", { number: wanted }));
  };
  return (
    <>
      <ol className="divide-y divide-line">
        {query.data.items.map((version) => (
          <li key={version.number} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-5 py-3.5">
            <span className="w-9 font-semibold tabular-nums">v{version.number}</span>
            <div className="min-w-0 grow">
              <p className="break-words">{version.note || (version.restored_from ? t("assistant.restoredFrom", { number: version.restored_from }) : t("assistant.noNote"))}</p>
              <p className="text-xs text-soft">{[moment(version.created_at), nameOf(version.created_by)].filter(Boolean).join(" · ")}</p>
            </div>
            {version.number === assistant.version ? (
              <Badge tone="good">{t("version.active")}</Badge>
            ) : (
              canWrite && (
                <Button small onClick={() => setWanted(version.number)}>
                  {t("assistant.restore")}
                </Button>
              )
            )}
          </li>
        ))}
      </ol>
      <Sure open={wanted !== undefined} onClose={() => setWanted(undefined)} title={t("assistant.restoreTitle", { number: wanted })} action={t("assistant.restore")} onSure={bringBack}>
        {t("assistant.restoreHint")}
      </Sure>
    </>
  );
}
