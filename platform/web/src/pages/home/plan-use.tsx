import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import { date, number } from "../../format";
import { Card } from "../../ui/card";
import { Progress } from "../../ui/waiting";
import { useAllowed } from "../home";

/** What the plan includes and what is used of it; nothing where there is no plan. */
export function PlanUse() {
  const { t } = useTranslation();
  const billing = useAllowed("billing.read", ["billing"], () => done(api.GET("/api/v1/billing")));
  if (!billing.data) return null;
  const { plan, usage, limits, period_end } = billing.data;
  return (
    <Card className="p-5">
      <div className="mb-4 flex items-baseline justify-between gap-3">
        <h2 className="text-[15px] font-semibold">{t("plan.title", { name: plan.name })}</h2>
        <span className="text-xs text-soft">{t("plan.until", { date: date(period_end) })}</span>
      </div>
      <dl className="space-y-3">
        {Object.entries(usage).filter(([name]) => name in limits).map(([name, used]) => {
          const limit = limits[name] ?? null;
          return (
            <div key={name}>
              <div className="mb-1 flex justify-between text-[13px]">
                <dt className="text-soft">{t(`plan.of.${name}`)}</dt>
                <dd className="tabular-nums">{limit === null ? number(used) : t("plan.used", { used: number(used), limit: number(limit) })}</dd>
              </div>
              {limit !== null && <Progress share={limit ? Math.min(used / limit, 1) : 1} label={t(`plan.of.${name}`)} />}
            </div>
          );
        })}
      </dl>
    </Card>
  );
}
