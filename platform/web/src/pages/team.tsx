import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Ellipsis, Plus, UserMinus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { api, done } from "../api/client";
import type { InvitationOut, MemberOut, MeOut } from "../api/schema";
import { wrong } from "../errors";
import { date } from "../format";
import { fieldsOf, useSending } from "../session/form";
import { useMay, useMe } from "../session/me";
import { Badge } from "../ui/badge";
import { Button, IconButton } from "../ui/button";
import { Card, Page, Panel } from "../ui/card";
import { Dialog, Sure } from "../ui/dialog";
import { Field, Select } from "../ui/field";
import { Menu } from "../ui/menu";
import { ErrorState, Forbidden, Trouble } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { tell, tellError } from "../ui/toasts";
import { SkeletonRows } from "../ui/waiting";
import { useMembers } from "./inbox/people";

type Role = MeOut["role"];
const ROLES: readonly Role[] = ["owner", "editor", "operator", "analyst"];

export default function TeamPage() {
  const may = useMay();
  return may("members.read") ? <Team /> : <Forbidden />;
}

function Team() {
  const { t } = useTranslation();
  const may = useMay();
  const members = useMembers();
  const [isInviting, setInviting] = useState(false);
  const invite = may("invitations.write") && (
    <Button kind="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setInviting(true)}>
      {t("team.invite")}
    </Button>
  );
  return (
    <Page title={t("place.team")} hint={t("team.hint")} actions={invite}>
      <div className="space-y-5">
        {members.error ? <Card><ErrorState error={members.error} retry={() => void members.refetch()} /></Card> : members.isPending ? <Card><SkeletonRows rows={3} /></Card> : <Members members={members.data} />}
        <Invitations />
        <Roles />
      </div>
      {isInviting && <InviteDialog onClose={() => setInviting(false)} />}
    </Page>
  );
}

function Members({ members }: { members: readonly MemberOut[] }) {
  const { t } = useTranslation();
  const me = useMe();
  const canWrite = useMay()("members.write");
  const cache = useQueryClient();
  const [leaving, setLeaving] = useState<MemberOut>();
  const refresh = () => cache.invalidateQueries({ queryKey: ["members"] });
  const changeRole = async ({ user_id }: MemberOut, role: Role) => {
    try {
      await done(api.PATCH("/api/v1/members/{user_id}", { params: { path: { user_id } }, body: { role } }));
      tell(t("team.roleChanged"));
    } catch (error) {
      tellError(error);
    }
    await refresh();
  };
  const remove = async () => {
    if (leaving) await done(api.DELETE("/api/v1/members/{user_id}", { params: { path: { user_id: leaving.user_id } } }));
    await refresh();
  };
  const columns: Column<MemberOut>[] = [
    { key: "name", name: t("team.name"), width: "minmax(0,2fr)", onCard: "head", cell: (row) => <Person row={row} isMe={row.user_id === me.user.id} /> },
    {
      key: "role",
      name: t("team.role"),
      width: "11rem",
      cell: (row) =>
        canWrite && row.user_id !== me.user.id ? (
          <Select hideLabel label={t("team.roleOf", { name: row.name })} value={row.role} onChange={(event) => void changeRole(row, event.target.value as Role)} options={ROLES.map((role) => ({ value: role, name: t(`role.${role}`) }))} />
        ) : (
          t(`role.${row.role}`)
        ),
    },
    { key: "joined", name: t("team.joined"), width: "9rem", cell: (row) => <span className="text-soft">{date(row.joined_at)}</span> },
    {
      key: "menu",
      name: t("knowledge.deeds"),
      hideName: true,
      width: "2rem",
      onCard: "corner",
      cell: (row) =>
        canWrite && row.user_id !== me.user.id ? (
          <Menu trigger={<IconButton label={t("knowledge.menuOf", { name: row.name })}><Ellipsis aria-hidden className="size-4" /></IconButton>} entries={[{ name: t("team.remove"), icon: <UserMinus aria-hidden />, danger: true, onSelect: () => setLeaving(row) }]} />
        ) : null,
    },
  ];
  return (
    <>
      <Table label={t("place.team")} columns={columns} rows={members} rowKey={({ user_id }) => user_id} />
      <Sure open={leaving !== undefined} onClose={() => setLeaving(undefined)} title={t("team.removeTitle")} action={t("team.remove")} onSure={remove}>
        {t("team.removeHint", { name: leaving?.name })}
      </Sure>
    </>
  );
}

