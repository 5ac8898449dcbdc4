import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Ellipsis, Globe, RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { all, api, done } from "../../api/client";
import type { SourceIn, SourceOut } from "../../api/schema";
import { wrong } from "../../errors";
import { ago } from "../../format";
import { fieldsOf, useSending } from "../../session/form";
import { useMay } from "../../session/me";
import { Badge, type Tone } from "../../ui/badge";
import { Button, IconButton } from "../../ui/button";
import { Dialog, Sure } from "../../ui/dialog";
import { Field, Select } from "../../ui/field";
import { Menu } from "../../ui/menu";
import { Trouble } from "../../ui/states";
import { tell, tellError } from "../../ui/toasts";

const LOOK_AGAIN_MS = 4_000;
const TONES: Record<string, Tone> = { failed: "bad", queued: "accent", running: "accent", syncing: "accent" };

/** The sites that are read by themselves; nothing where there is none. */
export function Websites() {
  const { t } = useTranslation();
  const may = useMay();
  const cache = useQueryClient();
  const [leaving, setLeaving] = useState<SourceOut>();
  const sources = useQuery({
    queryKey: ["sources"],
    queryFn: () => all((after) => api.GET("/api/v1/sources", { params: { query: { limit: 200, after } } })),
    refetchInterval: ({ state }) => (state.data?.some((each) => TONES[each.state] === "accent") ? LOOK_AGAIN_MS : false),
  });
  if (!sources.data?.length) return null;
  const read = async (source: SourceOut) => {
    try {
      await done(api.POST("/api/v1/sources/{source_id}/sync", { params: { path: { source_id: source.id } } }));
      tell(t("website.readingAgain"));
      await cache.invalidateQueries({ queryKey: ["sources"] });
    } catch (error) {
      tellError(error);
    }
  };
  const remove = async ({ id }: SourceOut) => {
    await done(api.DELETE("/api/v1/sources/{source_id}", { params: { path: { source_id: id } } }));
    await Promise.all([cache.invalidateQueries({ queryKey: ["sources"] }), cache.invalidateQueries({ queryKey: ["documents"] })]);
  };
  return (
    <section aria-label={t("website.title")} className="mb-5">
      <ul className="divide-y divide-line rounded-xl border border-line bg-card shadow-card">
        {sources.data.map((source) => (
          <li key={source.id} className="flex items-center gap-3 px-4 py-2.5">
            <Globe aria-hidden className="size-4 shrink-0 text-soft" />
            <div className="min-w-0 grow">
              <p className="truncate font-medium">{source.name || source.url}</p>
              <p className={`text-xs ${source.detail ? "text-bad" : "truncate text-soft"}`}>{source.detail ?? (source.last_sync_at ? t("website.readAt", { when: ago(source.last_sync_at) }) : source.url)}</p>
            </div>
            <Badge tone={TONES[source.state] ?? "neutral"}>{t([`website.state.${source.state}`, "website.state.other"])}</Badge>
            {may("documents.write") && (
              <Menu
                trigger={<IconButton label={t("knowledge.menuOf", { name: source.name || source.url })}><Ellipsis aria-hidden className="size-4" /></IconButton>}
                entries={[{ name: t("website.again"), icon: <RotateCw aria-hidden />, onSelect: () => void read(source) }, "line", { name: t("action.delete"), icon: <Trash2 aria-hidden />, danger: true, onSelect: () => setLeaving(source) }]}
              />
            )}
          </li>
        ))}
      </ul>
      <Sure open={leaving !== undefined} onClose={() => setLeaving(undefined)} title={t("website.remove")} action={t("action.delete")} onSure={() => (leaving ? remove(leaving) : Promise.resolve())}>
        {t("website.removeHint", { name: leaving?.name || leaving?.url })}
      </Sure>
    </section>
  );
}

type AddProps = { open: boolean; onClose: () => void; collectionId: string };

export function AddWebsite({ open, onClose, collectionId }: AddProps) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const sending = useSending(async ({ url = "", kind = "site", hours = "" }: Record<string, string>) => {
    const body: SourceIn = { collection_id: collectionId, url, kind: kind as SourceIn["kind"], ...(hours && { every_hours: Number(hours) }) };
    await done(api.POST("/api/v1/sources", { body }));
    await cache.invalidateQueries({ queryKey: ["sources"] });
    tell(t("website.added"));
    onClose();
  });
  const kinds = (["site", "sitemap", "page"] as const).map((value) => ({ value, name: t(`website.kind.${value}`) }));
  const hours = ["24", "168", ""].map((value) => ({ value, name: t(`website.every.${value || "never"}`) }));
  return (
    <Dialog open={open} onClose={onClose} title={t("knowledge.addSite")} hint={t("website.hint")}>
      <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
        <Field label={t("website.url")} name="url" type="url" placeholder="https://" required error={wrong(sending.error, "url")} />
        <Select label={t("website.what")} name="kind" options={kinds} />
        <Select label={t("website.often")} name="hours" options={hours} />
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy}>
            {t("action.add")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
