"""How entries of commissions stand: what is payable at this moment, and what each partner has in each currency."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import msgspec
from sqlalchemy import Select, text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.paging import Page, newest_first
from asissto.platform.referral_tables import CommissionEntry

Standing = Literal["pending", "payable", "in_payout", "paid"]

IS_DUE = """
    e.payout_id IS NULL AND e.payable_at <= now() AND (
        EXISTS (SELECT 1 FROM commission_entries f
                WHERE f.tenant_id = e.tenant_id AND f.payment_id = e.payment_id AND f.payout_id IS NOT NULL)
        OR (EXISTS (SELECT 1 FROM tenants t WHERE t.id = e.tenant_id AND t.status = 'active')
            AND NOT EXISTS (SELECT 1 FROM payments p
                            WHERE p.tenant_id = e.tenant_id AND p.id = e.payment_id AND p.state = 'disputed')))
"""
"""The hold is over; what is disputed, or of a tenant that is suspended, waits until that is settled. Once a part of it
was paid out, the rest follows at once, so that what is taken back is not put off."""

_STANDING = f"""
    CASE WHEN o.state = 'paid' THEN 'paid' WHEN o.id IS NOT NULL THEN 'in_payout'
         WHEN {IS_DUE} THEN 'payable' ELSE 'pending' END
"""
_EACH = text(f"""
    SELECT e.id, {_STANDING} FROM commission_entries e LEFT JOIN referral_payouts o ON o.id = e.payout_id
    WHERE e.id = ANY(:ids)
""")  # noqa: S608 - made of our own words
_SUMS = text(f"""
    SELECT s.partner_id, s.currency, s.standing, sum(s.amount)::bigint FROM (
        SELECT e.partner_id, e.currency, e.amount, {_STANDING} AS standing
        FROM commission_entries e LEFT JOIN referral_payouts o ON o.id = e.payout_id
        WHERE CAST(:partner_id AS uuid) IS NULL OR e.partner_id = :partner_id) s
    GROUP BY 1, 2, 3 ORDER BY 1, 2
""")  # noqa: S608


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units of `currency`: within the hold, payable, in a payout that is under way, paid out.

    `payable` is below zero where more was taken back than earned since the last payout; the next one is less by it.
    """

    currency: str
    pending: int = 0
    payable: int = 0
    in_payout: int = 0
    paid: int = 0


class CommissionOut(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` in minor units, below zero for what was taken back; `referral_id` tells by whom, without a name."""

    id: UUID
    referral_id: UUID
    kind: str
    amount: int
    currency: str
    standing: Standing
    payable_at: datetime
    payout_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: CommissionEntry, standing: Standing, **more: Any) -> Self:
        plain = {name: getattr(row, name) for name in CommissionOut.__struct_fields__ if name != "standing"}
        return cls(**plain, standing=standing, **more)


class PlatformCommissionOut(CommissionOut, frozen=True, kw_only=True):
    """With whose payment it was, and by which rule: plan, rate and the amount that it was taken of."""

    partner_id: UUID
    tenant_id: UUID
    payment_id: UUID
    rule: dict[str, object]


async def owed(session: AsyncSession, partner_id: UUID | None = None) -> dict[UUID, list[Owed]]:
    """By partner, one for each currency; of one partner or of all."""
    sums: dict[tuple[UUID, str], dict[str, int]] = {}
    for partner, currency, standing, amount in await session.execute(_SUMS, {"partner_id": partner_id}):
        sums.setdefault((partner, currency), {})[standing] = amount
    found: dict[UUID, list[Owed]] = {}
    for (partner, currency), by_standing in sums.items():
        found.setdefault(partner, []).append(Owed(currency=currency, **by_standing))
    return found


async def list_entries(
    session: AsyncSession, wanted: Select[CommissionEntry], limit: int, after: str | None
) -> Page[CommissionOut]:
    """Newest first."""
    found = await newest_first(session, wanted, CommissionEntry.id, limit, after)
    standings = await _standings(session, found.items)
    return found.map(lambda row: CommissionOut.of(row, standings[row.id]))


async def list_with_whose(
    session: AsyncSession, wanted: Select[CommissionEntry], limit: int, after: str | None
) -> Page[PlatformCommissionOut]:
    """The same for administrators."""
    found = await newest_first(session, wanted, CommissionEntry.id, limit, after)
    standings = await _standings(session, found.items)
    names = ("partner_id", "tenant_id", "payment_id", "rule")
    return found.map(
        lambda row: PlatformCommissionOut.of(row, standings[row.id], **{name: getattr(row, name) for name in names})
    )


async def _standings(session: AsyncSession, rows: Sequence[CommissionEntry]) -> dict[UUID, Standing]:
    found = await session.execute(_EACH, {"ids": [row.id for row in rows]})
    return {row[0]: row[1] for row in found}
