import { useQueryClient } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { ChannelsChannelRoutesTrialOut as Trial } from "../../api/schema";
import { wrong } from "../../errors";
import { fieldsOf, useSending } from "../../session/form";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Field, Select } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { channelPath, TrialResult } from "../channels";
import { ChannelIcon } from "../inbox/channel-icon";
import { bodyOf, FORMS, type Input, KINDS, type Kind } from "./forms";

/** Which kind, its account, and a live look whether it works. */
export function ConnectDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [kind, setKind] = useState<Kind>();
  const title = kind ? t("channel.connectOne", { type: t(`channel.type.${kind}`) }) : t("channel.connect");
  return (
    <Dialog open onClose={onClose} wide={!kind} title={title} hint={kind ? t(`channel.how.${kind}`) : t("channel.pickHint")}>
      {kind ? <Form kind={kind} onBack={() => setKind(undefined)} onClose={onClose} /> : <Kinds onPick={setKind} />}
    </Dialog>
  );
}

function Kinds({ onPick }: { onPick: (kind: Kind) => void }) {
  const { t } = useTranslation();
  return (
    <ul className="grid grid-cols-1 gap-2.5 sm:grid-cols-2">
      {KINDS.map((kind) => (
        <li key={kind}>
          <button type="button" onClick={() => onPick(kind)} className="flex w-full items-center gap-3 rounded-xl border border-line px-4 py-3 text-left hover:border-strong-line hover:bg-sunken/50">
            <span className="flex size-9 items-center justify-center rounded-xl bg-tint text-on-tint">
              <ChannelIcon type={kind} className="size-4.5" />
            </span>
            <span className="grow font-medium">{t(`channel.type.${kind}`)}</span>
            <ChevronRight aria-hidden className="size-4 text-soft" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Form({ kind, onBack, onClose }: { kind: Kind; onBack: () => void; onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [trial, setTrial] = useState<Trial>();
  const sending = useSending(async (fields: Record<string, string>) => {
    const made = await done(api.POST("/api/v1/channels", { body: bodyOf(kind, fields) }));
    await cache.invalidateQueries({ queryKey: ["channels"] });
    setTrial(await done(api.POST("/api/v1/channels/{channel_id}/check", channelPath(made.id))));
    await cache.invalidateQueries({ queryKey: ["channels"] });
  });
  if (trial) {
    return (
      <div className="space-y-4">
        <TrialResult trial={trial} />
        <p className="text-soft">{t(trial.ok ? "channel.connected" : "channel.keptBroken")}</p>
        <div className="flex justify-end">
          <Button kind="primary" onClick={onClose}>
            {t("action.done")}
          </Button>
        </div>
      </div>
    );
  }
  return (
    <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
      <Field label={t("channel.name")} name="name" required maxLength={200} defaultValue={t(`channel.type.${kind}`)} error={wrong(sending.error, "name")} />
      {FORMS[kind].map((input) => (
        <InputField key={input.path} input={input} error={wrong(sending.error, input.path)} />
      ))}
      <Trouble error={sending.error} />
      <div className="flex justify-between gap-2">
        <Button kind="quiet" icon={<ChevronLeft aria-hidden className="size-4" />} onClick={onBack}>
          {t("action.back")}
        </Button>
        <Button kind="primary" type="submit" busy={sending.busy}>
          {t("channel.connectAction")}
        </Button>
      </div>
    </form>
  );
}

function InputField({ input, error }: { input: Input; error: string | undefined }) {
  const { t } = useTranslation();
  const label = t(`channel.field.${input.label}`);
  if (input.options) return <Select label={label} name={input.path} options={input.options.map((value) => ({ value, name: t(`channel.option.${value}`) }))} />;
  return <Field label={label} name={input.path} type={input.type ?? "text"} required={!input.optional} placeholder={input.example} defaultValue={input.value} autoComplete="off" spellCheck={false} error={error} />;
}
