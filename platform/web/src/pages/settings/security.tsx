import { useQuery, useQueryClient } from "@tanstack/react-query";
import { MonitorSmartphone } from "lucide-react";
import { useRef } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import { wrong } from "../../errors";
import { ago } from "../../format";
import { fieldsOf, useSending } from "../../session/form";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Panel } from "../../ui/card";
import { Field } from "../../ui/field";
import { ErrorState, Trouble } from "../../ui/states";
import { tell, tellError } from "../../ui/toasts";
import { SkeletonRows } from "../../ui/waiting";
import { useTick } from "../inbox/people";
import { SecondFactor } from "./second-factor";

export function Security() {
  return (
    <>
      <Password />
      <SecondFactor />
      <Sessions />
    </>
  );
}

function Password() {
  const { t } = useTranslation();
  const form = useRef<HTMLFormElement>(null);
  const cache = useQueryClient();
  const saving = useSending(async ({ current = "", password = "" }: Record<string, string>) => {
    await done(api.POST("/api/v1/auth/password", { body: { current, password } }));
    form.current?.reset();
    tell(t("settings.passwordChanged"));
    await cache.invalidateQueries({ queryKey: ["sessions"] });
  });
  return (
    <Panel title={t("session.password")} hint={t("settings.passwordHint")}>
      <form ref={form} className="space-y-4" onSubmit={(event) => void saving.send(fieldsOf(event))}>
        <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
          <Field label={t("settings.currentPassword")} name="current" type="password" autoComplete="current-password" required error={wrong(saving.error, "current")} />
          <Field label={t("session.newPassword")} name="password" type="password" autoComplete="new-password" required error={wrong(saving.error, "password")} />
        </div>
        <Trouble error={saving.error} />
        <Button type="submit" busy={saving.busy}>
          {t("settings.changePassword")}
        </Button>
      </form>
    </Panel>
  );
}

function Sessions() {
  const { t } = useTranslation();
  const now = useTick();
  const cache = useQueryClient();
  const query = useQuery({ queryKey: ["sessions"], queryFn: () => done(api.GET("/api/v1/auth/sessions")) });
  const act = async (call: Promise<unknown>) => {
    try {
      await call;
      await cache.invalidateQueries({ queryKey: ["sessions"] });
    } catch (error) {
      tellError(error);
    }
  };
  const endOthers = (query.data?.items.length ?? 0) > 1 && (
    <Button small onClick={() => void act(done(api.POST("/api/v1/auth/sessions/end-others")))}>
      {t("settings.endOthers")}
    </Button>
  );
  return (
    <Panel title={t("settings.sessions")} hint={t("settings.sessionsHint")} action={endOthers}>
      {query.error ? (
        <ErrorState error={query.error} retry={() => void query.refetch()} />
      ) : query.isPending ? (
        <SkeletonRows rows={2} />
      ) : (
        <ul className="divide-y divide-line">
          {query.data.items.map((session) => (
            <li key={session.id} className="flex items-center gap-3 py-3 first:pt-0 last:pb-0">
              <MonitorSmartphone aria-hidden className="size-4 shrink-0 text-soft" />
              <div className="min-w-0 grow">
                <p className="truncate">{deviceOf(session.device) ?? t("settings.unknownDevice")}</p>
                <p className="truncate text-xs text-soft">{[session.workspace, session.ip, ago(session.last_used_at, now)].filter(Boolean).join(" · ")}</p>
              </div>
              {session.is_current ? (
                <Badge tone="good">{t("settings.thisDevice")}</Badge>
              ) : (
                <Button small kind="quiet" onClick={() => void act(done(api.DELETE("/api/v1/auth/sessions/{session_id}", { params: { path: { session_id: session.id } } })))}>
                  {t("settings.end")}
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

const BROWSERS: [RegExp, string][] = [[/YaBrowser/, "Yandex"], [/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]];
const SYSTEMS: [RegExp, string][] = [[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]];

/** "Firefox, Linux" where the browser can be told by what it says of itself, else what it says. */
export function deviceOf(agent: string | null): string | null {
  const [browser, system] = [BROWSERS, SYSTEMS].map((known) => known.find(([pattern]) => pattern.test(agent ?? ""))?.[1]);
  return browser && system ? `${browser}, ${system}` : agent;
}
