"""Periods of figures, told in the time zone of the workspace."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import InvalidInput
from asissto.platform.moments import in_utc
from asissto.platform.tables import Tenant
from asissto.platform.texts import Phrase

USUAL_DAYS = 30
MOST_DAYS = 1_100
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Period(msgspec.Struct, frozen=True):
    """From `since` on, and before `until`."""

    since: datetime
    until: datetime

    @property
    def before(self) -> "Period":
        """As long, and just before it."""
        return Period(self.since - (self.until - self.since), self.since)


async def timezone_of(session: AsyncSession, tenant_id: UUID) -> str:
    return str(await session.scalar(select(Tenant.timezone).where(Tenant.id == tenant_id)))


def period_of(since: datetime | None, until: datetime | None, timezone: str, names: tuple[str, str]) -> Period:
    """Where nothing is said, the last 30 days with today. Raises InvalidInput with the name of what is wrong."""
    end = tomorrow(timezone) if until is None else _possible(until, names[1])
    begin = end - timedelta(days=USUAL_DAYS) if since is None else _possible(since, names[0])
    if not timedelta() < end - begin <= timedelta(days=MOST_DAYS):
        raise InvalidInput(field=names[0], detail=Phrase("invalid.period", MOST_DAYS))
    return Period(begin, end)


def _possible(moment: datetime, field: str) -> datetime:
    moment = in_utc(moment, field)
    if not _FIRST <= moment <= _LAST:
        raise InvalidInput(field=field, detail=Phrase("invalid.form"))
    return moment


def tomorrow(timezone: str) -> datetime:
    """When it begins."""
    return midnight(datetime.now(ZoneInfo(timezone)).date() + timedelta(days=1), timezone)


def midnight(day: date, timezone: str) -> datetime:
    """In UTC."""
    return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)


def local_day(moment: datetime, timezone: str) -> date:
    return moment.astimezone(ZoneInfo(timezone)).date()
