"""Reads figures out of the views: over a period, by time, and by a dimension."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, Date, Select, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase
from asissto.retrieval.figure_rows import ROWS, TABLES, View
from asissto.retrieval.figures import DIMENSIONS, FIGURES, LABELS, Figure, dimensions_of
from asissto.retrieval.periods import Period

Step = Literal["hour", "day", "week", "month"]
Number = int | float
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
NONE = "none"
"""The key of what has none: an answer that no model wrote, a call for no customer."""

MOST_GROUPS = 1_000

Slice = Mapping[str, str]
"""Keys by their dimension: what figures are narrowed to."""


class Value(msgspec.Struct, frozen=True):
    """Null where there is nothing to tell: a share of nothing, a median of no rows. Money has a currency.

    `part` and `whole` are the numbers of a share.
    """

    value: Number | None
    currency: str | None = None
    part: int | None = None
    whole: int | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Of which rows figures are read."""

    tenant_id: UUID
    period: Period
    sliced: Slice = {}
    timezone: str = "UTC"

    def rows_of(self, view: View) -> list[ColumnElement[bool]]:
        """Raises InvalidInput for a dimension that the view does not have."""
        columns = TABLES[view].c
        mine = [columns.tenant_id == self.tenant_id]
        mine += [columns.at >= self.period.since, columns.at < self.period.until]
        for name, key in self.sliced.items():
            if DIMENSIONS[name] not in columns:
                raise InvalidInput(field=name, detail=Phrase("invalid.no_dimension"))
            column = columns[DIMENSIONS[name]]
            mine.append(column.is_(None) if key == NONE else cast(column, Text) == key)
        return mine

    def has(self, view: View) -> bool:
        return all(DIMENSIONS[name] in TABLES[view].c for name in self.sliced)


async def read_plainly(session: AsyncSession) -> None:
    """Postgres compiles no query in this transaction, which costs more than it saves.

    For the cards of 30 days out of 300,000 messages it takes 55 ms and without it 29 (benchmarks/analytics.py).
    """
    await session.execute(select(func.set_config("jit", "off", True)))


Group = tuple[Any, ...]
"""The keys of a group of rows; empty where all are one."""


async def totals(session: AsyncSession, reading: Reading) -> dict[str, list[Value]]:
    """Of every figure that has the dimensions of the slice; money once for each currency."""
    found: dict[str, list[Value]] = {}
    for view in ROWS:
        if reading.has(view):
            names = [name for name, figure in FIGURES.items() if figure.view == view]
            found |= await _of_view(session, reading, names)
    return found


async def _of_view(session: AsyncSession, reading: Reading, names: Sequence[str]) -> dict[str, list[Value]]:
    plain = [name for name in names if not FIGURES[name].is_money]
    money = [name for name in names if FIGURES[name].is_money]
    found = {name: [value] for name, value in (await grouped(session, reading, plain, []))[()].items()}
    if money:
        currency = TABLES["calls"].c.currency
        by_currency = await grouped(session, reading, money, [currency], also=[currency.is_not(None)])
        for name in money:
            values = [(key[0], group[name]) for key, group in sorted(by_currency.items())]
            found[name] = [msgspec.structs.replace(value, currency=key) for key, value in values]
    return found


async def grouped(
    session: AsyncSession,
    reading: Reading,
    names: Sequence[str],
    by: Sequence[ColumnElement[Any]],
    also: Sequence[ColumnElement[bool]] = (),
) -> dict[Group, dict[str, Value]]:
    """Figures of one view by the keys of `by`."""
    view = FIGURES[names[0]].view
    needed = list(dict.fromkeys(part for name in names for part in _parts(name)))
    values = [FIGURES[name].value() for name in needed]
    query: Select[Any] = select(*by, *values).select_from(TABLES[view]).where(*reading.rows_of(view), *also)
    rows = await session.execute(query.group_by(*by).limit(MOST_GROUPS * 25))
    read = {tuple(row[: len(by)]): dict(zip(needed, map(_number, row[len(by) :]), strict=True)) for row in rows}
    return {key: {name: _value(FIGURES[name], name, numbers) for name in names} for key, numbers in read.items()}


