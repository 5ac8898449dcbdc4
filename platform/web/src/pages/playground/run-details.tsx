import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Played } from "../../api/schema";
import { duration, number, percent } from "../../format";
import { Badge } from "../../ui/badge";

type Found = { chunk_id: string; document_id: string; title: string; heading_path: string[]; page: number | null; text: string; start: number; end: number; version_id: string; scores: { lexical: number; dense: number | null; fused: number; rerank?: number | null } };
type Used = { model?: string; prompt_tokens?: number; completion_tokens?: number; purpose?: string };

/** How an answer came about: the decision, the time of each step, what was found and why. */
export function RunDetails({ played }: { played: Played }) {
  const { t } = useTranslation();
  const found = played.passages as Found[];
  return (
    <div className="space-y-6">
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-3">
        <Fact name={t("run.outcome")}>{t(`outcome.${played.outcome}`)}</Fact>
        <Fact name={t("run.mode")}>{t([`mode.${played.mode}`, "mode.other"])}</Fact>
        <Fact name={t("run.confidence")}>{percent(played.confidence)}</Fact>
        <Fact name={t("run.version")}>{played.version === null ? t("playground.draft") : number(played.version)}</Fact>
        <Fact name={t("run.language")}>{t(`language.${played.language}`)}</Fact>
        <Fact name={t("run.time")}>{duration(played.timings["total"] ?? 0)}</Fact>
      </dl>
      {played.notes.length > 0 && (
        <Part title={t("run.notes")}>
          <ul className="flex flex-wrap gap-1.5">
            {played.notes.map((note) => (
              <li key={note}>
                <Badge tone="warn">{note}</Badge>
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title={t("run.steps")}>
        <Steps timings={played.timings} />
      </Part>
      {played.usage.length > 0 && (
        <Part title={t("run.models")}>
          <ul className="space-y-1 text-[13px]">
            {(played.usage as Used[]).map((used, place) => (
              <li key={place} className="flex justify-between gap-3">
                <span className="truncate">{used.model ?? "—"}</span>
                <span className="text-soft tabular-nums">{t("run.tokens", { into: number(used.prompt_tokens ?? 0), out: number(used.completion_tokens ?? 0) })}</span>
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title={t("run.found", { count: found.length })}>
        {found.length ? <ol className="space-y-2.5">{found.map((passage, place) => <Passage key={passage.chunk_id} passage={passage} place={place + 1} best={found[0]?.scores.fused ?? 1} />)}</ol> : <p className="text-soft">{t("run.nothing")}</p>}
      </Part>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-soft">{name}</dt>
      <dd className="font-medium break-words tabular-nums">{children}</dd>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-2.5 text-[13px] font-semibold">{title}</h3>
      {children}
    </section>
  );
}

function Steps({ timings }: { timings: Record<string, number> }) {
  const { t } = useTranslation();
  const steps = Object.entries(timings).filter(([name, ms]) => name !== "total" && ms >= 0.05);
  const longest = Math.max(...steps.map(([, ms]) => ms), 0.1);
  return (
    <ul className="space-y-1.5 text-[13px]">
      {steps.map(([name, ms]) => (
        <li key={name} className="grid grid-cols-[8.5rem_minmax(0,1fr)_4.5rem] items-center gap-3">
          <span className="truncate text-soft">{t([`step.${name}`, "step.other"], { name })}</span>
          <span aria-hidden className="h-1.5 rounded-full bg-sunken">
            <span className="block h-full rounded-full bg-accent/70" style={{ width: `${Math.max(2, (ms / longest) * 100)}%` }} />
          </span>
          <span className="text-right tabular-nums">{duration(Math.max(1, ms))}</span>
        </li>
      ))}
    </ul>
  );
}

function Passage({ passage, place, best }: { passage: Found; place: number; best: number }) {
  const { t } = useTranslation();
  const link = `/knowledge/${passage.document_id}?${new URLSearchParams({ start: String(passage.start), end: String(passage.end), version: passage.version_id }).toString()}`;
  const scores = [
    [t("run.words"), passage.scores.lexical],
    [t("run.meaning"), passage.scores.dense],
    [t("run.rerank"), passage.scores.rerank],
  ].filter((score): score is [string, number] => typeof score[1] === "number");
  return (
    <li className="rounded-lg border border-line p-3">
      <div className="flex items-baseline gap-2 text-[13px]">
        <span className="text-soft tabular-nums">{place}</span>
        <Link to={link} className="min-w-0 grow truncate font-medium hover:underline">
          {passage.title}
        </Link>
        <span className="text-soft tabular-nums">{percent(best > 0 ? passage.scores.fused / best : 0)}</span>
      </div>
      {passage.heading_path.length > 0 && <p className="truncate text-xs text-soft">{passage.heading_path.join(" › ")}</p>}
      <p className="mt-1.5 line-clamp-3 text-[13px] text-pretty">{passage.text}</p>
      <p className="mt-1.5 flex flex-wrap gap-x-3 text-xs text-soft tabular-nums">
        {scores.map(([name, score]) => (
          <span key={name}>
            {name} {score.toFixed(2)}
          </span>
        ))}
      </p>
    </li>
  );
}
