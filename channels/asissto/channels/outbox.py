"""The outbox: parts are written with the message they belong to, and one courier at a time takes the next."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select, text, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import SEND_SECONDS, Part
from asissto.channels.tables import Outgoing, Thread
from asissto.platform.notices import notify
from asissto.platform.tables import new_id
from asissto.retrieval.tables import Message

CHANNEL = "asissto_outbox"
SENT = "sent"
"""Topic of what live streams hear when a part was sent; the id is its conversation's."""

LEASE = timedelta(seconds=SEND_SECONDS + 10)
"""Longer than a courier waits for a call and writes down what came of it: a slow one is never doubled."""

MOST_AT_ONCE = 8
"""Parts of one channel on their way at the same time, so that a provider that stalls takes no more places."""

IN_QUEUE = ("pending", "sending")


class Claimed(msgspec.Struct, frozen=True):
    """A part that this courier alone may send, and where; `revision` is that of the channel's settings.

    `may_have_arrived` says that an earlier attempt was not heard of.
    """

    tenant_id: UUID
    id: UUID
    channel_id: UUID
    conversation_id: UUID
    content: dict[str, Any]
    key: int
    attempts: int
    may_have_arrived: bool
    worker: UUID
    created_at: datetime
    first_sent_at: datetime
    thread: str
    address: dict[str, Any]
    revision: int


async def put(session: AsyncSession, thread: Thread, message_id: UUID, parts: Sequence[Part]) -> None:
    """Behind everything that waits in the conversation, whose row the caller has locked."""
    mine = update(Thread).where(Thread.tenant_id == thread.tenant_id, Thread.id == thread.id)
    counted = mine.values(seq=Thread.seq + len(parts)).returning(Thread.seq)
    last = await session.scalar(counted, execution_options={"synchronize_session": False})
    assert last is not None
    for number, part in enumerate(parts):
        row_id = new_id()
        session.add(
            Outgoing(
                tenant_id=thread.tenant_id,
                id=row_id,
                channel_id=thread.channel_id,
                conversation_id=thread.id,
                message_id=message_id,
                seq=last - len(parts) + number + 1,
                part=number,
                content=msgspec.to_builtins(part),
                key=key_of(row_id),
            )
        )
    await session.flush()
    await wake(session)


async def wake(session: AsyncSession) -> None:
    """Couriers look for work as soon as the transaction has committed."""
    notify(session, CHANNEL, "")


def key_of(row_id: UUID) -> int:
    """By which a provider knows a repetition. VK takes 32 bits, of which it keeps 0 for no key at all."""
    return int.from_bytes(hashlib.sha256(row_id.bytes).digest()[:4]) % (2**31 - 1) + 1


# Walks the channels that have something to send by the index; of each only the rows that are due, and of a
# conversation only the first. A backlog of a channel that rests or is broken, or of a suspended tenant, costs one look.
_CLAIM = text("""
    WITH RECURSIVE waiting AS (
        (SELECT tenant_id, channel_id FROM outbox WHERE state IN ('pending', 'sending')
         ORDER BY tenant_id, channel_id LIMIT 1)
        UNION ALL
        SELECT n.tenant_id, n.channel_id FROM waiting w CROSS JOIN LATERAL (
            SELECT tenant_id, channel_id FROM outbox
            WHERE state IN ('pending', 'sending') AND (tenant_id, channel_id) > (w.tenant_id, w.channel_id)
            ORDER BY tenant_id, channel_id LIMIT 1
        ) n
    ), ready AS (
        SELECT w.tenant_id, w.channel_id, c.revision, busy.parts FROM waiting w
        JOIN channels c ON c.tenant_id = w.tenant_id AND c.id = w.channel_id
        JOIN tenants ON tenants.id = w.tenant_id AND tenants.status = 'active'
        CROSS JOIN LATERAL (
            SELECT count(*) AS parts FROM outbox s WHERE s.tenant_id = w.tenant_id AND s.channel_id = w.channel_id
            AND s.state = 'sending' AND s.lease_until >= now()
        ) busy
        WHERE c.status = 'active' AND coalesce(c.paused_until <= now(), true) AND busy.parts < :at_once
        ORDER BY busy.parts, random()
    ), next AS (
        SELECT o.tenant_id, o.id, o.was_sending, o.external_key, o.address, ready.revision
        FROM ready CROSS JOIN LATERAL (
            SELECT o.tenant_id, o.id, o.state = 'sending' AS was_sending, t.external_key, t.address FROM outbox o
            JOIN threads t ON t.tenant_id = o.tenant_id AND t.id = o.conversation_id
            WHERE o.tenant_id = ready.tenant_id AND o.channel_id = ready.channel_id
            AND (o.state = 'pending' AND o.next_attempt_at <= now() OR o.state = 'sending' AND o.lease_until < now())
            AND coalesce(t.paused_until <= now(), true)
            AND NOT EXISTS (
                SELECT FROM outbox p WHERE p.tenant_id = o.tenant_id AND p.conversation_id = o.conversation_id
                AND p.seq < o.seq AND p.state IN ('pending', 'sending')
            )
            ORDER BY o.next_attempt_at
            LIMIT least(:at_once - ready.parts, greatest(1, :most / (SELECT count(*) FROM ready)))
            FOR UPDATE OF o SKIP LOCKED
        ) o LIMIT :most
    )
    UPDATE outbox SET state = 'sending', worker = :worker, lease_until = now() + :lease, attempts = attempts + 1,
        first_sent_at = coalesce(first_sent_at, now()), is_uncertain = is_uncertain OR next.was_sending
    FROM next WHERE outbox.tenant_id = next.tenant_id AND outbox.id = next.id
    RETURNING outbox.tenant_id, outbox.id, outbox.channel_id, outbox.conversation_id, outbox.content, outbox.key,
        outbox.attempts, outbox.is_uncertain, outbox.worker, outbox.created_at, outbox.first_sent_at,
        next.external_key, next.address, next.revision
""").columns(content=JSONB, address=JSONB)


async def claim(session: AsyncSession, worker: UUID, most: int, lease: timedelta = LEASE) -> list[Claimed]:
    """At most so many parts that may be sent, of any tenant; the channel with the fewest on their way comes first."""
    asked = {"worker": worker, "lease": lease, "at_once": MOST_AT_ONCE, "most": most}
    return [Claimed(*row) for row in await session.execute(_CLAIM, asked)]


async def silence_assistant(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> None:
    """What it still has to say there is not sent, because a person has taken over; the words of persons are."""
    its = (Message.conversation_id == conversation_id, Message.sender_kind == "assistant")
    words = select(Message.id).where(Message.tenant_id == tenant_id, *its)
    await _cancel(session, tenant_id, conversation_id, "taken_over", Outgoing.message_id.in_(words))
    await wake(session)


async def cancel_queue(session: AsyncSession, tenant_id: UUID, conversation_id: UUID, reason: str) -> None:
    """Whatever waits in the conversation will not be sent; what is on its way goes on."""
    await _cancel(session, tenant_id, conversation_id, reason, true())


async def _cancel(
    session: AsyncSession, tenant_id: UUID, conversation_id: UUID, reason: str, which: ColumnElement[bool]
) -> None:
    mine = (Outgoing.tenant_id == tenant_id, Outgoing.conversation_id == conversation_id, Outgoing.state == "pending")
    over = {"state": "cancelled", "error_code": reason, "finished_at": func.now()}
    await session.execute(update(Outgoing).where(*mine, which).values(**over))
