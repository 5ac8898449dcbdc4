import { CircleAlert, LockKeyhole, type LucideIcon, WifiOff } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { ApiProblem, isForbidden } from "../api/problem";
import { sentence } from "../errors";
import { Button } from "./button";

type BlankProps = { icon: LucideIcon; title: string; children?: ReactNode; action?: ReactNode; tone?: "quiet" | "bad"; role?: "alert"; isPage?: boolean };

/** What stands where there is nothing to show: a sign, a sentence, one way on. */
export function Blank({ icon: Icon, title, children, action, tone = "quiet", role, isPage }: BlankProps) {
  const Title = isPage ? "h1" : "h2";
  return (
    <div role={role} className="flex flex-col items-center px-6 py-14 text-center animate-fade">
      <span className={`mb-4 flex size-11 items-center justify-center rounded-xl ${tone === "bad" ? "bg-bad-tint text-bad" : "bg-tint text-on-tint"}`}>
        <Icon aria-hidden className="size-5" />
      </span>
      <Title className="text-[15px] font-semibold">{title}</Title>
      {children && <div className="mt-1 max-w-md text-pretty text-soft">{children}</div>}
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** The sentence of the failure, its code for whoever asks for help, and another try. */
export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  if (isForbidden(error)) return <Forbidden isPage={false} />;
  const code = error instanceof ApiProblem ? error.code : "unexpected";
  const again = retry && (
    <Button kind="plain" onClick={retry}>
      {t("action.retry")}
    </Button>
  );
  return (
    <Blank role="alert" tone="bad" icon={code === "offline" ? WifiOff : CircleAlert} title={t("state.failed")} action={again}>
      <p>{sentence(error)}</p>
      <p className="mt-2">
        <code className="rounded bg-sunken px-1.5 py-0.5 text-xs">{code}</code>
      </p>
    </Blank>
  );
}

/** In place of a whole page, unless it stands in one. */
export function Forbidden({ isPage = true }: { isPage?: boolean }) {
  const { t } = useTranslation();
  return (
    <Blank isPage={isPage} icon={LockKeyhole} title={t("state.forbidden")}>
      {t("state.forbiddenHint")}
    </Blank>
  );
}

/** A failure beside a form. */
export function Trouble({ error }: { error: unknown }) {
  if (!error) return null;
  return (
    <p role="alert" className="flex items-start gap-2 rounded-lg bg-bad-tint px-3 py-2 text-[13px] text-bad">
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      {sentence(error)}
    </p>
  );
}
