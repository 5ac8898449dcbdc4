import { useQuery, useQueryClient } from "@tanstack/react-query";
import { clsx } from "clsx";
import { ChevronsUpDown, LogOut, Search, Settings } from "lucide-react";
import { useTranslation } from "react-i18next";
import { NavLink, useNavigate } from "react-router";

import { api, done } from "../api/client";
import { number } from "../format";
import { useMay, useMe } from "../session/me";
import { Menu } from "../ui/menu";
import { tellError } from "../ui/toasts";
import { Mark } from "./mark";
import { GROUPS, type Place } from "./places";
import { LanguageButton, ThemeButton } from "./switches";

export function Sidebar({ onSearch, onGo }: { onSearch: () => void; onGo?: () => void }) {
  const { t } = useTranslation();
  const may = useMay();
  const waiting = useWaiting();
  return (
    <div className="flex h-full flex-col gap-1 p-3">
      <WorkspaceMenu />
      <SearchButton onSearch={onSearch} />
      <nav aria-label={t("shell.navigation")} className="mt-2 grow space-y-4 overflow-y-auto">
        {GROUPS.map((group) => {
          const places = group.places.filter((place) => may(place.needs));
          if (!places.length) return null;
          return (
            <div key={group.key}>
              <h2 className="px-2 pb-1.5 text-[11px] font-medium tracking-wide text-soft uppercase">{t(`group.${group.key}`)}</h2>
              <ul className="space-y-0.5">
                {places.map((place) => (
                  <li key={place.path}>
                    <PlaceLink place={place} {...(onGo && { onGo })} badge={place.key === "inbox" ? waiting : 0} />
                  </li>
                ))}
              </ul>
            </div>
          );
        })}
      </nav>
      <div className="flex items-center gap-1 pt-2">
        <ThemeButton />
        <LanguageButton />
      </div>
    </div>
  );
}

function PlaceLink({ place, badge, onGo }: { place: Place; badge: number; onGo?: () => void }) {
  const { t } = useTranslation();
  const Icon = place.icon;
  return (
    <NavLink
      to={place.path}
      end={place.path === "/"}
      {...(onGo && { onClick: onGo })}
      className={({ isActive }) => clsx("flex h-8 items-center gap-2.5 rounded-lg border px-2 transition-colors", isActive ? "border-line bg-raised font-medium text-ink shadow-card" : "border-transparent text-soft hover:bg-sunken hover:text-ink")}
    >
      <Icon aria-hidden className="size-4 shrink-0" />
      <span className="grow truncate">{t(`place.${place.key}`)}</span>
      {badge > 0 && (
        <span className="rounded-full bg-accent px-1.5 text-[11px] leading-[18px] font-semibold text-on-accent tabular-nums">
          {number(badge)}
          <span className="sr-only"> {t("inbox.waiting")}</span>
        </span>
      )}
    </NavLink>
  );
}

function useWaiting(): number {
  const may = useMay();
  const query = useQuery({
    queryKey: ["inbox", "count"],
    queryFn: () => done(api.GET("/api/v1/inbox", { params: { query: { status: ["pending"], limit: 100 } } })),
    enabled: may("conversations.read"),
  });
  return query.data?.items.length ?? 0;
}

function SearchButton({ onSearch }: { onSearch: () => void }) {
  const { t } = useTranslation();
  const keys = navigator.platform.startsWith("Mac") ? "⌘K" : "Ctrl K";
  return (
    <button type="button" aria-keyshortcuts="Control+K Meta+K" onClick={onSearch} className="mt-2 flex h-8 items-center gap-2 rounded-lg border border-line bg-raised px-2.5 text-[13px] text-soft shadow-card hover:text-ink">
      <Search aria-hidden className="size-3.5" />
      <span className="grow truncate text-left">{t("palette.placeholder")}</span>
      <kbd aria-hidden className="rounded border border-line px-1 font-sans text-[10px] leading-4 whitespace-nowrap">{keys}</kbd>
    </button>
  );
}

/** Names the workspace and the person; a session is one of one workspace. */
function WorkspaceMenu() {
  const { t } = useTranslation();
  const me = useMe();
  const go = useNavigate();
  const cache = useQueryClient();
  const leave = async () => {
    try {
      await done(api.POST("/api/v1/auth/sign-out"));
      cache.clear();
      await go("/sign-in");
    } catch (error) {
      tellError(error);
    }
  };
  const head = (
    <>
      <p className="truncate font-medium">{me.user.name}</p>
      <p className="truncate text-xs text-soft">{me.user.email}</p>
      <p className="mt-1 text-xs text-soft">{t(`role.${me.role}`)}</p>
    </>
  );
  return (
    <Menu
      align="start"
      head={head}
      entries={[
        "line",
        { name: t("place.settings"), icon: <Settings aria-hidden />, onSelect: () => void go("/settings") },
        { name: t("session.signOut"), icon: <LogOut aria-hidden />, onSelect: () => void leave() },
      ]}
      trigger={
        <button type="button" className="flex w-full items-center gap-2.5 rounded-lg p-1.5 text-left hover:bg-sunken data-[state=open]:bg-sunken">
          <Mark />
          <span className="min-w-0 grow leading-tight">
            <span className="block truncate text-sm font-semibold">{me.tenant.name}</span>
            <span className="block truncate text-xs text-soft">{me.user.name}</span>
          </span>
          <ChevronsUpDown aria-hidden className="size-4 shrink-0 text-soft" />
        </button>
      }
    />
  );
}
