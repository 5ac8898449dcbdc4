import { clsx } from "clsx";
import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";

import { number } from "../format";

type Filter<T extends string> = { value: T; name: string; count?: number | undefined };

/** One of a few views of the same list. */
export function Filters<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: readonly Filter<T>[]; onChange: (value: T) => void }) {
  return (
    <div role="group" aria-label={label} className="inline-flex max-w-full gap-0.5 overflow-x-auto rounded-lg bg-sunken p-0.5">
      {options.map((each) => (
        <button
          key={each.value}
          type="button"
          aria-pressed={each.value === value}
          onClick={() => onChange(each.value)}
          className={clsx("flex h-8 items-center gap-1.5 rounded-md px-2.5 text-[13px] whitespace-nowrap transition-colors", each.value === value ? "bg-chosen font-medium text-ink shadow-card" : "text-soft hover:text-ink")}
        >
          {each.name}
          {each.count !== undefined && <span className="text-soft tabular-nums">{number(each.count)}</span>}
        </button>
      ))}
    </div>
  );
}

export function Tabs({ value, onChange, tabs }: { value: string; onChange: (value: string) => void; tabs: readonly { value: string; name: string; content: ReactNode }[] }) {
  return (
    <Radix.Root value={value} onValueChange={onChange}>
      <Radix.List className="flex gap-5 overflow-x-auto border-b border-line px-5">
        {tabs.map((tab) => (
          <Radix.Trigger key={tab.value} value={tab.value} className="-mb-px border-b-2 border-transparent py-2.5 text-[13px] font-medium whitespace-nowrap text-soft hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink">
            {tab.name}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.value} value={tab.value} className="rounded-b-xl">
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
