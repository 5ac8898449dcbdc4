import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { Navigate, Outlet, useLocation } from "react-router";

import { follow, type Listening } from "../api/live";
import { isSignedOut } from "../api/problem";
import { Shell } from "../shell/shell";
import { ErrorState } from "../ui/states";
import { Spinner } from "../ui/waiting";
import { MeContext, useMeQuery } from "./me";

/** Everything behind the sign-in: who one is, the stream of changes, the frame around the pages. */
export function SignedIn() {
  const { data: me, error, refetch } = useMeQuery();
  const listening = useChanges(me?.permissions);
  const { pathname, search, hash } = useLocation();
  if (isSignedOut(error)) {
    const next = pathname === "/" ? "" : `?next=${encodeURIComponent(pathname + search + hash)}`;
    return <Navigate to={`/sign-in${next}`} replace />;
  }
  if (!me) return <main className="grid min-h-dvh place-items-center">{error ? <ErrorState error={error} retry={() => void refetch()} /> : <Spinner className="size-6 text-soft" />}</main>;
  return (
    <MeContext value={me}>
      <Shell isCutOff={listening === "down"}>
        <Suspense fallback={<div className="grid h-64 place-items-center"><Spinner className="size-5 text-soft" /></div>}>
          <Outlet />
        </Suspense>
      </Shell>
    </MeContext>
  );
}

function useChanges(permissions: readonly string[] | undefined): Listening {
  const cache = useQueryClient();
  const [listening, setListening] = useState<Listening>("connecting");
  const topics = permissions?.join();
  useEffect(() => {
    if (topics === undefined) return;
    const ending = new AbortController();
    void follow(cache, topics.split(","), ending.signal, setListening);
    return () => ending.abort();
  }, [cache, topics]);
  return listening;
}
