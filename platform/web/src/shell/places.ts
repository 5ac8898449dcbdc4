import { BookOpen, Bot, FlaskConical, House, Inbox, type LucideIcon, Plug, Settings, Users } from "lucide-react";

import type { Permission } from "../session/me";

export type Place = { path: string; key: string; icon: LucideIcon; needs: Permission };
export type Group = { key: string; places: readonly Place[] };

/** The pages of the sidebar and of the palette; whoever lacks the permission sees no way to a page. */
export const GROUPS: readonly Group[] = [
  {
    key: "work",
    places: [
      { path: "/", key: "home", icon: House, needs: "tenant.read" },
      { path: "/inbox", key: "inbox", icon: Inbox, needs: "conversations.read" },
      { path: "/playground", key: "playground", icon: FlaskConical, needs: "ask" },
    ],
  },
  {
    key: "build",
    places: [
      { path: "/assistants", key: "assistants", icon: Bot, needs: "assistants.read" },
      { path: "/knowledge", key: "knowledge", icon: BookOpen, needs: "documents.read" },
      { path: "/channels", key: "channels", icon: Plug, needs: "channels.read" },
    ],
  },
  {
    key: "workspace",
    places: [
      { path: "/team", key: "team", icon: Users, needs: "members.read" },
      { path: "/settings", key: "settings", icon: Settings, needs: "me.read" },
    ],
  },
];

export const PLACES = GROUPS.flatMap(({ places }) => places);
