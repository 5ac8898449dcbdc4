import { clsx } from "clsx";
import { Check } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { all, api, done } from "../../api/client";
import { number } from "../../format";
import { useMe } from "../../session/me";
import { Card } from "../../ui/card";
import { Progress } from "../../ui/waiting";
import { useAllowed } from "../home";

const MOST = 5_000;

type Step = { key: string; to: string; isDone: boolean };

/** What is done is what the server has; the guide was there before the first member and is nobody's own document. */
function useSteps(): Step[] | undefined {
  const documents = useAllowed("documents.read", ["documents"], () => all((after) => api.GET("/api/v1/documents", { params: { query: { limit: 200, after } } }), MOST));
  const assistants = useAllowed("assistants.read", ["assistants"], () => all((after) => api.GET("/api/v1/assistants", { params: { query: { limit: 200, after } } })));
  const channels = useAllowed("channels.read", ["channels"], () => all((after) => api.GET("/api/v1/channels", { params: { query: { limit: 200, after } } })));
  const members = useAllowed("members.read", ["members"], () => all((after) => api.GET("/api/v1/members", { params: { query: { limit: 200, after } } })));
  const invitations = useAllowed("members.read", ["invitations"], () => done(api.GET("/api/v1/invitations", { params: { query: { limit: 100 } } })));
  if (!documents.data || !assistants.data || !channels.data || !members.data || !invitations.data) return undefined;
  const begun = members.data.map(({ joined_at }) => joined_at).sort()[0] ?? "";
  return [
    { key: "document", to: "/knowledge", isDone: documents.data.some(({ state, created_at }) => state === "ready" && created_at > begun) },
    { key: "assistant", to: `/assistants/${assistants.data[0]?.id ?? ""}`, isDone: assistants.data.some(({ version }) => version > 1) },
    { key: "channel", to: "/channels", isDone: channels.data.some(({ type }) => type !== "api") },
    { key: "team", to: "/team", isDone: members.data.length > 1 || invitations.data.items.length > 0 },
  ];
}

export function Checklist() {
  const { t } = useTranslation();
  const { role } = useMe();
  const steps = useSteps();
  if (role !== "owner" || !steps || steps.every(({ isDone }) => isDone)) return null;
  const finished = steps.filter(({ isDone }) => isDone).length;
  return (
    <Card className="p-5">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 className="text-[15px] font-semibold">{t("checklist.title")}</h2>
        <div className="flex items-center gap-3 text-[13px] text-soft">
          <span className="tabular-nums">{t("checklist.done", { done: number(finished), total: number(steps.length) })}</span>
          <div className="w-28">
            <Progress share={finished / steps.length} label={t("checklist.title")} />
          </div>
        </div>
      </div>
      <ol className="mt-4 grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
        {steps.map(({ key, to, isDone }, place) => (
          <li key={key}>
            <Link to={to} className="flex h-full items-start gap-3 rounded-lg border border-line p-3.5 transition-colors hover:border-strong-line hover:bg-sunken/50">
              <span className={clsx("mt-0.5 flex size-5 shrink-0 items-center justify-center rounded-full text-[11px] font-semibold", isDone ? "bg-good-tint text-good" : "bg-tint text-on-tint")}>{isDone ? <Check aria-hidden className="size-3" /> : place + 1}</span>
              <span>
                <span className={clsx("block font-medium", isDone && "text-soft line-through")}>{t(`checklist.${key}.title`)}</span>
                <span className="block text-[13px] text-pretty text-soft">{t(`checklist.${key}.hint`)}</span>
                {isDone && <span className="sr-only">{t("action.done")}</span>}
              </span>
            </Link>
          </li>
        ))}
      </ol>
    </Card>
  );
}
