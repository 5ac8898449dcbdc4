"""Finds the conversation and the contact behind an event, or begins them."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contact_names import ask_later, is_nameless
from asissto.channels.contacts import CORRECTED
from asissto.channels.contract import Destination, Event, Sender
from asissto.channels.tables import Channel, Contact, Thread
from asissto.platform.errors import NotFound
from asissto.platform.tables import new_id
from asissto.retrieval.conversations import lock_conversation
from asissto.retrieval.tables import Assistant, Conversation

OPEN = "open"


async def find_thread(session: AsyncSession, channel: Channel, key: str) -> Thread | None:
    mine = (Thread.tenant_id == channel.tenant_id, Thread.channel_id == channel.id, Thread.external_key == key)
    return await session.scalar(select(Thread).where(*mine))


async def thread_of(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> Thread | None:
    """None: its channel is the API, which keeps no outbox."""
    return await session.get(Thread, (tenant_id, conversation_id))


async def open_thread(session: AsyncSession, channel: Channel, event: Event) -> tuple[Thread, Conversation]:
    """The event's conversation, locked; of two processes that begin it at once, one waits for the other."""
    contact_id = None if event.sender is None else await meet(session, channel, event.sender)
    thread = await find_thread(session, channel, event.thread) or await _begin(session, channel, event, contact_id)
    conversation = await lock_conversation(session, channel.tenant_id, thread.id)
    await session.refresh(thread)
    return thread, conversation


async def meet(session: AsyncSession, channel: Channel, sender: Sender) -> UUID:
    """The contact, locked; what the channel newly knows of them replaces what it knew."""
    known: dict[str, Any] = {
        name: value for name in ("name", "email", "phone", "language") if (value := getattr(sender, name)) is not None
    }
    contact_id = new_id()
    row = insert(Contact).values(
        tenant_id=channel.tenant_id,
        id=contact_id,
        person_id=contact_id,
        channel_id=channel.id,
        external_id=sender.external_id,
        **known,
    )
    same = ["tenant_id", "channel_id", "external_id"]
    newer = {name: _unless_corrected(name, value) for name, value in known.items()}
    told = row.on_conflict_do_update(index_elements=same, set_=newer or {"external_id": sender.external_id})
    contact = (await session.execute(told.returning(Contact.id, is_nameless().label("is_nameless")))).one()
    if contact.is_nameless:
        await ask_later(session, channel)
    return UUID(str(contact.id))


async def lock_channel(session: AsyncSession, tenant_id: UUID, channel_id: UUID) -> Channel | None:
    """Nobody else changes its row until the transaction ends; rows that point to it can be written meanwhile."""
    locked = {"key_share": True}
    return await session.get(Channel, (tenant_id, channel_id), with_for_update=locked, populate_existing=True)


def destination(thread: Thread) -> Destination:
    return Destination(thread.external_key, thread.address)


async def answering_assistant(session: AsyncSession, channel: Channel) -> UUID:
    """The channel's own, else the oldest; raises NotFound where the tenant has none."""
    if channel.assistant_id is not None:
        return channel.assistant_id
    mine = select(Assistant.id).where(Assistant.tenant_id == channel.tenant_id).order_by(Assistant.id).limit(1)
    oldest = await session.scalar(mine)
    if oldest is None:
        raise NotFound(kind="assistant")
    return oldest


async def move_thread(session: AsyncSession, channel: Channel, old: str, new: str) -> None:
    """The conversation goes on under its new name, unless one has begun there."""
    thread = await find_thread(session, channel, old)
    if thread is not None and await find_thread(session, channel, new) is None:
        thread.external_key = new


def _unless_corrected(name: str, value: str) -> ColumnElement[str]:
    """What a member has set is right."""
    is_corrected = Contact.metadata_[CORRECTED].has_key(name)
    return case((is_corrected, getattr(Contact, name)), else_=value)


async def _begin(session: AsyncSession, channel: Channel, event: Event, contact_id: UUID | None) -> Thread:
    conversation = Conversation(
        tenant_id=channel.tenant_id,
        id=new_id(),
        channel_id=channel.id,
        assistant_id=await answering_assistant(session, channel),
        contact_id=contact_id,
        status="bot",
    )
    session.add(conversation)
    await session.flush()
    row = insert(Thread).values(
        tenant_id=channel.tenant_id,
        id=conversation.id,
        channel_id=channel.id,
        external_key=event.thread,
        address=event.address,
        heard_at=func.now(),
    )
    same = ["tenant_id", "channel_id", "external_key"]
    won = await session.execute(row.on_conflict_do_nothing(index_elements=same).returning(Thread.id))
    if won.first() is None:
        session.expunge(conversation)
        own = (Conversation.tenant_id == channel.tenant_id, Conversation.id == conversation.id)
        await session.execute(delete(Conversation).where(*own))
    thread = await find_thread(session, channel, event.thread)
    assert thread is not None
    return thread
