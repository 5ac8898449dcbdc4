import { CloudOff, Menu as MenuIcon, ShieldAlert, X } from "lucide-react";
import { Dialog } from "radix-ui";
import { lazy, type ReactNode, Suspense, useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useLocation } from "react-router";

import { moment } from "../format";
import { useMe } from "../session/me";
import { IconButton } from "../ui/button";
import { Mark } from "./mark";
import { Sidebar } from "./sidebar";

const Palette = lazy(() => import("./palette"));

/** Sidebar, banners, the page, and the palette over it. */
export function Shell({ isCutOff, children }: { isCutOff: boolean; children: ReactNode }) {
  const { t } = useTranslation();
  const [isSearching, setSearching] = useState(false);
  useSearchKey(() => setSearching(true));
  return (
    <div className="md:grid md:grid-cols-[15.5rem_minmax(0,1fr)]">
      <a href="#page" className="sr-only z-50 rounded-lg bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-3 focus:left-3">
        {t("shell.skip")}
      </a>
      <aside className="sticky top-0 hidden h-dvh border-r border-line bg-side md:block">
        <Sidebar onSearch={() => setSearching(true)} />
      </aside>
      <div className="min-w-0">
        <TopBar onSearch={() => setSearching(true)} />
        <Banners isCutOff={isCutOff} />
        <main id="page" tabIndex={-1} className="outline-none">
          {children}
        </main>
      </div>
      {isSearching && (
        <Suspense>
          <Palette onClose={() => setSearching(false)} />
        </Suspense>
      )}
    </div>
  );
}

/** On a telephone the sidebar comes in from the side. */
function TopBar({ onSearch }: { onSearch: () => void }) {
  const { t } = useTranslation();
  const { tenant } = useMe();
  const { pathname } = useLocation();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(false), [pathname]);
  return (
    <header className="sticky top-0 z-30 flex h-13 items-center gap-2.5 border-b border-line bg-side/95 px-3 backdrop-blur md:hidden">
      <Dialog.Root open={isOpen} onOpenChange={setOpen}>
        <Dialog.Trigger asChild>
          <IconButton label={t("shell.openMenu")}>
            <MenuIcon aria-hidden className="size-5" />
          </IconButton>
        </Dialog.Trigger>
        <Dialog.Portal>
          <Dialog.Overlay className="fixed inset-0 z-40 bg-veil animate-fade" />
          <Dialog.Content aria-describedby={undefined} className="fixed inset-y-0 left-0 z-50 w-72 max-w-[85vw] border-r border-line bg-side shadow-float">
            <Dialog.Title className="sr-only">{t("shell.navigation")}</Dialog.Title>
            <Sidebar onSearch={() => (setOpen(false), onSearch())} onGo={() => setOpen(false)} />
            <Dialog.Close asChild>
              <IconButton label={t("action.close")} className="absolute top-4 -right-11 bg-raised">
                <X aria-hidden className="size-4" />
              </IconButton>
            </Dialog.Close>
          </Dialog.Content>
        </Dialog.Portal>
      </Dialog.Root>
      <Mark className="size-7 rounded-lg text-xs" />
      <span className="truncate font-semibold">{tenant.name}</span>
    </header>
  );
}

function Banners({ isCutOff }: { isCutOff: boolean }) {
  const { t } = useTranslation();
  const { impersonated_by: actor } = useMe();
  const isOffline = !useSyncExternalStore(onLine, () => navigator.onLine);
  return (
    <>
      {(isOffline || isCutOff) && (
        <p role="status" className="flex items-center justify-center gap-2 bg-warn-tint px-4 py-1.5 text-center text-[13px] font-medium text-warn">
          <CloudOff aria-hidden className="size-4 shrink-0" />
          {isOffline ? t("shell.offline") : t("shell.cutOff")}
        </p>
      )}
      {actor && (
        <p role="status" className="flex items-center justify-center gap-2 bg-bad-tint px-4 py-1.5 text-center text-[13px] font-medium text-bad">
          <ShieldAlert aria-hidden className="size-4 shrink-0" />
          {t("shell.impersonated", { name: actor.name, until: moment(actor.until) })}
        </p>
      )}
    </>
  );
}

function onLine(listener: () => void): () => void {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => (window.removeEventListener("online", listener), window.removeEventListener("offline", listener));
}

function useSearchKey(open: () => void): void {
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if (event.code !== "KeyK" || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      open();
    };
    window.addEventListener("keydown", hear);
    return () => window.removeEventListener("keydown", hear);
  });
}
