import { useQueryClient } from "@tanstack/react-query";
import { Languages, Monitor, Moon, Sun } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { choose, language } from "../i18n";
import { chooseTheme, keptTheme, type Theme } from "../theme";
import { buttonClass, IconButton } from "../ui/button";
import { Menu } from "../ui/menu";

const SIGNS = { system: Monitor, light: Sun, dark: Moon };
const OTHER = { en: "ru", ru: "en" } as const;
const NAMES = { en: "English", ru: "Русский" };

export function ThemeButton() {
  const { t } = useTranslation();
  const [theme, setTheme] = useState(keptTheme);
  const Sign = SIGNS[theme];
  const take = (next: Theme) => (chooseTheme(next), setTheme(next));
  const entries = (["system", "light", "dark"] as const).map((each) => {
    const Icon = SIGNS[each];
    return { name: t(`theme.${each}`), icon: <Icon aria-hidden />, current: each === theme, onSelect: () => take(each) };
  });
  return <Menu align="start" entries={entries} trigger={<IconButton label={t("theme.title")}><Sign aria-hidden className="size-4" /></IconButton>} />;
}

/** Sentences of the server come in the language of the question: what is shown is asked for anew. */
export function useLanguageSwitch() {
  const cache = useQueryClient();
  return async () => {
    await choose(OTHER[language()]);
    await cache.invalidateQueries();
  };
}

export function LanguageButton() {
  useTranslation();
  const turn = useLanguageSwitch();
  const other = OTHER[language()];
  return (
    <button type="button" lang={other} className={buttonClass("quiet", true)} onClick={() => void turn()}>
      <Languages aria-hidden className="size-4" />
      {NAMES[other]}
    </button>
  );
}
