"""What a period will come to by its end: spent so far, and what the days that are left usually bring."""

import math
import statistics
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import Date, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.errors import InvalidInput
from asissto.platform.money_tables import LedgerEntry, UsageEvent
from asissto.platform.subscriptions import find_subscription, terms_of
from asissto.platform.texts import Phrase
from asissto.retrieval.figures import FIGURES
from asissto.retrieval.periods import Period, local_day, midnight, timezone_of
from asissto.retrieval.reckoning import Number, Reading, main_currency, series

WEEKS = 8
"""Of days that a usual day is told from."""

FEWEST_DAYS = 14
"""Two of each weekday: with less nobody knows how they differ."""

NORMAL_80 = 1.2816
"""So many standard deviations on either side hold eight in ten of a normal distribution."""

Charge = Literal["plan_answers", "charges"]
CHARGES: tuple[Charge, ...] = ("plan_answers", "charges")


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Of the running period: that of the plan, or without plans the calendar month of the workspace.

    `linear` goes on as the period began. `seasonal` adds to what was spent the usual amount of each weekday that is
    left; `low` and `high` are the limits of eight in ten such periods. They are null where less than two weeks are
    known. `limit` is what the plan includes, or what was spent and the wallet has left; `reached_on` is the day on
    which it is used up at the usual pace.
    """

    figure: str
    unit: str
    currency: str | None
    since: datetime
    until: datetime
    spent: float
    linear: float | None
    seasonal: float | None
    low: float | None
    high: float | None
    limit: int | None
    limited_by: Literal["plan", "balance"] | None
    is_exceeded: bool | None
    reached_on: date | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent by day, and the limit of the period."""

    unit: str
    currency: str | None
    days: Mapping[date, Number]
    spent: Number
    limit: int | None = None
    limited_by: Literal["plan", "balance"] | None = None


async def forecast(
    session: AsyncSession, reading: Reading, name: str, *, bills: bool, now: datetime | None = None
) -> Forecast:
    """`reading` says what it is narrowed to; its period is not used. Raises InvalidInput for what has no sum."""
    now = now or datetime.now(UTC)
    zone = await timezone_of(session, reading.tenant_id)
    period = await _running(session, reading.tenant_id, zone, now, bills=bills)
    first = local_day(now, zone) - timedelta(weeks=WEEKS)
    history = Period(min(midnight(first, zone), period.since), period.until)
    reading = msgspec.structs.replace(reading, timezone=zone, period=history)
    if name in CHARGES:
        source = await _charged(session, reading, name, period, bills=bills)
    else:
        source = await _counted(session, reading, name, period)
    return _foretold(name, source, period, zone, now)


async def _running(session: AsyncSession, tenant_id: UUID, zone: str, now: datetime, *, bills: bool) -> Period:
    if bills:
        subscription = await find_subscription(session, tenant_id)
        return Period(subscription.period_start, subscription.period_end)
    first = local_day(now, zone).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return Period(midnight(first, zone), midnight(following, zone))


async def _counted(session: AsyncSession, reading: Reading, name: str, period: Period) -> Source:
    if name not in FIGURES or FIGURES[name].kind not in ("count", "sum"):
        raise InvalidInput(field="figure", detail=Phrase("invalid.choice"))
    figure = FIGURES[name]
    currency = (reading.sliced.get("currency") or await main_currency(session, reading)) if figure.is_money else None
    by_day = await series(session, reading, name, "day", currency)
    running = await series(session, msgspec.structs.replace(reading, period=period), name, "day", currency)
    return Source(
        unit=figure.unit,
        currency=currency,
        days={date.fromisoformat(at[:10]): value.value or 0 for at, value in by_day.items()},
        spent=sum(value.value or 0 for value in running.values()),
    )


