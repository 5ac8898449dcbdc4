import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../../api/client";
import type { AssistantOut, DraftOut } from "../../api/schema";
import { fieldsOf, useSending } from "../../session/form";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";
import { pathOf } from "../assistant";

/** Makes the draft the next version; where a set of questions guards the assistant, it may say wait or no. */
export function PublishDialog({ assistant, draft, onClose }: { assistant: AssistantOut; draft: DraftOut; onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [isWaiting, setWaiting] = useState(false);
  const sending = useSending(async ({ note = "" }: Record<string, string>) => {
    const told = await done(api.POST("/api/v1/assistants/{assistant_id}/publish", { ...pathOf(assistant.id), body: { note, revision: draft.revision } }));
    if (!told.published) {
      setWaiting(true);
      return;
    }
    onClose();
    tell(t("assistant.published", { number: told.assistant.version }));
    await Promise.all([cache.invalidateQueries({ queryKey: ["assistant", assistant.id] }), cache.invalidateQueries({ queryKey: ["assistants"] })]);
  });
  return (
    <Dialog open onClose={onClose} title={t("assistant.publish")} hint={t("assistant.publishHint", { number: assistant.version + 1 })}>
      <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
        <Field label={t("assistant.note")} name="note" maxLength={2000} hint={t("assistant.noteHint")} />
        {isWaiting && <p role="status" className="rounded-lg bg-warn-tint px-3 py-2 text-[13px] text-warn">{t("assistant.gateRuns")}</p>}
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy}>
            {t("assistant.publish")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
