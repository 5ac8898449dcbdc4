"""What a visitor of the widget sees: their own words, what was sent to them, and nothing else of the conversation."""

import re
from collections.abc import Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.blocks import Block, paragraph
from asissto.channels.contract import Cited
from asissto.channels.outbox import IN_QUEUE
from asissto.channels.tables import InboundEvent, Outgoing, Thread
from asissto.channels.widget_sessions import Visitor
from asissto.platform.paging import newest_first
from asissto.retrieval.feedback import Asks
from asissto.retrieval.tables import Conversation, Message

MOST_AT_ONCE = 100
_IS_OWN = and_(Message.sender_kind == "contact", Message.content != "")

Speaker = Literal["visitor", "assistant", "person"]
_SPEAKERS: dict[str, Speaker] = {"contact": "visitor", "assistant": "assistant", "user": "person"}
_STATUS: dict[str, "Status"] = {"bot": "assistant", "pending": "waiting", "human": "person", "closed": "closed"}
Status = Literal["assistant", "waiting", "person", "closed"]


class WidgetMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`blocks` are `text` with its shape; `key` is the page's own id of what the visitor wrote, on whichever page.

    `notice` is to be shown below: the offer of a person, or when one will be there. `asks` is thumb or rating where the
    visitor is asked what they think of the message.
    """

    id: UUID
    sender: Speaker
    at: datetime
    text: str
    key: str | None = None
    blocks: list[Block] = []
    citations: list[Cited] = []
    notice: str = ""
    language: str | None = None
    asks: Asks = ""


class State(msgspec.Struct, frozen=True):
    """Who answers: the assistant, nobody yet (a person was called), or a person. `typing`: an answer is being made."""

    status: Status = "assistant"
    typing: bool = False


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `next` leads to older ones. `last_event` is where a stream has to go on to miss nothing."""

    items: list[WidgetMessage]
    next: str | None
    last_event: str
    state: State


class Glance(msgspec.Struct, frozen=True):
    """The visitor's conversation as it is now; None: there is none yet."""

    conversation_id: UUID | None = None
    state: State = State()


async def glance(session: AsyncSession, visitor: Visitor) -> Glance:
    waits = select(Message.id).where(
        Message.tenant_id == Conversation.tenant_id, Message.conversation_id == Conversation.id, Message.waits
    )
    comes = select(Outgoing.id).where(
        Outgoing.tenant_id == Conversation.tenant_id,
        Outgoing.conversation_id == Conversation.id,
        Outgoing.state.in_(IN_QUEUE),
    )
    same = and_(Conversation.tenant_id == Thread.tenant_id, Conversation.id == Thread.id)
    mine = (Thread.tenant_id == visitor.tenant_id, Thread.channel_id == visitor.channel_id)
    found = select(Conversation.id, Conversation.status, or_(waits.exists(), comes.exists())).join(Thread, same)
    row = (await session.execute(found.where(*mine, Thread.external_key == visitor.thread))).one_or_none()
    if row is None:
        return Glance()
    conversation_id, status, is_due = row
    return Glance(conversation_id, State(_STATUS[status], typing=is_due and status == "bot"))


class Seen(msgspec.Struct, frozen=True):
    """How far a page is: the number of the newest part that was sent, and the newest message that the visitor wrote."""

    seq: int = 0
    own: UUID = UUID(int=0)


def place(conversation_id: UUID, seen: Seen) -> str:
    """The id of a live event. Numbers begin anew in another conversation, so that it is named too."""
    return f"{conversation_id.hex[-12:]}.{seen.seq}.{seen.own.hex}"


_PLACE = re.compile(r"([0-9a-f]{12})\.([0-9]{1,9})\.([0-9a-f]{32})")


def seen_until(conversation_id: UUID, last_event: str) -> Seen:
    """Where to go on; from the beginning where the place is of another conversation, or of none."""
    read = _PLACE.fullmatch(last_event)
    return Seen(int(read[2]), UUID(read[3])) if read and read[1] == conversation_id.hex[-12:] else Seen()


async def said_after(
    session: AsyncSession, visitor: Visitor, conversation_id: UUID, seen: Seen
) -> list[tuple[Seen, WidgetMessage]]:
    """At most MOST_AT_ONCE messages, each with the place behind it.

    The parts that were sent keep their order: a later one is never sent before an earlier one. So do the visitor's own
    words, whose ids are made while the conversation is locked.
    """
    sent = _sent(visitor, conversation_id).where(Outgoing.seq > seen.seq).order_by(Outgoing.seq).limit(MOST_AT_ONCE)
    own = _own(visitor, conversation_id).where(Message.id > seen.own).order_by(Message.id).limit(MOST_AT_ONCE)
    words = [(message, None) for message in await session.scalars(own)]
    parts = [(message, out) for out, message in await session.execute(sent)]
    keys = await _keys(session, visitor, [message for message, _ in words])
    found = []
    for message, out in islice(merge(parts, words, key=lambda each: each[0].id), MOST_AT_ONCE):
        seen = Seen(seen.seq, message.id) if out is None else Seen(out.seq, seen.own)
        found.append((seen, _shown(message, out, keys.get(message.id))))
    return found


