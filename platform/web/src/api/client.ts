import createClient from "openapi-fetch";

import { language } from "../i18n";
import { ApiProblem, problemOf } from "./problem";
import type { paths } from "./schema";

const HOME = "/api/v1/auth/";
let csrf = "";
let refreshing: Promise<boolean> | undefined;

export function keepCsrf(token: string | null | undefined): void {
  csrf = token ?? "";
}

/** `fetch` of our own API: names the language, proves the origin, and renews the session once where it has expired. */
export async function send(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await attempt(request);
  const path = new URL(request.url).pathname;
  const mayRenew = !path.startsWith(HOME) || path === `${HOME}me`;
  return response.status === 401 && mayRenew && (await renew()) ? attempt(again) : response;
}

async function attempt(request: Request): Promise<Response> {
  request.headers.set("Accept-Language", language());
  if (csrf) request.headers.set("X-CSRF-Token", csrf);
  try {
    return await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new ApiProblem("offline", "", 0);
  }
}

/** Of many calls that come at once one asks: a refresh token works once. */
function renew(): Promise<boolean> {
  refreshing ??= attempt(new Request(`${location.origin}${HOME}refresh`, { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } }))
    .then(async (response) => {
      if (response.ok) keepCsrf(((await response.json()) as { csrf_token?: string }).csrf_token);
      return response.ok;
    })
    .catch(() => false)
    .finally(() => (refreshing = undefined));
  return refreshing;
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

type Reply<T> = { data?: T; error?: unknown; response: Response };

/** What a call answered; throws ApiProblem. */
export async function done<T>(call: Promise<Reply<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw problemOf(error, response.status);
  return data as T;
}

type Paged<T> = { items: T[]; next: string | null };

/** The pages of a list one after another, `most` items at most. */
export async function all<T>(page: (after?: string) => Promise<Reply<Paged<T>>>, most = 1000): Promise<T[]> {
  const items: T[] = [];
  for (let after: string | undefined; ; ) {
    const found = await done(page(after));
    items.push(...found.items);
    if (!found.next || items.length >= most) return items;
    after = found.next;
  }
}

/** Calls that the description has no types for: streams and files. Throws ApiProblem. */
export async function raw(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await send(new Request(`${location.origin}/api/v1/${path}`, init));
  if (response.ok) return response;
  throw problemOf(await response.json().catch(() => undefined), response.status);
}
