import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { clsx } from "clsx";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";

export type Column<T> = { key: string; name: string; cell: (row: T) => ReactNode; width?: string; end?: boolean; hideName?: boolean; onCard?: "head" | "line" | "corner" | "none" };
type TableProps<T> = { label: string; columns: readonly Column<T>[]; rows: readonly T[]; rowKey: (row: T) => string; chosen?: (row: T) => boolean };

const VIRTUAL_FROM = 80;

/** A table on a wide screen, cards on a narrow one; of many rows only those in sight are made. */
export function Table<T>(props: TableProps<T>) {
  const { label, columns, rows } = props;
  const grid = { "--columns": columns.map((column) => column.width ?? "minmax(0,1fr)").join(" ") } as React.CSSProperties;
  return (
    <div role="table" aria-label={label} aria-rowcount={rows.length + 1} style={grid} className="rounded-xl border border-line bg-card shadow-card">
      <div role="rowgroup" className="hidden rounded-t-xl border-b border-line bg-sunken/60 md:block">
        <div role="row" aria-rowindex={1} className="grid grid-cols-(--columns) items-center gap-4 px-4 py-2.5">
          {columns.map((column) => (
            <div key={column.key} role="columnheader" className={clsx("text-xs font-medium text-soft", column.end && "text-right")}>
              {column.hideName ? <span className="sr-only">{column.name}</span> : column.name}
            </div>
          ))}
        </div>
      </div>
      {rows.length < VIRTUAL_FROM ? <Plain {...props} /> : <Virtual {...props} />}
    </div>
  );
}

function Plain<T>({ rows, rowKey, columns, chosen }: TableProps<T>) {
  return (
    <div role="rowgroup" className="divide-y divide-line">
      {rows.map((row, place) => (
        <Row key={rowKey(row)} row={row} place={place} columns={columns} isChosen={chosen?.(row) ?? false} />
      ))}
    </div>
  );
}

function Virtual<T>({ rows, rowKey, columns, chosen }: TableProps<T>) {
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY), []);
  const window_ = useWindowVirtualizer({ count: rows.length, estimateSize: () => 58, overscan: 12, scrollMargin: top, getItemKey: (place) => rowKey(rows[place] as T) });
  return (
    <div ref={body} role="rowgroup" className="relative" style={{ height: window_.getTotalSize() }}>
      {window_.getVirtualItems().map(({ key, index, start }) => (
        <div key={key} role="presentation" data-index={index} ref={window_.measureElement} className="absolute inset-x-0 top-0 border-b border-line" style={{ transform: `translateY(${start - top}px)` }}>
          <Row row={rows[index] as T} place={index} columns={columns} isChosen={chosen?.(rows[index] as T) ?? false} />
        </div>
      ))}
    </div>
  );
}

const ON_CARD = { head: "order-1 basis-3/4 grow", corner: "order-2 ml-auto", line: "order-3", none: "hidden md:block" };

function Row<T>({ row, place, columns, isChosen }: { row: T; place: number; columns: readonly Column<T>[]; isChosen: boolean }) {
  return (
    <div role="row" aria-rowindex={place + 2} className={clsx("flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3 transition-colors md:grid md:grid-cols-(--columns)", isChosen ? "bg-tint/60" : "hover:bg-sunken/45")}>
      {columns.map((column) => (
        <div key={column.key} role="cell" className={clsx("min-w-0 md:order-none", ON_CARD[column.onCard ?? "line"], column.end && "md:text-right")}>
          {column.cell(row)}
        </div>
      ))}
    </div>
  );
}
