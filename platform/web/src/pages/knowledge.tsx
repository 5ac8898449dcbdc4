import { useQuery, useQueryClient } from "@tanstack/react-query";
import { BookOpen, Globe, SearchX, Upload } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { all, api } from "../api/client";
import type { DocumentOut } from "../api/schema";
import { useMay } from "../session/me";
import { Button } from "../ui/button";
import { Page } from "../ui/card";
import { Field, Select } from "../ui/field";
import { Blank, ErrorState, Forbidden } from "../ui/states";
import { Table } from "../ui/table";
import { Filters } from "../ui/tabs";
import { SkeletonRows } from "../ui/waiting";
import { BulkBar } from "./knowledge/bulk";
import { documentColumns } from "./knowledge/columns";
import { useDeeds, useLeaving } from "./knowledge/deeds";
import { DropZone } from "./knowledge/drop-zone";
import { groupOf, GROUPS, type Group, matches } from "./knowledge/state";
import { useUploads } from "./knowledge/uploads";
import { AddWebsite, Websites } from "./knowledge/websites";

export const useCollections = () => useQuery({ queryKey: ["collections"], queryFn: () => all((after) => api.GET("/api/v1/collections", { params: { query: { limit: 200, after } } })) });
const MOST = 5_000;

export default function KnowledgePage() {
  const may = useMay();
  return may("documents.read") ? <Knowledge /> : <Forbidden />;
}

function Knowledge() {
  const { t } = useTranslation();
  const canWrite = useMay()("documents.write");
  const documents = useQuery({ queryKey: ["documents"], queryFn: () => all((after) => api.GET("/api/v1/documents", { params: { query: { limit: 200, after } } }), MOST) });
  const collections = useCollections();
  const leaving = useLeaving();
  const shown = useMemo(() => documents.data?.filter(({ id }) => !leaving?.includes(id)) ?? [], [documents.data, leaving]);
  const view = useView(shown);
  const [isAdding, setAdding] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const target = view.collection || collections.data?.[0]?.id;
  const uploads = useUploads(target);
  const actions = canWrite && (
    <>
      <Button icon={<Globe aria-hidden className="size-4" />} onClick={() => setAdding(true)} disabled={!target}>
        {t("knowledge.addSite")}
      </Button>
      <Button kind="primary" icon={<Upload aria-hidden className="size-4" />} onClick={() => picker.current?.click()} disabled={!target}>
        {t("knowledge.upload")}
      </Button>
    </>
  );
  return (
    <Page title={t("place.knowledge")} hint={t("knowledge.hint")} actions={actions}>
      {canWrite && <DropZone picker={picker} uploads={uploads} documents={view.all} />}
      <Websites />
      <Toolbar view={view} collections={collections.data ?? []} />
      <List query={documents} view={view} canWrite={canWrite} onPick={() => picker.current?.click()} />
      {target && <AddWebsite open={isAdding} onClose={() => setAdding(false)} collectionId={target} />}
    </Page>
  );
}

type View = ReturnType<typeof useView>;

/** What is shown of all documents; it stands in the address, so that a link leads to the same view. */
function useView(documents: readonly DocumentOut[]) {
  const [search, setSearch] = useSearchParams();
  const [words, group, collection] = [search.get("q") ?? "", (search.get("state") ?? "all") as Group, search.get("collection") ?? ""];
  const set = (name: string, value: string, empty = "") =>
    setSearch((now) => (value === empty ? now.delete(name) : now.set(name, value), now), { replace: true });
  return useMemo(() => {
    const narrowed = documents.filter((each) => matches(each, words) && (!collection || each.collection_id === collection)).reverse();
    const counts = Object.fromEntries(GROUPS.map((each) => [each, narrowed.filter((document) => each === "all" || groupOf(document) === each).length]));
    const shown = group === "all" ? narrowed : narrowed.filter((each) => groupOf(each) === group);
    return { all: documents, words, group, collection, set, counts, shown };
    // eslint-disable-next-line -- `set` is made anew each time and does the same
  }, [documents, words, group, collection]);
}

function Toolbar({ view, collections }: { view: View; collections: readonly { id: string; name: string }[] }) {
  const { t } = useTranslation();
  if (!view.all.length) return null;
  const options = GROUPS.map((value) => ({ value, name: t(`knowledge.group.${value}`), count: view.counts[value] }));
  return (
    <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
      <Filters label={t("knowledge.filter")} value={view.group} options={options} onChange={(value) => view.set("state", value, "all")} />
      <div className="flex w-full gap-2 sm:w-auto">
        {collections.length > 1 && (
          <Select hideLabel label={t("knowledge.collection")} value={view.collection} onChange={(event) => view.set("collection", event.target.value)} className="w-44 shrink-0" options={[{ value: "", name: t("knowledge.everyCollection") }, ...collections.map(({ id, name }) => ({ value: id, name }))]} />
        )}
        <Field hideLabel label={t("knowledge.search")} type="search" placeholder={t("knowledge.search")} value={view.words} onChange={(event) => view.set("q", event.target.value)} className="w-full sm:w-60" />
      </div>
    </div>
  );
}

type ListProps = { query: { error: unknown; isPending: boolean; refetch: () => unknown }; view: View; canWrite: boolean; onPick: () => void };

function List({ query, view, canWrite, onPick }: ListProps) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const deeds = useDeeds(cache);
  if (query.error) return <Frame><ErrorState error={query.error} retry={() => void query.refetch()} /></Frame>;
  if (query.isPending) return <Frame><SkeletonRows /></Frame>;
  if (!view.all.length) {
    const action = canWrite && <Button kind="primary" onClick={onPick}>{t("knowledge.upload")}</Button>;
    return <Frame><Blank icon={BookOpen} title={t("knowledge.empty")} action={action}>{t("knowledge.emptyHint")}</Blank></Frame>;
  }
  if (!view.shown.length) {
    const clear = () => (view.set("q", ""), view.set("state", "all", "all"));
    return <Frame><Blank icon={SearchX} title={t("knowledge.noMatch")} action={<Button onClick={clear}>{t("action.showAll")}</Button>} /></Frame>;
  }
  const turn = (id: string) => setChosen((now) => new Set(now.has(id) ? [...now].filter((each) => each !== id) : [...now, id]));
  const picked = view.shown.filter(({ id }) => chosen.has(id));
  const columns = documentColumns({ t, canWrite, deeds, chosen, turn });
  return (
    <>
      <Table label={t("place.knowledge")} columns={columns} rows={view.shown} rowKey={({ id }) => id} chosen={({ id }) => chosen.has(id)} />
      {picked.length > 0 && <BulkBar picked={picked} deeds={deeds} clear={() => setChosen(new Set())} />}
    </>
  );
}

function Frame({ children }: { children: React.ReactNode }) {
  return <div className="overflow-hidden rounded-xl border border-line bg-card shadow-card">{children}</div>;
}
