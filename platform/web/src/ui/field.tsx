import { clsx } from "clsx";
import { ChevronDown } from "lucide-react";
import { forwardRef, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from "react";

const BOX =
  "w-full rounded-lg border border-strong-line/55 bg-raised text-ink shadow-card transition-colors placeholder:text-soft hover:border-strong-line focus-visible:border-accent focus-visible:outline-offset-0 disabled:bg-sunken disabled:text-soft aria-invalid:border-bad";

type Around = { label: string; hint?: ReactNode; error?: string | undefined; hideLabel?: boolean; className?: string };
type Ids = { id: string; "aria-describedby": string | undefined; "aria-invalid": true | undefined };

/** A label that belongs to its control, what helps below it, and what is wrong in its place. */
function Around({ label, hint, error, hideLabel, className, children }: Around & { children: (ids: Ids) => ReactNode }) {
  const id = useId();
  const told = error ?? hint;
  return (
    <div className={className}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "mb-1.5 block text-[13px] font-medium"}>
        {label}
      </label>
      {children({ id, "aria-describedby": told ? `${id}-told` : undefined, "aria-invalid": error ? true : undefined })}
      {told && (
        <p id={`${id}-told`} className={clsx("mt-1.5 text-xs", error ? "text-bad" : "text-soft")}>
          {told}
        </p>
      )}
    </div>
  );
}

type FieldProps = Around & Omit<InputHTMLAttributes<HTMLInputElement>, "className">;

export const Field = forwardRef<HTMLInputElement, FieldProps>(function Field({ label, hint, error, hideLabel, className, ...rest }, ref) {
  return (
    <Around {...{ label, hint, error, hideLabel, className }}>
      {(ids) => <input ref={ref} {...rest} {...ids} className={clsx(BOX, "h-9 px-3")} />}
    </Around>
  );
});

type AreaProps = Around & Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "className">;

export const Area = forwardRef<HTMLTextAreaElement, AreaProps>(function Area({ label, hint, error, hideLabel, className, ...rest }, ref) {
  return (
    <Around {...{ label, hint, error, hideLabel, className }}>
      {(ids) => <textarea ref={ref} rows={3} {...rest} {...ids} className={clsx(BOX, "block resize-y px-3 py-2")} />}
    </Around>
  );
});

type SelectProps = Around & Omit<SelectHTMLAttributes<HTMLSelectElement>, "className"> & { options: readonly { value: string; name: string }[] };

/** The system's own list: it works on telephones and with every screen reader. */
export function Select({ label, hint, error, hideLabel, className, options, ...rest }: SelectProps) {
  return (
    <Around {...{ label, hint, error, hideLabel, className }}>
      {(ids) => (
        <div className="relative">
          <select {...rest} {...ids} className={clsx(BOX, "h-9 appearance-none truncate pr-8 pl-3")}>
            {options.map(({ value, name }) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
          <ChevronDown aria-hidden className="pointer-events-none absolute top-2.5 right-2.5 size-4 text-soft" />
        </div>
      )}
    </Around>
  );
}

type CheckProps = { label: string; hint?: string; checked: boolean; disabled?: boolean; onChange: (checked: boolean) => void };

export function Check({ label, hint, checked, disabled, onChange }: CheckProps) {
  const id = useId();
  return (
    <div className="flex items-start gap-2.5">
      <input id={id} type="checkbox" checked={checked} disabled={disabled} aria-describedby={hint && `${id}-hint`} onChange={(event) => onChange(event.target.checked)} className="mt-0.5 size-4 accent-accent" />
      <label htmlFor={id} className="grow">
        <span className="font-medium">{label}</span>
        {hint && (
          <span id={`${id}-hint`} className="block text-xs text-soft">
            {hint}
          </span>
        )}
      </label>
    </div>
  );
}
