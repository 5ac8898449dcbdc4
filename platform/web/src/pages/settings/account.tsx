import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import { wrong } from "../../errors";
import { fieldsOf, useSending } from "../../session/form";
import { ME, useMe } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Panel } from "../../ui/card";
import { Field, Select } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";

export function Account() {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const { user, email_confirmed } = useMe();
  const saving = useSending(async ({ name = "", language = "en" }: Record<string, string>) => {
    await done(api.PATCH("/api/v1/users/{user_id}", { params: { path: { user_id: user.id } }, body: { name, language: language as "en" } }));
    await cache.invalidateQueries({ queryKey: ME });
    tell(t("settings.saved"));
  });
  const asking = useSending(async () => {
    await done(api.POST("/api/v1/auth/confirm/mail"));
    tell(t("settings.confirmSent"));
  });
  return (
    <Panel title={t("settings.tab.account")} hint={user.email} action={email_confirmed ? <Badge tone="good">{t("settings.confirmed")}</Badge> : undefined}>
      <form className="space-y-4" onSubmit={(event) => void saving.send(fieldsOf(event))}>
        <Field label={t("session.name")} name="name" defaultValue={user.name} required maxLength={200} error={wrong(saving.error, "name")} />
        <Select label={t("settings.letters")} name="language" defaultValue={user.language} options={(["ru", "en"] as const).map((value) => ({ value, name: t(`language.${value}`) }))} />
        <Trouble error={saving.error ?? asking.error} />
        <div className="flex flex-wrap gap-2">
          <Button kind="primary" type="submit" busy={saving.busy}>
            {t("action.save")}
          </Button>
          {!email_confirmed && (
            <Button busy={asking.busy} onClick={() => void asking.send()}>
              {t("settings.askConfirm")}
            </Button>
          )}
        </div>
      </form>
    </Panel>
  );
}
