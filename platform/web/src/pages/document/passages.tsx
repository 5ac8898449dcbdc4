import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { clsx } from "clsx";
import { Eye, EyeOff, FileQuestion, Pencil, Undo2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { PassageOut, PassagePatch } from "../../api/schema";
import { number } from "../../format";
import { useSending } from "../../session/form";
import { useMay } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button, IconButton } from "../../ui/button";
import { Area } from "../../ui/field";
import { Blank, ErrorState, Trouble } from "../../ui/states";
import { tell, tellError } from "../../ui/toasts";
import { SkeletonRows } from "../../ui/waiting";
import type { Place } from "./places";

type Props = { documentId: string; place: Place | undefined; onShow: (place: Place, version?: string) => void };
const at = ({ document_id, id }: PassageOut) => ({ params: { path: { document_id, chunk_id: id } } });

/** What search can find in the document; each can be corrected or switched off. */
export function Passages({ documentId, place, onShow }: Props) {
  const { t } = useTranslation();
  const query = useInfiniteQuery({
    queryKey: ["passages", documentId],
    queryFn: ({ pageParam }) => done(api.GET("/api/v1/documents/{document_id}/passages", { params: { path: { document_id: documentId }, query: { limit: 50, after: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <SkeletonRows rows={4} />;
  const passages = query.data.pages.flatMap(({ items }) => items);
  if (!passages.length) return <Blank icon={FileQuestion} title={t("document.noPassages")}>{t("document.noPassagesHint")}</Blank>;
  return (
    <div className="max-h-[45dvh] overflow-y-auto xl:max-h-[calc(100dvh-8rem)]" tabIndex={0} role="region" aria-label={t("document.passages")}>
      <ol className="divide-y divide-line">
        {passages.map((passage) => (
          <Row key={passage.id} passage={passage} isShown={place?.start === passage.start} onShow={() => onShow(passage, passage.version_id)} />
        ))}
      </ol>
      {query.hasNextPage && (
        <div className="p-4">
          <Button small busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t("document.more")}
          </Button>
        </div>
      )}
    </div>
  );
}

function Row({ passage, isShown, onShow }: { passage: PassageOut; isShown: boolean; onShow: () => void }) {
  const { t } = useTranslation();
  const mayWrite = useMay()("documents.write");
  const cache = useQueryClient();
  const [isEditing, setEditing] = useState(false);
  const change = async (body: PassagePatch) => {
    await done(api.PATCH("/api/v1/documents/{document_id}/passages/{chunk_id}", { ...at(passage), body: { ...body, etag: passage.etag } }));
    await cache.invalidateQueries({ queryKey: ["passages", passage.document_id] });
  };
  const reset = async () => {
    try {
      await done(api.DELETE("/api/v1/documents/{document_id}/passages/{chunk_id}/edit", at(passage)));
      await cache.invalidateQueries({ queryKey: ["passages", passage.document_id] });
      tell(t("passage.reset"));
    } catch (error) {
      tellError(error);
    }
  };
  const toggle = () => void change({ enabled: !passage.enabled }).then(() => tell(passage.enabled ? t("passage.off") : t("passage.on")), tellError);
  return (
    <li className={clsx("px-5 py-3.5", isShown && "bg-tint/50")}>
      <div className="mb-1 flex items-center gap-2 text-xs text-soft">
        <span className="tabular-nums">{number(passage.ord + 1)}</span>
        <span className="min-w-0 grow truncate">{passage.heading_path.join(" › ")}</span>
        {passage.page !== null && <span className="whitespace-nowrap">{t("passage.page", { page: passage.page })}</span>}
        {passage.edited && <Badge tone="accent">{t("passage.edited")}</Badge>}
        {!passage.enabled && <Badge tone="warn">{t("passage.isOff")}</Badge>}
        {mayWrite && (
          <>
            {passage.edited && (
              <IconButton className="-my-1 size-7" label={t("passage.resetOne", { number: passage.ord + 1 })} onClick={() => void reset()}>
                <Undo2 aria-hidden className="size-3.5" />
              </IconButton>
            )}
            <IconButton className="-my-1 size-7" label={t("passage.edit", { number: passage.ord + 1 })} onClick={() => setEditing(!isEditing)}>
              <Pencil aria-hidden className="size-3.5" />
            </IconButton>
            <IconButton className="-my-1 size-7" label={t(passage.enabled ? "passage.turnOff" : "passage.turnOn", { number: passage.ord + 1 })} onClick={toggle}>
              {passage.enabled ? <Eye aria-hidden className="size-3.5" /> : <EyeOff aria-hidden className="size-3.5" />}
            </IconButton>
          </>
        )}
      </div>
      {isEditing ? (
        <Editor passage={passage} change={change} onClose={() => setEditing(false)} />
      ) : (
        <button type="button" onClick={onShow} className={clsx("line-clamp-4 w-full text-left text-[13px] leading-relaxed text-pretty hover:text-accent", !passage.enabled && "line-through opacity-60")}>
          {passage.text}
        </button>
      )}
    </li>
  );
}

function Editor({ passage, change, onClose }: { passage: PassageOut; change: (body: PassagePatch) => Promise<void>; onClose: () => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState(passage.text);
  const sending = useSending(async () => {
    await change({ text });
    tell(t("passage.saved"));
    onClose();
  });
  return (
    <div className="space-y-2.5">
      <Area hideLabel label={t("passage.text")} rows={7} value={text} onChange={(event) => setText(event.target.value)} />
      <Trouble error={sending.error} />
      <div className="flex flex-wrap gap-2">
        <Button small kind="primary" busy={sending.busy} disabled={!text.trim() || text === passage.text} onClick={() => void sending.send()}>
          {t("action.save")}
        </Button>
        <Button small onClick={onClose}>
          {t("action.cancel")}
        </Button>
      </div>
    </div>
  );
}
