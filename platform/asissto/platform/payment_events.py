"""What providers tell is stored first and handled after.

The provider itself is always asked, so that order, repetition and forgery change nothing.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.amounts import figure
from asissto.platform.errors import AsisstoError, InvalidInput, PaymentRefused, TooManyRequests
from asissto.platform.payment_contract import SeenPayment
from asissto.platform.payment_reversals import apply_reversal, ask_for_refund, reversals_of
from asissto.platform.payment_tables import Payment, PaymentEvent, PaymentReversal
from asissto.platform.payments import FIRST_CHECK, KEPT, book_payment, lock_payment
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.yookassa import is_known_address

POLL_SECONDS = 2.0
MOST_ATTEMPTS = 12
"""Over about three days: pauses double from a minute."""

AT_ONCE = 20
MOST_REFUSALS = 3
"""Of an event about something that the provider does not know: it was made up, or is told a little too early."""

MOST_WAITING = 1_000
"""Events from addresses that are not known to be the provider's; more than that is somebody who fills the table."""

FORGOTTEN_AFTER = timedelta(days=30)
"""Of handled events; no provider tells the same for longer than a few days."""

NEVER_ORDERED_AFTER = timedelta(hours=25)
"""The order was lost and can no longer be repeated under its key: nobody was told where to pay."""

_FINAL = ("booked", "known", "failed", "not ours", "differs")
_CLAIM_EVENTS = text("""
    UPDATE payment_events
    SET attempts = attempts + 1, next_attempt_at = now() + interval '1 minute' * (1 << least(attempts, 10))
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
_FORGET = text("DELETE FROM payment_events WHERE handled_at < now() - CAST(:age AS interval)")
_WAITING = text("""
    SELECT count(*) FROM (SELECT 1 FROM payment_events WHERE state = 'new' AND NOT is_from_known_address LIMIT :most) w
""")
T = TypeVar("T")
log = structlog.get_logger()


async def take_event(
    services: Services, provider_name: str, headers: Mapping[str, str], body: bytes, address: str | None
) -> None:
    """Stored and committed when this returns; a repetition of one that was not final is looked at once more.

    Raises NotFound for a provider that is not set up, PaymentHookRefused, TooManyRequests.
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
        if not is_known and await session.scalar(_WAITING, {"most": MOST_WAITING}) == MOST_WAITING:
            raise TooManyRequests(seconds=60)
        await session.execute(row.on_conflict_do_update(index_elements=["provider", "event_id"], set_=again))


async def settle_round(services: Services) -> int:
    """How many events and payments were looked at; what fails is looked at again later."""
    async with services.database.system() as session:
        events = (await session.execute(_CLAIM_EVENTS, {"most": AT_ONCE})).all()
        payments = (await session.execute(_CLAIM_PAYMENTS, {"most": AT_ONCE})).all()
    for event_id, provider, about, attempts in events:
        await outlive(_handle(services, event_id, provider, about, attempts))
    for tenant_id, payment_id in payments:
        await outlive(check_payment(services, tenant_id, payment_id))
    return len(events) + len(payments)


async def forget_old_events(session: AsyncSession) -> None:
    await session.execute(_FORGET, {"age": FORGOTTEN_AFTER})


async def keep_settling(services: Services) -> None:
    """Until cancelled: handles what providers told, and asks about payments of which nothing was told."""
    while True:
        if not await outlive(settle_round(services)):
            await asyncio.sleep(POLL_SECONDS)


async def outlive(work: Coroutine[Any, Any, T]) -> T | None:
    """One payment that fails keeps no other waiting; it was written down before, and comes again."""
    try:
        return await work
    except Exception as error:
        log.exception("payments are looked at again later", error=repr(error))
        return None


async def _handle(services: Services, event_id: UUID, provider: str, about: str, attempts: int) -> None:
    """An event that is not final yet stays new: somebody may have told it too early, so that the real one is missed."""
    patience = MOST_ATTEMPTS
    try:
        seen = await services.payments.of(services.settings, provider).fetch_payment(about)
        outcome = await apply_seen(services, provider, seen)
    except AsisstoError as error:
        log.warning("event of a payment", provider=provider, error=error.code)
        outcome = error.code
        patience = MOST_REFUSALS if isinstance(error, PaymentRefused) else MOST_ATTEMPTS
    state = "done" if outcome in _FINAL else "ignored" if attempts >= patience else "new"
    await _close_event(services, event_id, outcome, state)


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
        payment.problem = f"amount_differs {figure(seen.amount, seen.currency)} {seen.currency}"
        log.error("a payment differs", payment=str(payment.id), charged=seen.amount, currency=seen.currency)
        return "differs"
    if payment.charge_id not in (None, seen.charge_id):
        payment.problem = f"charged_twice {seen.charge_id}"
        log.error("a payment was charged twice", payment=str(payment.id), charge=seen.charge_id)
        return "differs"
    try:
        booked = await book_payment(session, payment, seen.charge_id, seller)
    except InvalidInput:
        payment.problem = "currency_changed"
        return "differs"
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
    """And not so old that the provider would take it for another one."""
    is_open = reversal.kind == "refund" and reversal.state == "pending" and reversal.provider_id is None
    return is_open and datetime.now(UTC) - reversal.created_at < KEPT


async def _rest(services: Services, tenant_id: UUID, payment_id: UUID) -> None:
    """Nothing more to ask about where the payment and all that goes back of it are at their end."""
    async with services.database.system() as session:
        payment = await lock_payment(session, tenant_id, payment_id)
        assert payment is not None
        is_unordered = payment.provider_id is None and payment.state == "pending"
        if is_unordered and datetime.now(UTC) - payment.created_at > NEVER_ORDERED_AFTER:
            payment.state, payment.problem = "failed", "never_ordered"
        is_open = any(each.state == "pending" for each in await reversals_of(session, payment))
        if payment.state != "pending" and not is_open:
            payment.next_check_at = None
