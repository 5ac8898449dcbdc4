import { useQuery, useQueryClient } from "@tanstack/react-query";
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { api, done } from "../../api/client";
import type { InboxOut } from "../../api/schema";
import { ago, moment } from "../../format";
import { useMay, useMe } from "../../session/me";
import { Badge } from "../../ui/badge";
import { IconButton } from "../../ui/button";
import { Field, Select } from "../../ui/field";
import { tellError } from "../../ui/toasts";
import { ChannelIcon } from "./channel-icon";
import { nameOf, useMembers, useTick } from "./people";

/** Who writes, who cares for it, what else they wrote; over the thread where there is no room beside it. */
export function ContactPanel({ conversation, isOpen, onClose }: { conversation: InboxOut; isOpen: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <>
      <aside aria-label={t("inbox.contact")} className="hidden min-h-0 overflow-y-auto border-l border-line bg-card p-5 2xl:block">
        <Content conversation={conversation} />
      </aside>
      <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
        <Dialog.Portal>
          <Dialog.Overlay className="fixed inset-0 z-40 bg-veil animate-fade" />
          <Dialog.Content aria-describedby={undefined} className="fixed inset-y-0 right-0 z-50 w-80 max-w-[88vw] overflow-y-auto border-l border-line bg-card p-5 shadow-float">
            <div className="mb-2 flex items-center justify-between">
              <Dialog.Title className="font-semibold">{t("inbox.contact")}</Dialog.Title>
              <Dialog.Close asChild>
                <IconButton label={t("action.close")}>
                  <X aria-hidden className="size-4" />
                </IconButton>
              </Dialog.Close>
            </div>
            <Content conversation={conversation} />
          </Dialog.Content>
        </Dialog.Portal>
      </Dialog.Root>
    </>
  );
}

function Content({ conversation }: { conversation: InboxOut }) {
  const { t } = useTranslation();
  const { contact, channel } = conversation;
  const facts: [string, ReactNode][] = [
    [t("inbox.channel"), <span className="inline-flex items-center gap-1.5" key="channel"><ChannelIcon type={channel.type} />{channel.name}</span>],
    [t("session.email"), contact?.email],
    [t("contact.phone"), contact?.phone],
    [t("contact.language"), contact?.language],
    [t("contact.began"), moment(conversation.created_at)],
  ];
  return (
    <div className="space-y-6">
      <div>
        <p className="text-base font-semibold break-words">{nameOf(conversation, t)}</p>
        <dl className="mt-3 space-y-2 text-[13px]">
          {facts.filter(([, value]) => value).map(([name, value]) => (
            <div key={name}>
              <dt className="text-xs text-soft">{name}</dt>
              <dd className="break-words">{value}</dd>
            </div>
          ))}
        </dl>
      </div>
      <Care conversation={conversation} />
      <Earlier conversation={conversation} />
    </div>
  );
}

function Care({ conversation }: { conversation: InboxOut }) {
  const { t } = useTranslation();
  const may = useMay();
  const me = useMe();
  const cache = useQueryClient();
  const members = useMembers();
  const canWrite = may("conversations.write");
  const path = { params: { path: { conversation_id: conversation.id } } };
  const save = async (call: Promise<unknown>) => {
    try {
      await call;
      await Promise.all([cache.invalidateQueries({ queryKey: ["conversation", conversation.id] }), cache.invalidateQueries({ queryKey: ["inbox"] })]);
    } catch (error) {
      tellError(error);
    }
  };
  const assign = (user_id: string) => save(done(api.POST("/api/v1/conversations/{conversation_id}/assign", { ...path, body: { user_id: user_id || null } })));
  const tag = (tags: string[]) => save(done(api.PUT("/api/v1/conversations/{conversation_id}/tags", { ...path, body: { tags } })));
  const people = members.data ?? [{ user_id: me.user.id, name: me.user.name }];
  const options = [{ value: "", name: t("contact.nobody") }, ...people.map(({ user_id, name }) => ({ value: user_id, name: user_id === me.user.id ? t("contact.me", { name }) : name }))];
  return (
    <div className="space-y-4">
      <Select label={t("contact.assignee")} value={conversation.assignee_id ?? ""} disabled={!canWrite} onChange={(event) => void assign(event.target.value)} options={options} />
      <Tags tags={conversation.tags} canWrite={canWrite} onChange={(tags) => void tag(tags)} />
    </div>
  );
}

function Tags({ tags, canWrite, onChange }: { tags: readonly string[]; canWrite: boolean; onChange: (tags: string[]) => void }) {
  const { t } = useTranslation();
  const [word, setWord] = useState("");
  const add = () => {
    const wanted = word.trim();
    if (wanted && !tags.includes(wanted)) onChange([...tags, wanted]);
    setWord("");
  };
  return (
    <div className="space-y-2">
      {canWrite ? <Field label={t("document.tags")} value={word} maxLength={50} placeholder={t("contact.addTag")} onChange={(event) => setWord(event.target.value)} onKeyDown={(event) => event.key === "Enter" && (event.preventDefault(), add())} /> : <p className="text-[13px] font-medium">{t("document.tags")}</p>}
      <ul className="flex flex-wrap gap-1.5">
        {tags.map((each) => (
          <li key={each}>
            <Badge>
              {each}
              {canWrite && (
                <button type="button" aria-label={t("contact.dropTag", { tag: each })} onClick={() => onChange(tags.filter((other) => other !== each))} className="-mr-1 rounded hover:text-ink">
                  <X aria-hidden />
                </button>
              )}
            </Badge>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Earlier({ conversation }: { conversation: InboxOut }) {
  const { t } = useTranslation();
  const now = useTick();
  const person = conversation.contact?.person_id;
  const query = useQuery({ queryKey: ["inbox", "person", person], queryFn: () => done(api.GET("/api/v1/inbox", { params: { query: { person_id: person ?? null, limit: 10 } } })), enabled: person !== undefined });
  const others = query.data?.items.filter(({ id }) => id !== conversation.id) ?? [];
  if (!others.length) return null;
  return (
    <div>
      <h3 className="mb-2 text-[13px] font-medium">{t("contact.earlier")}</h3>
      <ul className="space-y-1.5">
        {others.map((other) => (
          <li key={other.id}>
            <Link to={`/inbox/${other.id}`} className="block rounded-lg border border-line px-3 py-2 text-[13px] hover:bg-sunken">
              <span className="line-clamp-1">{other.last?.text || t("inbox.noWords")}</span>
              <span className="text-xs text-soft">
                {t(`inbox.status.${other.status}`)} · {ago(other.updated_at, now)}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
