import type { ReactNode } from "react";

import { LanguageButton, ThemeButton } from "../shell/switches";
import { Mark } from "../shell/mark";

/** The sheet of sign-in and its kin. */
export function Frame({ title, hint, below, children }: { title: string; hint?: ReactNode; below?: ReactNode; children: ReactNode }) {
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="flex items-center justify-end gap-1 p-3">
        <ThemeButton />
        <LanguageButton />
      </header>
      <main className="mx-auto flex w-full max-w-[25rem] grow flex-col justify-center px-4 pb-24">
        <div className="mb-6 flex flex-col items-center text-center">
          <Mark className="mb-4 size-11 rounded-xl text-xl" />
          <h1 className="text-xl font-semibold tracking-[-0.011em]">{title}</h1>
          {hint && <p className="mt-1 text-pretty text-soft">{hint}</p>}
        </div>
        <div className="rounded-2xl border border-line bg-card p-5 shadow-card sm:p-6">{children}</div>
        {below && <div className="mt-5 flex flex-col items-center gap-2 text-[13px] text-soft">{below}</div>}
      </main>
    </div>
  );
}
