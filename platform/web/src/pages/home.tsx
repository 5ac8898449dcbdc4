import { useQuery } from "@tanstack/react-query";
import { BookOpen, CircleAlert, Inbox, type LucideIcon, Plug } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { all, api, done } from "../api/client";
import { ago, number } from "../format";
import { type Permission, useMay, useMe } from "../session/me";
import { Badge } from "../ui/badge";
import { Card, Page, Panel } from "../ui/card";
import { ErrorState } from "../ui/states";
import { Skeleton } from "../ui/waiting";
import { Checklist } from "./home/checklist";
import { PlanUse } from "./home/plan-use";
import { ChannelIcon } from "./inbox/channel-icon";
import { nameOf, useTick, waitTone } from "./inbox/people";
import { groupOf } from "./knowledge/state";

const MOST = 5_000;

export default function HomePage() {
  const { t } = useTranslation();
  const me = useMe();
  return (
    <Page title={t("home.hello", { name: me.user.name.split(" ")[0] })} hint={t("home.hint", { workspace: me.tenant.name })}>
      <div className="space-y-5">
        <Checklist />
        <Numbers />
        <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <Waiting />
          <div className="space-y-5">
            <Channels />
            <PlanUse />
          </div>
        </div>
      </div>
    </Page>
  );
}

/** A query that is only asked by those who may; `undefined` for everybody else. */
export function useAllowed<T>(permission: Permission, key: readonly unknown[], read: () => Promise<T>) {
  const may = useMay();
  return useQuery({ queryKey: key, queryFn: read, enabled: may(permission) });
}

const useDocuments = () => useAllowed("documents.read", ["documents"], () => all((after) => api.GET("/api/v1/documents", { params: { query: { limit: 200, after } } }), MOST));
const useChannels = () => useAllowed("channels.read", ["channels"], () => all((after) => api.GET("/api/v1/channels", { params: { query: { limit: 200, after } } })));
const useFindings = () => useAllowed("documents.read", ["findings", "open"], () => done(api.GET("/api/v1/knowledge/findings", { params: { query: { state: "open", limit: 200 } } })));
const usePending = () => useAllowed("conversations.read", ["inbox", "count"], () => done(api.GET("/api/v1/inbox", { params: { query: { status: ["pending"], limit: 100 } } })));

/** Four figures, each of them the way to where something can be done about it. */
function Numbers() {
  const { t } = useTranslation();
  const may = useMay();
  const [documents, pending, channels, findings] = [useDocuments(), usePending(), useChannels(), useFindings()];
  const count = (group: string) => documents.data?.filter((each) => groupOf(each) === group).length;
  const broken = channels.data?.filter(({ status, problem }) => status === "broken" || problem).length;
  return (
    <ul className="grid grid-cols-2 gap-3 sm:gap-4 xl:grid-cols-4">
      {may("conversations.read") && <Figure to="/inbox?view=waiting" icon={Inbox} name={t("home.waiting")} value={pending.data?.items.length} error={pending.error} bad={(pending.data?.items.length ?? 0) > 0} />}
      {may("documents.read") && <Figure to="/knowledge?state=ready" icon={BookOpen} name={t("home.documents")} value={count("ready")} error={documents.error} />}
      {may("documents.read") && <Figure to="/knowledge?state=failed" icon={CircleAlert} name={t("home.failed")} value={count("failed")} error={documents.error} bad={(count("failed") ?? 0) > 0} note={findings.data?.items.length ? t("home.findings", { count: findings.data.items.length }) : undefined} />}
      {may("channels.read") && <Figure to="/channels" icon={Plug} name={t("home.broken")} value={broken} error={channels.error} bad={(broken ?? 0) > 0} />}
    </ul>
  );
}

type FigureProps = { to: string; icon: LucideIcon; name: string; value: number | undefined; error: unknown; bad?: boolean; note?: string | undefined };

function Figure({ to, icon: Icon, name, value, error, bad, note }: FigureProps) {
  return (
    <li>
      <Link to={to} className="block h-full rounded-xl border border-line bg-card p-4 sm:p-5 shadow-card transition-colors hover:border-strong-line">
        <span className="flex items-center gap-2 text-[13px] text-soft">
          <Icon aria-hidden className="size-4" />
          {name}
        </span>
        <span className={`mt-2 block text-2xl font-semibold tracking-tight tabular-nums ${bad ? "text-bad" : ""}`}>{error ? "—" : value === undefined ? <Skeleton className="h-8 w-12" /> : number(value)}</span>
        {note && <span className="text-xs text-soft">{note}</span>}
      </Link>
    </li>
  );
}

function Waiting() {
  const { t } = useTranslation();
  const may = useMay();
  const now = useTick();
  const query = useAllowed("conversations.read", ["inbox", "newest"], () => done(api.GET("/api/v1/inbox", { params: { query: { status: ["pending", "human", "bot"], limit: 8 } } })));
  if (!may("conversations.read")) return null;
  const link = <Link to="/inbox" className="text-[13px] text-accent underline decoration-accent/40 underline-offset-2 hover:decoration-accent">{t("home.toInbox")}</Link>;
  let content: ReactNode;
  if (query.error) content = <ErrorState error={query.error} retry={() => void query.refetch()} />;
  else if (!query.data) content = <Skeleton className="h-40" />;
  else if (!query.data.items.length) content = <p className="py-6 text-center text-soft">{t("home.noConversations")}</p>;
  else {
    content = (
      <ul className="-mx-2">
        {query.data.items.map((conversation) => (
          <li key={conversation.id}>
            <Link to={`/inbox/${conversation.id}`} className="flex items-center gap-3 rounded-lg px-2 py-2 hover:bg-sunken">
              <span className="text-soft"><ChannelIcon type={conversation.channel.type} className="size-4" /></span>
              <span className="min-w-0 grow">
                <span className="block truncate font-medium">{nameOf(conversation, t)}</span>
                <span className="block truncate text-[13px] text-soft">{conversation.last?.text || t("inbox.noWords")}</span>
              </span>
              {conversation.waiting_since && <Badge tone={waitTone(conversation.waiting_since, now)}>{ago(conversation.waiting_since, now)}</Badge>}
              {!conversation.waiting_since && <time dateTime={conversation.updated_at} className="shrink-0 text-xs text-soft">{ago(conversation.updated_at, now)}</time>}
            </Link>
          </li>
        ))}
      </ul>
    );
  }
  return <Panel title={t("home.newest")} action={link}>{content}</Panel>;
}

function Channels() {
  const { t } = useTranslation();
  const channels = useChannels();
  const shown = channels.data?.filter(({ type }) => type !== "api") ?? [];
  if (!shown.length) return null;
  return (
    <Card className="p-5">
      <h2 className="mb-3 text-[15px] font-semibold">{t("place.channels")}</h2>
      <ul className="space-y-2.5">
        {shown.map(({ id, name, type, status, problem }) => (
          <li key={id} className="flex items-center gap-2.5">
            <span className="text-soft"><ChannelIcon type={type} className="size-4" /></span>
            <span className="min-w-0 grow truncate">{name}</span>
            <Badge tone={status === "broken" ? "bad" : problem ? "warn" : status === "active" ? "good" : "neutral"}>{t(`channel.status.${status}`)}</Badge>
          </li>
        ))}
      </ul>
    </Card>
  );
}
