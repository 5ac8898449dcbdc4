import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";

import { useMay } from "../session/me";
import { Page } from "../ui/card";
import { Filters } from "../ui/tabs";
import { Account } from "./settings/account";
import { ApiKeys } from "./settings/api-keys";
import { Models } from "./settings/models";
import { Security } from "./settings/security";
import { Workspace } from "./settings/workspace";

const TABS = ["account", "security", "workspace", "models", "keys"] as const;
type Tab = (typeof TABS)[number];
const NEEDS = { account: "me.read", security: "me.read", workspace: "tenant.read", models: "models.read", keys: "keys.read" } as const;

/** One tab a matter; those that one may not read are not shown. */
export default function SettingsPage() {
  const { t } = useTranslation();
  const may = useMay();
  const go = useNavigate();
  const { tab } = useParams();
  const open = TABS.filter((each) => may(NEEDS[each]));
  const current: Tab = open.find((each) => each === tab) ?? "account";
  const contents = { account: <Account />, security: <Security />, workspace: <Workspace />, models: <Models />, keys: <ApiKeys /> };
  return (
    <Page title={t("place.settings")}>
      <div className="mb-5">
        <Filters label={t("place.settings")} value={current} options={open.map((value) => ({ value, name: t(`settings.tab.${value}`) }))} onChange={(value) => void go(`/settings/${value}`, { replace: true })} />
      </div>
      <div className="max-w-3xl space-y-5">{contents[current]}</div>
    </Page>
  );
}