def _parts(name: str) -> list[str]:
    figure = FIGURES[name]
    return [figure.part, figure.whole] if figure.kind == "share" else [name]


def _number(value: Any) -> Number | None:
    """Sums of bigints come as decimals."""
    return value if value is None or isinstance(value, int | float) else int(value)


def _value(figure: Figure, name: str, numbers: Mapping[str, Number | None]) -> Value:
    if figure.kind != "share":
        return Value(numbers[name])
    part, whole = int(numbers[figure.part] or 0), int(numbers[figure.whole] or 0)
    return Value(part / whole if whole else None, part=part, whole=whole)


async def series(
    session: AsyncSession, reading: Reading, name: str, step: Step, currency: str | None
) -> dict[str, Value]:
    """By the beginning of each step that has rows, as `2026-11-25T00:00:00` in the workspace's time zone."""
    columns = TABLES[FIGURES[name].view].c
    day = columns.day if step in ("hour", "day") else cast(func.date_trunc(step, columns.day), Date)
    by = [day, columns.hour] if step == "hour" else [day]
    found = await grouped(session, reading, [name], by, _of_currency(name, currency))
    return {datetime.combine(key[0], time(*key[1:])).isoformat(): values[name] for key, values in sorted(found.items())}


def steps(reading: Reading, step: Step) -> list[str]:
    """The beginnings of all steps of the period, as `series` names them."""
    zone = ZoneInfo(reading.timezone)
    at = reading.period.since.astimezone(zone).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    end = reading.period.until.astimezone(zone).replace(tzinfo=None)
    if step != "hour":
        at = at.replace(hour=0)
    if step == "week":
        at -= timedelta(days=at.weekday())
    if step == "month":
        at = at.replace(day=1)
    found = []
    while at < end:
        found.append(at.isoformat())
        at = (at + timedelta(days=31)).replace(day=1) if step == "month" else at + _STEPS[step]
    return found


async def whole(session: AsyncSession, reading: Reading, name: str, currency: str | None) -> Value:
    """The figure over all rows; money in this currency."""
    found = await grouped(session, reading, [name], [], _of_currency(name, currency))
    return msgspec.structs.replace(found[()][name], currency=currency)


async def breakdown(
    session: AsyncSession, reading: Reading, name: str, by: str, currency: str | None
) -> dict[str, tuple[str | None, Value]]:
    """By the keys of the dimension, each with its name in words; raises InvalidInput for one that the figure lacks."""
    view = FIGURES[name].view
    columns = TABLES[view].c
    if by not in dimensions_of(view):
        raise InvalidInput(field="by", detail=Phrase("invalid.no_dimension"))
    key = columns[DIMENSIONS[by]]
    keys = [cast(key, Text), *([columns[LABELS[by]]] if by in LABELS else [])]
    found = await grouped(session, reading, [name], keys, _of_currency(name, currency))
    return {
        NONE if group[0] is None else group[0]: (group[1] if len(group) > 1 else None, values[name])
        for group, values in found.items()
    }


async def main_currency(session: AsyncSession, reading: Reading) -> str | None:
    """In which most calls of the period were paid for."""
    columns = TABLES["calls"].c
    mine = select(columns.currency).where(*reading.rows_of("calls"), columns.currency.is_not(None))
    most = mine.group_by(columns.currency).order_by(func.count().desc(), columns.currency).limit(1)
    found: str | None = await session.scalar(most)
    return found


def _of_currency(name: str, currency: str | None) -> list[ColumnElement[bool]]:
    return [TABLES["calls"].c.currency == currency] if FIGURES[name].is_money else []
