"""A tenant's plan: tried, paid for by the period, changed for a dearer one at once and for a cheaper one at the end."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.errors import AnswersPaused, BalanceTooLow, CurrencyDiffers, DatabaseDown, NotFound
from asissto.platform.events import announce
from asissto.platform.jobs import wake
from asissto.platform.ledger import release_expired, transfer
from asissto.platform.money_tables import LedgerEntry, Subscription, UsageTotal
from asissto.platform.payment_tables import Payment
from asissto.platform.plans import FREE, Terms, find_plan, is_dearer, next_end
from asissto.platform.tables import Tenant

TOPIC = "billing"

GRACE = timedelta(days=3)
"""How long a plan goes on that the wallet cannot pay for any more, a trial not at all; then comes the free plan."""

RENEW_SECONDS = 60.0
"""Between two looks for periods that have ended and holds that have expired."""

log = structlog.get_logger()


def terms_of(subscription: Subscription) -> Terms:
    return msgspec.convert(subscription.terms, Terms)


async def find_subscription(session: AsyncSession, tenant_id: UUID, *, locks: bool = False) -> Subscription:
    """That of the tenant, on the free plan where it has chosen none; with `locks` nobody else changes it meanwhile."""
    mine = select(Subscription).where(Subscription.tenant_id == tenant_id)
    mine = mine.execution_options(populate_existing=True)
    wanted = mine.with_for_update() if locks else mine
    found = await session.scalar(wanted)
    if found is None:
        await _begin_free(session, tenant_id)
        found = (await session.scalars(wanted)).one()
    return found


async def change_plan(session: AsyncSession, tenant_id: UUID, code: str, now: datetime | None = None) -> Subscription:
    """A dearer plan begins at once, and what is left of the old period is credited; a cheaper one when that ends.

    The plan that the tenant has takes a change back that was to come. Raises NotFound, CurrencyDiffers and
    BalanceTooLow.
    """
    now = now or datetime.now(UTC)
    subscription = await find_subscription(session, tenant_id, locks=True)
    if code == subscription.plan:
        subscription.next_plan = None
        return subscription
    wanted, current = await find_plan(session, code), terms_of(subscription)
    if wanted.price:
        await agree_on_currency(session, tenant_id, wanted.currency)
    if is_dearer(wanted, current) or not current.price:
        await _begin_at_once(session, subscription, wanted, now)
    else:
        subscription.next_plan = code
    await announce(session, tenant_id, TOPIC, tenant_id)
    return subscription


async def agree_on_currency(session: AsyncSession, tenant_id: UUID, wanted: str) -> None:
    """The currency is that of the first payment or paid plan; once something was booked or ordered it stays.

    Raises CurrencyDiffers.
    """
    currency = await session.scalar(select(Tenant.currency).where(Tenant.id == tenant_id).with_for_update())
    if currency == wanted:
        return
    booked = select(LedgerEntry.id).where(LedgerEntry.tenant_id == tenant_id)
    ordered = select(Payment.id).where(Payment.tenant_id == tenant_id)
    if await session.scalar(select(or_(booked.exists(), ordered.exists()))):
        raise CurrencyDiffers(currency=currency, wanted=wanted)
    await session.execute(update(Tenant).where(Tenant.id == tenant_id).values(currency=wanted))


async def renew(session: AsyncSession, tenant_id: UUID, now: datetime) -> bool:
    """Begins the next period where one has ended; False where there was nothing to do, as for whoever comes second."""
    subscription = await find_subscription(session, tenant_id, locks=True)
    if subscription.period_end > now:
        return False
    wanted = await _next_terms(session, subscription)
    try:
        await _pay(session, subscription, wanted)
    except BalanceTooLow:
        if now < subscription.period_end + GRACE and subscription.status != "trial":
            if subscription.status != "past_due":
                subscription.status = "past_due"
                await announce(session, tenant_id, TOPIC, tenant_id)
            return False
        wanted = await find_plan(session, FREE)
    # A server that stood still for months asks for one period, not for all of them.
    follows = next_end(subscription.anchor, subscription.period_end, wanted.period) > now
    start = subscription.period_end if follows else now
    await _begin(session, subscription, wanted, start)
    await announce(session, tenant_id, TOPIC, tenant_id)
    return True


async def keep_renewing(database: Database) -> None:
    """Every minute, until cancelled; what fails is done the next time."""
    while True:
        try:
            await renew_all(database, datetime.now(UTC))
            await release_expired(database)
        except (DatabaseDown, DBAPIError) as error:
            log.warning("subscriptions wait for another minute", error=repr(error))
        await asyncio.sleep(RENEW_SECONDS)


async def renew_all(database: Database, now: datetime) -> int:
    """Those of all tenants that are due, each in a transaction of its own; returns how many periods began."""
    async with database.system() as session:
        due = list(await session.scalars(select(Subscription.tenant_id).where(Subscription.period_end <= now)))
    begun = 0
    for tenant_id in due:
        async with database.tenant(tenant_id) as session:
            begun += await renew(session, tenant_id, now)
    return begun


async def _begin_free(session: AsyncSession, tenant_id: UUID) -> None:
    terms = await find_plan(session, FREE)
    now = datetime.now(UTC)
    row = insert(Subscription).values(
        tenant_id=tenant_id,
        plan=FREE,
        terms=msgspec.to_builtins(terms),
        anchor=now,
        period_start=now,
        period_end=next_end(now, now, terms.period),
    )
    await session.execute(row.on_conflict_do_nothing())


async def _begin_at_once(session: AsyncSession, subscription: Subscription, wanted: Terms, now: datetime) -> None:
    subscription.anchor = now
    if wanted.trial_days and not subscription.has_tried:
        subscription.has_tried = True
        await _begin(session, subscription, wanted, now)
        subscription.status = "trial"
        subscription.anchor = subscription.period_end = now + timedelta(days=wanted.trial_days)
        return
    await _credit(session, subscription, now)
    await _pay(session, subscription, wanted)
    await _begin(session, subscription, wanted, now)


async def _credit(session: AsyncSession, subscription: Subscription, now: datetime) -> None:
    """Gives back what the old period has left."""
    amount = await worth_left(session, subscription, now)
    if amount > 0:
        await transfer(
            session,
            subscription.tenant_id,
            kind="plan_credit",
            debit="revenue",
            credit="wallet",
            amount=amount,
            key=f"plan_credit:{subscription.period}",
            note=terms_of(subscription).name,
        )


async def worth_left(session: AsyncSession, subscription: Subscription, now: datetime) -> int:
    """Of what the period has left by its days or by its answers, whichever share is the smaller; minor units.

    By days alone, whoever uses up the answers of a month in a day would get nearly all of its price back.
    """
    if subscription.status != "active":
        return 0
    terms = terms_of(subscription)
    left = min(_days_left(subscription, now), await _answers_left(session, subscription, terms))
    return terms.price * left // 10_000


def _days_left(subscription: Subscription, now: datetime) -> int:
    """Ten thousandths of the period."""
    whole = subscription.period_end - subscription.period_start
    return int(max(subscription.period_end - now, timedelta()) * 10_000 / whole)


async def _answers_left(session: AsyncSession, subscription: Subscription, terms: Terms) -> int:
    """Ten thousandths of those included."""
    if not terms.answers:
        return 10_000
    mine = (UsageTotal.tenant_id == subscription.tenant_id, UsageTotal.period == subscription.period)
    used = await session.scalar(select(UsageTotal.quantity).where(*mine, UsageTotal.name == "answers")) or 0
    return max(terms.answers - used, 0) * 10_000 // terms.answers


async def _pay(session: AsyncSession, subscription: Subscription, wanted: Terms) -> None:
    """For the next period, once. Raises BalanceTooLow."""
    if wanted.price:
        await transfer(
            session,
            subscription.tenant_id,
            kind="plan",
            debit="wallet",
            credit="revenue",
            amount=wanted.price,
            key=f"plan:{subscription.period + 1}",
            note=wanted.name,
        )


async def _begin(session: AsyncSession, subscription: Subscription, wanted: Terms, start: datetime) -> None:
    if start < subscription.anchor or start > subscription.period_end:
        subscription.anchor = start
    subscription.plan, subscription.terms = wanted.code, msgspec.to_builtins(wanted)
    subscription.status, subscription.next_plan = "active", None
    subscription.period += 1
    subscription.period_start = start
    subscription.period_end = next_end(subscription.anchor, start, wanted.period)
    await session.flush()
    mine = update(Tenant).where(Tenant.id == subscription.tenant_id)
    await session.execute(mine.values(plan=wanted.code))
    await wake(session, subscription.tenant_id, AnswersPaused.code)


async def _next_terms(session: AsyncSession, subscription: Subscription) -> Terms:
    """As the catalogue has them now; a plan that is offered no more goes on by its old terms."""
    code = subscription.next_plan or subscription.plan
    try:
        return await find_plan(session, code)
    except NotFound:
        return terms_of(subscription) if code == subscription.plan else await find_plan(session, FREE)
