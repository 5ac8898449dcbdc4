import { useQuery } from "@tanstack/react-query";
import { Command } from "cmdk";
import { FileText, Languages, Moon, Search, Sun } from "lucide-react";
import { Dialog } from "radix-ui";
import { type ReactNode, useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import { api, done } from "../api/client";
import { useMay } from "../session/me";
import { chooseTheme } from "../theme";
import { PLACES } from "./places";
import { useLanguageSwitch } from "./switches";

/** Pages, documents by name and a few deeds, by keyboard. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const may = useMay();
  const go = useNavigate();
  const turn = useLanguageSwitch();
  const [words, setWords] = useState("");
  const documents = useDocuments(useDeferredValue(words.trim()));
  const then = (deed: () => unknown) => () => (onClose(), void deed());
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-veil animate-fade" />
        <Dialog.Content aria-describedby={undefined} className="fixed inset-x-3 top-[14vh] z-50 mx-auto max-w-xl overflow-hidden rounded-2xl border border-line bg-raised shadow-float animate-rise">
          <Dialog.Title className="sr-only">{t("palette.title")}</Dialog.Title>
          <Command label={t("palette.title")} loop>
            <div className="flex items-center gap-2.5 border-b border-line px-4">
              <Search aria-hidden className="size-4 shrink-0 text-soft" />
              <Command.Input value={words} onValueChange={setWords} placeholder={t("palette.placeholder")} className="h-12 grow bg-transparent outline-none placeholder:text-soft" />
            </div>
            <Command.List className="max-h-[50vh] overflow-y-auto p-1.5">
              <Command.Empty className="px-3 py-8 text-center text-soft">{t("palette.nothing")}</Command.Empty>
              <Group name={t("palette.pages")}>
                {PLACES.filter((place) => may(place.needs)).map(({ path, key, icon: Icon }) => (
                  <Item key={path} icon={<Icon aria-hidden />} name={t(`place.${key}`)} onSelect={then(() => go(path))} />
                ))}
              </Group>
              {documents.length > 0 && (
                <Group name={t("place.knowledge")}>
                  {documents.map(({ id, title }) => (
                    <Item key={id} id={id} icon={<FileText aria-hidden />} name={title} onSelect={then(() => go(`/knowledge/${id}`))} />
                  ))}
                </Group>
              )}
              <Group name={t("palette.deeds")}>
                <Item icon={<Languages aria-hidden />} name={t("palette.language")} onSelect={then(turn)} />
                <Item icon={<Moon aria-hidden />} name={t("palette.dark")} onSelect={then(() => chooseTheme("dark"))} />
                <Item icon={<Sun aria-hidden />} name={t("palette.light")} onSelect={then(() => chooseTheme("light"))} />
              </Group>
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Group({ name, children }: { name: string; children: ReactNode }) {
  return (
    <Command.Group heading={name} className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2.5 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-[11px] [&_[cmdk-group-heading]]:font-medium [&_[cmdk-group-heading]]:tracking-wide [&_[cmdk-group-heading]]:text-soft [&_[cmdk-group-heading]]:uppercase">
      {children}
    </Command.Group>
  );
}

function Item({ id = "", icon, name, onSelect }: { id?: string; icon: ReactNode; name: string; onSelect: () => void }) {
  return (
    <Command.Item value={`${name} ${id}`} onSelect={onSelect} className="flex h-10 items-center gap-3 rounded-lg px-2.5 data-[selected=true]:bg-sunken [&_svg]:size-4 [&_svg]:text-soft">
      {icon}
      <span className="truncate">{name}</span>
    </Command.Item>
  );
}

function useDocuments(words: string) {
  const may = useMay();
  const query = useQuery({
    queryKey: ["found", words],
    queryFn: () => done(api.GET("/api/v1/documents", { params: { query: { q: words, kind: "file", limit: 6 } } })),
    enabled: words.length > 1 && may("documents.read"),
  });
  return query.data?.items ?? [];
}
