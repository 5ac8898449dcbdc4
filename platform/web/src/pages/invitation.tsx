import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../api/client";
import { language } from "../i18n";
import { Frame } from "../session/frame";
import { ErrorState } from "../ui/states";
import { Filters } from "../ui/tabs";
import { Skeleton } from "../ui/waiting";
import { CodeField, EnterForm, NameField, PasswordField, useCode, useEnter, useToken } from "./entering";

/** Whoever is invited makes an account here, or joins with the one they have. */
export function InvitationPage() {
  const { t } = useTranslation();
  const token = useToken();
  const [way, setWay] = useState<"new" | "known">("new");
  const invited = useQuery({ queryKey: ["invitation", token, language()], queryFn: () => done(api.POST("/api/v1/auth/invitation", { body: { token } })), retry: false });
  if (invited.error) {
    return (
      <Frame title={t("session.joinTitle")}>
        <ErrorState error={invited.error} />
      </Frame>
    );
  }
  if (!invited.data) {
    return (
      <Frame title={t("session.joinTitle")}>
        <Skeleton className="h-40" />
      </Frame>
    );
  }
  const { workspace, email, role } = invited.data;
  const ways = [
    { value: "new", name: t("session.newPerson") },
    { value: "known", name: t("session.knownPerson") },
  ] as const;
  return (
    <Frame title={t("session.joinTitle")} hint={t("session.invited", { workspace, email, role: t(`role.${role}`) })}>
      <div className="mb-5 flex justify-center">
        <Filters label={t("session.joinTitle")} value={way} options={ways} onChange={setWay} />
      </div>
      {way === "new" ? <NewPerson token={token} /> : <KnownPerson token={token} />}
    </Frame>
  );
}

function NewPerson({ token }: { token: string }) {
  const { t } = useTranslation();
  const enter = useEnter();
  const send = async ({ name = "", password = "" }: Record<string, string>) =>
    enter(await done(api.POST("/api/v1/auth/invitation/register", { body: { token, name, password, language: language(), cookies: true } })), "/");
  return (
    <EnterForm action={t("session.join")} send={send}>
      {(error) => (
        <>
          <NameField error={error} />
          <PasswordField isNew error={error} />
        </>
      )}
    </EnterForm>
  );
}

function KnownPerson({ token }: { token: string }) {
  const { t } = useTranslation();
  const enter = useEnter();
  const code = useCode(async ({ password = "", code }) => enter(await done(api.POST("/api/v1/auth/invitation/sign-in", { body: { token, password, cookies: true, ...(code && { code }) } })), "/"));
  return (
    <EnterForm action={t("session.join")} send={code.attempt}>
      {(error) => (
        <>
          <PasswordField error={error} />
          {code.isAsked && <CodeField />}
        </>
      )}
    </EnterForm>
  );
}
