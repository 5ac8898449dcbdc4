"""What another plan would mean for a workspace, told before it is chosen."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.money_tables import Subscription
from asissto.platform.plan_limits import KEPT, levels
from asissto.platform.plans import Terms, find_plan, is_dearer
from asissto.platform.subscriptions import find_subscription, terms_of, worth_left

_MODELS = text("""
    WITH named AS (
        SELECT id, name, model FROM assistants WHERE tenant_id = :tenant_id
        UNION ALL SELECT id, name, choice ->> 'model' FROM assistants,
            jsonb_path_query(settings, '$.**.models[*] ? (@.provider_id == null || !exists(@.provider_id))') choice
            WHERE tenant_id = :tenant_id
    )
    SELECT DISTINCT id, name, model FROM named WHERE model IS NOT NULL AND model <> ALL(:models) ORDER BY name, model
""")
"""The server's models that assistants have as they are published. In SQL, as in `plan_limits`."""


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """When another plan begins, and what is paid and given back then, in minor units."""

    begins_at: datetime
    is_trial: bool = False
    price: int = 0
    credit: int = 0


class OverOut(msgspec.Struct, frozen=True, kw_only=True):
    """More than the plan includes. It stays and goes on working, and nothing is added to it before it fits."""

    name: str
    used: int
    limit: int


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A model that an assistant has and the plan does not include: the plan's first model answers in its place."""

    assistant_id: UUID
    assistant: str
    model: str


class PlanChangeOut(msgspec.Struct, frozen=True, kw_only=True):
    """`price` is taken and `credit` given at `begins_at`, in minor units of the plan's currency."""

    plan: Terms
    begins_at: datetime
    is_trial: bool
    price: int
    credit: int
    over: list[OverOut]
    models: list[LeftOut]


async def preview(session: AsyncSession, tenant_id: UUID, code: str, now: datetime | None = None) -> PlanChangeOut:
    """Changes nothing. Raises NotFound."""
    terms = await find_plan(session, code)
    subscription = await find_subscription(session, tenant_id)
    change = await _foresee(session, subscription, terms, now or datetime.now(UTC))
    return PlanChangeOut(
        plan=terms,
        **msgspec.structs.asdict(change),
        over=over(terms, await levels(session, tenant_id)),
        models=await left_out(session, tenant_id, terms),
    )


def over(terms: Terms, used: dict[str, int]) -> list[OverOut]:
    """What is kept beyond the limits of the plan."""
    limits = {name: getattr(terms, name) for name in KEPT}
    return [
        OverOut(name=name, used=used[name], limit=limit)
        for name, limit in limits.items()
        if limit is not None and used[name] > limit
    ]


async def left_out(session: AsyncSession, tenant_id: UUID, terms: Terms) -> list[LeftOut]:
    """By the names of the assistants."""
    if not terms.models:
        return []
    rows = await session.execute(_MODELS, {"tenant_id": tenant_id, "models": list(terms.models)})
    return [LeftOut(assistant_id=row.id, assistant=row.name, model=row.model) for row in rows]


async def _foresee(session: AsyncSession, subscription: Subscription, wanted: Terms, now: datetime) -> _Change:
    """What `change_plan` would do."""
    current = terms_of(subscription)
    if wanted.code == subscription.plan:
        return _Change(begins_at=subscription.period_start)
    if not (is_dearer(wanted, current) or not current.price):
        return _Change(begins_at=subscription.period_end, price=wanted.price)
    if wanted.trial_days and not subscription.has_tried:
        return _Change(begins_at=now, is_trial=True)
    return _Change(begins_at=now, price=wanted.price, credit=await worth_left(session, subscription, now))
