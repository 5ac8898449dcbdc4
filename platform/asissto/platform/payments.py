"""Topping up the wallet: a payment is a row first, then an order with a provider, and is booked when it is settled."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput, NotFound, PaymentKeyReused, PaymentNotOpen, PaymentRefused
from asissto.platform.invoices import issue_invoice
from asissto.platform.ledger import transfer
from asissto.platform.members import find_user
from asissto.platform.payment_contract import Order, PaymentProvider, Placed
from asissto.platform.payment_tables import Payment
from asissto.platform.plans import Currency
from asissto.platform.services import Services
from asissto.platform.subscriptions import agree_on_currency
from asissto.platform.tables import Tenant, new_id
from asissto.platform.texts import Phrase, known_language, text

Settled = Callable[[AsyncSession, Payment], Awaitable[None]]
Refunded = Callable[[AsyncSession, Payment, int], Awaitable[None]]

SETTLED: list[Settled] = []
"""Called in the transaction that books a payment, once for each; filled where the application is built."""

REFUNDED: list[Refunded] = []
"""The same for money that went back, by a refund or a lost dispute, with its minor units; below zero where a bank
sent a refund back after all. `payment.refunded` is what it comes to by then."""

FIRST_CHECK = timedelta(minutes=1)
KEPT = timedelta(hours=20)
"""Providers know an idempotency key for a day; later the same request would be another payment."""

LARGEST = 10_000_000_000
"""Minor units of one payment."""


class TopUpIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`amount` in minor units; `key` makes the same request safe to send again.

    The first payment settles the workspace's `currency`; left out, it is the one that the workspace has.
    `payer` is the name and the details that the invoice is made out to.
    """

    provider: Annotated[str, Meta(max_length=40)]
    amount: Annotated[int, Meta(ge=1, le=LARGEST)]
    currency: Currency | None = None
    key: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    payer: Annotated[str, Meta(max_length=1000)] | None = None


async def top_up(services: Services, principal: Principal, what: TopUpIn) -> Payment:
    """Where to pay stands in the payment. No connection is held while the provider is asked.

    Raises NotFound, InvalidInput, CurrencyDiffers, PaymentKeyReused, PaymentNotOpen, PaymentRefused,
    PaymentUnanswered; after the last the same request with the same key goes on where this one was left.
    """
    provider = services.payments.of(services.settings, what.provider)
    async with services.database.tenant(principal.tenant_id) as session:
        payment = await _open_payment(session, principal, provider, what)
        order = await _order(services, session, payment)
    if payment.pay_url is not None or payment.instructions is not None:
        return payment
    try:
        placed = await provider.create_payment(order)
    except PaymentRefused as error:
        refused = f"refused {error.params['reason']}"
        await _write(services, payment, state="failed", problem=refused, next_check_at=None)
        raise
    return await _write(services, payment, **_told(placed))


async def find_payment(session: AsyncSession, tenant_id: UUID, payment_id: UUID) -> Payment:
    payment = await session.get(Payment, (tenant_id, payment_id))
    if payment is None:
        raise NotFound(kind="payment")
    return payment


async def lock_payment(session: AsyncSession, tenant_id: UUID, payment_id: UUID) -> Payment | None:
    """In a system transaction; whoever changes a payment holds it first."""
    return await session.get(Payment, (tenant_id, payment_id), with_for_update=True, populate_existing=True)


async def book_payment(session: AsyncSession, payment: Payment, charge_id: str, seller: str) -> bool:
    """Money that came in goes into the wallet, with an invoice, once; False where it was there already.

    Raises InvalidInput where the tenant counts in another currency by now.
    """
    if (await session.get_one(Tenant, payment.tenant_id)).currency != payment.currency:
        raise InvalidInput(field="currency", detail=Phrase("invalid.currency_changed"))
    booked = await transfer(
        session,
        payment.tenant_id,
        kind="top_up",
        debit=f"cash:{payment.provider}",
        credit="wallet",
        amount=payment.amount,
        key=f"payment:{payment.id}",
        about=payment.id,
    )
    if not booked:
        return False
    payment.state, payment.charge_id, payment.problem = "settled", charge_id, None
    payment.settled_at, payment.next_check_at = datetime.now(UTC), None
    await issue_invoice(session, payment, "invoice", payment.amount, seller)
    for hook in SETTLED:
        await hook(session, payment)
    return True


