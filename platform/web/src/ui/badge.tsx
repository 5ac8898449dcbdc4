import { clsx } from "clsx";
import type { ReactNode } from "react";

export type Tone = "neutral" | "good" | "warn" | "bad" | "accent";
const TONES: Record<Tone, string> = {
  neutral: "bg-sunken text-soft",
  good: "bg-good-tint text-good",
  warn: "bg-warn-tint text-warn",
  bad: "bg-bad-tint text-bad",
  accent: "bg-tint text-on-tint",
};

export function Badge({ tone = "neutral", icon, children }: { tone?: Tone; icon?: ReactNode; children: ReactNode }) {
  return (
    <span className={clsx("inline-flex items-center gap-1.5 rounded-md px-2 py-0.5 text-xs font-medium whitespace-nowrap [&_svg]:size-3.5", TONES[tone])}>
      {icon}
      {children}
    </span>
  );
}

export function Dot({ tone = "neutral" }: { tone?: Tone }) {
  const dots: Record<Tone, string> = { neutral: "bg-strong-line", good: "bg-good", warn: "bg-warn", bad: "bg-bad", accent: "bg-accent" };
  return <span aria-hidden className={clsx("inline-block size-2 shrink-0 rounded-full", dots[tone])} />;
}
