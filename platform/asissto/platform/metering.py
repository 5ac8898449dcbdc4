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
from asissto.platform.jobs import enqueue
from asissto.platform.model_calls import ModelCall
from asissto.platform.money_tables import LedgerHold, QuotaWarning, Subscription, UsageEvent, UsageTotal
from asissto.platform.plans import Terms
from asissto.platform.subscriptions import TOPIC, find_subscription, terms_of

AtZero = Literal["hand_over", "pause", "overdraft"]
"""What happens to customers' messages once answers and money are used up; with `overdraft` the wallet goes below zero
as far as the platform allows."""

WARNING = "billing.warning"
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

    Whoever is granted one calls `count_answer` for it; of whom nothing more is heard, the hold expires. Whoever comes
    back with the message after that is asked like anybody else: what was theirs may be gone.
    """
    return await set_aside(session, tenant_id, _key(message_id), about=message_id)


async def set_aside(session: AsyncSession, tenant_id: UUID, key: str, *, about: UUID | None = None) -> Allowance:
    """The same for whatever answer `key` stands for; `charge` and `ledger.release` end it."""
    subscription = await find_subscription(session, tenant_id, locks=True)
    at_zero: AtZero = subscription.at_zero  # type: ignore[assignment]
    terms = terms_of(subscription)
    await ledger.release(session, tenant_id, key, expired=True)
    if await _is_taken(session, tenant_id, key):
        await ledger.hold(session, tenant_id, key, 0)  # as long again
        return Allowance(granted=True)
    price = 0 if await _has_place(session, subscription, terms, key) else terms.overage_price
    if price is not None and await _may_spend(session, tenant_id, price, at_zero):
        try:
            await ledger.hold(session, tenant_id, key, price, about=about)
        except BalanceTooLow:
            log.info("an answer is not paid for", tenant=str(tenant_id))
        else:
            return Allowance(granted=True)
    return Allowance(granted=False, at_zero=at_zero, text=subscription.zero_text)


async def may_answer(session: AsyncSession, tenant_id: UUID) -> bool:
    """Whether the next message would not have to wait; nothing that this depends on changes before the commit."""
    subscription = await find_subscription(session, tenant_id, locks=True)
    await ledger.lock(session, tenant_id)
    if subscription.at_zero != "pause":
        return True
    terms = terms_of(subscription)
    if await _has_place(session, subscription, terms, ""):
        return True
    return terms.overage_price is not None and await _may_spend(session, tenant_id, terms.overage_price, "pause")


async def count_answer(
    session: AsyncSession, tenant_id: UUID, message_id: UUID, calls: Sequence[ModelCall], *, about: UUID | None = None
) -> bool:
    """In the transaction that stores the answer `about`; the answer to a message is counted and charged once."""
    return await charge(session, tenant_id, _key(message_id), {"answers": 1, **tokens_of(calls)}, about=about)


def tokens_of(calls: Sequence[ModelCall]) -> dict[str, int]:
    return {
        "prompt_tokens": sum(call.prompt_tokens for call in calls),
        "completion_tokens": sum(call.completion_tokens for call in calls),
    }


async def charge(
    session: AsyncSession, tenant_id: UUID, key: str, quantities: Mapping[str, int], *, about: UUID | None = None
) -> bool:
    """Counts the quantities and takes what was set aside by the key; once."""
    subscription = await find_subscription(session, tenant_id)
    price = await _price(session, subscription, key)
    if not await count(session, tenant_id, key, quantities, about=about):
        return False
    try:
        await ledger.settle(session, tenant_id, key, price, about=about)
    except BalanceTooLow:
        # The hold of this very turn has expired, as on a server that slept, and the wallet is empty by now: whoever
        # waits gets the answer all the same.
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
    """Where a level of WARN_AT was reached: stored, announced and written to the owners, once a period."""
    limit = getattr(terms_of(subscription), name, None)
    if limit is None:
        return
    tenant_id, mine = subscription.tenant_id, {"tenant_id": subscription.tenant_id, "period": subscription.period}
    reached = [percent for percent in WARN_AT if before * 100 < limit * percent <= now * 100]
    rows = [{**mine, "name": name, "percent": percent} for percent in reached]
    if not rows:
        return
    stored = insert(QuotaWarning).values(rows).on_conflict_do_nothing().returning(QuotaWarning.percent)
    percent = max(await session.scalars(stored), default=None)
    if percent is not None:
        await announce(session, tenant_id, TOPIC, tenant_id)
        about = {"plan": terms_of(subscription).name, "name": name, "percent": percent, "used": now, "limit": limit}
        await enqueue(session, tenant_id, WARNING, f"{subscription.period}:{name}:{percent}", about)


def _key(message_id: UUID) -> str:
    return f"answer:{message_id}"


async def _is_taken(session: AsyncSession, tenant_id: UUID, key: str) -> bool:
    """Held by a turn that was killed, or that began anew; or charged already."""
    mine = (LedgerHold.tenant_id == tenant_id, LedgerHold.key == key, LedgerHold.state != "released")
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
    found = await ledger.find_hold(session, subscription.tenant_id, key)
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