async def read_history(session: AsyncSession, visitor: Visitor, limit: int, after: str | None) -> History:
    now = await glance(session, visitor)
    if now.conversation_id is None:
        return History(items=[], next=None, last_event="", state=now.state)
    # Before the messages: what is sent between the two comes twice, and not never.
    last = await _newest(session, visitor, now.conversation_id)
    is_sent = _sent(visitor, now.conversation_id).with_only_columns(Outgoing.message_id)
    is_shown = or_(_IS_OWN, Message.id.in_(is_sent))
    mine = (Message.tenant_id == visitor.tenant_id, Message.conversation_id == now.conversation_id)
    page = await newest_first(session, select(Message).where(*mine, is_shown), Message.id, limit, after)
    parts = await _parts(session, visitor, now.conversation_id, page.items)
    keys = await _keys(session, visitor, page.items)
    return History(
        items=[_shown(message, parts.get(message.id), keys.get(message.id)) for message in page.items],
        next=page.next,
        last_event=place(now.conversation_id, last),
        state=now.state,
    )


async def is_visible(session: AsyncSession, visitor: Visitor, message_id: UUID) -> bool:
    """Whether a message of the assistant or of a person was sent to this visitor."""
    conversation_id = (await glance(session, visitor)).conversation_id
    if conversation_id is None:
        return False
    same = _sent(visitor, conversation_id).where(Outgoing.message_id == message_id).limit(1)
    return (await session.execute(same)).first() is not None


def event_key(visitor: Visitor, key: UUID) -> str:
    """The visitor's own: nobody can take the id of somebody else's message."""
    return f"{visitor.thread}:{key}"


def _sent(visitor: Visitor, conversation_id: UUID) -> Select[Outgoing, Message]:
    """Notes and system rows are never in the outbox; should one ever be, it is not shown either."""
    same = and_(Message.tenant_id == Outgoing.tenant_id, Message.id == Outgoing.message_id)
    mine = (Outgoing.tenant_id == visitor.tenant_id, Outgoing.conversation_id == conversation_id)
    said = (Outgoing.state == "sent", Message.sender_kind.in_(("assistant", "user")))
    return select(Outgoing, Message).join(Message, same).where(*mine, *said)


def _own(visitor: Visitor, conversation_id: UUID) -> Select[Message]:
    mine = (Message.tenant_id == visitor.tenant_id, Message.conversation_id == conversation_id)
    return select(Message).where(*mine, _IS_OWN)


async def _newest(session: AsyncSession, visitor: Visitor, conversation_id: UUID) -> Seen:
    sent = _sent(visitor, conversation_id).with_only_columns(func.max(Outgoing.seq))
    own = _own(visitor, conversation_id).with_only_columns(Message.id).order_by(Message.id.desc()).limit(1)
    return Seen(await session.scalar(sent) or 0, await session.scalar(own) or Seen().own)


async def _parts(
    session: AsyncSession, visitor: Visitor, conversation_id: UUID, messages: Sequence[Message]
) -> dict[UUID, Outgoing]:
    ids = [message.id for message in messages]
    rows = await session.scalars(_sent(visitor, conversation_id).where(Outgoing.message_id.in_(ids)))
    return {out.message_id: out for out in rows}


async def _keys(session: AsyncSession, visitor: Visitor, messages: Sequence[Message]) -> dict[UUID, str]:
    """The page's own ids of what the visitor wrote."""
    ids = [message.id for message in messages if message.sender_kind == "contact"]
    mine = (InboundEvent.tenant_id == visitor.tenant_id, InboundEvent.message_id.in_(ids))
    rows = await session.execute(select(InboundEvent.message_id, InboundEvent.external_id).where(*mine))
    return {row.message_id: row.external_id for row in rows}


def _shown(message: Message, out: Outgoing | None, key: str | None = None) -> WidgetMessage:
    content: dict[str, Any] = out.content if out is not None else {"text": message.content}
    extra = content.get("extra", {})
    return WidgetMessage(
        id=message.id,
        sender=_SPEAKERS[message.sender_kind],
        at=message.created_at,
        text=content["text"],
        key=key,
        blocks=msgspec.convert(extra.get("blocks"), list[Block]) if "blocks" in extra else [paragraph(content["text"])],
        citations=msgspec.convert(extra.get("citations", []), list[Cited]),
        notice=extra.get("notice", ""),
        language=extra.get("language"),
        asks=extra.get("asks", ""),
    )
