import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { KeyIn, KeyOut } from "../../api/schema";
import { wrong } from "../../errors";
import { date } from "../../format";
import { useSending } from "../../session/form";
import { useMay, useMe } from "../../session/me";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Panel } from "../../ui/card";
import { Dialog, Sure } from "../../ui/dialog";
import { Check, Field } from "../../ui/field";
import { Blank, ErrorState, Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { SkeletonRows } from "../../ui/waiting";

const DAY_MS = 86_400_000;
/** What no key may hold, whoever made it. */
const NOT_FOR_KEYS = /^(me\.|keys\.|members\.write$|invitations\.write$|billing\.write$|platform\.)/;

export function ApiKeys() {
  const { t } = useTranslation();
  const canWrite = useMay()("keys.write");
  const cache = useQueryClient();
  const [isMaking, setMaking] = useState(false);
  const [ending, setEnding] = useState<KeyOut>();
  const query = useQuery({ queryKey: ["keys"], queryFn: () => done(api.GET("/api/v1/keys", { params: { query: { limit: 200 } } })) });
  const keys = query.data?.items.filter(({ revoked_at }) => !revoked_at) ?? [];
  const make = canWrite && (
    <Button small icon={<Plus aria-hidden className="size-3.5" />} onClick={() => setMaking(true)}>
      {t("key.make")}
    </Button>
  );
  const revoke = async () => {
    if (ending) await done(api.DELETE("/api/v1/keys/{key_id}", { params: { path: { key_id: ending.id } } }));
    await cache.invalidateQueries({ queryKey: ["keys"] });
  };
  return (
    <Panel title={t("settings.tab.keys")} hint={t("key.hint")} action={make}>
      {query.error ? <ErrorState error={query.error} retry={() => void query.refetch()} /> : query.isPending ? <SkeletonRows rows={2} /> : keys.length ? (
        <ul className="divide-y divide-line">
          {keys.map((key) => (
            <li key={key.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3 first:pt-0 last:pb-0">
              <div className="min-w-0 grow">
                <p className="truncate font-medium">{key.name}</p>
                <p className="truncate text-xs text-soft">
                  <code>ast_{key.prefix}…</code> · {key.last_used_at ? t("key.used", { date: date(key.last_used_at) }) : t("key.unused")} · {key.expires_at ? t("key.until", { date: date(key.expires_at) }) : t("key.noEnd")}
                </p>
              </div>
              <Badge>{t("key.scopes", { count: key.scopes.length })}</Badge>
              {canWrite && <Button small kind="quiet" onClick={() => setEnding(key)}>{t("key.revoke")}</Button>}
            </li>
          ))}
        </ul>
      ) : (
        <Blank icon={KeyRound} title={t("key.empty")}>{t("key.emptyHint")}</Blank>
      )}
      {isMaking && <MakeKey onClose={() => setMaking(false)} />}
      <Sure open={ending !== undefined} onClose={() => setEnding(undefined)} title={t("key.revokeTitle")} action={t("key.revoke")} onSure={revoke}>
        {t("key.revokeHint", { name: ending?.name })}
      </Sure>
    </Panel>
  );
}

function MakeKey({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { permissions } = useMe();
  const cache = useQueryClient();
  const [name, setName] = useState("");
  const [days, setDays] = useState("90");
  const [scopes, setScopes] = useState<readonly string[]>(["ask", "documents.read", "documents.write"]);
  const [key, setKey] = useState<string>();
  const sending = useSending(async () => {
    const expires_at = days ? new Date(Date.now() + Number(days) * DAY_MS).toISOString() : null;
    const made = await done(api.POST("/api/v1/keys", { body: { name, scopes: scopes as KeyIn["scopes"], expires_at } }));
    setKey(made.key);
    await cache.invalidateQueries({ queryKey: ["keys"] });
  });
  if (key) {
    const copy = async () => (await navigator.clipboard.writeText(key), tell(t("action.copied")));
    return (
      <Dialog open onClose={onClose} title={t("key.made")} hint={t("key.madeHint")}>
        <Field hideLabel label={t("key.made")} readOnly value={key} className="font-mono" onFocus={(event) => event.target.select()} />
        <div className="mt-4 flex justify-end gap-2">
          <Button icon={<Copy aria-hidden className="size-4" />} onClick={() => void copy()}>{t("action.copy")}</Button>
          <Button kind="primary" onClick={onClose}>{t("action.done")}</Button>
        </div>
      </Dialog>
    );
  }
  const turn = (scope: string, isOn: boolean) => setScopes(isOn ? [...scopes, scope] : scopes.filter((each) => each !== scope));
  return (
    <Dialog open wide onClose={onClose} title={t("key.make")} hint={t("key.makeHint")}>
      <form className="space-y-4" onSubmit={(event) => (event.preventDefault(), void sending.send())}>
        <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
          <Field label={t("key.name")} value={name} required maxLength={200} onChange={(event) => setName(event.target.value)} error={wrong(sending.error, "name")} />
          <Field label={t("key.days")} type="number" min={1} value={days} onChange={(event) => setDays(event.target.value)} hint={t("key.daysHint")} error={wrong(sending.error, "expires_at")} />
        </div>
        <fieldset>
          <legend className="mb-2 text-[13px] font-medium">{t("key.may")}</legend>
          <div className="grid grid-cols-1 gap-2 sm:grid-cols-2">
            {permissions.filter((each) => !NOT_FOR_KEYS.test(each)).map((scope) => (
              <Check key={scope} label={scope} checked={scopes.includes(scope)} onChange={(isOn) => turn(scope, isOn)} />
            ))}
          </div>
        </fieldset>
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy} disabled={!scopes.length}>{t("key.makeAction")}</Button>
        </div>
      </form>
    </Dialog>
  );
}
