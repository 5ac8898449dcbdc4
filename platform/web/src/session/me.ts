import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";

import { api, done, keepCsrf } from "../api/client";
import type { MeOut } from "../api/schema";

export type Permission = MeOut["permissions"][number];

export const ME = ["me"] as const;

export async function readMe(): Promise<MeOut> {
  const me = await done(api.GET("/api/v1/auth/me"));
  keepCsrf(me.csrf_token);
  return me;
}

export const useMeQuery = () => useQuery({ queryKey: ME, queryFn: readMe, staleTime: 60_000, retry: false });

export const MeContext = createContext<MeOut | null>(null);

/** Inside the signed-in part alone. */
export function useMe(): MeOut {
  const me = useContext(MeContext);
  if (!me) throw new Error("nobody is signed in here");
  return me;
}

export const useMay = () => {
  const { permissions } = useMe();
  return (permission: Permission) => permissions.includes(permission);
};
