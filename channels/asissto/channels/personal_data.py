"""Which rows are about a person: an end user with all contacts that were joined, or a member with what they asked."""

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.tables import Contact, InboundEvent, Outgoing, StoredAttachment, Thread
from asissto.platform.tables import Base
from asissto.retrieval.analytics_tables import Feedback
from asissto.retrieval.tables import Citation, Conversation, Message, Receipt
from asissto.retrieval.topics.tables import AskedQuestion

Row = dict[str, Any]

OF_CONVERSATION = {"threads": Thread.id, "events": InboundEvent.conversation_id, "deliveries": Outgoing.conversation_id}
OF_MESSAGES = {
    "citations": Citation,
    "receipts": Receipt,
    "attachments": StoredAttachment,
    "feedback": Feedback,
    "questions": AskedQuestion,
}


def same_person(tenant_id: UUID, contact: Contact) -> list[ColumnElement[bool]]:
    """Conditions for the contact and all that are joined with it."""
    person = contact.person_id or contact.id
    return [Contact.tenant_id == tenant_id, func.coalesce(Contact.person_id, Contact.id) == person]


async def contacts_of(session: AsyncSession, tenant_id: UUID, contact_id: UUID, *, lock: bool = False) -> list[UUID]:
    """The ids of one person's contacts; empty where there is no such contact."""
    contact = await session.get(Contact, (tenant_id, contact_id))
    if contact is None:
        return []
    theirs = select(Contact.id).where(*same_person(tenant_id, contact)).order_by(Contact.id)
    return list(await session.scalars(theirs.with_for_update() if lock else theirs))


def conversations_of(tenant_id: UUID, subject: str, ids: Iterable[UUID]) -> Select[UUID]:
    """Of contacts, or of members who asked for themselves."""
    theirs = Conversation.contact_id if subject == "contact" else Conversation.user_id
    return select(Conversation.id).where(Conversation.tenant_id == tenant_id, theirs.in_(ids))


async def files_of(session: AsyncSession, tenant_id: UUID, conversation_ids: Iterable[UUID]) -> list[str]:
    """Keys of what was sent in the conversations besides words."""
    messages = select(Message.id).where(Message.tenant_id == tenant_id, Message.conversation_id.in_(conversation_ids))
    mine = (StoredAttachment.tenant_id == tenant_id, StoredAttachment.message_id.in_(messages))
    keys = await session.scalars(select(StoredAttachment.file_key).where(*mine))
    return [key for key in keys if key is not None]


async def rows(session: AsyncSession, kind: type[Base], *conditions: ColumnElement[bool]) -> list[Row]:
    """By column, as the database has them, the oldest first."""
    table = cast("Table", kind.__table__)
    found = await session.execute(select(table).where(*conditions).order_by(*table.primary_key))
    return [dict(row) for row in found.mappings()]


async def everything_in(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> dict[str, list[Row]]:
    """A conversation with messages, receipts, attachments, events and deliveries."""
    messages = select(Message.id).where(Message.tenant_id == tenant_id, Message.conversation_id == conversation_id)
    found = {
        "conversation": await rows(
            session, Conversation, Conversation.tenant_id == tenant_id, Conversation.id == conversation_id
        ),
        "messages": await rows(
            session, Message, Message.tenant_id == tenant_id, Message.conversation_id == conversation_id
        ),
    }
    for name, column in OF_CONVERSATION.items():
        kind: Any = column.class_
        found[name] = await rows(session, kind, kind.tenant_id == tenant_id, column == conversation_id)
    for name, kind in OF_MESSAGES.items():
        found[name] = await rows(session, kind, kind.tenant_id == tenant_id, kind.message_id.in_(messages))
    return found
