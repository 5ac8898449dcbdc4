import { useQuery } from "@tanstack/react-query";
import { ArrowUp, Bot, Eraser, FlaskConical, Square } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";

import { all, api } from "../api/client";
import type { AssistantOut, PlayIn } from "../api/schema";
import { useMay } from "../session/me";
import { Button, buttonClass, IconButton } from "../ui/button";
import { Card, Page } from "../ui/card";
import { Select } from "../ui/field";
import { Blank, ErrorState, Forbidden } from "../ui/states";
import { Skeleton } from "../ui/waiting";
import { type Opened, SidePane } from "./playground/side-pane";
import { TurnView } from "./playground/turn-view";
import { useTurns } from "./playground/turns";

const LONGEST = 4_000;
export const useAssistants = () => useQuery({ queryKey: ["assistants"], queryFn: () => all((after) => api.GET("/api/v1/assistants", { params: { query: { limit: 200, after } } })) });

export default function PlaygroundPage() {
  const may = useMay();
  return may("ask") && may("assistants.read") ? <Playground /> : <Forbidden />;
}

function Playground() {
  const { t } = useTranslation();
  const assistants = useAssistants();
  if (assistants.error) return <Page title={t("place.playground")}><Card><ErrorState error={assistants.error} retry={() => void assistants.refetch()} /></Card></Page>;
  if (assistants.isPending) return <Page title={t("place.playground")}><Skeleton className="h-80 rounded-xl" /></Page>;
  if (!assistants.data.length) {
    return (
      <Page title={t("place.playground")}>
        <Card>
          <Blank icon={Bot} title={t("playground.noAssistant")} action={<Link className={buttonClass("primary")} to="/assistants">{t("place.assistants")}</Link>}>
            {t("playground.noAssistantHint")}
          </Blank>
        </Card>
      </Page>
    );
  }
  return <Talk assistants={assistants.data} />;
}

/** Which assistant is asked stands in the address. */
function useChoice(assistants: readonly AssistantOut[]) {
  const [search, setSearch] = useSearchParams();
  const assistant = assistants.find(({ id }) => id === search.get("assistant")) ?? (assistants[0] as AssistantOut);
  const version = assistant.has_draft && search.get("version") === "draft" ? ("draft" as const) : ("published" as const);
  const set = (name: string, value: string) => setSearch((now) => (now.set(name, value), now), { replace: true });
  return { assistant, version, set };
}

function Talk({ assistants }: { assistants: readonly AssistantOut[] }) {
  const { t } = useTranslation();
  const choice = useChoice(assistants);
  const talk = useTurns();
  const [opened, setOpened] = useState<Opened>();
  const end = useRef<HTMLDivElement>(null);
  const last = talk.turns.at(-1);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" }); // in newer browsers a promise, which is no clean-up
  }, [last?.text, last?.played]);
  const clear = () => (talk.clear(), setOpened(undefined));
  return (
    <div className="mx-auto grid h-[calc(100dvh-3.25rem)] w-full max-w-[96rem] md:h-dvh xl:grid-cols-[minmax(0,1fr)_minmax(24rem,30rem)]">
      <div className="flex min-h-0 flex-col">
        <Head assistants={assistants} choice={choice} onClear={clear} isEmpty={!talk.turns.length} />
        <div className="min-h-0 grow overflow-y-auto px-4 sm:px-8" tabIndex={0} role="log" aria-label={t("playground.talk")}>
          <div className="mx-auto max-w-2xl space-y-7 py-5">
            {!talk.turns.length && <Blank icon={FlaskConical} title={t("playground.empty")}>{t("playground.emptyHint")}</Blank>}
            {talk.turns.map((turn) => (
              <TurnView key={turn.id} turn={turn} opened={opened} onOpen={setOpened} assistantId={choice.assistant.id} />
            ))}
            <div ref={end} />
          </div>
        </div>
        <Composer isAsking={talk.isAsking} onStop={talk.stop} onAsk={(question) => void talk.ask(choice.assistant.id, question, choice.version)} />
      </div>
      <SidePane opened={opened} onClose={() => setOpened(undefined)} />
    </div>
  );
}

type HeadProps = { assistants: readonly AssistantOut[]; choice: ReturnType<typeof useChoice>; onClear: () => void; isEmpty: boolean };

function Head({ assistants, choice, onClear, isEmpty }: HeadProps) {
  const { t } = useTranslation();
  const versions = [
    { value: "published", name: t("playground.published", { number: choice.assistant.version }) },
    ...(choice.assistant.has_draft ? [{ value: "draft", name: t("playground.draft") }] : []),
  ];
  return (
    <div className="flex flex-wrap items-center justify-between gap-3 border-b border-line px-4 py-3 sm:px-8">
      <h1 className="text-xl font-semibold tracking-[-0.011em]">{t("place.playground")}</h1>
      <div className="flex min-w-0 items-center gap-2">
        <Select hideLabel label={t("playground.assistant")} className="w-36 sm:w-52" value={choice.assistant.id} onChange={(event) => choice.set("assistant", event.target.value)} options={assistants.map(({ id, name }) => ({ value: id, name }))} />
        <Select hideLabel label={t("playground.version")} className="w-28 sm:w-40" value={choice.version} onChange={(event) => choice.set("version", event.target.value)} options={versions} />
        <IconButton label={t("playground.clear")} onClick={onClear} disabled={isEmpty}>
          <Eraser aria-hidden className="size-4" />
        </IconButton>
      </div>
    </div>
  );
}

function Composer({ isAsking, onAsk, onStop }: { isAsking: boolean; onAsk: (question: string) => void; onStop: () => void }) {
  const { t } = useTranslation();
  const [question, setQuestion] = useState("");
  const send = () => {
    if (!question.trim() || isAsking) return;
    onAsk(question.trim());
    setQuestion("");
  };
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form className="px-4 pb-4 sm:px-8 sm:pb-6" onSubmit={(event) => (event.preventDefault(), send())}>
      <div className="mx-auto flex max-w-2xl items-end gap-2 rounded-2xl border border-strong-line/55 bg-raised p-2 shadow-card focus-within:border-accent">
        <textarea
          aria-label={t("playground.question")}
          placeholder={t("playground.placeholder")}
          rows={1}
          maxLength={LONGEST}
          autoFocus
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
          onKeyDown={press}
          className="field-sizing-content max-h-40 min-h-8 grow resize-none bg-transparent px-2 py-1.5 outline-none placeholder:text-soft"
        />
        {isAsking ? (
          <Button small aria-label={t("playground.stop")} onClick={onStop} className="size-8 px-0">
            <Square aria-hidden className="size-3.5 fill-current" />
          </Button>
        ) : (
          <Button small type="submit" kind="primary" aria-label={t("playground.ask")} disabled={!question.trim()} className="size-8 px-0">
            <ArrowUp aria-hidden className="size-4" />
          </Button>
        )}
      </div>
      <p className="mx-auto mt-2 hidden max-w-2xl text-center text-xs text-soft sm:block">{t("playground.nothingKept")}</p>
    </form>
  );
}

export type Version = PlayIn["version"];
