import { Gauge, ListTree } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import type { Played } from "../../api/schema";
import { duration, percent } from "../../format";
import { useMay } from "../../session/me";
import { AnswerText } from "../../ui/answer-text";
import { Badge, type Tone } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Trouble } from "../../ui/states";
import { Skeleton } from "../../ui/waiting";
import { SaveCase } from "./save-case";
import type { Opened } from "./side-pane";
import type { Turn } from "./history";

type Props = { turn: Turn; opened: Opened | undefined; onOpen: (opened: Opened) => void; assistantId: string };
const TONES: Record<string, Tone> = { answered: "good", abstained: "warn", handed_over: "accent", silent: "neutral" };

export function TurnView({ turn, opened, onOpen, assistantId }: Props) {
  const { t } = useTranslation();
  const mine = opened?.turn.id === turn.id ? opened : undefined;
  return (
    <article className="space-y-3">
      <p className="ml-auto w-fit max-w-[85%] rounded-2xl rounded-br-md bg-accent px-4 py-2.5 break-words whitespace-pre-wrap text-on-accent">{turn.question}</p>
      {turn.error ? (
        <Trouble error={turn.error} />
      ) : (
        <div aria-busy={!turn.played} className="rounded-2xl rounded-bl-md border border-line bg-card px-4 py-3.5 shadow-card sm:px-5">
          {turn.text ? (
            <AnswerText
              text={turn.text}
              numbers={new Set(turn.played?.citations.map(({ number }) => number))}
              current={mine?.number}
              citeLabel={(number) => turn.played?.citations.find((each) => each.number === number)?.document ?? ""}
              onCite={(number) => onOpen({ turn, number })}
            />
          ) : (
            <Thinking label={t("playground.thinking")} />
          )}
          {turn.played && <Foot turn={turn} played={turn.played} mine={mine} onOpen={onOpen} assistantId={assistantId} />}
        </div>
      )}
    </article>
  );
}

function Thinking({ label }: { label: string }) {
  return (
    <div role="status" aria-label={label} className="space-y-2.5 py-1">
      <Skeleton className="h-3.5 w-4/5" />
      <Skeleton className="h-3.5 w-3/5" />
    </div>
  );
}

type FootProps = { turn: Turn; played: Played; mine: Opened | undefined; onOpen: (opened: Opened) => void; assistantId: string };

function Foot({ turn, played, mine, onOpen, assistantId }: FootProps) {
  const { t } = useTranslation();
  const may = useMay();
  const [isSaving, setSaving] = useState(false);
  return (
    <>
      {played.citations.length > 0 && (
        <ul aria-label={t("playground.sources")} className="mt-3.5 space-y-1 border-t border-line pt-3">
          {played.citations.map((citation) => (
            <li key={citation.number}>
              <button
                type="button"
                aria-current={mine?.number === citation.number || undefined}
                onClick={() => onOpen({ turn, number: citation.number })}
                className="flex w-full items-baseline gap-2 rounded-md px-1.5 py-1 text-left text-[13px] hover:bg-sunken aria-[current]:bg-tint/60"
              >
                <span className="font-semibold text-accent tabular-nums">{citation.number}</span>
                <span className="min-w-0 grow truncate">{citation.document}</span>
                {citation.locator && <span className="max-w-[40%] shrink-0 truncate text-soft">{citation.locator}</span>}
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className="mt-3 flex flex-wrap items-center gap-x-3 gap-y-2 text-xs text-soft">
        <Badge tone={TONES[played.outcome] ?? "neutral"}>{t(`outcome.${played.outcome}`)}</Badge>
        <span className="inline-flex items-center gap-1 tabular-nums">
          <Gauge aria-hidden className="size-3.5" />
          {t("playground.sure", { share: percent(played.confidence) })}
        </span>
        <span className="tabular-nums">{duration(played.timings["total"] ?? 0)}</span>
        <span className="grow" />
        {may("quality.write") && (
          <Button small kind="quiet" onClick={() => setSaving(true)}>
            {t("playground.save")}
          </Button>
        )}
        <Button small kind="quiet" icon={<ListTree aria-hidden className="size-3.5" />} aria-pressed={mine?.number === undefined && mine !== undefined} onClick={() => onOpen({ turn })}>
          {t("playground.run")}
        </Button>
      </div>
      {isSaving && <SaveCase question={turn.question} played={played} assistantId={assistantId} onClose={() => setSaving(false)} />}
    </>
  );
}
