import { useQueryClient } from "@tanstack/react-query";
import { clsx } from "clsx";
import { Send } from "lucide-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { InboxOut } from "../../api/schema";
import { useSending } from "../../session/form";
import { useMay } from "../../session/me";
import { Button } from "../../ui/button";
import { Trouble } from "../../ui/states";
import { KEYS, useAsked } from "./keys";

const LONGEST = 10_000;

/** Words for the customer, or a note for the team; whoever answers has the conversation from then on. */
export function Composer({ conversation }: { conversation: InboxOut }) {
  const { t } = useTranslation();
  const may = useMay();
  const cache = useQueryClient();
  const [text, setText] = useState("");
  const [kind, setKind] = useState<"reply" | "note">("reply");
  const key = useRef(crypto.randomUUID());
  const area = useRef<HTMLTextAreaElement>(null);
  const path = { params: { path: { conversation_id: conversation.id } } };
  const sending = useSending(async () => {
    if (kind === "note") await done(api.POST("/api/v1/conversations/{conversation_id}/notes", { ...path, body: { text } }));
    else await done(api.POST("/api/v1/conversations/{conversation_id}/messages", { ...path, body: { text, key: key.current } }));
    key.current = crypto.randomUUID();
    setText("");
    await Promise.all([cache.invalidateQueries({ queryKey: ["conversation", conversation.id] }), cache.invalidateQueries({ queryKey: ["inbox"] })]);
  });
  useAsked(KEYS.reply, () => (setKind("reply"), area.current?.focus()));
  if (!may("conversations.write")) return null;
  const isUnreachable = kind === "reply" && (conversation.status === "closed" || (conversation.reach !== null && conversation.reach !== "open"));
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey)) return;
    event.preventDefault();
    if (text.trim()) void sending.send();
  };
  return (
    <form className="border-t border-line px-4 pt-2.5 pb-4 sm:px-6" onSubmit={(event) => (event.preventDefault(), void sending.send())}>
      <div className="mx-auto max-w-3xl">
        <div className="mb-2 flex gap-4 text-[13px]">
          {(["reply", "note"] as const).map((each) => (
            <button key={each} type="button" aria-pressed={kind === each} onClick={() => setKind(each)} className={clsx("border-b-2 pb-0.5", kind === each ? "border-accent font-medium" : "border-transparent text-soft hover:text-ink")}>
              {t(`inbox.write.${each}`)}
            </button>
          ))}
        </div>
        <Trouble error={sending.error} />
        <div className={clsx("mt-2 flex items-end gap-2 rounded-xl border p-2 shadow-card focus-within:border-accent", kind === "note" ? "border-warn/60 bg-warn-tint" : "border-strong-line/55 bg-raised")}>
          <textarea
            ref={area}
            rows={2}
            maxLength={LONGEST}
            aria-label={t(`inbox.write.${kind}`)}
            aria-keyshortcuts="r"
            disabled={isUnreachable}
            placeholder={isUnreachable ? t(conversation.status === "closed" ? "inbox.isClosed" : "inbox.unreachable") : t(`inbox.placeholder.${kind}`)}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={press}
            className="field-sizing-content max-h-48 min-h-12 grow resize-none bg-transparent px-2 py-1 outline-none placeholder:text-soft"
          />
          <Button small type="submit" kind="primary" busy={sending.busy} disabled={!text.trim() || isUnreachable} icon={<Send aria-hidden className="size-3.5" />}>
            {t(kind === "note" ? "inbox.keepNote" : "inbox.send")}
          </Button>
        </div>
        <p className="mt-1.5 hidden text-xs text-soft sm:block">{t("inbox.keys")}</p>
      </div>
    </form>
  );
}
