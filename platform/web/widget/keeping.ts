/** What is kept for the next page: the session in localStorage, whether the chat is open for this tab alone. */

export interface Kept {
  token: string;
  /** Of a known visitor; an anonymous one has none. */
  user?: string;
}

/** Where the browser keeps nothing, the page does, as long as it lives. */
const memory = new Map<string, string>();

function read(storage: () => Storage, key: string): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return memory.get(key) ?? null;
  }
}

function write(storage: () => Storage, key: string, value: string | null): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    if (value === null) memory.delete(key);
    else memory.set(key, value);
  }
}

export function keptSession(id: string): Kept | null {
  try {
    const kept = JSON.parse(read(() => localStorage, `asissto:${id}`) ?? "null") as Kept | null;
    return kept !== null && typeof kept.token === "string" ? kept : null;
  } catch {
    return null;
  }
}

export function keepSession(id: string, kept: Kept | null): void {
  write(() => localStorage, `asissto:${id}`, kept && JSON.stringify(kept));
}

export function wasOpen(id: string): boolean {
  return read(() => sessionStorage, `asissto-open:${id}`) !== null;
}

export function keepOpen(id: string, isOpen: boolean): void {
  write(() => sessionStorage, `asissto-open:${id}`, isOpen ? "1" : null);
}
