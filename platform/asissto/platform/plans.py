"""The catalogue of plans, which the platform's administrators keep, and what the terms of one say."""

from calendar import monthrange
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import NotFound
from asissto.platform.money_tables import Plan

FREE = "free"
"""The plan of a workspace that has chosen none; it comes with the installation and can be changed, not archived."""

Amount = Annotated[int, Meta(ge=0, le=10**12)]
Code = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,39}$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Period = Literal["month", "year"]


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a period costs in minor units of the currency, and what it includes; None: as much as one likes."""

    code: Code
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    price: Amount = 0
    currency: Currency = "USD"
    period: Period = "month"
    trial_days: Annotated[int, Meta(ge=0, le=366)] = 0
    answers: Amount | None = None
    documents: Amount | None = None
    storage_mb: Amount | None = None
    channels: Amount | None = None
    seats: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    """One at least: a workspace has an owner."""
    models: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    """Names of the models that may answer; empty: any."""
    overage_price: Amount | None = None
    """Of each answer above those included; None: there are none."""


async def offered(session: AsyncSession, currency: str | None = None) -> list[Terms]:
    """The cheapest first; of one currency, or of all."""
    rows = await session.scalars(select(Plan.terms).where(Plan.status == "active"))
    plans = [msgspec.convert(row, Terms) for row in rows]
    wanted = [plan for plan in plans if currency in (None, plan.currency)]
    return sorted(wanted, key=lambda plan: (plan.currency, plan.price, plan.code))


async def find_plan(session: AsyncSession, code: str) -> Terms:
    """Raises NotFound for one that is not offered."""
    terms = await session.scalar(select(Plan.terms).where(Plan.code == code, Plan.status == "active"))
    if terms is None:
        raise NotFound(kind="plan")
    return msgspec.convert(terms, Terms)


async def put_plan(session: AsyncSession, terms: Terms, status: Literal["active", "archived"]) -> None:
    """Adds or changes it, in a transaction of the system; periods that run keep the terms that they began with."""
    values = {"terms": msgspec.to_builtins(terms), "status": status}
    row = insert(Plan).values(code=terms.code, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["code"], set_={**values, "updated_at": func.now()}))


def next_end(anchor: datetime, after: datetime, period: Period) -> datetime:
    """The first end of a period later than `after`, on the anchor's day of the month or the last that there is."""
    step = 12 if period == "year" else 1
    months = max((after.year - anchor.year) * 12 + after.month - anchor.month, 0) // step * step
    while (end := _later(anchor, months)) <= after:
        months += step
    return end


def _later(anchor: datetime, months: int) -> datetime:
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, monthrange(year, month + 1)[1]))


def days_of(terms: Terms) -> int:
    """For comparing prices alone."""
    return 365 if terms.period == "year" else 30


def is_dearer(wanted: Terms, current: Terms) -> bool:
    """By what a day costs."""
    return wanted.price * days_of(current) > current.price * days_of(wanted)
