"""What a transaction tells other processes by LISTEN and NOTIFY: said in one statement before it commits."""

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

_NOTICES = "notices"
_NOTIFY = text(
    "SELECT pg_notify(channel, payload) FROM unnest(:channels, :payloads) AS said (channel, payload)"
).bindparams(bindparam("channels", type_=ARRAY(Text)), bindparam("payloads", type_=ARRAY(Text)))


def notify(session: AsyncSession, channel: str, payload: str) -> None:
    """Heard once the transaction has committed; the same twice is said once."""
    session.info.setdefault(_NOTICES, {})[channel, payload] = None


async def send_notices(session: AsyncSession) -> None:
    """The last statement of a transaction."""
    notices = session.info.pop(_NOTICES, {})
    if notices:
        channels, payloads = zip(*notices, strict=True)
        await session.execute(_NOTIFY, {"channels": list(channels), "payloads": list(payloads)})
