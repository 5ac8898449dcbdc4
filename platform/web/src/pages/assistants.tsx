import { useQueryClient } from "@tanstack/react-query";
import { Bot, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";

import { api, done } from "../api/client";
import type { AssistantOut } from "../api/schema";
import { wrong } from "../errors";
import { fieldsOf, useSending } from "../session/form";
import { useMay } from "../session/me";
import { Badge } from "../ui/badge";
import { Button } from "../ui/button";
import { Card, Page } from "../ui/card";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { Blank, ErrorState, Forbidden, Trouble } from "../ui/states";
import { SkeletonRows } from "../ui/waiting";
import { useAssistants } from "./playground";

export default function AssistantsPage() {
  const may = useMay();
  return may("assistants.read") ? <Assistants /> : <Forbidden />;
}

function Assistants() {
  const { t } = useTranslation();
  const canWrite = useMay()("assistants.write");
  const assistants = useAssistants();
  const [isMaking, setMaking] = useState(false);
  const make = canWrite && (
    <Button kind="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setMaking(true)}>
      {t("assistant.make")}
    </Button>
  );
  return (
    <Page title={t("place.assistants")} hint={t("assistant.hint")} actions={make}>
      {assistants.error ? (
        <Card><ErrorState error={assistants.error} retry={() => void assistants.refetch()} /></Card>
      ) : assistants.isPending ? (
        <Card><SkeletonRows rows={3} /></Card>
      ) : assistants.data.length ? (
        <ul className="grid grid-cols-1 gap-4 sm:grid-cols-2 xl:grid-cols-3">{assistants.data.map((assistant) => <li key={assistant.id}><AssistantCard assistant={assistant} /></li>)}</ul>
      ) : (
        <Card><Blank icon={Bot} title={t("assistant.empty")} action={make}>{t("assistant.emptyHint")}</Blank></Card>
      )}
      <MakeDialog open={isMaking} onClose={() => setMaking(false)} />
    </Page>
  );
}

function AssistantCard({ assistant }: { assistant: AssistantOut }) {
  const { t } = useTranslation();
  return (
    <Link to={`/assistants/${assistant.id}`} className="flex h-full flex-col rounded-xl border border-line bg-card p-5 shadow-card transition-colors hover:border-strong-line">
      <span className="flex items-center gap-3">
        <span className="flex size-9 shrink-0 items-center justify-center rounded-xl bg-tint text-on-tint">
          <Bot aria-hidden className="size-4.5" />
        </span>
        <span className="min-w-0">
          <span className="block truncate font-semibold">{assistant.name}</span>
          <span className="block text-xs text-soft">{t("assistant.versionShort", { number: assistant.version })}</span>
        </span>
      </span>
      <span className="mt-3 line-clamp-2 grow text-[13px] text-soft">{assistant.description || assistant.instructions || t("assistant.noDescription")}</span>
      <span className="mt-4 flex flex-wrap gap-1.5">
        <Badge tone={assistant.status === "active" ? "good" : "neutral"}>{t(`assistant.status.${assistant.status}`)}</Badge>
        {assistant.has_draft && <Badge tone="warn">{t("assistant.hasDraft")}</Badge>}
      </span>
    </Link>
  );
}

function MakeDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const go = useNavigate();
  const sending = useSending(async ({ name = "", description = "" }: Record<string, string>) => {
    const made = await done(api.POST("/api/v1/assistants", { body: { name, description } }));
    await cache.invalidateQueries({ queryKey: ["assistants"] });
    onClose();
    await go(`/assistants/${made.id}`);
  });
  return (
    <Dialog open={open} onClose={onClose} title={t("assistant.make")}>
      <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
        <Field label={t("assistant.name")} name="name" required maxLength={200} error={wrong(sending.error, "name")} />
        <Field label={t("assistant.description")} name="description" maxLength={2000} hint={t("assistant.descriptionHint")} />
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy}>
            {t("assistant.makeAction")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
