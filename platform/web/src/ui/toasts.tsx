import { CircleAlert, CircleCheck, X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";

import { sentence } from "../errors";
import { IconButton } from "./button";

type Toast = { id: number; text: string; bad?: boolean; undo?: () => void };
const STAYS_MS = 6_000;
let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function show(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

export function drop(id: number): void {
  show(toasts.filter((toast) => toast.id !== id));
}

/** Says what happened, and goes by itself. */
export function tell(text: string, more: { bad?: boolean; undo?: () => void } = {}): number {
  const id = ++last;
  show([...toasts.slice(-2), { id, text, ...more }]);
  setTimeout(() => drop(id), STAYS_MS);
  return id;
}

export const tellError = (error: unknown) => tell(sentence(error), { bad: true });

type Later = { run: (atOnce: boolean) => void };
const waiting = new Set<Later>();

/** Does it when the toast is gone, unless it is undone; a page that is left does it at once. */
export function tellUndoable(text: string, act: (leaving: boolean) => void, undone: () => void): void {
  const later: Later = { run: (leaving) => waiting.delete(later) && act(leaving) };
  waiting.add(later);
  const timer = setTimeout(() => later.run(false), STAYS_MS);
  const undo = () => {
    clearTimeout(timer);
    if (waiting.delete(later)) undone();
  };
  tell(text, { undo });
}

window.addEventListener("pagehide", () => {
  for (const later of waiting) later.run(true);
});

export function Toasts() {
  const { t } = useTranslation();
  const shown = useSyncExternalStore((listener) => (listeners.add(listener), () => listeners.delete(listener)), () => toasts);
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed inset-x-3 bottom-4 z-[60] flex flex-col items-center gap-2 sm:inset-x-auto sm:right-5 sm:items-end">
      {shown.map((toast) => (
        <div key={toast.id} className="pointer-events-auto flex w-full max-w-sm items-center gap-3 rounded-xl border border-line bg-raised py-2 pr-2 pl-3.5 shadow-float animate-rise">
          {toast.bad ? <CircleAlert aria-hidden className="size-4 shrink-0 text-bad" /> : <CircleCheck aria-hidden className="size-4 shrink-0 text-good" />}
          <p className="grow py-1 text-[13px]">{toast.text}</p>
          {toast.undo && (
            <button type="button" className="rounded-md px-2 py-1 text-[13px] font-semibold text-accent hover:bg-sunken" onClick={() => (toast.undo?.(), drop(toast.id))}>
              {t("action.undo")}
            </button>
          )}
          <IconButton label={t("action.close")} className="size-7" onClick={() => drop(toast.id)}>
            <X aria-hidden className="size-3.5" />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
