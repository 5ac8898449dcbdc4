"""Counts what happens in a minute or a day, for limits: one upsert on an unlogged table."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.attempts import forget_old_attempts
from asissto.platform.credentials import forget_old_sessions
from asissto.platform.database import Database
from asissto.platform.errors import DatabaseDown
from asissto.platform.links import forget_old_links
from asissto.platform.payment_events import forget_old_events
from asissto.platform.tables import UsageCounter

Window = Literal["minute", "day"]
_HOUR = 3600.0
log = structlog.get_logger()


async def count(session: AsyncSession, tenant_id: UUID, name: str, window: Window) -> int:
    """How often it has happened in the current window (UTC), this time included."""
    row = insert(UsageCounter).values(tenant_id=tenant_id, name=name, window_start=_start(window), count=1)
    more = row.on_conflict_do_update(
        index_elements=["tenant_id", "name", "window_start"], set_={"count": UsageCounter.count + 1}
    )
    return int((await session.execute(more.returning(UsageCounter.count))).scalar_one())


async def forget_old_windows(session: AsyncSession) -> None:
    """Of more than two days ago."""
    await session.execute(delete(UsageCounter).where(UsageCounter.window_start < datetime.now(UTC) - timedelta(days=2)))


async def keep_forgetting(database: Database) -> None:
    """Every hour, until cancelled; what fails, also where two processes do it at once, is done the next time."""
    while True:
        try:
            async with database.system() as session:
                await forget_old_windows(session)
                await forget_old_attempts(session)
                await forget_old_links(session)
                await forget_old_sessions(session)
                await forget_old_events(session)
        except (DatabaseDown, DBAPIError) as error:
            log.warning("old counts stay for another hour", error=repr(error))
        await asyncio.sleep(_HOUR)


def _start(window: Window) -> datetime:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return now if window == "minute" else now.replace(hour=0, minute=0)