async def settle_by_hand(services: Services, admin: Principal, tenant_id: UUID, payment_id: UUID) -> Payment:
    """A bank transfer that came in, once; the tenant's own trail tells who said so.

    Raises NotFound, and PaymentNotOpen for what is not waiting for one.
    """
    async with services.database.system() as session:
        payment = await lock_payment(session, tenant_id, payment_id)
        if payment is None:
            raise NotFound(kind="payment")
        if payment.provider != "manual" or payment.state != "pending":
            raise PaymentNotOpen(state=Phrase(f"payment.{payment.state}"))
        if not await book_payment(session, payment, str(payment.id), services.settings.invoice_seller):
            raise PaymentNotOpen(state=Phrase("payment.settled"))
        told = {"amount": payment.amount, "currency": payment.currency}
        await record(session, admin.within(tenant_id), "payments.settle", "payment", payment.id, **told)
    return payment


async def _open_payment(
    session: AsyncSession, principal: Principal, provider: PaymentProvider, what: TopUpIn
) -> Payment:
    """A new row, or the one that the key already has."""
    if what.currency is not None:
        await agree_on_currency(session, principal.tenant_id, what.currency)
    tenant = await session.get_one(Tenant, principal.tenant_id)
    if provider.currencies is not None and tenant.currency not in provider.currencies:
        raise InvalidInput(field="provider", detail=Phrase("invalid.payment_currency"))
    payment_id = new_id()
    asked = {"provider": what.provider, "amount": what.amount, "currency": tenant.currency, "payer": what.payer}
    email = (await find_user(session, principal.user_id)).email
    mine = {"tenant_id": principal.tenant_id, "id": payment_id, "email": email, "user_id": principal.user_id}
    check = None if provider.name == "manual" else datetime.now(UTC) + FIRST_CHECK
    row = insert(Payment).values(**mine, **asked, idempotency_key=what.key or str(payment_id), next_check_at=check)
    fresh = await session.scalar(row.on_conflict_do_nothing().returning(Payment.id))
    if fresh is None:
        return await _opened_before(session, principal.tenant_id, what.key or "", asked)
    await record(session, principal, "billing.top_up", "payment", payment_id, **asked)
    return await find_payment(session, principal.tenant_id, payment_id)


async def _opened_before(session: AsyncSession, tenant_id: UUID, key: str, asked: dict[str, Any]) -> Payment:
    known = select(Payment).where(Payment.tenant_id == tenant_id, Payment.idempotency_key == key)
    payment = (await session.scalars(known)).one()
    if any(getattr(payment, name) != value for name, value in asked.items()):
        raise PaymentKeyReused(field="key")
    if datetime.now(UTC) - payment.created_at > KEPT:
        raise PaymentKeyReused(field="key")
    if payment.state != "pending":
        raise PaymentNotOpen(state=Phrase(f"payment.{payment.state}"))
    return payment


async def _order(services: Services, session: AsyncSession, payment: Payment) -> Order:
    tenant = await session.get_one(Tenant, payment.tenant_id)
    language = known_language(tenant.language)
    return Order(
        tenant_id=payment.tenant_id,
        payment_id=payment.id,
        amount=payment.amount,
        currency=payment.currency,
        description=text("payment.description", language, id=reference(payment.id)),
        email=payment.email,
        return_url=f"{services.settings.address}/",
    )


def reference(payment_id: UUID) -> str:
    """Short enough for the purpose of a bank transfer; of the random part of the id."""
    return payment_id.hex[-12:].upper()


def _told(placed: Placed) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(placed).items() if value is not None}


async def _write(services: Services, payment: Payment, **values: Any) -> Payment:
    """What the provider told of the order; how the payment stands is not touched where a hook was quicker."""
    async with services.database.system() as session:
        row = await lock_payment(session, payment.tenant_id, payment.id)
        assert row is not None
        for name, value in values.items():
            if row.state == "pending" or name in ("provider_id", "pay_url", "instructions"):
                setattr(row, name, value)
        return row
