import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { all, api, done } from "../../api/client";
import type { Played } from "../../api/schema";
import { wrong } from "../../errors";
import { fieldsOf, useSending } from "../../session/form";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Field, Select } from "../../ui/field";
import { Trouble } from "../../ui/states";
import { tell } from "../../ui/toasts";

const NEW = "new";
type Props = { question: string; played: Played; assistantId: string; onClose: () => void };

/** Keeps a question with what is expected of its answer, so that every later version is held to it. */
export function SaveCase({ question, played, assistantId, onClose }: Props) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const sets = useQuery({ queryKey: ["question-sets"], queryFn: () => all((after) => api.GET("/api/v1/question-sets", { params: { query: { limit: 200, after } } })) });
  const sending = useSending(async ({ set = "", name = "", expected = "", cite = "" }: Record<string, string>) => {
    const set_id = set === NEW ? (await done(api.POST("/api/v1/question-sets", { body: { name: name || t("case.firstSet"), assistant_id: assistantId } }))).id : set;
    const document = played.citations[0];
    const must_cite = cite && document ? [{ document_id: document.document_id }] : [];
    await done(api.POST("/api/v1/question-sets/{set_id}/cases", { params: { path: { set_id } }, body: { question, expected: expected as "answer" | "abstain", must_cite } }));
    await cache.invalidateQueries({ queryKey: ["question-sets"] });
    tell(t("case.saved"));
    onClose();
  });
  const options = [...(sets.data ?? []).map(({ id, name }) => ({ value: id, name })), { value: NEW, name: t("case.newSet") }];
  const expected = (["answer", "abstain"] as const).map((value) => ({ value, name: t(`case.expected.${value}`) }));
  return (
    <Dialog open onClose={onClose} title={t("playground.save")} hint={t("case.hint")}>
      <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
        <p className="rounded-lg bg-sunken px-3 py-2 text-[13px] break-words">{question}</p>
        <Select key={options.length} label={t("case.set")} name="set" options={options} />
        {options.length === 1 && <Field label={t("case.setName")} name="name" defaultValue={t("case.firstSet")} maxLength={200} error={wrong(sending.error, "name")} />}
        <Select label={t("case.expects")} name="expected" defaultValue={played.answered ? "answer" : "abstain"} options={expected} />
        {played.citations[0] && (
          <label className="flex items-center gap-2.5">
            <input type="checkbox" name="cite" defaultChecked={played.answered} className="size-4 accent-accent" />
            <span className="min-w-0 truncate">{t("case.cites", { name: played.citations[0].document })}</span>
          </label>
        )}
        <Trouble error={sending.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button kind="primary" type="submit" busy={sending.busy}>
            {t("action.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
