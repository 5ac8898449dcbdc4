"""Counts what a tenant uses, asks before an answer whether it is paid for, and charges it once it is stored.

Everything is asked for only where `Settings.billing` is on.
"""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.errors import BalanceTooLow
from asissto.platform.events import announce
from asissto.platform.model_calls import ModelCall
from asissto.platform.money_tables import LedgerHold, QuotaWarning, Subscription, UsageEvent, UsageTotal
from asissto.platform.plans import Terms
from asissto.platform.subscriptions import TOPIC, find_subscription, terms_of

AtZero = Literal["hand_over", "pause", "overdraft"]
"""What happens to customers' messages once answers and money are used up; with `overdraft` the wallet goes below zero
as far as the platform allows."""

WARN_AT = (80, 100)
"""Percents of what a period includes."""

log = structlog.get_logger()


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an answer may be made; if not, what the tenant wants instead, and its words for the customer."""

    granted: bool
    at_zero: AtZero = "hand_over"
    text: str | None = None


async def allowance(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> Allowance:
    """Sets the price of an answer to the message aside, or a place among those included; the same message once.

    Whoever is granted one calls `count_answer` for it; of whom nothing more is heard, the hold expires.
    """
    subscription = await find_subscription(session, tenant_id, locks=True)
    at_zero: AtZero = subscription.at_zero  # type: ignore[assignment]
    terms, key = terms_of(subscription), _key(message_id)
    if await _is_held(session, tenant_id, key):
        return Allowance(granted=True)
    price = 0 if await _has_place(session, subscription, terms, key) else terms.overage_price
    if price is not None and await _may_spend(session, tenant_id, price, at_zero):
        try:
            await ledger.hold(session, tenant_id, key, price, about=message_id)
        except BalanceTooLow:
            log.info("an answer is not paid for", tenant=str(tenant_id))
        else:
            return Allowance(granted=True)
    return Allowance(granted=False, at_zero=at_zero, text=subscription.zero_text)


async def count_answer(
    session: AsyncSession, tenant_id: UUID, message_id: UUID, calls: Sequence[ModelCall], *, about: UUID | None = None
) -> bool:
    """In the transaction that stores the answer `about`; the answer to a message is counted and charged once."""
    tokens = {
        "prompt_tokens": sum(call.prompt_tokens for call in calls),
        "completion_tokens": sum(call.completion_tokens for call in calls),
    }
    key = _key(message_id)
    subscription = await find_subscription(session, tenant_id)
    price = await _price(session, subscription, key)
    if not await count(session, tenant_id, key, {"answers": 1, **tokens}, about=about):
        return False
    try:
        await ledger.settle(session, tenant_id, key, price, about=about)
    except BalanceTooLow:  # its hold had expired and the wallet is empty by now: the answer is given all the same
        await ledger.settle(session, tenant_id, key, 0)
        log.warning("an answer was given that nobody pays for", tenant=str(tenant_id), price=price)
    return True


async def forgive(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> None:
    """Nothing was answered that costs anything: what was set aside goes back."""
    await ledger.release(session, tenant_id, _key(message_id))


async def count(
    session: AsyncSession, tenant_id: UUID, key: str, quantities: Mapping[str, int], *, about: UUID | None = None
) -> bool:
    """Adds to what the period has used; False where `key` was counted before."""
    subscription = await find_subscription(session, tenant_id)
    period, told = subscription.period, {name: number for name, number in quantities.items() if number}
    event = insert(UsageEvent).values(tenant_id=tenant_id, key=key, period=period, quantities=told, about=about)
    added = await session.execute(event.on_conflict_do_nothing().returning(UsageEvent.key))
    if added.first() is None:
        return False
    for name, number in sorted(told.items()):
        total = await _add(session, tenant_id, period, name, number)
        await warn(session, subscription, name, total - number, total)
    return True


async def used(session: AsyncSession, subscription: Subscription) -> dict[str, int]:
    """By name, in the period that runs."""
    mine = (UsageTotal.tenant_id == subscription.tenant_id, UsageTotal.period == subscription.period)
    rows = await session.execute(select(UsageTotal.name, UsageTotal.quantity).where(*mine))
    return {name: quantity for name, quantity in rows}  # noqa: C416 - rows are no pairs for mypy


async def warn(session: AsyncSession, subscription: Subscription, name: str, before: int, now: int) -> None:
    """Where a level of WARN_AT was reached: stored and announced, once a period."""
    limit = getattr(terms_of(subscription), name, None)
    if limit is None:
        return
    for percent in WARN_AT:
        if before * 100 < limit * percent <= now * 100:
            mine = {"tenant_id": subscription.tenant_id, "period": subscription.period}
            await session.execute(
                insert(QuotaWarning).values(**mine, name=name, percent=percent).on_conflict_do_nothing()
            )
            await announce(session, subscription.tenant_id, TOPIC, subscription.tenant_id)


def _key(message_id: UUID) -> str:
    return f"answer:{message_id}"


async def _is_held(session: AsyncSession, tenant_id: UUID, key: str) -> bool:
    """By a turn that was killed, or that began anew."""
    mine = (LedgerHold.tenant_id == tenant_id, LedgerHold.key == key, LedgerHold.state == "open")
    return await session.scalar(select(LedgerHold.key).where(*mine)) is not None


async def _has_place(session: AsyncSession, subscription: Subscription, terms: Terms, key: str) -> bool:
    """Among the included answers, those counted that are being made; both are read at one moment."""
    if terms.answers is None:
        return True
    tenant_id = subscription.tenant_id
    total = (UsageTotal.tenant_id == tenant_id, UsageTotal.period == subscription.period, UsageTotal.name == "answers")
    counted = select(UsageTotal.quantity).where(*total).scalar_subquery()
    free = (LedgerHold.amount == 0, LedgerHold.state == "open", LedgerHold.expires_at > func.now())
    others = (LedgerHold.tenant_id == tenant_id, LedgerHold.key != key, *free)
    in_making = select(func.count()).select_from(LedgerHold).where(*others).scalar_subquery()
    taken = (await session.execute(select(func.coalesce(counted, 0) + in_making))).scalar_one()
    return int(taken) < terms.answers


async def _may_spend(session: AsyncSession, tenant_id: UUID, price: int, at_zero: AtZero) -> bool:
    if price == 0 or at_zero == "overdraft":
        return True
    return (await ledger.balance(session, tenant_id)).available >= price


async def _price(session: AsyncSession, subscription: Subscription, key: str) -> int:
    """As it was set aside; where that has expired, by what is used up now."""
    found = await session.get(LedgerHold, (subscription.tenant_id, key), populate_existing=True)
    if found is not None and found.state == "open":
        return found.amount
    terms = terms_of(subscription)
    has_place = await _has_place(session, subscription, terms, key)
    return 0 if has_place else terms.overage_price or 0


async def _add(session: AsyncSession, tenant_id: UUID, period: int, name: str, number: int) -> int:
    row = insert(UsageTotal).values(tenant_id=tenant_id, period=period, name=name, quantity=number)
    more = row.on_conflict_do_update(
        index_elements=["tenant_id", "period", "name"], set_={"quantity": UsageTotal.quantity + number}
    )
    return int((await session.execute(more.returning(UsageTotal.quantity))).scalar_one())
