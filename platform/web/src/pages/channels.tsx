import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Ellipsis, Pause, Play, Plug, Plus, Stethoscope, Trash2, Webhook } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { all, api, done } from "../api/client";
import type { ChannelsChannelRoutesTrialOut as Trial, ChannelOut, ChannelPatch } from "../api/schema";
import { ago } from "../format";
import { useMay } from "../session/me";
import { Badge, type Tone } from "../ui/badge";
import { Button, IconButton } from "../ui/button";
import { Card, Page } from "../ui/card";
import { Sure } from "../ui/dialog";
import { Select } from "../ui/field";
import { Menu } from "../ui/menu";
import { Blank, ErrorState, Forbidden } from "../ui/states";
import { tell, tellError } from "../ui/toasts";
import { SkeletonRows } from "../ui/waiting";
import { ConnectDialog } from "./channels/connect-dialog";
import { ChannelIcon } from "./inbox/channel-icon";
import { useTick } from "./inbox/people";
import { useAssistants } from "./playground";

const TONES: Record<string, Tone> = { active: "good", paused: "neutral", broken: "bad" };
export const channelPath = (channel_id: string) => ({ params: { path: { channel_id } } });

export default function ChannelsPage() {
  const may = useMay();
  return may("channels.read") ? <Channels /> : <Forbidden />;
}

function Channels() {
  const { t } = useTranslation();
  const canWrite = useMay()("channels.write");
  const [isConnecting, setConnecting] = useState(false);
  const query = useQuery({ queryKey: ["channels"], queryFn: () => all((after) => api.GET("/api/v1/channels", { params: { query: { limit: 200, after } } })) });
  const channels = query.data?.filter(({ type }) => type !== "api") ?? [];
  const connect = canWrite && (
    <Button kind="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setConnecting(true)}>
      {t("channel.connect")}
    </Button>
  );
  return (
    <Page title={t("place.channels")} hint={t("channel.hint")} actions={connect}>
      {query.error ? (
        <Card><ErrorState error={query.error} retry={() => void query.refetch()} /></Card>
      ) : query.isPending ? (
        <Card><SkeletonRows rows={3} /></Card>
      ) : channels.length ? (
        <ul className="grid grid-cols-1 gap-4 lg:grid-cols-2">{channels.map((channel) => <li key={channel.id}><ChannelCard channel={channel} /></li>)}</ul>
      ) : (
        <Card><Blank icon={Plug} title={t("channel.empty")} action={connect}>{t("channel.emptyHint")}</Blank></Card>
      )}
      {isConnecting && <ConnectDialog onClose={() => setConnecting(false)} />}
    </Page>
  );
}

function useChannelDeeds(channel: ChannelOut) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [trial, setTrial] = useState<Trial>();
  const [isBusy, setBusy] = useState(false);
  const refresh = () => cache.invalidateQueries({ queryKey: ["channels"] });
  const change = async (body: ChannelPatch, told: string) => {
    try {
      await done(api.PATCH("/api/v1/channels/{channel_id}", { ...channelPath(channel.id), body }));
      await refresh();
      tell(told);
    } catch (error) {
      tellError(error);
    }
  };
  const attempt = async (what: "check" | "install") => {
    setBusy(true);
    try {
      setTrial(await done(what === "check" ? api.POST("/api/v1/channels/{channel_id}/check", channelPath(channel.id)) : api.POST("/api/v1/channels/{channel_id}/install", channelPath(channel.id))));
      await refresh();
    } catch (error) {
      tellError(error);
    } finally {
      setBusy(false);
    }
  };
  const remove = async () => {
    await done(api.DELETE("/api/v1/channels/{channel_id}", channelPath(channel.id)));
    await refresh();
    tell(t("channel.removed"));
  };
  return { trial, isBusy, change, attempt, remove };
}

