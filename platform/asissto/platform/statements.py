"""What went into and out of a tenant's balance within a month, with what it was before and after."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, case, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import InvalidInput
from asissto.platform.money_tables import LedgerEntry
from asissto.platform.tables import Tenant
from asissto.platform.texts import Phrase

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
_USAGE = ("settle", "spend")
_OWN = ("wallet", "held")
"""What is held is still the tenant's; moving between the two is no movement of the balance."""


class Move(msgspec.Struct, frozen=True):
    """Minor units, below zero for what went out; usage is one of a day, `at` its last moment."""

    at: datetime
    kind: str
    about: UUID | None
    amount: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    currency: str
    begin: datetime
    opening: int
    closing: int
    moves: list[Move]


async def read_statement(session: AsyncSession, tenant_id: UUID, month: str) -> Statement:
    """`month` as `2026-11`, in UTC. Raises InvalidInput."""
    begin, end = _bounds(month)
    tenant = await session.get_one(Tenant, tenant_id)
    before = _moves(tenant_id).where(LedgerEntry.created_at < begin).subquery()
    opening = int(await session.scalar(select(func.coalesce(func.sum(before.c.amount), 0))) or 0)
    within = _moves(tenant_id).where(LedgerEntry.created_at >= begin, LedgerEntry.created_at < end)
    moves = [Move(row.at, row.kind, row.about, int(row.amount)) for row in await session.execute(_by_day(within))]
    closing = opening + sum(move.amount for move in moves)
    currency = tenant.currency
    return Statement(tenant=tenant.name, currency=currency, begin=begin, opening=opening, closing=closing, moves=moves)


def _moves(tenant_id: UUID) -> Select[tuple[datetime, str, UUID | None, int, UUID]]:
    comes, goes = LedgerEntry.credit.in_(_OWN), LedgerEntry.debit.in_(_OWN)
    amount = case((comes, LedgerEntry.amount), else_=-LedgerEntry.amount).label("amount")
    moves = select(LedgerEntry.created_at, LedgerEntry.kind, LedgerEntry.about, amount, LedgerEntry.id)
    return moves.where(LedgerEntry.tenant_id == tenant_id, or_(comes, goes), ~(comes & goes))


def _by_day(moves: Select[Any]) -> Select[Any]:
    """A hundred thousand answers are thirty lines; everything else stands alone."""
    each = moves.subquery().c
    is_usage = each.kind.in_(_USAGE)
    kind = case((is_usage, "usage"), else_=each.kind).label("kind")
    about = case((is_usage, null()), else_=each.about).label("about")
    day = case((is_usage, func.date_trunc("day", each.created_at, "UTC")), else_=null())
    alone = case((is_usage, null()), else_=each.id)
    at, amount = func.max(each.created_at).label("at"), func.sum(each.amount).label("amount")
    return select(at, kind, about, amount).group_by(kind, about, day, alone).order_by(at, kind)


def _bounds(month: str) -> tuple[datetime, datetime]:
    found = _MONTH.fullmatch(month)
    if found is None:
        raise InvalidInput(field="month", detail=Phrase("invalid.month"))
    year, number = int(found[1]), int(found[2])
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC)
