import { useQuery, useQueryClient } from "@tanstack/react-query";
import { clsx } from "clsx";
import { Bot, CircleAlert, Paperclip, StickyNote, UserRound } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { all, api, done, raw } from "../../api/client";
import type { CitationOut, DeliveryOut, InboxOut, MessageOut } from "../../api/schema";
import { date, time } from "../../format";
import { useMay } from "../../session/me";
import { AnswerText } from "../../ui/answer-text";
import { Dialog } from "../../ui/dialog";
import { tellError } from "../../ui/toasts";
import { TextPane } from "../document/text-pane";
import { useMembers } from "./people";

type Side = "customer" | "assistant" | "member" | "note" | "system";
type Props = { messages: readonly MessageOut[]; conversation: InboxOut };

export function sideOf({ sender_kind, metadata }: Pick<MessageOut, "sender_kind" | "metadata">): Side {
  if (sender_kind === "user" || sender_kind === "contact") return "from" in metadata ? "member" : "customer";
  return sender_kind as Side;
}

/** All words of a conversation with days between them. */
export function Messages({ messages, conversation }: Props) {
  const deliveries = useDeliveries(conversation);
  const [source, setSource] = useState<CitationOut>();
  let day = "";
  return (
    <ol className="mx-auto max-w-3xl space-y-4">
      {messages.map((message) => {
        const today = date(message.created_at);
        const isNew = today !== day;
        day = today;
        return (
          <li key={message.id} className="space-y-4">
            {isNew && <p className="text-center text-xs text-soft">{today}</p>}
            <Message message={message} deliveries={deliveries.filter((each) => each.message_id === message.id)} onSource={setSource} conversationId={conversation.id} />
          </li>
        );
      })}
      {source && (
        <Dialog open wide onClose={() => setSource(undefined)} title={source.title} hint={source.locator || undefined}>
          <TextPane documentId={source.document_id} versionId={source.version_id} place={source} />
        </Dialog>
      )}
    </ol>
  );
}

function useDeliveries(conversation: InboxOut): readonly DeliveryOut[] {
  const query = useQuery({
    queryKey: ["conversation", conversation.id, "deliveries"],
    queryFn: () => all((after) => api.GET("/api/v1/conversations/{conversation_id}/deliveries", { params: { path: { conversation_id: conversation.id }, query: { limit: 200, after } } })),
    enabled: conversation.channel.type !== "api",
  });
  return query.data ?? [];
}

const LOOKS: Record<Exclude<Side, "system">, string> = {
  customer: "rounded-bl-md border border-line bg-card",
  assistant: "ml-auto rounded-br-md bg-tint/70",
  member: "ml-auto rounded-br-md bg-accent text-on-accent",
  note: "ml-auto rounded-br-md border border-dashed border-warn/50 bg-warn-tint",
};
const SIGNS = { customer: UserRound, assistant: Bot, member: UserRound, note: StickyNote };

type MessageProps = { message: MessageOut; deliveries: readonly DeliveryOut[]; onSource: (source: CitationOut) => void; conversationId: string };

function Message({ message, deliveries, onSource, conversationId }: MessageProps) {
  const { t } = useTranslation();
  const side = sideOf(message);
  const author = useAuthor(message);
  if (side === "system") return <Happening message={message} author={author} />;
  const Sign = SIGNS[side];
  const isMine = side !== "customer";
  return (
    <div className={clsx("flex flex-col gap-1", isMine ? "items-end" : "items-start")}>
      <p className="flex items-center gap-1.5 px-1 text-xs text-soft">
        <Sign aria-hidden className="size-3" />
        {side === "member" || side === "note" ? (author ?? t("inbox.member")) : t(`inbox.side.${side}`)}
        {side === "note" && ` · ${t("inbox.note")}`}
        <time dateTime={message.created_at}>{time(message.created_at)}</time>
      </p>
      <div className={clsx("w-fit max-w-[min(85%,40rem)] rounded-2xl px-4 py-2.5 break-words", LOOKS[side])}>
        {side === "assistant" ? (
          <AnswerText text={message.content} numbers={new Set(message.citations.map(({ number }) => number))} citeLabel={(number) => message.citations.find((each) => each.number === number)?.title ?? ""} onCite={(number) => onSource(message.citations.find((each) => each.number === number) as CitationOut)} />
        ) : (
          <p className="whitespace-pre-wrap">{message.content || (message.metadata["attachments"] ? "" : t("inbox.noWords"))}</p>
        )}
        {"attachments" in message.metadata && <Attachments conversationId={conversationId} messageId={message.id} />}
      </div>
      <NotSent deliveries={deliveries} conversationId={conversationId} />
    </div>
  );
}

