import { RotateCw, Trash2, X } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { DocumentOut } from "../../api/schema";
import { Button, IconButton } from "../../ui/button";
import type { Deeds } from "./deeds";

/** What can be done with the chosen rows; it stays in sight while one scrolls. */
export function BulkBar({ picked, deeds, clear }: { picked: readonly DocumentOut[]; deeds: Deeds; clear: () => void }) {
  const { t } = useTranslation();
  const then = (deed: () => unknown) => () => (clear(), void deed());
  return (
    <div role="region" aria-label={t("knowledge.chosenDeeds")} className="sticky bottom-5 z-20 mx-auto mt-4 flex w-fit items-center gap-2 rounded-xl border border-line bg-raised py-2 pr-2 pl-4 shadow-float animate-rise">
      <span className="mr-2 text-[13px] font-medium tabular-nums">{t("knowledge.chosen", { count: picked.length })}</span>
      <Button small icon={<RotateCw aria-hidden className="size-3.5" />} onClick={then(() => deeds.again(picked))}>
        {t("document.again")}
      </Button>
      <Button small icon={<Trash2 aria-hidden className="size-3.5 text-bad" />} onClick={then(() => deeds.remove(picked))}>
        {t("action.delete")}
      </Button>
      <IconButton label={t("action.clear")} onClick={clear}>
        <X aria-hidden className="size-4" />
      </IconButton>
    </div>
  );
}
