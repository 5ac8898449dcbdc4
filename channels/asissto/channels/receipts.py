"""What providers tell of messages that we sent: receipts, which come in any order, and echoes."""

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import Event
from asissto.channels.outbox import cancel_queue
from asissto.channels.tables import Channel, Outgoing
from asissto.platform.events import announce
from asissto.retrieval.conversations import TOPIC

_RANK = {None: 0, "delivered": 1, "failed": 2, "read": 3}
"""A receipt only moves the state forward; what was read has arrived, whatever an older receipt says."""


async def take_receipt(session: AsyncSession, channel: Channel, event: Event) -> None:
    """Of a message that we did not send it says nothing."""
    row = await session.scalar(_sent(channel, Outgoing.provider_message_id == event.external_id).with_for_update())
    if row is None or _RANK[event.delivery] <= _RANK[row.delivery]:
        return
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


def _sent(channel: Channel, condition: ColumnElement[bool]) -> Select[Outgoing]:
    return (
        select(Outgoing)
        .where(Outgoing.tenant_id == channel.tenant_id, Outgoing.channel_id == channel.id, condition)
        .limit(1)
    )
