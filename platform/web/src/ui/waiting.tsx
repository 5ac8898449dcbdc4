import { clsx } from "clsx";
import { LoaderCircle } from "lucide-react";
import { useTranslation } from "react-i18next";

export function Spinner({ className }: { className?: string }) {
  return <LoaderCircle aria-hidden className={clsx("size-4 animate-spin", className)} />;
}

/** A grey shape where something will stand. */
export function Skeleton({ className }: { className?: string }) {
  return <span aria-hidden className={clsx("block animate-breathe rounded-md bg-sunken", className)} />;
}

/** Of a list: the same rows as the real ones, so that nothing jumps. */
export function SkeletonRows({ rows = 6 }: { rows?: number }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t("state.loading")} className="divide-y divide-line">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex items-center gap-4 px-4 py-3.5">
          <Skeleton className="size-8 rounded-lg" />
          <div className="grow space-y-2">
            <Skeleton className="h-3.5 w-2/5" />
            <Skeleton className="h-3 w-1/5" />
          </div>
          <Skeleton className="hidden h-5 w-20 sm:block" />
        </div>
      ))}
    </div>
  );
}

/** `share` from 0 to 1; without it nobody knows how far it is. */
export function Progress({ share, label }: { share?: number; label: string }) {
  const value = share === undefined ? undefined : Math.round(share * 100);
  return (
    <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={value} className="h-1.5 overflow-hidden rounded-full bg-sunken">
      <div className={clsx("h-full rounded-full bg-accent transition-[width] duration-300", value === undefined && "w-1/3 animate-breathe")} style={value === undefined ? undefined : { width: `${value}%` }} />
    </div>
  );
}
