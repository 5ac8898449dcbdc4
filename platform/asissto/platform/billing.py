"""What a workspace sees of its plan: what it includes, what is used, what is left of the money."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import ledger
from asissto.platform.errors import AnswersPaused, Conflict
from asissto.platform.events import Topic
from asissto.platform.jobs import wake
from asissto.platform.metering import AtZero, used
from asissto.platform.money_tables import LedgerAccount, LedgerEntry, LedgerHold, QuotaWarning, Subscription
from asissto.platform.plan_changes import LeftOut, OverOut, left_out, over
from asissto.platform.plan_limits import levels
from asissto.platform.plans import Code, Terms
from asissto.platform.settings import Settings
from asissto.platform.subscriptions import TOPIC, find_subscription, terms_of
from asissto.platform.texts import Language, Phrase

MOST_HOLDS = 100
LIMITED = ("answers", "documents", "storage_mb", "channels", "seats")


class PlanChangeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    plan: Code


class BillingPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; `zero_text` null: our own words."""

    at_zero: AtZero | UnsetType = UNSET
    zero_text: Annotated[str, Meta(min_length=1, max_length=2_000)] | UnsetType | None = UNSET


class WarningOut(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    percent: int
    created_at: datetime


class HoldOut(msgspec.Struct, frozen=True, kw_only=True):
    """Money set aside; `key` names what for."""

    key: str
    amount: int
    expires_at: datetime
    created_at: datetime


class BillingOut(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in minor units of `currency`; `limits` are those of `usage`, null where there is none.

    `next_plan` is the plan from the end of the period on, where another one was chosen. `over` and `left_out` are what
    a larger plan has left behind.
    """

    plan: Terms
    status: str
    period_start: datetime
    period_end: datetime
    next_plan: str | None
    usage: dict[str, int]
    limits: dict[str, int | None]
    over: list[OverOut]
    left_out: list[LeftOut]
    warnings: list[WarningOut]
    balance: int
    held: int
    overdraft: int
    currency: str
    holds: list[HoldOut]
    at_zero: str
    zero_text: str | None


class EntryOut(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` in minor units goes out of `debit` and into `credit`; `about` is the message, payment or the like."""

    id: UUID
    kind: str
    debit: str
    credit: str
    amount: int
    currency: str
    about: UUID | None
    note: str
    created_at: datetime

    @classmethod
    def of(cls, row: LedgerEntry) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


def check_billing(settings: Settings) -> None:
    """Raises Conflict where the server knows neither plans nor limits."""
    if not settings.billing:
        raise Conflict(detail=Phrase("conflict.billing_off"))


async def show_billing(session: AsyncSession, tenant_id: UUID) -> BillingOut:
    subscription = await find_subscription(session, tenant_id)
    terms, money = terms_of(subscription), await ledger.balance(session, tenant_id)
    counted = {"answers": 0, **await used(session, subscription), **await levels(session, tenant_id)}
    return BillingOut(
        plan=terms,
        status=subscription.status,
        period_start=subscription.period_start,
        period_end=subscription.period_end,
        next_plan=subscription.next_plan,
        usage=counted,
        limits={name: getattr(terms, name) for name in LIMITED},
        over=over(terms, counted),
        left_out=await left_out(session, tenant_id, terms),
        warnings=await _warnings(session, subscription),
        balance=money.available,
        held=money.held,
        overdraft=await _overdraft(session, tenant_id),
        currency=money.currency,
        holds=await _holds(session, tenant_id),
        at_zero=subscription.at_zero,
        zero_text=subscription.zero_text,
    )


async def change_billing(session: AsyncSession, tenant_id: UUID, what: BillingPatch) -> dict[str, str | None]:
    """What has changed, by field."""
    subscription = await find_subscription(session, tenant_id, locks=True)
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    for name, value in changes.items():
        setattr(subscription, name, value)
    await session.flush()
    if "at_zero" in changes:
        await wake(session, tenant_id, AnswersPaused.code)
    return changes


async def render_billing(
    session: AsyncSession, tenant_id: UUID, _ids: Sequence[UUID], _language: Language
) -> list[BillingOut]:
    return [await show_billing(session, tenant_id)]


TOPICS = {TOPIC: Topic("billing.read", "billing", render_billing)}


async def _warnings(session: AsyncSession, subscription: Subscription) -> list[WarningOut]:
    mine = (QuotaWarning.tenant_id == subscription.tenant_id, QuotaWarning.period == subscription.period)
    rows = await session.scalars(select(QuotaWarning).where(*mine).order_by(QuotaWarning.name, QuotaWarning.percent))
    return [WarningOut(name=row.name, percent=row.percent, created_at=row.created_at) for row in rows]


async def _holds(session: AsyncSession, tenant_id: UUID) -> list[HoldOut]:
    """Those of money, newest first; places among included answers are no business of the reader's."""
    mine = (LedgerHold.tenant_id == tenant_id, LedgerHold.state == "open", LedgerHold.amount > 0)
    rows = await session.scalars(
        select(LedgerHold).where(*mine).order_by(LedgerHold.created_at.desc()).limit(MOST_HOLDS)
    )
    return [HoldOut(**{name: getattr(row, name) for name in HoldOut.__struct_fields__}) for row in rows]


async def _overdraft(session: AsyncSession, tenant_id: UUID) -> int:
    mine = (LedgerAccount.tenant_id == tenant_id, LedgerAccount.name == "wallet")
    return await session.scalar(select(LedgerAccount.overdraft).where(*mine)) or 0
