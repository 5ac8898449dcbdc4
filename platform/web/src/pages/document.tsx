import { useQuery, useQueryClient } from "@tanstack/react-query";
import { clsx } from "clsx";
import { ChevronLeft, Download, ExternalLink, RotateCw, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams, useSearchParams } from "react-router";

import { api, done } from "../api/client";
import type { DocumentOut } from "../api/schema";
import { bytes, moment } from "../format";
import { useMay } from "../session/me";
import { Badge } from "../ui/badge";
import { Button } from "../ui/button";
import { Card, Page } from "../ui/card";
import { ErrorState, Forbidden } from "../ui/states";
import { Tabs } from "../ui/tabs";
import { Skeleton } from "../ui/waiting";
import { Facts } from "./document/facts";
import { Passages } from "./document/passages";
import type { Place } from "./document/places";
import { TextPane } from "./document/text-pane";
import { Versions } from "./document/versions";
import { State } from "./knowledge/columns";
import { fetchOriginal, useDeeds } from "./knowledge/deeds";
import { isOnTheWay } from "./knowledge/state";

export default function DocumentPage() {
  const may = useMay();
  const { id = "" } = useParams();
  return may("documents.read") ? <Shown key={id} id={id} /> : <Forbidden />;
}

function Shown({ id }: { id: string }) {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: ["document", id], queryFn: () => done(api.GET("/api/v1/documents/{document_id}", { params: { path: { document_id: id } } })) });
  const back = (
    <Link to="/knowledge" className="mb-3 -ml-1 inline-flex items-center gap-1 rounded-md text-[13px] text-soft hover:text-ink">
      <ChevronLeft aria-hidden className="size-4" />
      {t("place.knowledge")}
    </Link>
  );
  if (query.error) return <Page title={t("document.title")} before={back}><Card><ErrorState error={query.error} retry={() => void query.refetch()} /></Card></Page>;
  if (!query.data) return <Page title={t("state.loading")} before={back} wide><Skeleton className="h-96 rounded-xl" /></Page>;
  return (
    <Page title={query.data.title} hint={<Hint document={query.data} />} actions={<Actions document={query.data} />} before={back} wide>
      <Body document={query.data} />
    </Page>
  );
}

function Hint({ document }: { document: DocumentOut }) {
  const { t } = useTranslation();
  return (
    <div className="mt-2 flex flex-wrap items-center gap-x-3 gap-y-2 text-[13px]">
      <State row={document} t={t} />
      <span>{document.file_name}</span>
      {document.size > 0 && <span className="tabular-nums">{bytes(document.size)}</span>}
      <time dateTime={document.created_at}>{moment(document.finished_at ?? document.created_at)}</time>
      {document.tags.map((tag) => (
        <Badge key={tag}>{tag}</Badge>
      ))}
    </div>
  );
}

function Actions({ document }: { document: DocumentOut }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const deeds = useDeeds(cache);
  const go = useNavigate();
  const mayWrite = useMay()("documents.write");
  const remove = () => (deeds.remove([document]), void go("/knowledge"));
  return (
    <>
      {document.url ? (
        <Button icon={<ExternalLink aria-hidden className="size-4" />} onClick={() => window.open(document.url ?? "", "_blank", "noopener")}>
          {t("document.openSite")}
        </Button>
      ) : (
        <Button icon={<Download aria-hidden className="size-4" />} onClick={() => void fetchOriginal(document)}>
          {t("document.original")}
        </Button>
      )}
      {mayWrite && (
        <>
          <Button icon={<RotateCw aria-hidden className="size-4" />} disabled={isOnTheWay(document)} onClick={() => void deeds.again([document])}>
            {t("document.again")}
          </Button>
          <Button icon={<Trash2 aria-hidden className="size-4 text-bad" />} onClick={remove}>
            {t("action.delete")}
          </Button>
        </>
      )}
    </>
  );
}

/** The place stands in the address, so that a citation can be sent as a link. */
export function usePlace(): [Place | undefined, string | undefined, (place: Place, version?: string) => void] {
  const [search, setSearch] = useSearchParams();
  const [start, end] = [Number(search.get("start")), Number(search.get("end"))];
  const place = end > start && start >= 0 ? { start, end } : undefined;
  const show = (next: Place, version?: string) =>
    setSearch({ start: String(next.start), end: String(next.end), ...(version && { version }) }, { replace: true, preventScrollReset: true });
  return [place, search.get("version") ?? undefined, show];
}

function Body({ document }: { document: DocumentOut }) {
  const { t } = useTranslation();
  const [place, version, show] = usePlace();
  const [search, setSearch] = useSearchParams();
  const tab = search.get("tab") ?? "passages";
  const tabs = [
    { value: "passages", name: t("document.passages"), content: <Passages documentId={document.id} place={place} onShow={show} /> },
    { value: "versions", name: t("document.versions"), content: <Versions documentId={document.id} /> },
    { value: "facts", name: t("document.facts"), content: <Facts document={document} /> },
  ];
  return (
    <div className="grid grid-cols-1 items-start gap-5 xl:grid-cols-[minmax(0,1fr)_27rem]">
      <Card className={clsx(place ? "order-1" : "order-2", "xl:order-1 xl:max-h-[calc(100dvh-4rem)] xl:overflow-y-auto")}>
        <div className="mx-auto max-w-[46rem] px-5 py-5 sm:px-8 sm:py-7">
          {document.detail && <p className={`mb-5 rounded-lg px-3 py-2 text-[13px] ${document.state === "failed" ? "bg-bad-tint text-bad" : "bg-warn-tint text-warn"}`}>{document.detail}</p>}
          <TextPane documentId={document.id} versionId={version} place={place} />
        </div>
      </Card>
      <Card className={clsx(place ? "order-2" : "order-1", "overflow-hidden xl:sticky xl:top-5 xl:order-2")}>
        <Tabs value={tab} onChange={(value) => setSearch((now) => (now.set("tab", value), now), { replace: true })} tabs={tabs} />
      </Card>
    </div>
  );
}
