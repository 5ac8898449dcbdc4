import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import { wrong } from "../../errors";
import { date } from "../../format";
import { fieldsOf, useSending } from "../../session/form";
import { ME, useMay, useMe } from "../../session/me";
import { Button } from "../../ui/button";
import { Panel } from "../../ui/card";
import { Field, Select } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";

export function Workspace() {
  const { t } = useTranslation();
  const { tenant } = useMe();
  const canWrite = useMay()("tenant.write");
  const cache = useQueryClient();
  const saving = useSending(async ({ name = "", language = "en" }: Record<string, string>) => {
    await done(api.PATCH("/api/v1/tenant", { body: { name, language: language as "en" } }));
    await cache.invalidateQueries({ queryKey: ME });
    tell(t("settings.saved"));
  });
  return (
    <Panel title={t("settings.tab.workspace")} hint={t("settings.workspaceSince", { date: date(tenant.created_at) })}>
      <form onSubmit={(event) => void saving.send(fieldsOf(event))}>
        <fieldset disabled={!canWrite} className="space-y-4">
          <Field label={t("session.workspace")} name="name" defaultValue={tenant.name} required maxLength={200} error={wrong(saving.error, "name")} />
          <Select label={t("settings.workspaceLanguage")} name="language" defaultValue={tenant.language} options={(["ru", "en"] as const).map((value) => ({ value, name: t(`language.${value}`) }))} hint={t("settings.workspaceLanguageHint")} />
          <Trouble error={saving.error} />
          {canWrite && (
            <Button kind="primary" type="submit" busy={saving.busy}>
              {t("action.save")}
            </Button>
          )}
        </fieldset>
      </form>
    </Panel>
  );
}
