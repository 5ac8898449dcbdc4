"""What providers tell of messages that we sent: receipts, which come in any order, and echoes."""

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import Event
from asissto.channels.outbox import cancel_queue
from asissto.channels.tables import Channel, Outgoing, Thread
from asissto.platform.events import announce
from asissto.retrieval.conversations import TOPIC

_RANK = {None: 0, "delivered": 1, "failed": 2, "read": 3}
"""A receipt only moves the state forward; what was read has arrived, whatever an older receipt says."""


async def take_receipt(session: AsyncSession, channel: Channel, event: Event) -> None:
    """Of a message that we did not send it says nothing."""
    told = _up_to(channel, event) if event.up_to else _sent(channel, Outgoing.provider_message_id == event.external_id)
    for row in (await session.scalars(told.with_for_update(of=Outgoing))).all():
        if _RANK[event.delivery] > _RANK[row.delivery]:
            await _move_forward(session, channel, row, event)


async def _move_forward(session: AsyncSession, channel: Channel, row: Outgoing, event: Event) -> None:
    row.delivery = event.delivery
    row.state, row.finished_at = "sent", func.coalesce(Outgoing.finished_at, func.now())
    if event.delivery == "failed":
        row.state, row.error_code = "failed", event.reason or "permanent"
        await session.flush()
        await cancel_queue(session, row.tenant_id, row.conversation_id, row.error_code)
    await announce(session, channel.tenant_id, TOPIC, row.conversation_id)


async def is_ours(session: AsyncSession, channel: Channel, event: Event) -> bool:
    """Whether an echo is of a message that we sent, also where its send is not finished yet."""
    same = [Outgoing.provider_message_id == event.external_id] if event.external_id else []
    same += [Outgoing.key == event.own_key] if event.own_key else []
    return bool(same) and await session.scalar(_sent(channel, or_(*same))) is not None


def _up_to(channel: Channel, event: Event) -> Select[Outgoing]:
    """Those of the conversation that were not read yet; numbers are compared as they are written, by length first."""
    number, last = Outgoing.provider_message_id, event.external_id
    is_older = or_(func.length(number) < len(last), and_(func.length(number) == len(last), number <= last))
    return (
        select(Outgoing)
        .join(Thread, and_(Thread.tenant_id == Outgoing.tenant_id, Thread.id == Outgoing.conversation_id))
        .where(Thread.tenant_id == channel.tenant_id, Thread.channel_id == channel.id)
        .where(Thread.external_key == event.thread, Outgoing.delivery.is_distinct_from("read"))
        .where(number.regexp_match("^[0-9]+$"), is_older)
        .order_by(Outgoing.seq)
    )


def _sent(channel: Channel, condition: ColumnElement[bool]) -> Select[Outgoing]:
    return (
        select(Outgoing)
        .where(Outgoing.tenant_id == channel.tenant_id, Outgoing.channel_id == channel.id, condition)
        .limit(1)
    )
