"""Payouts: what is payable is set aside for one, which is approved, paid by bank and marked so, or does not come off.

What was set aside does not change any more; what is taken back meanwhile makes the next payout less.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import Conflict, InvalidInput, NotFound
from asissto.platform.owed_commissions import IS_DUE
from asissto.platform.plans import Currency
from asissto.platform.referral_tables import CommissionEntry, ReferralPartner, ReferralPayout, ReferralProgramme
from asissto.platform.referral_terms import STANDARD, read_terms
from asissto.platform.tables import User, new_id
from asissto.platform.texts import Phrase

CASH = "cash:payouts"
"""Above zero by what was paid out to partners."""

State = Literal["requested", "approved", "paid", "failed", "cancelled"]
_FROM: dict[str, tuple[str, ...]] = {
    "approved": ("requested",),
    "paid": ("approved",),
    "cancelled": ("requested", "approved"),
    "failed": ("approved", "paid"),
}
"""What a payout may have been before; what does not come off, also after the bank sent it back, is payable again."""

_SET_ASIDE = text(f"""
    UPDATE commission_entries e SET payout_id = :payout_id
    WHERE e.partner_id = :partner_id AND e.currency = :currency AND {IS_DUE}
    RETURNING e.amount
""")  # noqa: S608 - made of our own words

Line = Annotated[str, Meta(min_length=1, max_length=500)]


class PayoutIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is payable in the currency."""

    currency: Currency


