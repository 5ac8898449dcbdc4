import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { AssistantOut, AssistantSettings, DraftOut, Snapshot } from "../../api/schema";
import { wrong } from "../../errors";
import { useSending } from "../../session/form";
import { useMay } from "../../session/me";
import { Button } from "../../ui/button";
import { Area, Check, Field, Select } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { pathOf } from "../assistant";
import { useCollections } from "../knowledge";
import { useModelNames, useProviders } from "../settings/models";
import { PublishDialog } from "./publish-dialog";

type Props = { assistant: AssistantOut; draft: DraftOut };

/** What is changed here is a draft: customers notice nothing until it is published. */
export function DraftForm({ assistant, draft }: Props) {
  const { t } = useTranslation();
  const canWrite = useMay()("assistants.write");
  const cache = useQueryClient();
  const [edited, setEdited] = useState<Snapshot>(draft.draft);
  const [isPublishing, setPublishing] = useState(false);
  const isChanged = JSON.stringify(edited) !== JSON.stringify(draft.draft);
  const refresh = () => Promise.all([cache.invalidateQueries({ queryKey: ["assistant", assistant.id] }), cache.invalidateQueries({ queryKey: ["assistants"] })]);
  const sending = useSending(async () => {
    cache.setQueryData(["draft", assistant.id], await done(api.PATCH("/api/v1/assistants/{assistant_id}/draft", { ...pathOf(assistant.id), body: { ...edited, revision: draft.revision } })));
    await refresh();
    tell(t("assistant.draftSaved"));
  });
  const dropping = useSending(async () => {
    await done(api.DELETE("/api/v1/assistants/{assistant_id}/draft", { params: { path: { assistant_id: assistant.id }, query: { revision: draft.revision } } }));
    await refresh();
    tell(t("assistant.draftDropped"));
  });
  // The dialog stands beside the form: what is submitted in a portal bubbles up to the forms around it.
  return (
    <>
      <form onSubmit={(event) => (event.preventDefault(), void sending.send())}>
        <fieldset disabled={!canWrite} className="divide-y divide-line">
          <Texts edited={edited} setEdited={setEdited} error={sending.error} />
          <Manner edited={edited} setEdited={setEdited} error={sending.error} />
          <Writer edited={edited} setEdited={setEdited} error={sending.error} />
          <Sources edited={edited} setEdited={setEdited} error={sending.error} />
          <Limits edited={edited} setEdited={setEdited} error={sending.error} />
        </fieldset>
        {canWrite && (
          <div className="sticky bottom-0 flex flex-wrap items-center gap-3 rounded-b-xl border-t border-line bg-card/95 px-5 py-3 backdrop-blur">
            <div className="grow empty:hidden sm:basis-60">
              <Trouble error={sending.error ?? dropping.error} />
              {!sending.error && !dropping.error && <p className="hidden text-[13px] text-soft sm:block">{isChanged ? t("assistant.notSaved") : assistant.has_draft ? t("assistant.notPublished") : t("assistant.isPublished")}</p>}
            </div>
            {assistant.has_draft && !isChanged && (
              <Button kind="quiet" busy={dropping.busy} onClick={() => void dropping.send()}>
                {t("assistant.dropDraft")}
              </Button>
            )}
            <Button type="submit" busy={sending.busy} disabled={!isChanged}>
              {t("assistant.saveDraft")}
            </Button>
            <Button kind="primary" disabled={isChanged || !assistant.has_draft} onClick={() => setPublishing(true)}>
              {t("assistant.publish")}
            </Button>
          </div>
        )}
      </form>
      {isPublishing && <PublishDialog assistant={assistant} draft={draft} onClose={() => setPublishing(false)} />}
    </>
  );
}

type PartProps = { edited: Snapshot; setEdited: (next: Snapshot) => void; error: unknown };

function Part({ title, hint, children }: { title: string; hint: string; children: ReactNode }) {
  return (
    <div className="grid grid-cols-1 gap-x-8 gap-y-4 px-5 py-6 md:grid-cols-[15rem_minmax(0,1fr)]">
      <div>
        <h2 className="font-semibold">{title}</h2>
        <p className="mt-0.5 text-[13px] text-pretty text-soft">{hint}</p>
      </div>
      <div className="max-w-xl space-y-4">{children}</div>
    </div>
  );
}

function Texts({ edited, setEdited, error }: PartProps) {
  const { t } = useTranslation();
  const set = (change: Partial<Snapshot>) => setEdited({ ...edited, ...change });
  return (
    <Part title={t("assistant.who")} hint={t("assistant.whoHint")}>
      <Field label={t("assistant.name")} value={edited.name} required maxLength={200} onChange={(event) => set({ name: event.target.value })} error={wrong(error, "name")} />
      <Field label={t("assistant.description")} value={edited.description ?? ""} maxLength={2000} hint={t("assistant.descriptionHint")} onChange={(event) => set({ description: event.target.value })} error={wrong(error, "description")} />
      <Area label={t("assistant.instructions")} rows={5} value={edited.instructions ?? ""} hint={t("assistant.instructionsHint")} onChange={(event) => set({ instructions: event.target.value })} error={wrong(error, "instructions")} />
    </Part>
  );
}

