import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useNavigate, useSearchParams } from "react-router";

import { api, done, keepCsrf } from "../api/client";
import { ApiProblem } from "../api/problem";
import type { SignedIn } from "../api/schema";
import { wrong } from "../errors";
import { language } from "../i18n";
import { fieldsOf, useSending } from "../session/form";
import { Frame } from "../session/frame";
import { ME, readMe } from "../session/me";
import { forgetReferral, keptReferral } from "../session/referral";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Trouble } from "../ui/states";
import { tell } from "../ui/toasts";

type Fields = Record<string, string>;
type FormProps = { action: string; send: (fields: Fields) => Promise<unknown>; children: (error: unknown) => ReactNode };

/** The token behind the `#` of a mailed link. */
export const useToken = () => new URLSearchParams(useLocation().hash.slice(1)).get("token") ?? "";

/** Where the person wanted to go, inside of the console alone. */
export function useNext(): string {
  const next = useSearchParams()[0].get("next") ?? "/";
  return next.startsWith("/") && !next.startsWith("//") ? next : "/";
}

export function useEnter() {
  const cache = useQueryClient();
  const go = useNavigate();
  return async (opened: SignedIn, next: string) => {
    keepCsrf(opened.csrf_token);
    cache.clear();
    await cache.fetchQuery({ queryKey: ME, queryFn: readMe });
    await go(next, { replace: true });
  };
}

export function EnterForm({ action, send, children }: FormProps) {
  const sending = useSending(send);
  return (
    <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
      {children(sending.error)}
      <Trouble error={sending.error} />
      <Button kind="primary" type="submit" busy={sending.busy} className="w-full">
        {action}
      </Button>
    </form>
  );
}

export function NameField({ error }: { error?: unknown }) {
  const { t } = useTranslation();
  return <Field label={t("session.name")} name="name" autoComplete="name" maxLength={200} required error={wrong(error, "name")} />;
}

export function EmailField({ error, autoFocus }: { error?: unknown; autoFocus?: boolean }) {
  const { t } = useTranslation();
  return <Field label={t("session.email")} name="email" type="email" autoComplete="username" maxLength={254} required autoFocus={autoFocus} error={wrong(error, "email")} />;
}

export function PasswordField({ error, isNew }: { error?: unknown; isNew?: boolean }) {
  const { t } = useTranslation();
  const rules = isNew ? { autoComplete: "new-password", hint: t("session.passwordHint") } : { autoComplete: "current-password" };
  return <Field label={isNew ? t("session.newPassword") : t("session.password")} name="password" type="password" maxLength={200} required {...rules} error={wrong(error, "password")} />;
}

/** Of the authenticator app; asked for once the password was right. */
export function CodeField() {
  const { t } = useTranslation();
  return <Field label={t("session.code")} name="code" autoComplete="one-time-code" inputMode="text" maxLength={40} required autoFocus hint={t("session.codeHint")} />;
}

const needsCode = (error: unknown) => error instanceof ApiProblem && error.code === "second_factor_required";

/** Sends the password, and the code too once the server has asked for it. */
export function useCode(send: (fields: Fields) => Promise<unknown>) {
  const [isAsked, setAsked] = useState(false);
  const attempt = async (fields: Fields) => {
    try {
      await send(fields);
    } catch (error) {
      const first = needsCode(error) && !isAsked;
      setAsked(isAsked || first);
      if (!first) throw error;
    }
  };
  return { isAsked, attempt };
}

export function SignInPage() {
  const { t } = useTranslation();
  const enter = useEnter();
  const next = useNext();
  const code = useCode(async ({ email = "", password = "", code }) =>
    enter(await done(api.POST("/api/v1/auth/sign-in", { body: { email, password, cookies: true, ...(code && { code }) } })), next),
  );
  const below = (
    <>
      <Link className="text-accent underline decoration-accent/40 underline-offset-2 hover:decoration-accent" to="/forgot">
        {t("session.forgot")}
      </Link>
      <p>
        {t("session.noAccount")}{" "}
        <Link className="text-accent underline decoration-accent/40 underline-offset-2 hover:decoration-accent" to="/register">
          {t("session.register")}
        </Link>
      </p>
    </>
  );
  return (
    <Frame title={t("session.signInTitle")} hint={t("session.signInHint")} below={below}>
      <EnterForm action={t("session.signIn")} send={code.attempt}>
        {(error) => (
          <>
            <EmailField autoFocus error={error} />
            <PasswordField error={error} />
            {code.isAsked && <CodeField />}
          </>
        )}
      </EnterForm>
    </Frame>
  );
}

