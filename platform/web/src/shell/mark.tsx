import { clsx } from "clsx";

export function Mark({ className }: { className?: string }) {
  return (
    <span aria-hidden className={clsx("inline-flex shrink-0 items-center justify-center bg-accent font-bold text-on-accent", className ?? "size-8 rounded-[10px] text-sm")}>
      A
    </span>
  );
}
