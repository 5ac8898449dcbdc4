/** What the script tag says: which widget, in which language and colours, for whom. */

export type Language = "ru" | "en";
export type Theme = "light" | "dark" | "auto";

export interface Identity {
  user_id: string;
  signature: string;
  expires_at?: number;
  name?: string;
}

export interface Config {
  /** Of the widget's routes, with a slash at the end. */
  api: string;
  /** `tenant/channel` */
  id: string;
  language: Language;
  theme: Theme;
  color: string;
  side: "left" | "right";
  suggestions: string[];
  user: Identity | null;
  /** The panel is the whole page: it stands in a frame. */
  isFrame: boolean;
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const ID = new RegExp(`^${UUID}/${UUID}$`);
const MOST_SUGGESTIONS = 4;

/** Null where `id` names no widget. */
export function readConfig(
  src: string,
  data: Record<string, string | undefined>,
  languages: readonly string[],
  fragment = "",
): Config | null {
  const id = (data["id"] ?? "").trim().toLowerCase();
  if (!ID.test(id)) return null;
  return {
    api: new URL(`api/v1/widget/${id}/`, new URL(".", src)).href,
    id,
    language: languageOf([data["lang"] ?? "", ...languages]),
    theme: data["theme"] === "light" || data["theme"] === "dark" ? data["theme"] : "auto",
    color: data["color"] ?? "",
    side: data["side"] === "left" ? "left" : "right",
    suggestions: (data["suggestions"] ?? "").split("|").map((each) => each.trim()).filter(Boolean).slice(0, MOST_SUGGESTIONS),
    user: identityOf(data["user"]) ?? identityOf(new URLSearchParams(fragment.replace(/^#/, "")).get("user")),
    isFrame: "frame" in data,
  };
}

/** The first that the widget speaks; English where it speaks none of them. */
export function languageOf(tags: readonly string[]): Language {
  const known = tags.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag === "ru" || tag === "en");
  return known === "ru" ? "ru" : "en";
}

/** Null where it is none; whether the signature is good only the server can say. */
export function identityOf(json: string | null | undefined): Identity | null {
  try {
    const read: unknown = JSON.parse(json ?? "null");
    return isIdentity(read) ? read : null;
  } catch {
    return null;
  }
}

export function isIdentity(given: unknown): given is Identity {
  if (typeof given !== "object" || given === null) return false;
  const { user_id, signature } = given as Record<string, unknown>;
  return typeof user_id === "string" && typeof signature === "string";
}
