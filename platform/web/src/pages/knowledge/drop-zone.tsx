import { clsx } from "clsx";
import { Upload, X } from "lucide-react";
import { type DragEvent, type RefObject, useState } from "react";
import { useTranslation } from "react-i18next";

import type { DocumentOut } from "../../api/schema";
import { number } from "../../format";
import { IconButton } from "../../ui/button";
import { Progress } from "../../ui/waiting";
import { groupOf } from "./state";
import type { Uploads } from "./uploads";

type Props = { picker: RefObject<HTMLInputElement | null>; uploads: Uploads; documents: readonly DocumentOut[] };

/** Takes files by drop or by choice, and counts what is there. */
export function DropZone({ picker, uploads, documents }: Props) {
  const { t } = useTranslation();
  const [isOver, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void uploads.send([...event.dataTransfer.files]);
  };
  return (
    <div className="mb-5">
      <div
        onDragOver={(event) => (event.preventDefault(), setOver(true))}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
        className={clsx("flex flex-wrap items-center gap-x-4 gap-y-4 rounded-xl border border-dashed px-5 py-4 transition-colors", isOver ? "border-accent bg-tint/60" : "border-strong-line/60 bg-card")}
      >
        <span className="flex size-10 shrink-0 items-center justify-center rounded-xl bg-tint text-on-tint">
          <Upload aria-hidden className="size-5" />
        </span>
        <div className="min-w-0 grow basis-64">
          <p className="font-medium">
            {t("knowledge.drop")}{" "}
            <button type="button" className="text-accent underline underline-offset-2 hover:no-underline" onClick={() => picker.current?.click()}>
              {t("knowledge.pick")}
            </button>
          </p>
          <p className="text-[13px] text-pretty text-soft">{t("knowledge.kinds")}</p>
        </div>
        <input ref={picker} type="file" multiple tabIndex={-1} aria-label={t("knowledge.upload")} className="sr-only" onChange={(event) => (void uploads.send([...(event.target.files ?? [])]), (event.target.value = ""))} />
        <Counters documents={documents} />
      </div>
      {uploads.total > 0 && (
        <div className="mt-3 space-y-1.5" role="status">
          <p className="text-[13px] text-soft">{t("knowledge.sending", { done: uploads.done + 1, total: uploads.total })}</p>
          <Progress share={uploads.done / uploads.total} label={t("knowledge.upload")} />
        </div>
      )}
      {uploads.refused.length > 0 && (
        <div role="alert" className="mt-3 flex gap-3 rounded-lg bg-bad-tint px-4 py-3 text-[13px] text-bad">
          <ul className="grow space-y-1">
            {uploads.refused.map(({ name, why }) => (
              <li key={name}>
                <strong className="font-semibold">{name}</strong>: {why}
              </li>
            ))}
          </ul>
          <IconButton label={t("action.close")} onClick={uploads.forget} className="size-6">
            <X aria-hidden className="size-4" />
          </IconButton>
        </div>
      )}
    </div>
  );
}

function Counters({ documents }: { documents: readonly DocumentOut[] }) {
  const { t } = useTranslation();
  if (!documents.length) return null;
  const count = (group: string) => documents.filter((each) => groupOf(each) === group).length;
  return (
    <dl className="flex gap-6">
      {(["ready", "working", "failed"] as const).map((group) => (
        <div key={group}>
          <dt className="text-xs text-soft">{t(`knowledge.group.${group}`)}</dt>
          <dd className="text-lg leading-6 font-semibold tabular-nums">{number(count(group))}</dd>
        </div>
      ))}
    </dl>
  );
}
