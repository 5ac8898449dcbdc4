"""Money on its way back: refunds that an administrator asks for, refunds and disputes that a provider tells of."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import (
    InvalidInput,
    NotFound,
    PaymentKeyReused,
    PaymentNotOpen,
    PaymentRefused,
    PaymentUnanswered,
)
from asissto.platform.invoices import issue_invoice
from asissto.platform.ledger import transfer
from asissto.platform.payment_contract import Return, SeenReversal
from asissto.platform.payment_tables import Payment, PaymentReversal
from asissto.platform.payments import FIRST_CHECK, LARGEST, REFUNDED, lock_payment
from asissto.platform.services import Services
from asissto.platform.tables import Tenant, new_id
from asissto.platform.texts import Phrase

_RANK = {"pending": 0, "settled": 1, "failed": 2}
"""States go upwards alone: what was heard late changes nothing."""


class RefundIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `amount` all that is left; `key` makes the same request safe to send again."""

    amount: Annotated[int, Meta(ge=1, le=LARGEST)] | None = None
    key: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    reason: Annotated[str, Meta(max_length=500)] | None = None


async def refund(
    services: Services, admin: Principal, tenant_id: UUID, payment_id: UUID, what: RefundIn
) -> PaymentReversal:
    """Takes the money out of the wallet, then asks the provider; pending where the provider has not answered.

    Raises NotFound, PaymentNotOpen, InvalidInput, BalanceTooLow, PaymentKeyReused, PaymentRefused.
    """
    async with services.database.system() as session:
        payment = await lock_payment(session, tenant_id, payment_id)
        if payment is None:
            raise NotFound(kind="payment")
        reversal = await _begin_refund(session, admin, payment, what)
    if reversal.state != "pending":
        return reversal
    return await ask_for_refund(services, payment, reversal)


async def ask_for_refund(services: Services, payment: Payment, reversal: PaymentReversal) -> PaymentReversal:
    """Once more is as good as once: the provider knows the reversal's id. Raises PaymentRefused."""
    provider = services.payments.of(services.settings, payment.provider)
    try:
        seen = await provider.refund(_return(payment, reversal))
    except PaymentUnanswered:
        return reversal
    except PaymentRefused as error:
        seen = SeenReversal(
            provider_id="", amount=reversal.amount, state="failed", reversal_id=reversal.id, kind="refund"
        )
        await _apply_alone(services, reversal, seen, f"refund_refused {error.params['reason']}")
        raise
    return await _apply_alone(services, reversal, seen, None)


async def apply_reversal(session: AsyncSession, payment: Payment, seen: SeenReversal, seller: str) -> None:
    """In a system transaction that holds the payment: what the provider tells of one reversal."""
    reversal = await _known(session, payment, seen)
    if reversal is None:
        if seen.state == "failed":
            return
        reversal = await _begin_told(session, payment, seen)
    reversal.provider_id = reversal.provider_id or seen.provider_id or None
    if _RANK[seen.state] > _RANK[reversal.state]:
        await _finish(session, payment, reversal, seen, seller)
    await session.flush()
    payment.state = await _state(session, payment)


async def _begin_refund(session: AsyncSession, admin: Principal, payment: Payment, what: RefundIn) -> PaymentReversal:
    reversals = await reversals_of(session, payment)
    before = next((each for each in reversals if what.key and each.idempotency_key == what.key), None)
    if before is not None:
        if what.amount not in (None, before.amount):
            raise PaymentKeyReused(field="key")
        return before
    if payment.state != "settled" or payment.charge_id is None:
        raise PaymentNotOpen(state=Phrase(f"payment.{payment.state}"))
    left = payment.amount - sum(each.amount for each in reversals if each.state != "failed")
    amount = what.amount or left
    if not 0 < amount <= left:
        raise InvalidInput(field="amount", detail=Phrase("invalid.refund_amount", left))
    reversal = _row(payment, "refund", amount, what.key)
    reversal.reason, reversal.user_id, reversal.from_wallet = what.reason, admin.user_id, amount
    session.add(reversal)
    await _debit(session, payment, reversal)
    payment.next_check_at = datetime.now(UTC) + FIRST_CHECK if payment.provider != "manual" else None
    told = {"amount": amount, "currency": payment.currency, "reason": what.reason}
    await record(session, admin.within(payment.tenant_id), "payments.refund", "payment", payment.id, **told)
    return reversal


async def reversals_of(session: AsyncSession, payment: Payment) -> list[PaymentReversal]:
    own = (PaymentReversal.tenant_id == payment.tenant_id, PaymentReversal.payment_id == payment.id)
    return list(await session.scalars(select(PaymentReversal).where(*own).order_by(PaymentReversal.id)))


