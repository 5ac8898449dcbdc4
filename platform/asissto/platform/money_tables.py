"""Tables of money: the journal of a tenant with accounts and holds, plans and subscriptions, and what was used."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, new_id


class LedgerEntry(Base):
    """`amount` goes out of the account `debit` and into the account `credit`; added and never changed."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index("ix_ledger_entries_about", "tenant_id", "about"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit <> credit", name="sides"),
    )

    # No CASCADE: whoever deleted the tenant would delete its journal.
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    debit: Mapped[str]
    credit: Mapped[str]
    amount: Mapped[int] = mapped_column(comment="minor units of `currency`")
    currency: Mapped[str]
    key: Mapped[str] = mapped_column(comment="the same is booked once")
    about: Mapped[UUID | None] = mapped_column(comment="the message, payment or period that it belongs to")
    note: Mapped[str] = mapped_column(server_default="", comment="the reason of an adjustment")
    created_at: Mapped[CreatedAt]


class LedgerAccount(Base):
    """What the journal adds up to, changed with each entry; what is the tenant's stays above its floor."""

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        CheckConstraint("balance + overdraft >= 0 OR name NOT IN ('wallet', 'held')", name="floor"),
        CheckConstraint("overdraft >= 0", name="overdraft"),
    )

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(server_default="0", comment="credits less debits, minor units")
    overdraft: Mapped[int] = mapped_column(server_default="0", comment="how far below zero it may go")


class LedgerHold(Base):
    """Money set aside for something that is being done; by a key whose money went back, it can be set aside again."""

    __tablename__ = "ledger_holds"
    __table_args__ = (Index("ix_ledger_holds_open", "expires_at", postgresql_where=text("state = 'open'")),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[int] = mapped_column(primary_key=True, server_default="1", comment="which time it is by this key")
    amount: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="open", comment="open, settled or released")
    expires_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]
    closed_at: Mapped[datetime | None]


class Plan(Base):
    """What is offered to workspaces; the `terms` are those of whoever begins a period now."""

    __tablename__ = "plans"

    code: Mapped[str] = mapped_column(primary_key=True)
    terms: Mapped[Json] = mapped_column(comment="as asissto.platform.plans.Terms")
    status: Mapped[str] = mapped_column(server_default="active", comment="active or archived")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class Subscription(Base):
    """The plan of a tenant, by the terms of the period that runs, and what it wants to happen at zero."""

    __tablename__ = "subscriptions"
    __table_args__ = (Index("ix_subscriptions_due", "period_end"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    plan: Mapped[str]
    terms: Mapped[Json] = mapped_column(comment="of the period that runs, whatever the catalogue says by now")
    status: Mapped[str] = mapped_column(server_default="active", comment="trial, active or past_due")
    period: Mapped[int] = mapped_column(server_default="1", comment="the number of the period that runs")
    anchor: Mapped[CreatedAt] = mapped_column(comment="periods end by its day of the month")
    period_start: Mapped[CreatedAt]
    period_end: Mapped[datetime]
    next_plan: Mapped[str | None] = mapped_column(comment="the plan from the end of the period on")
    has_tried: Mapped[bool] = mapped_column(server_default=false(), comment="its trial was used up")
    at_zero: Mapped[str] = mapped_column(server_default="hand_over", comment="hand_over, pause or overdraft")
    zero_text: Mapped[str | None] = mapped_column(comment="what customers are told then")
    created_at: Mapped[CreatedAt]


class UsageEvent(Base):
    """Something that was counted, once; added and never changed."""

    __tablename__ = "usage_events"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[int]
    quantities: Mapped[Json] = mapped_column(comment="how much of what")
    about: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]


class UsageTotal(Base):
    """What the events of a period add up to."""

    __tablename__ = "usage_totals"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    period: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int]


class QuotaWarning(Base):
    """That a part of what a period includes is used up was told; once for each part and period."""

    __tablename__ = "quota_warnings"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    period: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    percent: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[CreatedAt]
