"""What providers tell is stored first and handled after.

The provider itself is always asked, so that order, repetition and forgery change nothing.
"""

import asyncio
import traceback
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import AsisstoError, PaymentUnanswered
from asissto.platform.payment_contract import SeenPayment
from asissto.platform.payment_reversals import apply_reversal, ask_for_refund, reversals_of
from asissto.platform.payment_tables import Payment, PaymentEvent, PaymentReversal
from asissto.platform.payments import FIRST_CHECK, book_payment, lock_payment
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.yookassa import is_known_address

POLL_SECONDS = 2.0
MOST_ATTEMPTS = 12
"""Over about three days: pauses double from a minute."""

AT_ONCE = 20
KEY_SECONDS = 20 * 3600.0
"""Providers keep idempotency keys for a day; after that a refund is not asked for again."""

_CLAIM_EVENTS = text("""
    UPDATE payment_events SET attempts = attempts + 1, next_attempt_at = now() + interval '1 minute' * (1 << attempts)
    WHERE id IN (SELECT id FROM payment_events WHERE state = 'new' AND next_attempt_at <= now()
                 ORDER BY is_from_known_address DESC, received_at LIMIT :most FOR UPDATE SKIP LOCKED)
    RETURNING id, provider, about, attempts
""")
_CLAIM_PAYMENTS = text("""
    UPDATE payments SET next_check_at = now() + least(greatest(now() - created_at, interval '1 minute'),
                                                      interval '6 hours')
    WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM payments WHERE next_check_at <= now()
                              ORDER BY next_check_at LIMIT :most FOR UPDATE SKIP LOCKED)
    RETURNING tenant_id, id
""")
T = TypeVar("T")
log = structlog.get_logger()


async def take_event(
    services: Services, provider_name: str, headers: Mapping[str, str], body: bytes, address: str | None
) -> None:
    """Stored and committed when this returns; a repetition of one that was not final is looked at once more.

    Raises NotFound for a provider that is not set up, PaymentHookRefused.
    """
    notice = services.payments.of(services.settings, provider_name).parse_webhook(headers, body)
    if notice.about is None:
        return
    is_known = provider_name != "yookassa" or is_known_address(address)
    row = insert(PaymentEvent).values(
        id=new_id(),
        provider=provider_name,
        event_id=notice.event_id,
        kind=notice.kind,
        about=notice.about,
        is_from_known_address=is_known,
    )
    again = {
        "deliveries": PaymentEvent.deliveries + 1,
        "next_attempt_at": func.now(),
        "is_from_known_address": PaymentEvent.is_from_known_address | row.excluded.is_from_known_address,
    }
    async with services.database.system() as session:
        await session.execute(row.on_conflict_do_update(index_elements=["provider", "event_id"], set_=again))


async def settle_round(services: Services) -> int:
    """How many events and payments were looked at; what fails is looked at again later."""
    async with services.database.system() as session:
        events = (await session.execute(_CLAIM_EVENTS, {"most": AT_ONCE})).all()
        payments = (await session.execute(_CLAIM_PAYMENTS, {"most": AT_ONCE})).all()
    for event_id, provider, about, attempts in events:
        await outlive(_handle(services, event_id, provider, about, is_last=attempts >= MOST_ATTEMPTS))
    for tenant_id, payment_id in payments:
        await outlive(check_payment(services, tenant_id, payment_id))
    return len(events) + len(payments)


async def keep_settling(services: Services) -> None:
    """Until cancelled: handles what providers told, and asks about payments of which nothing was told."""
    while True:
        if not await outlive(settle_round(services)):
            await asyncio.sleep(POLL_SECONDS)


async def outlive(work: Coroutine[Any, Any, T]) -> T | None:
    """One payment that fails keeps no other waiting; it was written down before, and comes again."""
    try:
        return await work
    except Exception:
        # Not by log.exception, which prints local variables too, and with them the providers' keys.
        log.error("payments are looked at again later", trace=traceback.format_exc(limit=-5))  # noqa: TRY400
        return None