function useAuthor({ sender_id }: MessageOut): string | undefined {
  return useMembers().data?.find(({ user_id }) => user_id === sender_id)?.name;
}

/** What happened to the conversation, between the words. */
function Happening({ message, author }: { message: MessageOut; author: string | undefined }) {
  const { t } = useTranslation();
  const { event, reason } = message.metadata as { event?: string; reason?: string };
  const why = reason ? ` · ${t([`inbox.reason.${reason}`, "inbox.reason.other"])}` : "";
  return (
    <p className="flex items-center gap-3 text-xs text-soft before:h-px before:grow before:bg-line after:h-px after:grow after:bg-line">
      {t([`inbox.event.${event ?? "other"}`, "inbox.event.other"], { name: author ?? t("inbox.someone") })}
      {why}
    </p>
  );
}

const BAD = new Set(["failed", "blocked", "unknown"]);

function NotSent({ deliveries, conversationId }: { deliveries: readonly DeliveryOut[]; conversationId: string }) {
  const { t } = useTranslation();
  const may = useMay();
  const cache = useQueryClient();
  const bad = deliveries.filter(({ state, delivery }) => BAD.has(state) || delivery === "failed");
  if (!bad.length) return null;
  const again = async () => {
    try {
      for (const { id } of bad) await done(api.POST("/api/v1/conversations/{conversation_id}/deliveries/{part_id}/retry", { params: { path: { conversation_id: conversationId, part_id: id } } }));
      await cache.invalidateQueries({ queryKey: ["conversation", conversationId, "deliveries"] });
    } catch (error) {
      tellError(error);
    }
  };
  return (
    <p className="flex max-w-md items-center gap-1.5 px-1 text-xs text-bad">
      <CircleAlert aria-hidden className="size-3.5 shrink-0" />
      {bad[0]?.error ?? t("inbox.notSent")}
      {may("conversations.write") && (
        <button type="button" onClick={() => void again()} className="font-semibold underline underline-offset-2">
          {t("action.retry")}
        </button>
      )}
    </p>
  );
}

function Attachments({ conversationId, messageId }: { conversationId: string; messageId: string }) {
  const path = { conversation_id: conversationId, message_id: messageId };
  const query = useQuery({ queryKey: ["attachments", messageId], queryFn: () => done(api.GET("/api/v1/conversations/{conversation_id}/messages/{message_id}/attachments", { params: { path } })) });
  const save = async (id: string, name: string) => {
    try {
      const response = await raw(`conversations/${conversationId}/messages/${messageId}/attachments/${id}/content`);
      Object.assign(document.createElement("a"), { href: URL.createObjectURL(await response.blob()), download: name }).click();
    } catch (error) {
      tellError(error);
    }
  };
  return (
    <ul className="mt-1.5 space-y-1">
      {query.data?.map(({ id, name, type, state, error }) => (
        <li key={id} className="text-[13px]">
          <button type="button" disabled={state !== "stored"} onClick={() => void save(id, name || type)} className="inline-flex items-center gap-1.5 rounded-md underline underline-offset-2 disabled:no-underline">
            <Paperclip aria-hidden className="size-3.5" />
            {name || type}
          </button>
          {error && <span className="block text-xs">{error}</span>}
        </li>
      ))}
    </ul>
  );
}
