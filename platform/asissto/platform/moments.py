"""Moments that come from outside."""

from datetime import UTC, datetime
from zoneinfo import available_timezones

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase


def in_utc(moment: datetime, field: str) -> datetime:
    """Without a zone it is one of UTC. Raises InvalidInput at the ends of the calendar, which have no such moment."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(field=field, detail=Phrase("invalid.form")) from None


async def check_timezone(session: AsyncSession, name: str) -> None:
    """Known to Postgres and to Python, for both tell days by it. Raises InvalidInput."""
    known = text("SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = :name)")
    if name not in available_timezones() or not await session.scalar(known, {"name": name}):
        raise InvalidInput(field="timezone", detail=Phrase("invalid.timezone"))
