import { CircleAlert, CircleCheck, Clock, Download, Ellipsis, ExternalLink, FileText, Globe, Image, Mail, Presentation, RotateCw, Table2, Trash2 } from "lucide-react";
import type { TFunction } from "i18next";
import { Link } from "react-router";

import type { DocumentOut } from "../../api/schema";
import { bytes, moment, number, percent } from "../../format";
import { Badge } from "../../ui/badge";
import { IconButton } from "../../ui/button";
import { Menu } from "../../ui/menu";
import type { Column } from "../../ui/table";
import { Progress, Spinner } from "../../ui/waiting";
import { type Deeds, fetchOriginal } from "./deeds";
import { isOnTheWay, shareOf } from "./state";

type Context = { t: TFunction; canWrite: boolean; deeds: Deeds; chosen: ReadonlySet<string>; turn: (id: string) => void };
type Row = DocumentOut;

export function documentColumns({ t, canWrite, deeds, chosen, turn }: Context): Column<Row>[] {
  const choose: Column<Row> = {
    key: "choose",
    name: t("knowledge.choose"),
    hideName: true,
    width: "1rem",
    onCard: "none",
    cell: (row) => <input type="checkbox" aria-label={t("knowledge.chooseOne", { name: row.title })} checked={chosen.has(row.id)} onChange={() => turn(row.id)} className="block size-4 accent-accent" />,
  };
  return [
    ...(canWrite ? [choose] : []),
    { key: "name", name: t("knowledge.name"), width: "minmax(0,2.4fr)", onCard: "head", cell: (row) => <Name row={row} /> },
    { key: "state", name: t("knowledge.state"), width: "minmax(8.5rem,1fr)", cell: (row) => <State row={row} t={t} /> },
    { key: "size", name: t("knowledge.size"), width: "5rem", end: true, cell: (row) => <span className="text-[13px] text-soft tabular-nums md:text-sm md:text-ink">{row.size ? bytes(row.size) : "—"}</span> },
    { key: "changed", name: t("knowledge.changed"), width: "8.5rem", cell: (row) => <time dateTime={row.created_at} className="text-[13px] text-soft md:text-sm">{moment(row.finished_at ?? row.created_at)}</time> },
    { key: "menu", name: t("knowledge.deeds"), hideName: true, width: "2rem", onCard: "corner", cell: (row) => <RowMenu row={row} t={t} canWrite={canWrite} deeds={deeds} /> },
  ];
}

export function iconOf({ url, media_type }: Pick<DocumentOut, "url" | "media_type">) {
  if (url) return Globe;
  if (/sheet|excel|csv|tab-sep/.test(media_type)) return Table2;
  if (/presentation/.test(media_type)) return Presentation;
  if (/^image/.test(media_type)) return Image;
  return /rfc822|outlook/.test(media_type) ? Mail : FileText;
}

function Name({ row }: { row: Row }) {
  const Icon = iconOf(row);
  const below = row.state === "failed" || row.reason ? row.detail : row.url ?? (row.file_name === row.title ? "" : row.file_name);
  const bad = row.state === "failed";
  return (
    <div className="flex min-w-0 items-center gap-3">
      <span className="flex size-8 shrink-0 items-center justify-center rounded-lg border border-line bg-sunken/60 text-soft">
        <Icon aria-hidden className="size-4" />
      </span>
      <div className="min-w-0">
        <Link to={`/knowledge/${row.id}`} className="line-clamp-2 font-medium break-words hover:underline">
          {row.title}
        </Link>
        {below && <p className={`text-xs ${bad ? "text-bad" : "truncate text-soft"}`}>{below}</p>}
        {row.tags.length > 0 && <p className="mt-1 flex flex-wrap gap-1">{row.tags.slice(0, 4).map((tag) => <Badge key={tag}>{tag}</Badge>)}</p>}
      </div>
    </div>
  );
}

export function State({ row, t }: { row: Row; t: TFunction }) {
  if (row.state === "failed") return <Badge tone="bad" icon={<CircleAlert aria-hidden />}>{t("document.state.failed")}</Badge>;
  if (!isOnTheWay(row)) {
    if (row.outdated) return <Badge tone="warn" icon={<RotateCw aria-hidden />}>{t("document.outdated")}</Badge>;
    return <Badge tone="good" icon={<CircleCheck aria-hidden />}>{t("document.state.ready")}</Badge>;
  }
  if (row.reason) return <Badge tone="warn" icon={<Clock aria-hidden />}>{t("document.waits")}</Badge>;
  const stage = t(`document.state.${row.state}`);
  const share = shareOf(row);
  return (
    <div className="w-40 max-w-full space-y-1.5 md:w-auto">
      <p className="flex items-center gap-1.5 text-xs text-soft">
        <Spinner className="size-3 text-accent" />
        <span className="grow truncate">{row.total > 0 ? t("document.stageOf", { stage, done: number(row.done), total: number(row.total) }) : stage}</span>
        <span className="tabular-nums">{percent(share)}</span>
      </p>
      <Progress share={share} label={`${row.title}: ${stage}`} />
    </div>
  );
}

function RowMenu({ row, t, canWrite, deeds }: { row: Row; t: TFunction; canWrite: boolean; deeds: Deeds }) {
  const original = row.url
    ? { name: t("document.openSite"), icon: <ExternalLink aria-hidden />, onSelect: () => void window.open(row.url ?? "", "_blank", "noopener") }
    : { name: t("document.original"), icon: <Download aria-hidden />, onSelect: () => void fetchOriginal(row) };
  const writing = [
    { name: row.state === "failed" ? t("action.retry") : t("document.again"), icon: <RotateCw aria-hidden />, disabled: isOnTheWay(row), onSelect: () => void deeds.again([row]) },
    "line" as const,
    { name: t("action.delete"), icon: <Trash2 aria-hidden />, danger: true, onSelect: () => deeds.remove([row]) },
  ];
  const trigger = (
    <IconButton label={t("knowledge.menuOf", { name: row.title })}>
      <Ellipsis aria-hidden className="size-4" />
    </IconButton>
  );
  return <Menu trigger={trigger} entries={[original, ...(canWrite ? writing : [])]} />;
}
