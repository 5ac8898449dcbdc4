import { language } from "./i18n";

const RANKS: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

export const number = (value: number) => new Intl.NumberFormat(language()).format(value);
export const percent = (share: number) => new Intl.NumberFormat(language(), { style: "percent", maximumFractionDigits: 0 }).format(share);

/** Decimal, as file managers show it. */
export function bytes(size: number): string {
  const rank = size < 1_000 ? 0 : size < 1_000_000 ? 1 : size < 1_000_000_000 ? 2 : 3;
  const unit = ["byte", "kilobyte", "megabyte", "gigabyte"][rank] ?? "byte";
  const value = size / 1_000 ** rank;
  return new Intl.NumberFormat(language(), { style: "unit", unit, unitDisplay: rank ? "short" : "narrow", maximumFractionDigits: value < 100 && rank ? 1 : 0 }).format(value);
}

export const date = (at: string) => new Intl.DateTimeFormat(language(), { day: "numeric", month: "short", year: "numeric" }).format(new Date(at));
export const time = (at: string) => new Intl.DateTimeFormat(language(), { hour: "2-digit", minute: "2-digit" }).format(new Date(at));
export const moment = (at: string) => new Intl.DateTimeFormat(language(), { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(new Date(at));

/** "3 hours ago", in the shortest form. */
export function ago(at: string, now = Date.now()): string {
  const seconds = Math.round((new Date(at).getTime() - now) / 1_000);
  const told = new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "short" });
  for (const [unit, size] of RANKS) if (Math.abs(seconds) >= size) return told.format(Math.trunc(seconds / size), unit);
  return told.format(0, "second");
}

export const duration = (ms: number) =>
  ms < 1_000
    ? new Intl.NumberFormat(language(), { style: "unit", unit: "millisecond", maximumFractionDigits: 0 }).format(ms)
    : new Intl.NumberFormat(language(), { style: "unit", unit: "second", maximumFractionDigits: 1 }).format(ms / 1_000);
