import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, ChevronLeft, Hand, PanelRight, RotateCcw, Undo2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";

import { all, api, done } from "../../api/client";
import type { InboxOut, MessageOut } from "../../api/schema";
import { useMay } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button, IconButton } from "../../ui/button";
import { ErrorState } from "../../ui/states";
import { tell, tellError } from "../../ui/toasts";
import { Skeleton } from "../../ui/waiting";
import { Composer } from "./composer";
import { ContactPanel } from "./contact";
import { KEYS, useAsked } from "./keys";
import { Messages } from "./messages";
import { nameOf } from "./people";

const at = (conversation_id: string) => ({ params: { path: { conversation_id } } });

export function Thread({ id }: { id: string }) {
  const head = useQuery({ queryKey: ["conversation", id, "head"], queryFn: () => done(api.GET("/api/v1/inbox/{conversation_id}", at(id))) });
  const messages = useQuery({
    queryKey: ["conversation", id, "messages"],
    queryFn: () => all((after) => api.GET("/api/v1/conversations/{conversation_id}/messages", { params: { path: { conversation_id: id }, query: { limit: 200, after } } })),
  });
  const error = head.error ?? messages.error;
  const [isPanelOpen, setPanelOpen] = useState(false);
  if (error) return <ErrorState error={error} retry={() => void Promise.all([head.refetch(), messages.refetch()])} />;
  if (!head.data || !messages.data) return <Waiting />;
  return (
    <div className="grid h-full min-h-0 2xl:grid-cols-[minmax(0,1fr)_19rem]">
      <div className="flex min-h-0 flex-col">
        <Head conversation={head.data} onPanel={() => setPanelOpen(true)} />
        <Scroll messages={messages.data} conversation={head.data} />
        <Composer conversation={head.data} />
      </div>
      <ContactPanel conversation={head.data} isOpen={isPanelOpen} onClose={() => setPanelOpen(false)} />
    </div>
  );
}

/** Stays at the newest words while nobody has scrolled up. */
function Scroll({ messages, conversation }: { messages: readonly MessageOut[]; conversation: InboxOut }) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isAtEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [messages]);
  const scrolled = () => {
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = box.current ?? {};
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < 80;
  };
  return (
    <div ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label={t("inbox.thread")} className="min-h-0 grow overflow-y-auto px-4 py-5 sm:px-6">
      <Messages messages={messages} conversation={conversation} />
    </div>
  );
}

type Deed = "hand-over" | "return" | "close" | "reopen";

/** What a member may do with the conversation, as a press or by a key. */
function useDeed(conversation: InboxOut) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [busy, setBusy] = useState<Deed>();
  const calls = {
    "hand-over": () => api.POST("/api/v1/conversations/{conversation_id}/hand-over", at(conversation.id)),
    return: () => api.POST("/api/v1/conversations/{conversation_id}/return", at(conversation.id)),
    close: () => api.POST("/api/v1/conversations/{conversation_id}/close", at(conversation.id)),
    reopen: () => api.POST("/api/v1/conversations/{conversation_id}/reopen", at(conversation.id)),
  };
  const act = async (deed: Deed) => {
    setBusy(deed);
    try {
      await done(calls[deed]());
      await Promise.all([cache.invalidateQueries({ queryKey: ["conversation", conversation.id] }), cache.invalidateQueries({ queryKey: ["inbox"] })]);
      tell(t(`inbox.done.${deed}`));
    } catch (error) {
      tellError(error);
    } finally {
      setBusy(undefined);
    }
  };
  return { busy, act };
}

function Head({ conversation, onPanel }: { conversation: InboxOut; onPanel: () => void }) {
  const { t } = useTranslation();
  const [search] = useSearchParams();
  return (
    <header className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-4 py-3 sm:px-6">
      <Link to={`/inbox?${search.toString()}`} aria-label={t("inbox.back")} className="-ml-1.5 rounded-lg p-1.5 text-soft hover:bg-sunken lg:hidden">
        <ChevronLeft aria-hidden className="size-4" />
      </Link>
      <div className="min-w-0 grow">
        <h2 className="truncate font-semibold">{nameOf(conversation, t)}</h2>
        <p className="truncate text-xs text-soft">
          {conversation.channel.name}
          {conversation.handed_over_reason && ` · ${t([`inbox.reason.${conversation.handed_over_reason}`, "inbox.reason.other"])}`}
        </p>
      </div>
      <Badge tone={conversation.status === "pending" ? "warn" : conversation.status === "human" ? "accent" : conversation.status === "bot" ? "good" : "neutral"}>{t(`inbox.status.${conversation.status}`)}</Badge>
      <Deeds conversation={conversation} />
      <IconButton label={t("inbox.contact")} onClick={onPanel} className="2xl:hidden">
        <PanelRight aria-hidden className="size-4" />
      </IconButton>
    </header>
  );
}

function Deeds({ conversation }: { conversation: InboxOut }) {
  const { t } = useTranslation();
  const may = useMay();
  const { busy, act } = useDeed(conversation);
  const isClosed = conversation.status === "closed";
  useAsked(KEYS.close, () => void (may("conversations.write") && act(isClosed ? "reopen" : "close")));
  if (!may("conversations.write")) return null;
  return (
    <div className="flex gap-2">
      {!isClosed && conversation.status !== "human" && (
        <Button small kind="primary" busy={busy === "hand-over"} icon={<Hand aria-hidden className="size-3.5" />} onClick={() => void act("hand-over")}>
          {t("inbox.takeOver")}
        </Button>
      )}
      {!isClosed && conversation.status !== "bot" && (
        <Button small busy={busy === "return"} icon={<Undo2 aria-hidden className="size-3.5" />} onClick={() => void act("return")}>
          {t("inbox.return")}
        </Button>
      )}
      {isClosed ? (
        <Button small busy={busy === "reopen"} aria-keyshortcuts="e" icon={<RotateCcw aria-hidden className="size-3.5" />} onClick={() => void act("reopen")}>
          {t("inbox.reopen")}
        </Button>
      ) : (
        <Button small busy={busy === "close"} aria-keyshortcuts="e" icon={<Check aria-hidden className="size-3.5" />} onClick={() => void act("close")}>
          {t("inbox.close")}
        </Button>
      )}
    </div>
  );
}

function Waiting() {
  return (
    <div className="space-y-4 p-6" role="status">
      {["w-1/2", "ml-auto w-2/5", "w-3/5"].map((width) => (
        <Skeleton key={width} className={`h-16 rounded-2xl ${width}`} />
      ))}
    </div>
  );
}