const settingsOf = ({ settings = {} }: Snapshot): AssistantSettings => settings;
const withSettings = (edited: Snapshot, change: Partial<AssistantSettings>): Snapshot => ({ ...edited, settings: { ...settingsOf(edited), ...change } });

function Manner({ edited, setEdited }: PartProps) {
  const { t } = useTranslation();
  const settings = settingsOf(edited);
  const set = (change: Partial<AssistantSettings>) => setEdited(withSettings(edited, change));
  return (
    <Part title={t("assistant.manner")} hint={t("assistant.mannerHint")}>
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-3">
        <Select label={t("assistant.language")} value={settings.language ?? "auto"} onChange={(event) => set({ language: event.target.value as "auto" })} options={["auto", "ru", "en"].map((value) => ({ value, name: t(`language.${value}`) }))} />
        <Select label={t("assistant.tone")} value={settings.tone ?? "neutral"} onChange={(event) => set({ tone: event.target.value as "neutral" })} options={["neutral", "friendly", "formal"].map((value) => ({ value, name: t(`tone.${value}`) }))} />
        <Select label={t("assistant.length")} value={settings.answer_length ?? "normal"} onChange={(event) => set({ answer_length: event.target.value as "normal" })} options={["short", "normal", "detailed"].map((value) => ({ value, name: t(`length.${value}`) }))} />
      </div>
      <Area label={t("assistant.greeting")} rows={2} value={settings.greeting_text ?? ""} placeholder={t("assistant.ownWords")} onChange={(event) => set({ greeting_text: event.target.value || null })} />
      <Area label={t("assistant.unknown")} rows={2} value={settings.unknown_text ?? ""} placeholder={t("assistant.ownWords")} onChange={(event) => set({ unknown_text: event.target.value || null })} />
    </Part>
  );
}

/** Who writes the answers: a model of the workspace's own, else the server's, else nobody, and they are quotes. */
function Writer({ edited, setEdited, error }: PartProps) {
  const { t } = useTranslation();
  const providers = useProviders();
  const first = settingsOf(edited).models?.[0];
  const names = useModelNames(first?.provider_id ?? undefined);
  const set = (provider_id: string, model: string) => setEdited(withSettings(edited, { models: provider_id ? [{ ...first, provider_id, model }, ...(settingsOf(edited).models ?? []).slice(1)] : [] }));
  if (!providers.data?.length && !first) return null;
  const options = [{ value: "", name: t("assistant.serverModel") }, ...(providers.data ?? []).map(({ id, name }) => ({ value: id, name }))];
  return (
    <Part title={t("assistant.writer")} hint={t("assistant.writerHint")}>
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
        <Select label={t("assistant.provider")} value={first?.provider_id ?? ""} onChange={(event) => set(event.target.value, first?.model ?? names[0] ?? "")} options={options} />
        {first && <Field label={t("model.name")} required list="names" value={first.model} onChange={(event) => set(first.provider_id ?? "", event.target.value)} error={wrong(error, "settings.models")} />}
      </div>
      <datalist id="names">{names.map((name) => <option key={name} value={name} />)}</datalist>
    </Part>
  );
}

function Sources({ edited, setEdited }: PartProps) {
  const { t } = useTranslation();
  const collections = useCollections();
  const chosen = settingsOf(edited).collections ?? null;
  const set = (ids: string[] | null) => setEdited(withSettings(edited, { collections: ids }));
  const turn = (id: string, isOn: boolean) => set(isOn ? [...(chosen ?? []), id] : (chosen ?? []).filter((each) => each !== id));
  return (
    <Part title={t("assistant.sources")} hint={t("assistant.sourcesHint")}>
      <Check label={t("assistant.everything")} checked={chosen === null} onChange={(isAll) => set(isAll ? null : (collections.data ?? []).map(({ id }) => id))} />
      {chosen !== null && (
        <div className="space-y-2.5 border-l-2 border-line pl-4">
          {collections.data?.map(({ id, name, description }) => (
            <Check key={id} label={name} hint={description} checked={chosen.includes(id)} onChange={(isOn) => turn(id, isOn)} />
          ))}
        </div>
      )}
    </Part>
  );
}

function Limits({ edited, setEdited, error }: PartProps) {
  const { t } = useTranslation();
  const settings = settingsOf(edited);
  const policy = settings.hand_over ?? {};
  const set = (change: Partial<AssistantSettings>) => setEdited(withSettings(edited, change));
  return (
    <Part title={t("assistant.people")} hint={t("assistant.peopleHint")}>
      <Check label={t("assistant.handOver")} hint={t("assistant.handOverHint")} checked={policy.enabled ?? true} onChange={(enabled) => set({ hand_over: { ...policy, enabled } })} />
      <Area label={t("assistant.handOverText")} rows={2} value={policy.text ?? ""} placeholder={t("assistant.ownWords")} onChange={(event) => set({ hand_over: { ...policy, text: event.target.value || null } })} />
      <Field
        label={t("assistant.confidence")}
        type="number"
        min={0}
        max={100}
        className="max-w-48"
        hint={t("assistant.confidenceHint")}
        value={settings.least_confidence == null ? "" : Math.round(settings.least_confidence * 100)}
        onChange={(event) => set({ least_confidence: event.target.value === "" ? null : Number(event.target.value) / 100 })}
        error={wrong(error, "settings.least_confidence")}
      />
    </Part>
  );
}
