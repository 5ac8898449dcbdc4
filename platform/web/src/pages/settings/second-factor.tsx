import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { Enrolment } from "../../api/schema";
import { wrong } from "../../errors";
import { fieldsOf, useSending } from "../../session/form";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Panel } from "../../ui/card";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/field";
import { ErrorState, Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { Skeleton } from "../../ui/waiting";

type Fields = Record<string, string>;

/** A second step of signing in, by an authenticator app. */
export function SecondFactor() {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: ["second-factor"], queryFn: () => done(api.GET("/api/v1/auth/second-factor")) });
  const [isOpen, setOpen] = useState(false);
  const isOn = query.data?.enabled ?? false;
  return (
    <Panel title={t("factor.title")} hint={t("factor.hint")} action={isOn ? <Badge tone="good">{t("factor.on")}</Badge> : undefined}>
      {query.error ? (
        <ErrorState error={query.error} retry={() => void query.refetch()} />
      ) : query.isPending ? (
        <Skeleton className="h-9 w-40" />
      ) : (
        <div className="flex flex-wrap items-center gap-3">
          <Button onClick={() => setOpen(true)}>{t(isOn ? "factor.turnOff" : "factor.turnOn")}</Button>
          {isOn && <span className="text-[13px] text-soft">{t("factor.codesLeft", { count: query.data.recovery_codes_left })}</span>}
        </div>
      )}
      {isOpen && (isOn ? <TurnOff onClose={() => setOpen(false)} /> : <TurnOn onClose={() => setOpen(false)} />)}
    </Panel>
  );
}

function TurnOn({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const [codes, setCodes] = useState<string[]>();
  const begin = async ({ password = "" }: Fields) => setEnrolment(await done(api.POST("/api/v1/auth/second-factor", { body: { password } })));
  const confirm = async ({ code = "" }: Fields) => {
    setCodes((await done(api.POST("/api/v1/auth/second-factor/confirm", { body: { code } }))).recovery_codes);
    await cache.invalidateQueries({ queryKey: ["second-factor"] });
  };
  if (codes) {
    return (
      <Dialog open onClose={onClose} title={t("factor.codes")} hint={t("factor.codesHint")}>
        <ul className="grid grid-cols-2 gap-x-4 gap-y-1 rounded-lg bg-sunken p-4 font-mono text-[13px]">{codes.map((code) => <li key={code}>{code}</li>)}</ul>
        <div className="mt-4 flex justify-end">
          <Button kind="primary" onClick={onClose}>{t("factor.codesKept")}</Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title={t("factor.turnOn")} hint={t(enrolment ? "factor.secretHint" : "factor.passwordHint")}>
      {enrolment ? (
        <Step key="code" action={t("factor.confirm")} send={confirm}>
          {(error) => (
            <>
              <Field label={t("factor.secret")} readOnly value={enrolment.secret} className="font-mono" onFocus={(event) => event.target.select()} hint={<a className="text-accent underline" href={enrolment.uri}>{t("factor.openApp")}</a>} />
              <Field label={t("session.code")} name="code" required autoComplete="one-time-code" inputMode="numeric" error={wrong(error, "code")} />
            </>
          )}
        </Step>
      ) : (
        <Step key="password" action={t("action.next")} send={begin}>
          {(error) => <Field label={t("session.password")} name="password" type="password" autoComplete="current-password" required error={wrong(error, "password")} />}
        </Step>
      )}
    </Dialog>
  );
}

function TurnOff({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const remove = async ({ password = "", code = "" }: Fields) => {
    await done(api.POST("/api/v1/auth/second-factor/remove", { body: { password, code } }));
    await cache.invalidateQueries({ queryKey: ["second-factor"] });
    tell(t("factor.isOff"));
    onClose();
  };
  return (
    <Dialog open onClose={onClose} title={t("factor.turnOff")} hint={t("factor.turnOffHint")}>
      <Step action={t("factor.turnOff")} send={remove}>
        {(error) => (
          <>
            <Field label={t("session.password")} name="password" type="password" autoComplete="current-password" required error={wrong(error, "password")} />
            <Field label={t("session.code")} name="code" required autoComplete="one-time-code" error={wrong(error, "code")} />
          </>
        )}
      </Step>
    </Dialog>
  );
}

function Step({ action, send, children }: { action: string; send: (fields: Fields) => Promise<unknown>; children: (error: unknown) => React.ReactNode }) {
  const sending = useSending(send);
  return (
    <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
      {children(sending.error)}
      <Trouble error={sending.error} />
      <div className="flex justify-end">
        <Button kind="primary" type="submit" busy={sending.busy}>{action}</Button>
      </div>
    </form>
  );
}
