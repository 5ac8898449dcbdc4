import i18next from "i18next";
import { initReactI18next } from "react-i18next";

export type Language = "en" | "ru";
const KEPT = "asissto.language";
const LOCALES = { en: () => import("./locales/en.json"), ru: () => import("./locales/ru.json") };

/** What the person chose, else what the browser speaks. */
export function wantedLanguage(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "ru") return kept;
  return navigator.language.toLowerCase().startsWith("ru") ? "ru" : "en";
}

export const language = () => (i18next.resolvedLanguage ?? wantedLanguage()) as Language;

export async function startTexts(): Promise<void> {
  const wanted = wantedLanguage();
  await i18next.use(initReactI18next).init({ lng: wanted, fallbackLng: false, resources: {}, interpolation: { escapeValue: false }, returnNull: false });
  await speak(wanted);
}

/** Only the language that is spoken is fetched. */
export async function speak(wanted: Language): Promise<void> {
  const { default: texts } = await LOCALES[wanted]();
  i18next.addResourceBundle(wanted, "translation", texts);
  await i18next.changeLanguage(wanted);
  document.documentElement.lang = wanted;
}

export async function choose(wanted: Language): Promise<void> {
  localStorage.setItem(KEPT, wanted);
  await speak(wanted);
}