export function RegisterPage() {
  const { t } = useTranslation();
  const enter = useEnter();
  const send = async ({ name = "", email = "", password = "", workspace = "" }: Fields) => {
    const body = { name, email, password, language: language(), cookies: true, ...keptReferral(), ...(workspace.trim() && { workspace }) };
    const opened = await done(api.POST("/api/v1/auth/register", { body }));
    forgetReferral();
    await enter(opened, "/");
  };
  return (
    <Frame title={t("session.registerTitle")} hint={t("session.registerHint")} below={<ToSignIn />}>
      <EnterForm action={t("session.registerAction")} send={send}>
        {(error) => (
          <>
            <NameField error={error} />
            <Field label={t("session.workspace")} name="workspace" maxLength={200} hint={t("session.workspaceHint")} error={wrong(error, "workspace")} />
            <EmailField error={error} />
            <PasswordField isNew error={error} />
          </>
        )}
      </EnterForm>
    </Frame>
  );
}

export function SetupPage() {
  const { t } = useTranslation();
  const enter = useEnter();
  const token = useToken();
  const send = async ({ name = "", email = "", password = "" }: Fields) => enter(await done(api.POST("/api/v1/auth/setup", { body: { token, name, email, password, cookies: true } })), "/");
  return (
    <Frame title={t("session.setupTitle")} hint={t("session.setupHint")} below={<ToSignIn />}>
      <EnterForm action={t("session.setupAction")} send={send}>
        {(error) => (
          <>
            <NameField error={error} />
            <EmailField error={error} />
            <PasswordField isNew error={error} />
          </>
        )}
      </EnterForm>
    </Frame>
  );
}

export function ForgotPage() {
  const { t } = useTranslation();
  const [isSent, setSent] = useState(false);
  const send = async ({ email = "" }: Fields) => {
    await done(api.POST("/api/v1/auth/reset", { body: { email } }));
    setSent(true);
  };
  return (
    <Frame title={t("session.forgotTitle")} hint={t("session.forgotHint")} below={<ToSignIn />}>
      {isSent ? (
        <p role="status">{t("session.mailed")}</p>
      ) : (
        <EnterForm action={t("session.forgotAction")} send={send}>
          {(error) => <EmailField autoFocus error={error} />}
        </EnterForm>
      )}
    </Frame>
  );
}

export function ResetPage() {
  const { t } = useTranslation();
  const go = useNavigate();
  const token = useToken();
  const send = async ({ password = "" }: Fields) => {
    await done(api.POST("/api/v1/auth/reset/password", { body: { token, password } }));
    tell(t("session.changed"));
    await go("/sign-in", { replace: true });
  };
  return (
    <Frame title={t("session.resetTitle")} hint={t("session.resetHint")} below={<ToSignIn />}>
      <EnterForm action={t("session.resetAction")} send={send}>
        {(error) => <PasswordField isNew error={error} />}
      </EnterForm>
    </Frame>
  );
}

/** By a press and not by itself: programs of mail servers open links too. */
export function ConfirmPage() {
  const { t } = useTranslation();
  const token = useToken();
  const [isConfirmed, setConfirmed] = useState(false);
  const send = async () => {
    await done(api.POST("/api/v1/auth/confirm", { body: { token } }));
    setConfirmed(true);
  };
  return (
    <Frame title={t("session.confirmTitle")} hint={t("session.confirmHint")} below={<ToSignIn />}>
      {isConfirmed ? (
        <p role="status">{t("session.confirmed")}</p>
      ) : (
        <EnterForm action={t("session.confirmAction")} send={send}>
          {() => null}
        </EnterForm>
      )}
    </Frame>
  );
}

export function ToSignIn() {
  const { t } = useTranslation();
  return (
    <p>
      {t("session.haveAccount")}{" "}
      <Link className="text-accent underline decoration-accent/40 underline-offset-2 hover:decoration-accent" to="/sign-in">
        {t("session.signIn")}
      </Link>
    </p>
  );
}