class PartnerPayoutIn(PayoutIn, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For a partner, whatever the least amount is."""

    user_id: UUID
    note: Line | None = None


class PayoutPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`paid` needs the `reference` of the transfer and the date, `paid_on`."""

    state: Literal["approved", "paid", "failed", "cancelled"]
    reference: Line | UnsetType = UNSET
    paid_on: date | UnsetType = UNSET
    note: Line | UnsetType = UNSET


class DetailsIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Account and name, in one's own words; null forgets them."""

    payout_details: Annotated[str, Meta(min_length=1, max_length=2000)] | None


class PayoutOut(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` in minor units; `payout_details` are those of the moment when it was made."""

    id: UUID
    partner_id: UUID
    currency: str
    amount: int
    state: State
    payout_details: str | None
    reference: str | None
    paid_on: date | None
    note: str | None
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: ReferralPayout) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


async def request_payout(session: AsyncSession, principal: Principal, what: PayoutIn) -> ReferralPayout:
    """By the partner. Raises Conflict where too little is payable."""
    terms = await session.scalar(select(ReferralProgramme.terms).where(ReferralProgramme.code == STANDARD))
    least = read_terms(terms).minimum_payouts.get(what.currency, 1)
    row = await _set_aside(session, principal.user_id, what.currency, least, "requested")
    await _record(session, principal, "referrals.payouts.request", row)
    return row


async def create_payout(session: AsyncSession, principal: Principal, what: PartnerPayoutIn) -> ReferralPayout:
    """By an administrator, approved at once. Raises NotFound, and Conflict where nothing is payable."""
    if await session.get(User, what.user_id) is None:
        raise NotFound(kind="partner")
    row = await _set_aside(session, what.user_id, what.currency, 1, "approved")
    row.note = what.note
    await _record(session, principal, "platform.referrals.payouts.create", row)
    return row


async def change_payout(
    session: AsyncSession, principal: Principal, payout_id: UUID, what: PayoutPatch
) -> ReferralPayout:
    """Raises NotFound, InvalidInput, and Conflict for what cannot follow on how it stands."""
    row = await find_payout(session, payout_id, locks=True)
    before = row.state
    if what.state == "paid" and (what.reference is UNSET or what.paid_on is UNSET):
        raise InvalidInput(field="reference", detail=Phrase("invalid.payout_reference"))
    await _turn(session, row, what.state)
    for name in ("reference", "paid_on", "note"):
        if getattr(what, name) is not UNSET:
            setattr(row, name, getattr(what, name))
    await _record(session, principal, "platform.referrals.payouts.update", row, before=before)
    return row


async def cancel_payout(session: AsyncSession, principal: Principal, payout_id: UUID) -> ReferralPayout:
    """By the partner, as long as nobody has approved it. Raises NotFound, Conflict."""
    row = await find_payout(session, payout_id, locks=True)
    if row.partner_id != principal.user_id:
        raise NotFound(kind="payout")
    if row.state != "requested":
        raise Conflict(detail=Phrase("conflict.payout_state"))
    await _turn(session, row, "cancelled")
    await _record(session, principal, "referrals.payouts.cancel", row, before="requested")
    return row


async def find_payout(session: AsyncSession, payout_id: UUID, *, locks: bool = False) -> ReferralPayout:
    row = await session.get(ReferralPayout, payout_id, with_for_update=locks or None, populate_existing=True)
    if row is None:
        raise NotFound(kind="payout")
    return row


async def read_details(session: AsyncSession, user_id: UUID) -> str | None:
    return await session.scalar(select(ReferralPartner.payout_details).where(ReferralPartner.user_id == user_id))


async def put_details(session: AsyncSession, principal: Principal, what: DetailsIn) -> None:
    """The trail tells that they were changed, not what they are."""
    row = insert(ReferralPartner).values(user_id=principal.user_id, payout_details=what.payout_details)
    changed = {"payout_details": what.payout_details}
    await session.execute(row.on_conflict_do_update(index_elements=["user_id"], set_=changed))
    told = {"fields": ["payout_details"]}
    await record(session, principal, "referrals.details.put", "user", principal.user_id, **told)


async def _set_aside(
    session: AsyncSession, partner_id: UUID, currency: str, least: int, state: State
) -> ReferralPayout:
    """Two payouts of a partner that begin at once wait for each other."""
    await session.execute(insert(ReferralPartner).values(user_id=partner_id).on_conflict_do_nothing())
    mine = select(ReferralPartner).where(ReferralPartner.user_id == partner_id).with_for_update()
    partner = (await session.scalars(mine.execution_options(populate_existing=True))).one()
    row = ReferralPayout(id=new_id(), partner_id=partner_id, currency=currency, amount=0, state=state)
    row.payout_details = partner.payout_details
    session.add(row)
    await session.flush()
    found = {"payout_id": row.id, "partner_id": partner_id, "currency": currency}
    row.amount = sum(await session.scalars(_SET_ASIDE, found))
    if row.amount < max(least, 1):
        raise Conflict(detail=Phrase("conflict.payout_minimum", max(least, 1)))
    await session.flush()
    await session.refresh(row)
    return row


async def _turn(session: AsyncSession, row: ReferralPayout, state: State) -> None:
    if row.state not in _FROM[state]:
        raise Conflict(detail=Phrase("conflict.payout_state"))
    if "paid" in (state, row.state):
        await _book(session, row, comes_back=state == "failed")
    if state in ("failed", "cancelled"):
        mine = update(CommissionEntry).where(CommissionEntry.payout_id == row.id)
        await session.execute(mine.values(payout_id=None), execution_options={"synchronize_session": False})
    row.state, row.changed_at = state, datetime.now(UTC)


async def _book(session: AsyncSession, row: ReferralPayout, *, comes_back: bool) -> None:
    """In the books of each tenant whose payments it is of, in the order of their ids, so that two do not clash."""
    sums = select(CommissionEntry.tenant_id, func.sum(CommissionEntry.amount))
    sums = sums.where(CommissionEntry.payout_id == row.id).group_by(CommissionEntry.tenant_id)
    kind = "commission_payout_returned" if comes_back else "commission_payout"
    for tenant_id, amount in (await session.execute(sums.order_by(CommissionEntry.tenant_id))).all():
        sides = (f"commission:{row.partner_id}", CASH)
        debit, credit = sides if (amount > 0) != comes_back else sides[::-1]
        if amount:
            await ledger.transfer(
                session,
                tenant_id,
                kind=kind,
                debit=debit,
                credit=credit,
                amount=abs(int(amount)),
                key=f"{kind}:{row.id}",
                about=row.id,
            )


async def _record(
    session: AsyncSession, principal: Principal, action: str, row: ReferralPayout, **more: object
) -> None:
    told = {"partner": row.partner_id, "amount": row.amount, "currency": row.currency, "state": row.state}
    await record(session, principal, action, "payout", row.id, **told, **more)
