"""What administrators of the platform do about money: the catalogue of plans, adjustments, overdrafts."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import AnswersPaused, BalanceTooLow, InvalidInput
from asissto.platform.events import announce
from asissto.platform.jobs import wake
from asissto.platform.money_tables import LedgerAccount, Plan
from asissto.platform.plans import FREE, Amount, Terms, put_plan
from asissto.platform.platform_tenants import Reason, find_tenant
from asissto.platform.subscriptions import TOPIC
from asissto.platform.texts import Phrase

Status = Literal["active", "archived"]
Key = Annotated[str, Meta(min_length=1, max_length=100)]


class PlanIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An archived plan is chosen by nobody anew; whoever has it keeps it."""

    terms: Terms
    status: Status = "active"


class AdjustmentIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`amount` in minor units, below zero to take; by `key` the same adjustment is known when it comes again."""

    amount: Annotated[int, Meta(ge=-(10**12), le=10**12)]
    reason: Reason
    key: Key


class OverdraftIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    amount: Amount


class MoneyOut(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units of `currency`."""

    balance: int
    held: int
    overdraft: int
    currency: str


async def catalogue(session: AsyncSession) -> list[PlanIn]:
    rows = await session.scalars(select(Plan).order_by(Plan.code))
    return [msgspec.convert({"terms": row.terms, "status": row.status}, PlanIn) for row in rows]


async def put(session: AsyncSession, principal: Principal, code: str, what: PlanIn) -> PlanIn:
    """Raises InvalidInput for another code in the terms, and for a free plan that is none."""
    if what.terms.code != code:
        raise InvalidInput(field="terms.code", detail=Phrase("invalid.plan_code"))
    if code == FREE and (what.status != "active" or what.terms.price):
        raise InvalidInput(field="terms", detail=Phrase("invalid.free_plan"))
    await put_plan(session, what.terms, what.status)
    await record(session, principal, "platform.plans.put", "plan", None, **msgspec.to_builtins(what))
    return what


async def adjust(session: AsyncSession, principal: Principal, tenant_id: UUID, what: AdjustmentIn) -> MoneyOut:
    """Raises NotFound, InvalidInput and BalanceTooLow."""
    await find_tenant(session, principal, tenant_id)
    if not what.amount:
        raise InvalidInput(field="amount", detail=Phrase("invalid.adjustment"))
    debit, credit = ("adjustment", "wallet") if what.amount > 0 else ("wallet", "adjustment")
    is_new = await ledger.transfer(
        session,
        tenant_id,
        kind="adjustment",
        debit=debit,
        credit=credit,
        amount=abs(what.amount),
        key=f"adjustment:{what.key}",
        note=what.reason,
    )
    if is_new:
        told = {"amount": what.amount, "reason": what.reason, "key": what.key}
        await record(session, principal.within(tenant_id), "platform.adjustments.create", "tenant", tenant_id, **told)
        await announce(session, tenant_id, TOPIC, tenant_id)
    return await _show(session, tenant_id)


async def allow_overdraft(session: AsyncSession, principal: Principal, tenant_id: UUID, what: OverdraftIn) -> MoneyOut:
    """Raises NotFound, and BalanceTooLow where the wallet is further below zero already."""
    await find_tenant(session, principal, tenant_id)
    await ledger.lock(session, tenant_id)
    before = await _show(session, tenant_id)
    if before.balance + what.amount < 0:
        raise BalanceTooLow
    wallet = {"tenant_id": tenant_id, "name": "wallet"}
    await session.execute(insert(LedgerAccount).values(**wallet).on_conflict_do_nothing())
    await session.execute(update(LedgerAccount).filter_by(**wallet).values(overdraft=what.amount))
    await wake(session, tenant_id, AnswersPaused.code)
    told = {"before": before.overdraft, "after": what.amount}
    await record(session, principal.within(tenant_id), "platform.overdraft.put", "tenant", tenant_id, **told)
    return await _show(session, tenant_id)


async def _show(session: AsyncSession, tenant_id: UUID) -> MoneyOut:
    money = await ledger.balance(session, tenant_id)
    mine = (LedgerAccount.tenant_id == tenant_id, LedgerAccount.name == "wallet")
    overdraft = await session.scalar(select(LedgerAccount.overdraft).where(*mine)) or 0
    return MoneyOut(balance=money.available, held=money.held, overdraft=overdraft, currency=money.currency)
