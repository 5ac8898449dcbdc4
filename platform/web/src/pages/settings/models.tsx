import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Cpu, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { all, api, done } from "../../api/client";
import type { ProviderOut } from "../../api/schema";
import { wrong } from "../../errors";
import { duration } from "../../format";
import { fieldsOf, useSending } from "../../session/form";
import { useMay } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Panel } from "../../ui/card";
import { Dialog, Sure } from "../../ui/dialog";
import { Field } from "../../ui/field";
import { Blank, ErrorState, Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { SkeletonRows } from "../../ui/waiting";

const at = (provider_id: string) => ({ params: { path: { provider_id } } });

export function useProviders() {
  const may = useMay();
  return useQuery({ queryKey: ["providers"], queryFn: () => all((after) => api.GET("/api/v1/model-providers", { params: { query: { limit: 200, after } } })), enabled: may("models.read") });
}

/** The workspace's own accounts at services that run models. */
export function Models() {
  const { t } = useTranslation();
  const canWrite = useMay()("models.write");
  const cache = useQueryClient();
  const query = useProviders();
  const [isAdding, setAdding] = useState(false);
  const [leaving, setLeaving] = useState<ProviderOut>();
  const [trying, setTrying] = useState<ProviderOut>();
  const add = canWrite && (
    <Button small icon={<Plus aria-hidden className="size-3.5" />} onClick={() => setAdding(true)}>
      {t("model.add")}
    </Button>
  );
  const remove = async () => {
    if (leaving) await done(api.DELETE("/api/v1/model-providers/{provider_id}", at(leaving.id)));
    await cache.invalidateQueries({ queryKey: ["providers"] });
  };
  return (
    <Panel title={t("settings.tab.models")} hint={t("model.hint")} action={add}>
      {query.error ? (
        <ErrorState error={query.error} retry={() => void query.refetch()} />
      ) : query.isPending ? (
        <SkeletonRows rows={2} />
      ) : query.data.length ? (
        <ul className="divide-y divide-line">
          {query.data.map((provider) => (
            <li key={provider.id} className="flex flex-wrap items-center gap-x-3 gap-y-2 py-3 first:pt-0 last:pb-0">
              <div className="min-w-0 grow">
                <p className="truncate font-medium">{provider.name}</p>
                <p className="truncate text-xs text-soft">{provider.base_url}</p>
              </div>
              {!provider.enabled && <Badge tone="warn">{t("model.off")}</Badge>}
              {canWrite && (
                <>
                  <Button small onClick={() => setTrying(provider)}>{t("model.test")}</Button>
                  <Button small kind="quiet" onClick={() => setLeaving(provider)}>{t("action.delete")}</Button>
                </>
              )}
            </li>
          ))}
        </ul>
      ) : (
        <Blank icon={Cpu} title={t("model.empty")}>{t("model.emptyHint")}</Blank>
      )}
      {isAdding && <AddProvider onClose={() => setAdding(false)} />}
      {trying && <TryProvider provider={trying} onClose={() => setTrying(undefined)} />}
      <Sure open={leaving !== undefined} onClose={() => setLeaving(undefined)} title={t("model.remove")} action={t("action.delete")} onSure={remove}>
        {t("model.removeHint", { name: leaving?.name })}
      </Sure>
    </Panel>
  );
}

function AddProvider({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const sending = useSending(async ({ name = "", base_url = "", api_key = "" }: Record<string, string>) => {
    await done(api.POST("/api/v1/model-providers", { body: { name, base_url, ...(api_key && { api_key }) } }));
    await cache.invalidateQueries({ queryKey: ["providers"] });
    tell(t("model.added"));
    onClose();
  });
  return (
    <Dialog open onClose={onClose} title={t("model.add")} hint={t("model.addHint")}>
      <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
        <Field label={t("key.name")} name="name" required maxLength={200} error={wrong(sending.error, "name")} />
        <Field label={t("model.address")} name="base_url" type="url" required placeholder="https://" hint={t("model.addressHint")} error={wrong(sending.error, "base_url")} />
        <Field label={t("model.key")} name="api_key" type="password" autoComplete="off" hint={t("model.keyHint")} error={wrong(sending.error, "api_key")} />
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy}>{t("action.add")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The names of a provider's models, where it tells them. */
export function useModelNames(providerId: string | undefined) {
  const may = useMay();
  const query = useQuery({ queryKey: ["models", providerId], queryFn: () => done(api.GET("/api/v1/model-providers/{provider_id}/models", at(providerId ?? ""))), enabled: providerId !== undefined && may("models.write") });
  return query.data?.models ?? [];
}

function TryProvider({ provider, onClose }: { provider: ProviderOut; onClose: () => void }) {
  const { t } = useTranslation();
  const names = useModelNames(provider.id);
  const [told, setTold] = useState<{ ok: boolean; text: string }>();
  const sending = useSending(async ({ model = "" }: Record<string, string>) => {
    const trial = await done(api.POST("/api/v1/model-providers/{provider_id}/test", { ...at(provider.id), body: { model } }));
    setTold({ ok: trial.ok, text: trial.ok ? t("model.works", { time: duration(trial.latency_ms) }) : (trial.detail ?? t("state.failed")) });
  });
  return (
    <Dialog open onClose={onClose} title={t("model.testOf", { name: provider.name })} hint={t("model.testHint")}>
      <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
        <Field label={t("model.name")} name="model" required list="models" autoComplete="off" error={wrong(sending.error, "model")} />
        <datalist id="models">{names.map((name) => <option key={name} value={name} />)}</datalist>
        {told && <p role="status" className={`rounded-lg px-3 py-2 text-[13px] ${told.ok ? "bg-good-tint text-good" : "bg-bad-tint text-bad"}`}>{told.text}</p>}
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.close")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy}>{t("model.test")}</Button>
        </div>
      </form>
    </Dialog>
  );
}
