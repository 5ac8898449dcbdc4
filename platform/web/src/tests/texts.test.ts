import { expect, test } from "vitest";

import en from "../locales/en.json";
import ru from "../locales/ru.json";

type Texts = { [key: string]: string | Texts };
const PLURAL = /_(one|few|many|other)$/;
const SOURCES = import.meta.glob<string>(["../**/*.{ts,tsx}", "!../tests/**"], { query: "?raw", import: "default", eager: true });
const code = Object.values(SOURCES).join("\n");

function leaves(texts: Texts, path = ""): [string, string][] {
  return Object.entries(texts).flatMap(([key, value]) => (typeof value === "string" ? [[path + key, value] as [string, string]] : leaves(value, `${path}${key}.`)));
}

const keys = (texts: Texts) => new Set(leaves(texts).map(([key]) => key.replace(PLURAL, "")));
const holes = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((found) => found[1]).sort();

test("both languages say the same things", () => {
  expect([...keys(ru)].sort()).toEqual([...keys(en)].sort());
});

test("every plural has all forms of its language", () => {
  const forms = (texts: Texts, wanted: string[]) => {
    const stems = new Set(leaves(texts).map(([key]) => key).filter((key) => PLURAL.test(key)).map((key) => key.replace(PLURAL, "")));
    const all = new Set(leaves(texts).map(([key]) => key));
    return [...stems].filter((stem) => wanted.some((form) => !all.has(`${stem}_${form}`)));
  };
  expect(forms(en, ["one", "other"])).toEqual([]);
  expect(forms(ru, ["one", "few", "many", "other"])).toEqual([]);
});

test("both languages leave the same holes", () => {
  const english = new Map(leaves(en).map(([key, text]) => [key.replace(PLURAL, ""), holes(text)]));
  for (const [key, text] of leaves(ru)) expect([key, holes(text)]).toEqual([key, english.get(key.replace(PLURAL, ""))]);
});

test("nothing is empty", () => {
  expect([...leaves(en), ...leaves(ru)].filter(([, text]) => !text.trim())).toEqual([]);
});

test("every key that the code names has its text", () => {
  const known = keys(en);
  const named = [...code.matchAll(/\bt\(\[?"([\w.]+)"/g)].map((found) => found[1] as string);
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter((key) => !known.has(key))).toEqual([]);
});

test("every text is asked for somewhere", () => {
  const named = (key: string) => code.includes(`"${key}"`) || families.some((family) => key.startsWith(family));
  const families = [...code.matchAll(/`([\w.]+\.)\$\{/g)].map((found) => found[1] as string);
  expect([...keys(en)].filter((key) => !named(key))).toEqual([]);
});
