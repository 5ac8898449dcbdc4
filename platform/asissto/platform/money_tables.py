"""Tables of money: the journal of a tenant, its accounts as a projection of it, and what is held."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, new_id


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
    """Money set aside for something that is being done."""

    __tablename__ = "ledger_holds"
    __table_args__ = (Index("ix_ledger_holds_open", "expires_at", postgresql_where=text("state = 'open'")),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="open", comment="open, settled or released")
    expires_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]
    closed_at: Mapped[datetime | None]
