import { clsx } from "clsx";
import type { ReactNode } from "react";

export function Card({ className, children }: { className?: string; children: ReactNode }) {
  return <section className={clsx("rounded-xl border border-line bg-card shadow-card", className)}>{children}</section>;
}

type PanelProps = { title: string; hint?: ReactNode; action?: ReactNode; className?: string; children: ReactNode };

/** A card with a head. */
export function Panel({ title, hint, action, className, children }: PanelProps) {
  return (
    <Card className={className}>
      <header className="flex flex-wrap items-start justify-between gap-3 px-5 pt-4">
        <div className="min-w-0">
          <h2 className="text-[15px] font-semibold">{title}</h2>
          {hint && <p className="mt-0.5 text-[13px] text-soft">{hint}</p>}
        </div>
        {action}
      </header>
      <div className="px-5 pt-4 pb-5">{children}</div>
    </Card>
  );
}

type PageProps = { title: string; hint?: ReactNode; actions?: ReactNode; before?: ReactNode; wide?: boolean; children: ReactNode };

/** The frame of a page: its title, what it is for, and what can be done. */
export function Page({ title, hint, actions, before, wide, children }: PageProps) {
  return (
    <div className={clsx("mx-auto w-full px-4 py-6 sm:px-8 sm:py-7", wide ? "max-w-[96rem]" : "max-w-6xl")}>
      {before}
      <div className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-4">
        <div className="min-w-0 grow basis-72">
          <h1 className="text-xl font-semibold tracking-[-0.011em] break-words">{title}</h1>
          {hint && <div className="mt-0.5 text-soft">{hint}</div>}
        </div>
        {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}
