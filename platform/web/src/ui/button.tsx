import { clsx } from "clsx";
import { type ButtonHTMLAttributes, forwardRef, type ReactNode } from "react";

import { Spinner } from "./waiting";

type Kind = "primary" | "plain" | "quiet" | "danger";
type Props = ButtonHTMLAttributes<HTMLButtonElement> & { kind?: Kind; icon?: ReactNode; busy?: boolean; small?: boolean };

const KINDS: Record<Kind, string> = {
  primary: "bg-accent text-on-accent shadow-card hover:bg-accent-strong",
  plain: "border border-line bg-raised text-ink shadow-card hover:bg-sunken",
  quiet: "text-soft hover:bg-sunken hover:text-ink",
  danger: "bg-bad text-page shadow-card hover:opacity-90",
};

export const buttonClass = (kind: Kind = "plain", small = false) =>
  clsx(
    "inline-flex shrink-0 items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap transition-colors select-none disabled:pointer-events-none disabled:opacity-55",
    small ? "h-8 px-2.5 text-[13px]" : "h-9 px-3.5 text-sm",
    KINDS[kind],
  );

/** While `busy` it keeps its size and takes no click. */
export const Button = forwardRef<HTMLButtonElement, Props>(function Button({ kind, icon, busy, small, className, children, disabled, ...rest }, ref) {
  return (
    <button ref={ref} type="button" {...rest} disabled={disabled || busy} aria-busy={busy || undefined} className={clsx(buttonClass(kind, small), className)}>
      {busy ? <Spinner /> : icon}
      {children}
    </button>
  );
});

type IconProps = ButtonHTMLAttributes<HTMLButtonElement> & { label: string };

export const IconButton = forwardRef<HTMLButtonElement, IconProps>(function IconButton({ label, className, children, ...rest }, ref) {
  return (
    <button ref={ref} type="button" aria-label={label} title={label} {...rest} className={clsx("inline-flex size-8 shrink-0 items-center justify-center rounded-lg text-soft transition-colors hover:bg-sunken hover:text-ink disabled:opacity-50 data-[state=open]:bg-sunken data-[state=open]:text-ink", className)}>
      {children}
    </button>
  );
});