async def _known(session: AsyncSession, payment: Payment, seen: SeenReversal) -> PaymentReversal | None:
    """By the provider's id, by ours, or as the one of this amount that the provider has not named yet."""
    reversals = [each for each in await reversals_of(session, payment) if each.kind == seen.kind]
    unnamed = [each for each in reversals if each.provider_id is None and each.state == "pending"]
    matching = (
        *(each for each in reversals if each.provider_id is not None and each.provider_id == seen.provider_id),
        *(each for each in reversals if seen.reversal_id == each.id),
        *(each for each in unnamed if seen.reversal_id is None and each.amount == seen.amount),
    )
    return next(iter(matching), None)


async def _begin_told(session: AsyncSession, payment: Payment, seen: SeenReversal) -> PaymentReversal:
    """The provider has taken it already: what the wallet lacks is the operator's loss until it is paid."""
    tenant = await session.get_one(
        Tenant, payment.tenant_id, with_for_update={"key_share": True}, populate_existing=True
    )
    reversal = _row(payment, seen.kind, seen.amount, f"told:{seen.provider_id}")
    reversal.provider_id, reversal.from_wallet = seen.provider_id, max(0, min(seen.amount, tenant.balance))
    session.add(reversal)
    await _debit(session, payment, reversal)
    return reversal


async def _finish(
    session: AsyncSession, payment: Payment, reversal: PaymentReversal, seen: SeenReversal, seller: str
) -> None:
    before, reversal.state, reversal.finished_at = reversal.state, seen.state, datetime.now(UTC)
    if seen.state == "settled":
        payment.refunded += reversal.amount
        await issue_invoice(session, payment, "credit_note", reversal.amount, seller)
        for hook in REFUNDED:
            await hook(session, payment, reversal.amount)
        return
    await _give_back(session, payment, reversal)
    if before == "settled":  # a bank sent the refund back: the payment is ours again
        payment.refunded -= reversal.amount
        await issue_invoice(session, payment, "invoice", reversal.amount, seller)
        for hook in REFUNDED:
            await hook(session, payment, -reversal.amount)


async def _state(session: AsyncSession, payment: Payment) -> str:
    if any(each.kind == "dispute" and each.state == "pending" for each in await reversals_of(session, payment)):
        return "disputed"
    return "refunded" if payment.refunded >= payment.amount else "settled"


async def _debit(session: AsyncSession, payment: Payment, reversal: PaymentReversal) -> None:
    """Raises BalanceTooLow where the tenant has used the money that is to be refunded."""
    for account, amount, kind in _legs(reversal):
        leg = {"debit": account, "credit": f"cash:{payment.provider}", "kind": kind}
        await _book(session, reversal, amount, leg)


async def _give_back(session: AsyncSession, payment: Payment, reversal: PaymentReversal) -> None:
    for account, amount, kind in _legs(reversal):
        leg = {"debit": f"cash:{payment.provider}", "credit": account, "kind": f"{kind}_returned"}
        await _book(session, reversal, amount, leg)


def _legs(reversal: PaymentReversal) -> tuple[tuple[str, int, str], ...]:
    uncovered = reversal.amount - reversal.from_wallet
    return ("wallet", reversal.from_wallet, reversal.kind), ("adjustment", uncovered, f"{reversal.kind}_uncovered")


async def _book(session: AsyncSession, reversal: PaymentReversal, amount: int, leg: dict[str, str]) -> None:
    if amount:
        key = f"{leg['kind']}:{reversal.id}"
        await transfer(session, reversal.tenant_id, **leg, amount=amount, key=key, about=reversal.payment_id)


def _row(payment: Payment, kind: str, amount: int, key: str | None) -> PaymentReversal:
    reversal_id = new_id()
    return PaymentReversal(
        tenant_id=payment.tenant_id,
        id=reversal_id,
        payment_id=payment.id,
        kind=kind,
        amount=amount,
        state="pending",
        idempotency_key=key or str(reversal_id),
        created_at=datetime.now(UTC),
    )


def _return(payment: Payment, reversal: PaymentReversal) -> Return:
    return Return(
        tenant_id=payment.tenant_id,
        reversal_id=reversal.id,
        charge_id=payment.charge_id or "",
        amount=reversal.amount,
        currency=payment.currency,
        email=payment.email,
    )


async def _apply_alone(
    services: Services, reversal: PaymentReversal, seen: SeenReversal, problem: str | None
) -> PaymentReversal:
    async with services.database.system() as session:
        payment = await lock_payment(session, reversal.tenant_id, reversal.payment_id)
        assert payment is not None
        seen = msgspec.structs.replace(seen, reversal_id=reversal.id)
        await apply_reversal(session, payment, seen, services.settings.invoice_seller)
        payment.problem = problem
        return await session.get_one(PaymentReversal, (reversal.tenant_id, reversal.id))
