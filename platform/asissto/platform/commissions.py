"""What partners earn of payments: booked with the payment, taken back with a refund or a lost dispute, once each.

The commission is a cost of the operator's: it goes from `cost:commission` to `commission:<partner>`, and the wallet and
the revenue of whoever paid are not touched.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.own_referrals import is_own
from asissto.platform.payment_tables import Payment
from asissto.platform.payments import REFUNDED, SETTLED
from asissto.platform.referral_tables import CommissionEntry, Referral
from asissto.platform.referral_terms import Rate, commission, read_terms, remaining, still_earns
from asissto.platform.tables import Tenant, User, new_id

COST = "cost:commission"


def pay_partners() -> None:
    """Where an application or a worker is built; more than once is as good as once."""
    if earn not in SETTLED:
        SETTLED.append(earn)
        REFUNDED.append(follow_refund)


async def earn(session: AsyncSession, payment: Payment) -> None:
    """In the transaction that books the payment: what it gives to whoever brought the tenant, by the terms of then."""
    referral = await session.scalar(select(Referral).where(Referral.tenant_id == payment.tenant_id))
    if referral is None or await _entries(session, payment.tenant_id, payment.id):
        return
    if not await _is_entitled(session, referral):
        return
    plan = (await session.scalars(select(Tenant.plan).where(Tenant.id == payment.tenant_id))).one()
    terms, paid_at = read_terms(referral.terms), payment.settled_at or datetime.now(UTC)
    rate = terms.rate_of(plan)
    earned = commission(rate, payment.amount, payment.currency)
    paid_before = await _paid_before(session, referral)
    if not earned or not still_earns(rate, referral.registered_at, paid_at, paid_before):
        return
    entry = CommissionEntry(
        tenant_id=payment.tenant_id,
        id=new_id(),
        partner_id=referral.partner_id,
        referral_id=referral.id,
        payment_id=payment.id,
        number=0,
        kind="earned",
        amount=earned,
        currency=payment.currency,
        rule=_rule(plan, rate, payment.amount),
        payable_at=paid_at + timedelta(days=terms.hold_days),
    )
    await _book(session, entry)


async def follow_refund(session: AsyncSession, payment: Payment, _amount: int) -> None:
    """Brings the commission to the part of the payment that was not given back, whichever way that has changed."""
    await ledger.lock(session, payment.tenant_id)
    entries = await _entries(session, payment.tenant_id, payment.id)
    if not entries or any(entry.kind == "voided" for entry in entries):
        return
    rest = remaining(entries[0].amount, payment.amount, payment.refunded)
    change = rest - sum(entry.amount for entry in entries)
    if change:
        rule = {**entries[0].rule, "base": payment.amount - payment.refunded}
        await _book(session, _next(entries, "reversed" if change < 0 else "restored", change, rule))


async def void(session: AsyncSession, tenant_id: UUID, referral_id: UUID) -> int:
    """Takes back all that a referral has earned, for good; returns of how many payments."""
    await ledger.lock(session, tenant_id)
    mine = (CommissionEntry.tenant_id == tenant_id, CommissionEntry.referral_id == referral_id)
    payments = list(await session.scalars(select(CommissionEntry.payment_id).where(*mine).distinct()))
    voided = 0
    for payment_id in payments:
        entries = await _entries(session, tenant_id, payment_id)
        if not any(entry.kind == "voided" for entry in entries):
            rule = {**entries[0].rule, "base": 0}
            await _book(session, _next(entries, "voided", -sum(entry.amount for entry in entries), rule))
            voided += 1
    return voided


async def _is_entitled(session: AsyncSession, referral: Referral) -> bool:
    """A partner who was dismissed earns nothing more, and nobody earns of their own payments."""
    partner = await session.get(User, referral.partner_id, populate_existing=True)
    if partner is None or (partner.role, partner.status) != ("referral", "active"):
        return False
    return not await is_own(session, partner, referral.tenant_id)


async def _paid_before(session: AsyncSession, referral: Referral) -> int:
    """Payments of the tenant wait for each other at its row in the ledger, so that each counts those before it."""
    mine = (CommissionEntry.tenant_id == referral.tenant_id, CommissionEntry.referral_id == referral.id)
    earned = select(func.count()).select_from(CommissionEntry).where(*mine, CommissionEntry.number == 0)
    return await session.scalar(earned) or 0


async def _entries(session: AsyncSession, tenant_id: UUID, payment_id: UUID) -> list[CommissionEntry]:
    mine = (CommissionEntry.tenant_id == tenant_id, CommissionEntry.payment_id == payment_id)
    return list(await session.scalars(select(CommissionEntry).where(*mine).order_by(CommissionEntry.number)))


def _next(entries: Sequence[CommissionEntry], kind: str, amount: int, rule: dict[str, object]) -> CommissionEntry:
    """It is payable when the first one is: a refund within the hold never shows in a payout."""
    first = entries[0]
    return CommissionEntry(
        tenant_id=first.tenant_id,
        id=new_id(),
        partner_id=first.partner_id,
        referral_id=first.referral_id,
        payment_id=first.payment_id,
        number=len(entries),
        kind=kind,
        amount=amount,
        currency=first.currency,
        rule=rule,
        payable_at=first.payable_at,
    )


async def _book(session: AsyncSession, entry: CommissionEntry) -> None:
    session.add(entry)
    await session.flush()
    account = f"commission:{entry.partner_id}"
    debit, credit = (COST, account) if entry.amount > 0 else (account, COST)
    if entry.amount:
        await ledger.transfer(
            session,
            entry.tenant_id,
            kind="commission" if entry.amount > 0 else "commission_reversal",
            debit=debit,
            credit=credit,
            amount=abs(entry.amount),
            key=f"commission:{entry.payment_id}:{entry.number}",
            about=entry.payment_id,
        )


def _rule(plan: str, rate: Rate, base: int) -> dict[str, object]:
    return {"plan": plan, "rate": msgspec.to_builtins(rate), "base": base}
