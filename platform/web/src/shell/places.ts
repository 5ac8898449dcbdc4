import { BookOpen, FlaskConical, Inbox, type LucideIcon,  } from "lucide-react";

import type { Permission } from "../session/me";

export type Place = { path: string; key: string; icon: LucideIcon; needs: Permission };
export type Group = { key: string; places: readonly Place[] };

/** The pages of the sidebar and of the palette; whoever lacks the permission sees no way to a page. */
export const GROUPS: readonly Group[] = [
  {
    key: "work",
    places: [
      { path: "/inbox", key: "inbox", icon: Inbox, needs: "conversations.read" },
      { path: "/playground", key: "playground", icon: FlaskConical, needs: "ask" },
    ],
  },
  {
    key: "build",
    places: [
      { path: "/knowledge", key: "knowledge", icon: BookOpen, needs: "documents.read" },
    ],
  },
  {
    key: "workspace",
    places: [
    ],
  },
];

export const PLACES = GROUPS.flatMap(({ places }) => places);