async def _charged(session: AsyncSession, reading: Reading, name: str, period: Period, *, bills: bool) -> Source:
    """What the plan has counted, or what went out of the wallet for answers."""
    if not bills or reading.sliced:
        raise InvalidInput(field="figure", detail=Phrase("invalid.choice"))
    counts = name == "plan_answers"
    table: type[UsageEvent | LedgerEntry] = UsageEvent if counts else LedgerEntry
    amount = UsageEvent.quantities["answers"].as_integer() if counts else LedgerEntry.amount
    is_charge = true() if counts else LedgerEntry.kind.in_(("settle", "spend"))
    day = cast(func.timezone(reading.timezone, table.created_at), Date)
    mine = (table.tenant_id == reading.tenant_id, is_charge, table.created_at >= reading.period.since)
    total = func.coalesce(func.sum(amount), 0)
    rows = await session.execute(select(day, total).where(*mine).group_by(day))
    days = {row[0]: int(row[1]) for row in rows}
    spent = int(await session.scalar(select(total).where(*mine, table.created_at >= period.since)) or 0)
    terms = terms_of(await find_subscription(session, reading.tenant_id))
    wallet = await ledger.balance(session, reading.tenant_id)
    if counts:
        by: Literal["plan"] | None = None if terms.answers is None else "plan"
        return Source(unit="count", currency=None, days=days, spent=spent, limit=terms.answers, limited_by=by)
    left = spent + wallet.available
    return Source(unit="minor", currency=wallet.currency, days=days, spent=spent, limit=left, limited_by="balance")


def _foretold(name: str, source: Source, period: Period, zone: str, now: datetime) -> Forecast:
    gone = (now - period.since) / (period.until - period.since)
    today = local_day(now, zone)
    usual = _usual(source.days, today)
    left = _days_left(period, zone, now)
    seasonal = None if usual is None else source.spent + sum(part * usual.of(day) for day, part in left)
    spread = 0.0 if usual is None else NORMAL_80 * usual.deviation * math.sqrt(sum(part for _, part in left))
    expected = seasonal if seasonal is not None else source.spent / gone if gone > 0 else None
    return Forecast(
        figure=name,
        unit=source.unit,
        currency=source.currency,
        since=period.since,
        until=period.until,
        spent=source.spent,
        linear=source.spent / gone if gone > 0 else None,
        seasonal=seasonal,
        low=None if seasonal is None else max(float(source.spent), seasonal - spread),
        high=None if seasonal is None else seasonal + spread,
        limit=source.limit,
        limited_by=source.limited_by,
        is_exceeded=None if source.limit is None or expected is None else expected > source.limit,
        reached_on=None if usual is None or source.limit is None else _reached(source, usual, left),
    )


class _Usual(msgspec.Struct, frozen=True):
    """The mean of each weekday, Monday first, and how far single days are from it."""

    means: tuple[float, ...]
    deviation: float

    def of(self, day: date) -> float:
        return self.means[day.weekday()]


def _usual(days: Mapping[date, Number], today: date) -> _Usual | None:
    """Of whole days, from the first that had anything on; a day without rows had none.

    The mean of a season with a normal interval: Hyndman and Athanasopoulos, Forecasting: Principles and Practice
    (3rd edition), 5.2 and 5.5.
    """
    known = [day for day in days if day < today and today - day <= timedelta(weeks=WEEKS)]
    if not known or (today - min(known)).days < FEWEST_DAYS:
        return None
    span = [today - timedelta(days=back) for back in range(1, (today - min(known)).days + 1)]
    of = [[float(days.get(day, 0)) for day in span if day.weekday() == weekday] for weekday in range(7)]
    means = tuple(statistics.fmean(values) for values in of)
    squares = sum((value - mean) ** 2 for values, mean in zip(of, means, strict=True) for value in values)
    return _Usual(means, math.sqrt(squares / (len(span) - 7)))


def _days_left(period: Period, zone: str, now: datetime) -> list[tuple[date, float]]:
    """Each with the part of it that is to come."""
    at, found = max(now, period.since), []
    while at < period.until:
        day = local_day(at, zone)
        end = min(midnight(day + timedelta(days=1), zone), period.until)
        found.append((day, (end - at) / timedelta(days=1)))
        at = end
    return found


def _reached(source: Source, usual: _Usual, left: list[tuple[date, float]]) -> date | None:
    """None: not before the end."""
    spent = float(source.spent)
    for day, part in left:
        spent += part * usual.of(day)
        if source.limit is not None and spent >= source.limit:
            return day
    return None
