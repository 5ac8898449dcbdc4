import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ChevronLeft, Ellipsis, FlaskConical, Pause, Play, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams, useSearchParams } from "react-router";

import { api, done } from "../api/client";
import type { AssistantOut, DraftOut } from "../api/schema";
import { useMay } from "../session/me";
import { Badge } from "../ui/badge";
import { buttonClass, IconButton } from "../ui/button";
import { Card, Page } from "../ui/card";
import { Sure } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { ErrorState, Forbidden } from "../ui/states";
import { Tabs } from "../ui/tabs";
import { tell, tellError } from "../ui/toasts";
import { Skeleton } from "../ui/waiting";
import { DraftForm } from "./assistant/draft-form";
import { VersionList } from "./assistant/version-list";

export const pathOf = (assistant_id: string) => ({ params: { path: { assistant_id } } });

export default function AssistantPage() {
  const may = useMay();
  const { id = "" } = useParams();
  return may("assistants.read") ? <Shown key={id} id={id} /> : <Forbidden />;
}

function Shown({ id }: { id: string }) {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const assistant = useQuery({ queryKey: ["assistant", id], queryFn: () => done(api.GET("/api/v1/assistants/{assistant_id}", pathOf(id))) });
  const draft = useQuery({ queryKey: ["draft", id], queryFn: () => done(api.GET("/api/v1/assistants/{assistant_id}/draft", pathOf(id))), enabled: assistant.data?.has_draft ?? false });
  const edited = assistant.data?.has_draft ? draft.data : assistant.data && asDraft(assistant.data);
  const back = (
    <Link to="/assistants" className="mb-3 -ml-1 inline-flex items-center gap-1 rounded-md text-[13px] text-soft hover:text-ink">
      <ChevronLeft aria-hidden className="size-4" />
      {t("place.assistants")}
    </Link>
  );
  const error = assistant.error ?? (assistant.data?.has_draft ? draft.error : null);
  if (error) return <Page title={t("assistant.title")} before={back}><Card><ErrorState error={error} retry={() => void Promise.all([assistant.refetch(), draft.refetch()])} /></Card></Page>;
  if (!assistant.data || !edited) return <Page title={t("state.loading")} before={back}><Skeleton className="h-96 rounded-xl" /></Page>;
  const tabs: { value: string; name: string; content: ReactNode }[] = [
    { value: "settings", name: t("assistant.settings"), content: <DraftForm key={`${edited.revision} ${assistant.data.version}`} assistant={assistant.data} draft={edited} /> },
    { value: "versions", name: t("assistant.versions"), content: <VersionList assistant={assistant.data} /> },
  ];
  return (
    <Page title={assistant.data.name} hint={<Hint assistant={assistant.data} />} actions={<Actions assistant={assistant.data} />} before={back}>
      <Card>
        <Tabs value={search.get("tab") ?? "settings"} onChange={(value) => setSearch({ tab: value }, { replace: true })} tabs={tabs} />
      </Card>
    </Page>
  );
}

/** What is published, as the draft that it would become with the first change. */
function asDraft({ id, revision, version, name, description, role, prompt, instructions, model, settings }: AssistantOut): DraftOut {
  return { assistant_id: id, revision, version, draft: { name, description, role, prompt, instructions, model, settings }, edited_by: null, edited_at: null };
}

function Hint({ assistant }: { assistant: AssistantOut }) {
  const { t } = useTranslation();
  return (
    <span className="mt-1.5 flex flex-wrap items-center gap-2 text-[13px]">
      <Badge tone={assistant.status === "active" ? "good" : "neutral"}>{t(`assistant.status.${assistant.status}`)}</Badge>
      {t("assistant.versionShort", { number: assistant.version })}
      {assistant.has_draft && <Badge tone="warn">{t("assistant.hasDraft")}</Badge>}
    </span>
  );
}

function Actions({ assistant }: { assistant: AssistantOut }) {
  const { t } = useTranslation();
  const may = useMay();
  const cache = useQueryClient();
  const go = useNavigate();
  const [isLeaving, setLeaving] = useState(false);
  const isActive = assistant.status === "active";
  const turn = async () => {
    try {
      await done(api.PATCH("/api/v1/assistants/{assistant_id}", { ...pathOf(assistant.id), body: { status: isActive ? "paused" : "active" } }));
      await Promise.all([cache.invalidateQueries({ queryKey: ["assistant", assistant.id] }), cache.invalidateQueries({ queryKey: ["assistants"] })]);
      tell(t(isActive ? "assistant.paused" : "assistant.resumed"));
    } catch (error) {
      tellError(error);
    }
  };
  const remove = async () => {
    await done(api.DELETE("/api/v1/assistants/{assistant_id}", pathOf(assistant.id)));
    await cache.invalidateQueries({ queryKey: ["assistants"] });
    await go("/assistants");
  };
  return (
    <>
      {may("ask") && (
        <Link to={`/playground?assistant=${assistant.id}${assistant.has_draft ? "&version=draft" : ""}`} className={buttonClass()}>
          <FlaskConical aria-hidden className="size-4" />
          {t("assistant.try")}
        </Link>
      )}
      {may("assistants.write") && (
        <Menu
          trigger={<IconButton label={t("knowledge.menuOf", { name: assistant.name })} className="size-9 border border-line bg-raised shadow-card"><Ellipsis aria-hidden className="size-4" /></IconButton>}
          entries={[
            { name: t(isActive ? "assistant.pause" : "assistant.resume"), icon: isActive ? <Pause aria-hidden /> : <Play aria-hidden />, onSelect: () => void turn() },
            "line",
            { name: t("action.delete"), icon: <Trash2 aria-hidden />, danger: true, onSelect: () => setLeaving(true) },
          ]}
        />
      )}
      <Sure open={isLeaving} onClose={() => setLeaving(false)} title={t("assistant.remove")} action={t("action.delete")} onSure={remove}>
        {t("assistant.removeHint", { name: assistant.name })}
      </Sure>
    </>
  );
}
