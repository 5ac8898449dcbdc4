"""What partners see of those they have brought, and what administrators see of all partners."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.amounts import figure
from asissto.platform.owed_commissions import Owed, owed
from asissto.platform.paging import Page, newest_first
from asissto.platform.referral_payouts import read_details
from asissto.platform.referral_tables import CommissionEntry, Referral, ReferralClicks, ReferralCode, ReferralPayout
from asissto.platform.spreadsheet_cells import csv_text, harmless
from asissto.platform.tables import Tenant, User

Stage = Literal["registered", "paying", "inactive"]


class OverviewOut(msgspec.Struct, frozen=True, kw_only=True):
    """All that there was by all codes of the partner; `paying` have earned something, refunded or not."""

    clicks: int
    registrations: int
    paying: int
    money: list[Owed]
    payout_details: str | None


class BroughtOut(msgspec.Struct, frozen=True, kw_only=True):
    """Who was brought, without who it is: `label` is the first letter of the workspace's name.

    `earned` is by currency, in minor units, with what was taken back.
    """

    id: UUID
    label: str
    code: str
    stage: Stage
    registered_on: date
    earned: dict[str, int]


class PartnerOut(msgspec.Struct, frozen=True, kw_only=True):
    """One partner and currency, with zeros where nothing was earned; amounts in minor units of `currency`."""

    partner_id: UUID
    name: str | None
    email: str | None
    is_active: bool
    currency: str
    pending: int
    payable: int
    in_payout: int
    paid: int


async def overview(session: AsyncSession, partner_id: UUID) -> OverviewOut:
    mine = select(func.sum(ReferralClicks.count)).join(ReferralCode, ReferralCode.id == ReferralClicks.code_id)
    clicks = await session.scalar(mine.where(ReferralCode.user_id == partner_id))
    registrations = select(func.count()).select_from(Referral).where(Referral.partner_id == partner_id)
    paying = select(func.count(CommissionEntry.referral_id.distinct()))
    return OverviewOut(
        clicks=int(clicks or 0),
        registrations=await session.scalar(registrations) or 0,
        paying=await session.scalar(paying.where(CommissionEntry.partner_id == partner_id)) or 0,
        money=(await owed(session, partner_id)).get(partner_id, []),
        payout_details=await read_details(session, partner_id),
    )


async def brought(session: AsyncSession, partner_id: UUID, limit: int, after: str | None) -> Page[BroughtOut]:
    """Newest first."""
    wanted = select(Referral).where(Referral.partner_id == partner_id)
    found = await newest_first(session, wanted, Referral.id, limit, after)
    tenant_ids = [row.tenant_id for row in found.items]
    named = select(Tenant.id, Tenant.name, Tenant.status).where(Tenant.id.in_(tenant_ids))
    tenants = {row.id: row for row in await session.execute(named)}
    earned = await _earned(session, [row.id for row in found.items])
    return found.map(lambda row: _show(row, tenants[row.tenant_id], earned.get(row.id, {})))


async def report(session: AsyncSession) -> list[PartnerOut]:
    """Every partner who is one or has been one; those to whom most is payable in a currency first."""
    money = await owed(session)
    people = select(User).where(or_(User.role == "referral", User.id.in_(money)))
    users = {user.id: user for user in await session.scalars(people)}
    rows = [
        _partner(partner_id, users.get(partner_id), each)
        for partner_id in users.keys() | money.keys()
        for each in money.get(partner_id, [Owed(currency="")])
    ]
    return sorted(rows, key=lambda row: (row.currency, -row.payable, row.partner_id))


def report_table(rows: Sequence[PartnerOut]) -> str:
    """CSV with figures in units of the currency."""
    names = ("pending", "payable", "in_payout", "paid")
    header = ("partner_id", "name", "email", "active", "currency", *names)
    return csv_text([header, *(_cells(row, [getattr(row, name) for name in names]) for row in rows)])


async def payout_table(session: AsyncSession, payout: ReferralPayout) -> str:
    """CSV: the entries that a payout is made of."""
    header = ("created_at", "kind", "tenant_id", "payment_id", "amount", "currency")
    mine = select(CommissionEntry).where(CommissionEntry.payout_id == payout.id).order_by(CommissionEntry.id)
    entries = await session.scalars(mine)
    rows = (
        (str(row.created_at), row.kind, str(row.tenant_id), str(row.payment_id), _figure(row), row.currency)
        for row in entries
    )
    return csv_text([header, *rows])


def _figure(row: CommissionEntry) -> str:
    return figure(row.amount, row.currency)


async def _earned(session: AsyncSession, referral_ids: Iterable[UUID]) -> dict[UUID, dict[str, int]]:
    entry = CommissionEntry
    sums = select(entry.referral_id, entry.currency, func.sum(entry.amount)).where(entry.referral_id.in_(referral_ids))
    earned: dict[UUID, dict[str, int]] = {}
    for referral_id, currency, amount in await session.execute(sums.group_by(entry.referral_id, entry.currency)):
        earned.setdefault(referral_id, {})[currency] = int(amount)
    return earned


def _show(row: Referral, tenant: Row[UUID, str, str], earned: dict[str, int]) -> BroughtOut:
    stage: Stage = "inactive" if tenant.status != "active" else "paying" if earned else "registered"
    return BroughtOut(
        id=row.id,
        label=f"{tenant.name[:1]}…",
        code=row.code,
        stage=stage,
        registered_on=_day(row.registered_at),
        earned=earned,
    )


def _day(moment: datetime) -> date:
    return moment.date()


def _partner(partner_id: UUID, user: User | None, money: Owed) -> PartnerOut:
    is_active = user is not None and (user.role, user.status) == ("referral", "active")
    name, email = (None, None) if user is None else (user.name, user.email)
    plain = msgspec.structs.asdict(money)
    return PartnerOut(partner_id=partner_id, name=name, email=email, is_active=is_active, **plain)


def _cells(row: PartnerOut, amounts: Sequence[int]) -> tuple[str, ...]:
    active = "yes" if row.is_active else "no"
    figures = (figure(amount, row.currency) for amount in amounts)
    return (str(row.partner_id), harmless(row.name or ""), harmless(row.email or ""), active, row.currency, *figures)
