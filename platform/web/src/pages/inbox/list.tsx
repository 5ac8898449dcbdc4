import { useQuery } from "@tanstack/react-query";
import { clsx } from "clsx";
import { Inbox, SearchX } from "lucide-react";
import { useTranslation } from "react-i18next";

import { all, api } from "../../api/client";
import type { InboxOut } from "../../api/schema";
import { ago } from "../../format";
import { useMay } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Field, Select } from "../../ui/field";
import { Blank, ErrorState } from "../../ui/states";
import { Filters } from "../../ui/tabs";
import { SkeletonRows } from "../../ui/waiting";
import { VIEWS, type Conversations, type InboxView } from "../inbox";
import { ChannelIcon } from "./channel-icon";
import { nameOf, useTick, waitTone } from "./people";

type Props = { view: InboxView; list: Conversations; conversations: readonly InboxOut[]; chosen: string | undefined; onOpen: (id: string) => void };

export function ConversationList({ view, list, conversations, chosen, onOpen }: Props) {
  const { t } = useTranslation();
  return (
    <div className="flex h-full flex-col">
      <div className="space-y-3 border-b border-line px-4 pt-4 pb-3">
        <h1 className="text-xl font-semibold tracking-[-0.011em]">{t("place.inbox")}</h1>
        <Filters label={t("inbox.view")} value={view.view} options={VIEWS.map((value) => ({ value, name: t(`inbox.views.${value}`) }))} onChange={(value) => view.set("view", value)} />
        <div className="flex gap-2">
          <Field hideLabel type="search" label={t("inbox.search")} placeholder={t("inbox.search")} value={view.words} onChange={(event) => view.set("q", event.target.value)} className="min-w-0 grow" />
          <ChannelFilter view={view} />
        </div>
      </div>
      <div className="min-h-0 grow overflow-y-auto">
        <Rows {...{ view, list, conversations, chosen, onOpen }} />
      </div>
    </div>
  );
}

function ChannelFilter({ view }: { view: InboxView }) {
  const { t } = useTranslation();
  const may = useMay();
  const channels = useQuery({ queryKey: ["channels"], queryFn: () => all((after) => api.GET("/api/v1/channels", { params: { query: { limit: 200, after } } })), enabled: may("channels.read") });
  if ((channels.data?.length ?? 0) < 2) return null;
  const options = [{ value: "", name: t("inbox.everyChannel") }, ...(channels.data ?? []).map(({ id, name }) => ({ value: id, name }))];
  return <Select hideLabel label={t("inbox.channel")} className="w-34 shrink-0" value={view.channel} onChange={(event) => view.set("channel", event.target.value)} options={options} />;
}

function Rows({ view, list, conversations, chosen, onOpen }: Props) {
  const { t } = useTranslation();
  if (list.error) return <ErrorState error={list.error} retry={() => void list.refetch()} />;
  if (list.isPending) return <SkeletonRows rows={7} />;
  if (!conversations.length) {
    if (view.words || view.channel) return <Blank icon={SearchX} title={t("inbox.noMatch")} action={<Button onClick={() => (view.set("q", ""), view.set("channel", ""))}>{t("action.showAll")}</Button>} />;
    return <Blank icon={Inbox} title={t(`inbox.emptyTitle.${view.view}`)}>{t("inbox.emptyHint")}</Blank>;
  }
  return (
    <>
      <ul className="divide-y divide-line">
        {conversations.map((conversation) => (
          <li key={conversation.id}>
            <Row conversation={conversation} isChosen={conversation.id === chosen} onOpen={() => onOpen(conversation.id)} />
          </li>
        ))}
      </ul>
      {list.hasNextPage && (
        <div className="p-4">
          <Button small busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t("document.more")}
          </Button>
        </div>
      )}
    </>
  );
}

function Row({ conversation, isChosen, onOpen }: { conversation: InboxOut; isChosen: boolean; onOpen: () => void }) {
  const { t } = useTranslation();
  const now = useTick();
  const { last, waiting_since: since } = conversation;
  const mine = last?.sender_kind === "assistant" || last?.by_member;
  return (
    <button type="button" aria-current={isChosen || undefined} onClick={onOpen} className={clsx("block w-full px-4 py-3 text-left -outline-offset-2 transition-colors", isChosen ? "bg-tint/70" : "hover:bg-sunken/60")}>
      <span className="flex items-center gap-2">
        <span className="text-soft" title={conversation.channel.name}>
          <ChannelIcon type={conversation.channel.type} />
        </span>
        <span className="min-w-0 grow truncate font-medium">{nameOf(conversation, t)}</span>
        <time dateTime={conversation.updated_at} className="shrink-0 text-xs text-soft">
          {ago(last?.at ?? conversation.updated_at, now)}
        </time>
      </span>
      <span className="mt-1 line-clamp-2 text-[13px] text-soft">
        {mine && <span className="text-ink/80">{last?.by_member ? t("inbox.byMember") : t("inbox.byAssistant")}: </span>}
        {last?.text || t("inbox.noWords")}
      </span>
      {(conversation.status !== "bot" || conversation.tags.length > 0) && (
        <span className="mt-2 flex flex-wrap gap-1.5">
          {conversation.status !== "bot" && <Badge tone={conversation.status === "pending" ? "warn" : conversation.status === "human" ? "accent" : "neutral"}>{t(`inbox.status.${conversation.status}`)}</Badge>}
          {since && <Badge tone={waitTone(since, now)}>{t("inbox.waits", { when: ago(since, now) })}</Badge>}
          {conversation.tags.map((tag) => (
            <Badge key={tag}>{tag}</Badge>
          ))}
        </span>
      )}
    </button>
  );
}