async def _handle(services: Services, event_id: UUID, provider: str, about: str, *, is_last: bool) -> None:
    """An event that is not final yet stays new: somebody may have told it too early, so that the real one is missed."""
    try:
        seen = await services.payments.of(services.settings, provider).fetch_payment(about)
    except PaymentUnanswered:
        return await _close_event(services, event_id, "unanswered", "ignored" if is_last else "new")
    except AsisstoError as error:
        log.warning("event of a payment", provider=provider, error=error.code)
        return await _close_event(services, event_id, error.code, "ignored" if is_last else "new")
    outcome = await apply_seen(services, provider, seen)
    is_over = outcome in ("booked", "known", "failed", "not ours", "differs") or is_last
    return await _close_event(services, event_id, outcome, "done" if is_over else "new")


async def _close_event(services: Services, event_id: UUID, outcome: str, state: str) -> None:
    handled = func.now() if state != "new" else None
    async with services.database.system() as session:
        row = update(PaymentEvent).where(PaymentEvent.id == event_id)
        await session.execute(row.values(outcome=outcome, state=state, handled_at=handled))


async def check_payment(services: Services, tenant_id: UUID, payment_id: UUID) -> None:
    """Asks the provider though it has told nothing; refunds that it does not know of are asked for again."""
    async with services.database.system() as session:
        payment = await session.get_one(Payment, (tenant_id, payment_id))
        asked = payment.charge_id or payment.provider_id
    try:
        if asked is not None:
            seen = await services.payments.of(services.settings, payment.provider).fetch_payment(asked)
            await apply_seen(services, payment.provider, seen)
        await _repeat_refunds(services, payment)
    except AsisstoError as error:
        log.warning("payment cannot be checked", payment=str(payment_id), error=error.code)
    await _rest(services, tenant_id, payment_id)


async def apply_seen(services: Services, provider: str, seen: SeenPayment) -> str:
    """All of it in one transaction, or nothing: a killed process leaves it to the next look.

    Returns what came of it: booked, known, pending, failed, `not ours`, or `differs` where the amount is another.
    """
    if seen.tenant_id is None or seen.payment_id is None:
        return "not ours"
    async with services.database.system() as session:
        payment = await lock_payment(session, seen.tenant_id, seen.payment_id)
        if payment is None or payment.provider != provider:
            return "not ours"
        return await _apply(session, payment, seen, services.settings.invoice_seller)


async def _apply(session: AsyncSession, payment: Payment, seen: SeenPayment, seller: str) -> str:
    if seen.state == "failed":
        if payment.state == "pending":
            payment.state, payment.next_check_at = "failed", None
        return "failed"
    if seen.state == "pending":
        return "pending"
    if (seen.amount, seen.currency) != (payment.amount, payment.currency):
        payment.problem = f"the provider charged {seen.amount} {seen.currency}"
        log.error("a payment differs", payment=str(payment.id), charged=seen.amount, currency=seen.currency)
        return "differs"
    if payment.charge_id not in (None, seen.charge_id):
        payment.problem = f"charged a second time, as {seen.charge_id}"
        log.error("a payment was charged twice", payment=str(payment.id), charge=seen.charge_id)
        return "differs"
    booked = await book_payment(session, payment, seen.charge_id, seller)
    for reversal in seen.reversals:
        await apply_reversal(session, payment, reversal, seller)
    if payment.next_check_at is None and any(reversal.state == "pending" for reversal in seen.reversals):
        payment.next_check_at = datetime.now(UTC) + FIRST_CHECK
    return "booked" if booked else "known"


async def _repeat_refunds(services: Services, payment: Payment) -> None:
    """Whoever asked for them was killed before the provider answered."""
    async with services.database.system() as session:
        reversals = [each for each in await reversals_of(session, payment) if _is_unasked(each)]
    for reversal in reversals:
        await ask_for_refund(services, payment, reversal)


def _is_unasked(reversal: PaymentReversal) -> bool:
    is_open = reversal.kind == "refund" and reversal.state == "pending" and reversal.provider_id is None
    return is_open and datetime.now(UTC) - reversal.created_at < timedelta(seconds=KEY_SECONDS)


async def _rest(services: Services, tenant_id: UUID, payment_id: UUID) -> None:
    """Nothing more to ask about where the payment and all that goes back of it are at their end."""
    async with services.database.system() as session:
        payment = await lock_payment(session, tenant_id, payment_id)
        assert payment is not None
        is_open = any(each.state == "pending" for each in await reversals_of(session, payment))
        if payment.state != "pending" and not is_open:
            payment.next_check_at = None
