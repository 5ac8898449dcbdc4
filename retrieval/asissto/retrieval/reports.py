"""Reports that members want: asked for, sent when they are due, and ended by a link."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import jobs
from asissto.platform.database import Database
from asissto.platform.errors import Conflict, DatabaseDown, InvalidInput, NotFound
from asissto.platform.permissions import PERMISSIONS
from asissto.platform.tables import Membership, Tenant, new_id
from asissto.platform.texts import Language, Phrase, known_language
from asissto.retrieval.analytics_tables import Report
from asissto.retrieval.figure_rows import View
from asissto.retrieval.figures import DIMENSIONS
from asissto.retrieval.periods import Period, midnight, timezone_of

JOB = "retrieval.report"
LOOK_SECONDS = 60.0
"""Between two looks for reports that are due."""

Every = Literal["day", "week", "month"]
Hour = Annotated[int, Meta(ge=0, le=23)]
Sliced = Annotated[dict[str, Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=5)]
log = structlog.get_logger()


class ReportIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A digest of figures, or the rows of a `view` as CSV, of the day, week or month before.

    `hour` is told in the time zone of the workspace. `sliced` narrows it by dimension and key, as
    `{"channel_type": "telegram"}`.
    """

    kind: Literal["digest", "csv"]
    view: View | None = None
    every: Every = "week"
    hour: Hour = 8
    language: Language | None = None
    sliced: Sliced = {}


class ReportPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    every: Every | UnsetType = UNSET
    hour: Hour | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    sliced: Sliced | UnsetType = UNSET


class ReportOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    kind: str
    view: str | None
    every: str
    hour: int
    language: str
    sliced: dict[str, str]
    next_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, row: Report) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


async def create_report(session: AsyncSession, tenant_id: UUID, user_id: UUID, what: ReportIn) -> Report:
    """Raises InvalidInput, and Conflict where the member has the same already."""
    if (what.view is None) == (what.kind == "csv"):
        raise InvalidInput(field="view", detail=Phrase("invalid.missing" if what.kind == "csv" else "invalid.unknown"))
    _check_slice(what.sliced)
    mine = (Report.tenant_id == tenant_id, Report.user_id == user_id, Report.kind == what.kind)
    if await session.scalar(select(Report.id).where(*mine, Report.view.is_not_distinct_from(what.view))):
        raise Conflict(field="kind", detail=Phrase("conflict.report_exists"))
    tenant = await session.get_one(Tenant, tenant_id)
    row = Report(
        tenant_id=tenant_id,
        id=new_id(),
        user_id=user_id,
        kind=what.kind,
        view=what.view,
        every=what.every,
        hour=what.hour,
        language=what.language or known_language(tenant.language),
        sliced=what.sliced,
        next_at=next_due(datetime.now(UTC), what.every, what.hour, tenant.timezone),
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def change_report(session: AsyncSession, row: Report, what: ReportPatch) -> dict[str, Any]:
    """What changed; the next one comes by the new times."""
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    _check_slice(changes.get("sliced", {}))
    for name, value in changes.items():
        setattr(row, name, value)
    zone = await timezone_of(session, row.tenant_id)
    row.next_at = next_due(datetime.now(UTC), _every(row), row.hour, zone)
    await session.flush()
    return changes


async def find_report(session: AsyncSession, tenant_id: UUID, user_id: UUID, report_id: UUID) -> Report:
    """One's own; raises NotFound."""
    row = await session.get(Report, (tenant_id, report_id))
    if row is None or row.user_id != user_id:
        raise NotFound(kind="report")
    return row


async def may_read(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> bool:
    """Whether somebody is still a member who may see figures."""
    member = await session.get(Membership, (tenant_id, user_id))
    return member is not None and "analytics.read" in PERMISSIONS[member.role]  # type: ignore[index]


def next_due(after: datetime, every: Every, hour: int, zone: str) -> datetime:
    """Mondays, and the first of a month; an hour that a clock change leaves out is the one after it."""
    day = after.astimezone(ZoneInfo(zone)).date()
    while True:
        at = datetime.combine(day, time(hour), ZoneInfo(zone)).astimezone(UTC)
        begins = every == "day" or (every == "week" and day.weekday() == 0) or (every == "month" and day.day == 1)
        if begins and at > after:
            return at
        day += timedelta(days=1)


def period_before(due: datetime, every: Every, zone: str) -> Period:
    """The day, week or month that had ended by then."""
    end = due.astimezone(ZoneInfo(zone)).date()
    return Period(midnight(_step_back(end, every), zone), midnight(end, zone))


def _step_back(end: date, every: Every) -> date:
    if every == "month":
        return (end - timedelta(days=1)).replace(day=1)
    return end - timedelta(days=7 if every == "week" else 1)


async def ask_for_due(database: Database, now: datetime) -> int:
    """Puts a job for each report that is due and moves it on, in one transaction: both or neither, however it ends.

    A server that stood still for weeks sends the last report alone.
    """
    async with database.system() as session:
        query = select(Report.tenant_id, Report.id).join(Tenant, Tenant.id == Report.tenant_id)
        due = (await session.execute(query.where(Report.next_at <= now, Tenant.status == "active"))).all()
    asked = 0
    for tenant_id, report_id in due:
        async with database.tenant(tenant_id) as session:
            row = await session.get(Report, (tenant_id, report_id), with_for_update={"skip_locked": True})
            if row is not None and row.next_at <= now:
                await _ask(session, row, now)
                asked += 1
    return asked


async def _ask(session: AsyncSession, row: Report, now: datetime) -> None:
    zone, every = await timezone_of(session, row.tenant_id), _every(row)
    due = row.next_at
    while (following := next_due(due, every, row.hour, zone)) <= now:
        due = following
    period = period_before(due, every, zone)
    payload = {"report_id": str(row.id), "since": period.since.isoformat(), "until": period.until.isoformat()}
    await jobs.enqueue(session, row.tenant_id, JOB, f"{row.id} {period.since.date()}", payload)
    row.next_at = following


async def keep_reporting(database: Database) -> None:
    """Every minute, until cancelled; what fails is done the next time."""
    while True:
        try:
            await ask_for_due(database, datetime.now(UTC))
        except (DatabaseDown, DBAPIError) as error:
            log.warning("reports wait for another minute", error=repr(error))
        await asyncio.sleep(LOOK_SECONDS)


def _every(row: Report) -> Every:
    return row.every  # type: ignore[return-value]


def _check_slice(sliced: dict[str, str]) -> None:
    for name in sliced:
        if name not in DIMENSIONS:
            raise InvalidInput(field=f"sliced.{name}", detail=Phrase("invalid.unknown"))
