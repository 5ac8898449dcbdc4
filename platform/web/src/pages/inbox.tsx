import { useInfiniteQuery } from "@tanstack/react-query";
import { clsx } from "clsx";
import { MessagesSquare } from "lucide-react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams, useSearchParams } from "react-router";

import { api, done } from "../api/client";
import { useMay } from "../session/me";
import { Blank, Forbidden } from "../ui/states";
import { useKeys } from "./inbox/keys";
import { ConversationList } from "./inbox/list";
import { Thread } from "./inbox/thread";

export const VIEWS = ["waiting", "people", "open", "closed"] as const;
export type View = (typeof VIEWS)[number];
const STATUS = { waiting: ["pending"], people: ["human"], open: ["bot", "pending", "human"], closed: ["closed"] } as const satisfies Record<View, readonly string[]>;

export default function InboxPage() {
  const may = useMay();
  return may("conversations.read") ? <Inbox /> : <Forbidden />;
}

/** The list, the thread and the person: side by side where there is room, one at a time on a telephone. */
function Inbox() {
  const { t } = useTranslation();
  const { id } = useParams();
  const view = useView();
  const list = useConversations(view);
  const conversations = useMemo(() => list.data?.pages.flatMap(({ items }) => items) ?? [], [list.data]);
  const go = useNavigate();
  const [search] = useSearchParams();
  const open = (next: string) => void go(`/inbox/${next}?${search.toString()}`);
  useKeys(conversations.map((each) => each.id), id, open);
  return (
    <div className="grid h-[calc(100dvh-3.25rem)] md:h-dvh lg:grid-cols-[20rem_minmax(0,1fr)]">
      <div className={clsx("min-h-0 border-r border-line", id && "hidden lg:block")}>
        <ConversationList view={view} list={list} conversations={conversations} chosen={id} onOpen={open} />
      </div>
      <div className={clsx("min-h-0", !id && "hidden lg:block")}>
        {id ? <Thread key={id} id={id} /> : <div className="grid h-full place-items-center"><Blank icon={MessagesSquare} title={t("inbox.choose")}>{t("inbox.chooseHint")}</Blank></div>}
      </div>
    </div>
  );
}

export type InboxView = ReturnType<typeof useView>;

/** Which conversations are shown stands in the address. */
function useView() {
  const [search, setSearch] = useSearchParams();
  const kept = search.get("view") as View | null;
  const view = kept && VIEWS.includes(kept) ? kept : "open";
  const set = (name: string, value: string) => setSearch((now) => (value ? now.set(name, value) : now.delete(name), now), { replace: true });
  return { view, words: search.get("q") ?? "", channel: search.get("channel") ?? "", set };
}

export type Conversations = ReturnType<typeof useConversations>;

function useConversations({ view, words, channel }: InboxView) {
  return useInfiniteQuery({
    queryKey: ["inbox", view, words, channel],
    queryFn: ({ pageParam }) => done(api.GET("/api/v1/inbox", { params: { query: { status: [...STATUS[view]], limit: 50, after: pageParam, ...(words && { q: words }), ...(channel && { channel_id: channel }) } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: (shown) => shown,
  });
}
