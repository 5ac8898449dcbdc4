"""Limits of a channel: what is above one is stored and shown, but not answered, so that nobody spends its budget."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import Limits
from asissto.channels.tables import Channel, Thread
from asissto.platform.counting import Window, count


class Exceeded(msgspec.Struct, frozen=True):
    """`is_first`: in this minute or day nobody in the conversation was told yet."""

    is_first: bool


async def may_be_answered(session: AsyncSession, channel: Channel, thread: Thread) -> Exceeded | None:
    """Counts the message; None: it is within every limit."""
    limits = msgspec.convert(channel.settings.get("limits", {}), Limits)
    counted: list[tuple[str, Window, int | None]] = [
        (f"thread {thread.id}", "minute", limits.visitor_per_minute),
        (f"channel {channel.id}", "minute", limits.channel_per_minute),
        (f"channel {channel.id}", "day", limits.answers_per_day),
    ]
    for name, window, most in counted:
        if most is not None and await count(session, channel.tenant_id, name, window) > most:
            told = await count(session, channel.tenant_id, f"told {thread.id}", window)
            return Exceeded(is_first=told == 1)
    return None