function ChannelCard({ channel }: { channel: ChannelOut }) {
  const { t } = useTranslation();
  const now = useTick();
  const canWrite = useMay()("channels.write");
  const deeds = useChannelDeeds(channel);
  const [isLeaving, setLeaving] = useState(false);
  const isPaused = channel.status === "paused";
  const turn = () => void deeds.change({ status: isPaused ? "active" : "paused" }, t(isPaused ? "channel.resumed" : "channel.pausedNow"));
  return (
    <Card className="flex h-full flex-col p-5">
      <div className="flex items-start gap-3">
        <span className="flex size-9 shrink-0 items-center justify-center rounded-xl bg-tint text-on-tint">
          <ChannelIcon type={channel.type} className="size-4.5" />
        </span>
        <div className="min-w-0 grow">
          <h2 className="truncate font-semibold">{channel.name}</h2>
          <p className="truncate text-xs text-soft">
            {t(`channel.type.${channel.type}`)} · {channel.heard_at ? t("channel.heard", { when: ago(channel.heard_at, now) }) : t("channel.neverHeard")}
          </p>
        </div>
        <Badge tone={channel.problem && channel.status === "active" ? "warn" : (TONES[channel.status] ?? "neutral")}>{t(`channel.status.${channel.status}`)}</Badge>
        {canWrite && (
          <Menu
            trigger={<IconButton label={t("knowledge.menuOf", { name: channel.name })} className="-mr-2"><Ellipsis aria-hidden className="size-4" /></IconButton>}
            entries={[
              ...(channel.polls ? [] : [{ name: t("channel.install"), icon: <Webhook aria-hidden />, onSelect: () => void deeds.attempt("install") }]),
              { name: t(isPaused ? "channel.resume" : "channel.pause"), icon: isPaused ? <Play aria-hidden /> : <Pause aria-hidden />, onSelect: turn },
              "line" as const,
              { name: t("action.delete"), icon: <Trash2 aria-hidden />, danger: true, onSelect: () => setLeaving(true) },
            ]}
          />
        )}
      </div>
      {channel.problem && <p className="mt-3 rounded-lg bg-bad-tint px-3 py-2 text-[13px] break-words text-bad">{channel.problem}</p>}
      <div className="mt-4 flex grow flex-wrap items-end justify-between gap-3">
        <Answering channel={channel} canWrite={canWrite} onChange={(assistant_id) => void deeds.change({ assistant_id }, t("channel.saved"))} />
        {canWrite && (
          <Button busy={deeds.isBusy} icon={<Stethoscope aria-hidden className="size-3.5" />} onClick={() => void deeds.attempt("check")}>
            {t("channel.check")}
          </Button>
        )}
      </div>
      {deeds.trial && <TrialResult trial={deeds.trial} />}
      <Sure open={isLeaving} onClose={() => setLeaving(false)} title={t("channel.remove")} action={t("action.delete")} onSure={deeds.remove}>
        {t("channel.removeHint", { name: channel.name })}
      </Sure>
    </Card>
  );
}

function Answering({ channel, canWrite, onChange }: { channel: ChannelOut; canWrite: boolean; onChange: (id: string | null) => void }) {
  const { t } = useTranslation();
  const assistants = useAssistants();
  const options = [{ value: "", name: t("channel.firstAssistant") }, ...(assistants.data ?? []).map(({ id, name }) => ({ value: id, name }))];
  return <Select className="min-w-0 grow basis-40" label={t("channel.answers")} value={channel.assistant_id ?? ""} disabled={!canWrite} onChange={(event) => onChange(event.target.value || null)} options={options} />;
}

export function TrialResult({ trial }: { trial: Trial }) {
  const { t } = useTranslation();
  return (
    <div role="status" className={`mt-4 rounded-lg px-3 py-2 text-[13px] break-words ${trial.ok ? "bg-good-tint text-good" : "bg-bad-tint text-bad"}`}>
      <p className="font-medium">{trial.ok ? t("channel.works", { account: trial.account ?? "" }) : (trial.problem ?? t("state.failed"))}</p>
      {trial.notes?.map((note) => (
        <p key={note} className="mt-1">
          {note}
        </p>
      ))}
    </div>
  );
}
