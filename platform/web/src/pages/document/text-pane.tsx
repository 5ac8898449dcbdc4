import { useInfiniteQuery } from "@tanstack/react-query";
import { clsx } from "clsx";
import { FileQuestion } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import { isMissing } from "../../api/problem";
import { Button } from "../../ui/button";
import { Blank, ErrorState } from "../../ui/states";
import { Skeleton } from "../../ui/waiting";
import { type Paragraph, paragraphsOf, type Place } from "./places";

const WINDOW = 20_000;
const BEFORE = 3_000;
type Props = { documentId: string; versionId?: string | undefined; place?: Place | undefined; onPassage?: (at: number) => void };

/** The stored text of a version, from a little before the place that is marked in it. */
export function TextPane({ documentId, versionId, place }: Props) {
  const { t } = useTranslation();
  const wanted = place ? Math.max(0, place.start - BEFORE) : 0;
  const [from, setFrom] = useState(wanted);
  const isInside = place === undefined || (place.start >= from && place.start < from + WINDOW);
  const begin = isInside ? from : wanted;
  const query = useInfiniteQuery({
    queryKey: ["text", documentId, versionId ?? "active", begin],
    queryFn: ({ pageParam }) => done(api.GET("/api/v1/documents/{document_id}/text", { params: { path: { document_id: documentId }, query: { start: pageParam, length: WINDOW, ...(versionId && { version: versionId }) } } })),
    initialPageParam: begin,
    getNextPageParam: (last) => (last.end < last.length ? last.end : undefined),
    staleTime: Infinity,
  });
  useEffect(() => {
    if (!isInside) setFrom(wanted);
  }, [isInside, wanted]);
  const text = useMemo(() => query.data?.pages.map((page) => page.text).join("") ?? "", [query.data]);
  const paragraphs = useMemo(() => paragraphsOf(text, begin, place), [text, begin, place?.start, place?.end]);
  if (isMissing(query.error)) return <Blank icon={FileQuestion} title={t("document.noText")}>{t("document.noTextHint")}</Blank>;
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  if (query.isPending) return <Waiting />;
  return (
    <div className="space-y-4">
      {begin > 0 && <Button small onClick={() => setFrom(0)}>{t("document.fromStart")}</Button>}
      <Text paragraphs={paragraphs} place={place} />
      {query.hasNextPage && (
        <Button small busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t("document.more")}
        </Button>
      )}
    </div>
  );
}

/** Scrolls to the marked words as often as they change. */
function Text({ paragraphs, place }: { paragraphs: readonly Paragraph[]; place?: Place | undefined }) {
  const marked = useRef<HTMLElement>(null);
  useEffect(() => {
    marked.current?.scrollIntoView({ block: "center" });
  }, [place?.start, place?.end, paragraphs.length > 0]);
  let isFirst = true;
  return (
    <div className="space-y-3.5 text-[15px] leading-relaxed break-words">
      {paragraphs.map((paragraph) => (
        <p key={paragraph.start} className={clsx("whitespace-pre-wrap", paragraph.isHeading && "pt-2 font-semibold first:pt-0")}>
          {paragraph.pieces.map((piece, number) => {
            if (!piece.marked) return piece.text;
            const ref = isFirst ? marked : undefined;
            isFirst = false;
            return (
              <mark key={number} ref={ref} data-testid="passage" className="rounded-sm bg-mark py-0.5 text-ink [box-decoration-break:clone]">
                {piece.text}
              </mark>
            );
          })}
        </p>
      ))}
    </div>
  );
}

function Waiting() {
  return (
    <div className="space-y-3" role="status">
      {["w-1/3", "w-full", "w-11/12", "w-full", "w-4/5", "w-full", "w-2/3"].map((width, row) => (
        <Skeleton key={row} className={`h-4 ${width}`} />
      ))}
    </div>
  );
}
