import { clsx } from "clsx";
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

type Entry = { name: string; icon?: ReactNode; onSelect: () => void; danger?: boolean; disabled?: boolean; current?: boolean };
type MenuProps = { trigger: ReactNode; entries: readonly (Entry | "line")[]; align?: "start" | "end"; head?: ReactNode };

const ITEM =
  "flex items-center gap-2.5 rounded-md px-2.5 py-1.5 text-sm outline-none data-[disabled]:opacity-50 data-[highlighted]:bg-sunken [&_svg]:size-4 [&_svg]:shrink-0 [&_svg]:text-soft";

export function Menu({ trigger, entries, align = "end", head }: MenuProps) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align={align} sideOffset={6} collisionPadding={8} className="z-50 max-w-80 min-w-44 rounded-xl border border-line bg-raised p-1 shadow-float animate-rise">
          {head && <div className="px-2.5 py-2">{head}</div>}
          {entries.map((entry, place) =>
            entry === "line" ? (
              <DropdownMenu.Separator key={place} className="mx-1 my-1 h-px bg-line" />
            ) : (
              <DropdownMenu.Item key={entry.name} disabled={entry.disabled ?? false} onSelect={entry.onSelect} className={clsx(ITEM, entry.danger && "text-bad [&_svg]:text-bad", entry.current && "font-medium")}>
                {entry.icon}
                <span className="grow truncate">{entry.name}</span>
                {entry.current && <span aria-hidden>✓</span>}
              </DropdownMenu.Item>
            ),
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
