"""What a period has used of its plan, with what it will come to, and which models it went to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.metering import used
from asissto.platform.model_tables import ModelCallRow
from asissto.platform.money_tables import Subscription
from asissto.platform.plan_limits import levels
from asissto.platform.subscriptions import find_subscription, terms_of

COUNTED = ("answers", "playground_answers", "test_answers", "prompt_tokens", "completion_tokens", "sms_segments")
LEAST_SEEN = timedelta(days=1)
"""Before that a forecast would be a guess by a few answers."""


class UsedOut(msgspec.Struct, frozen=True, kw_only=True):
    """`percent` of the limit, null where there is none; `forecast` is what the period comes to at this pace.

    There is none for what is kept rather than used up, and none on the first day.
    """

    name: str
    used: int
    limit: int | None
    percent: float | None
    forecast: int | None
    forecast_percent: float | None


class ModelUsedOut(msgspec.Struct, frozen=True, kw_only=True):
    """`cost_micros`: millionths of `currency`, of the calls whose price is known."""

    provider: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_micros: int
    currency: str | None


class UsageOut(msgspec.Struct, frozen=True, kw_only=True):
    plan: str
    period_start: datetime
    period_end: datetime
    items: list[UsedOut]
    models: list[ModelUsedOut]


async def show_usage(session: AsyncSession, tenant_id: UUID, now: datetime | None = None) -> UsageOut:
    subscription = await find_subscription(session, tenant_id)
    share = _share(subscription, now or datetime.now(UTC))
    counted = await used(session, subscription)
    items = [_line(subscription, name, counted.get(name, 0), share) for name in COUNTED]
    kept = [_line(subscription, name, level, None) for name, level in (await levels(session, tenant_id)).items()]
    return UsageOut(
        plan=terms_of(subscription).name,
        period_start=subscription.period_start,
        period_end=subscription.period_end,
        items=[*items, *kept],
        models=await _models(session, tenant_id, subscription.period_start),
    )


def _share(subscription: Subscription, now: datetime) -> float | None:
    """How much of the period is over; None where too little is."""
    whole, over = subscription.period_end - subscription.period_start, now - subscription.period_start
    return min(over / whole, 1.0) if over >= LEAST_SEEN else None


def _line(subscription: Subscription, name: str, number: int, share: float | None) -> UsedOut:
    limit: int | None = getattr(terms_of(subscription), name, None)
    forecast = None if share is None else round(number / share)
    return UsedOut(
        name=name,
        used=number,
        limit=limit,
        percent=_percent(number, limit),
        forecast=forecast,
        forecast_percent=_percent(forecast, limit),
    )


def _percent(number: int | None, limit: int | None) -> float | None:
    return round(number * 100 / limit, 1) if limit and number is not None else None


async def _models(session: AsyncSession, tenant_id: UUID, since: datetime) -> list[ModelUsedOut]:
    """The dearest first."""
    row = ModelCallRow
    groups = (row.provider, row.model, row.currency)
    cost = _sum(row.cost_micros).label("cost_micros")
    tokens = [_sum(getattr(row, name)).label(name) for name in ("prompt_tokens", "completion_tokens")]
    found = select(*groups, func.count().label("calls"), *tokens, cost)
    found = found.where(row.tenant_id == tenant_id, row.created_at >= since).group_by(*groups)
    rows = await session.execute(found.order_by(cost.desc(), *groups))
    return [msgspec.convert(dict(each), ModelUsedOut) for each in rows.mappings()]


def _sum(column: Any) -> ColumnElement[int]:
    """Whole, where Postgres makes decimals of the sum."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