function Person({ row, isMe }: { row: MemberOut; isMe: boolean }) {
  const { t } = useTranslation();
  const letters = row.name.split(/\s+/).slice(0, 2).map((word) => word[0]).join("").toUpperCase();
  return (
    <div className="flex min-w-0 items-center gap-3">
      <span aria-hidden className="flex size-8 shrink-0 items-center justify-center rounded-full bg-tint text-xs font-semibold text-on-tint">
        {letters}
      </span>
      <div className="min-w-0">
        <p className="truncate font-medium">
          {row.name} {isMe && <span className="font-normal text-soft">{t("team.you")}</span>}
        </p>
        <p className="truncate text-xs text-soft">{row.email}</p>
      </div>
    </div>
  );
}

function Invitations() {
  const { t } = useTranslation();
  const may = useMay();
  const cache = useQueryClient();
  const query = useQuery({ queryKey: ["invitations"], queryFn: () => done(api.GET("/api/v1/invitations", { params: { query: { limit: 100 } } })) });
  const open = query.data?.items.filter(({ state }) => state === "open") ?? [];
  if (!open.length) return null;
  const revoke = async ({ id }: InvitationOut) => {
    try {
      await done(api.DELETE("/api/v1/invitations/{invitation_id}", { params: { path: { invitation_id: id } } }));
      await cache.invalidateQueries({ queryKey: ["invitations"] });
    } catch (error) {
      tellError(error);
    }
  };
  return (
    <Panel title={t("team.invited")}>
      <ul className="divide-y divide-line">
        {open.map((invitation) => (
          <li key={invitation.id} className="flex flex-wrap items-center gap-3 py-2.5 first:pt-0 last:pb-0">
            <span className="min-w-0 grow truncate">{invitation.email}</span>
            <Badge>{t(`role.${invitation.role}`)}</Badge>
            <span className="text-xs text-soft">{t("team.until", { date: date(invitation.expires_at) })}</span>
            {may("invitations.write") && (
              <Button small kind="quiet" onClick={() => void revoke(invitation)}>
                {t("team.revoke")}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Roles() {
  const { t } = useTranslation();
  return (
    <Panel title={t("team.roles")}>
      <dl className="grid grid-cols-1 gap-x-8 gap-y-3 text-[13px] sm:grid-cols-2">
        {ROLES.map((role) => (
          <div key={role}>
            <dt className="font-medium">{t(`role.${role}`)}</dt>
            <dd className="text-soft">{t(`roleHint.${role}`)}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function InviteDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [link, setLink] = useState<string>();
  const sending = useSending(async ({ email = "", role = "operator" }: Record<string, string>) => {
    const made = await done(api.POST("/api/v1/invitations", { body: { email, role: role as Role } }));
    await cache.invalidateQueries({ queryKey: ["invitations"] });
    if (made.link) return setLink(made.link);
    tell(t("team.sent", { email }));
    onClose();
  });
  return (
    <Dialog open onClose={onClose} title={t("team.invite")} hint={link ? t("team.linkHint") : t("team.inviteHint")}>
      {link ? (
        <LinkToSend link={link} onClose={onClose} />
      ) : (
        <form className="space-y-4" onSubmit={(event) => void sending.send(fieldsOf(event))}>
          <Field label={t("session.email")} name="email" type="email" required autoComplete="off" error={wrong(sending.error, "email")} />
          <Select label={t("team.role")} name="role" defaultValue="operator" options={ROLES.map((role) => ({ value: role, name: `${t(`role.${role}`)} — ${t(`roleHint.${role}`)}` }))} />
          <Trouble error={sending.error} />
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>{t("action.cancel")}</Button>
            <Button kind="primary" type="submit" busy={sending.busy}>
              {t("team.inviteAction")}
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

/** Where the server sends no mail. */
function LinkToSend({ link, onClose }: { link: string; onClose: () => void }) {
  const { t } = useTranslation();
  const copy = async () => {
    await navigator.clipboard.writeText(link);
    tell(t("action.copied"));
  };
  return (
    <div className="space-y-4">
      <Field hideLabel label={t("team.link")} readOnly value={link} onFocus={(event) => event.target.select()} />
      <div className="flex justify-end gap-2">
        <Button icon={<Copy aria-hidden className="size-4" />} onClick={() => void copy()}>
          {t("action.copy")}
        </Button>
        <Button kind="primary" onClick={onClose}>
          {t("action.done")}
        </Button>
      </div>
    </div>
  );
}
