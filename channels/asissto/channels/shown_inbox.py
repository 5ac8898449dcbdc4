"""Conversations as the inbox shows them: with channel, contact, last words, and since when the customer waits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.tables import Channel, Contact, Thread
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.who_said import SAID, by_customer, by_person

SHOWN_CHARACTERS = 200
WAITING = ("pending", "human")


class ChannelBrief(msgspec.Struct, frozen=True):
    id: UUID
    type: str
    name: str


class ContactOut(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts of one person have the same `person_id`."""

    id: UUID
    person_id: UUID
    channel_id: UUID
    external_id: str
    name: str | None
    email: str | None
    phone: str | None
    language: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: Contact) -> Self:
        same = {name: getattr(row, name) for name in cls.__struct_fields__ if name != "person_id"}
        return cls(**same, person_id=row.person_id or row.id)


class LastSaid(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is its beginning. `by_member`: a person answered, here or in the provider's own app."""

    sender_kind: str
    by_member: bool
    text: str
    at: datetime


class InboxOut(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is bot, pending (a person was called), human (a person has it) or closed.

    `reach` is open, or why the customer cannot be written to; null on the API channel, where nothing is sent.
    `waiting_since` is set while the customer waits for a person's answer.
    """

    id: UUID
    status: str
    channel: ChannelBrief
    assistant_id: UUID
    user_id: UUID | None
    contact: ContactOut | None
    reach: str | None
    assignee_id: UUID | None
    tags: list[str]
    handed_over_reason: str | None
    handed_over_at: datetime | None
    waiting_since: datetime | None
    last: LastSaid | None
    created_at: datetime
    updated_at: datetime


_SAME = (
    "id", "status", "assistant_id", "user_id", "assignee_id", "tags", "handed_over_reason", "handed_over_at",
    "created_at", "updated_at",
)  # fmt: skip


async def show(session: AsyncSession, tenant_id: UUID, rows: Sequence[Conversation]) -> list[InboxOut]:
    """A few queries for all of them."""
    ids = [row.id for row in rows]
    channels = await _by_id(session, Channel, tenant_id, {row.channel_id for row in rows})
    contacts = await _by_id(session, Contact, tenant_id, {row.contact_id for row in rows if row.contact_id})
    threads = await _by_id(session, Thread, tenant_id, set(ids))
    last = await _last_said(session, tenant_id, ids)
    unanswered = await _unanswered(session, tenant_id, [row.id for row in rows if row.status in WAITING])
    return [
        InboxOut(
            **{name: getattr(row, name) for name in _SAME},
            channel=ChannelBrief(row.channel_id, channels[row.channel_id].type, channels[row.channel_id].name),
            contact=ContactOut.of(contacts[row.contact_id]) if row.contact_id in contacts else None,
            reach=threads[row.id].reach if row.id in threads else None,
            waiting_since=_later(unanswered.get(row.id), row.handed_over_at),
            last=last.get(row.id),
        )
        for row in rows
    ]


def _later(asked_at: datetime | None, handed_over_at: datetime | None) -> datetime | None:
    """Before the hand-over it was the assistant's answer that was waited for."""
    return asked_at and max(asked_at, handed_over_at or asked_at)


async def _by_id(session: AsyncSession, kind: Any, tenant_id: UUID, ids: set[UUID]) -> dict[UUID, Any]:
    found = await session.scalars(select(kind).where(kind.tenant_id == tenant_id, kind.id.in_(ids)))
    return {row.id: row for row in found}


async def _last_said(session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, LastSaid]:
    text = func.left(Message.content, SHOWN_CHARACTERS).label("text")
    newest = (
        select(Message.sender_kind, by_person().label("by_member"), text, Message.created_at.label("at"))
        .where(Message.tenant_id == tenant_id, Message.conversation_id == Conversation.id)
        .where(Message.sender_kind.in_(SAID))
        .order_by(Message.id.desc())
        .limit(1)
        .lateral()
    )
    mine = select(Conversation.id.label("of"), newest).join(newest, true())
    rows = await session.execute(mine.where(Conversation.tenant_id == tenant_id, Conversation.id.in_(ids)))
    return {
        row.of: LastSaid(sender_kind=row.sender_kind, by_member=row.by_member, text=row.text, at=row.at) for row in rows
    }


async def _unanswered(session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """When the customer wrote the first message that no person has answered yet."""
    own = (Message.tenant_id == tenant_id, Message.conversation_id == Conversation.id)
    answered = (
        select(Message.id)
        .where(*own, by_person())
        .order_by(Message.id.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    asked = select(Message.created_at.label("at")).where(
        *own, by_customer(), func.coalesce(Message.id > answered, true())
    )
    first = asked.order_by(Message.id).limit(1).lateral()
    mine = select(Conversation.id, first.c.at).join(first, true())
    rows = await session.execute(mine.where(Conversation.tenant_id == tenant_id, Conversation.id.in_(ids)))
    return {row.id: row.at for row in rows}
