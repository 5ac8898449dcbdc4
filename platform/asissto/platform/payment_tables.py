"""Tables of payments: what was paid and given back, what providers told, and the papers about it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, new_id, within_tenant


class Payment(TenantRow, Base):
    """A top-up of the wallet. The application opens it; how it goes on is written by the system role alone."""

    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        Index("ix_payments_check", "next_check_at", postgresql_where=text("next_check_at IS NOT NULL")),
    )

    provider: Mapped[str]
    provider_id: Mapped[str | None] = mapped_column(comment="of the order")
    charge_id: Mapped[str | None] = mapped_column(comment="what it was charged under, which refunds name")
    amount: Mapped[int] = mapped_column(comment="minor units of `currency`")
    currency: Mapped[str]
    refunded: Mapped[int] = mapped_column(server_default="0", comment="refunds and lost disputes together")
    state: Mapped[str] = mapped_column(
        server_default="pending", comment="pending, settled, failed, refunded or disputed"
    )
    idempotency_key: Mapped[str]
    email: Mapped[str] = mapped_column(comment="for the provider's receipt")
    payer: Mapped[str | None] = mapped_column(comment="name and details of who pays, for the invoice")
    pay_url: Mapped[str | None]
    instructions: Mapped[str | None]
    problem: Mapped[str | None] = mapped_column(comment="a code of payment.problem, and a detail")
    user_id: Mapped[UUID | None] = mapped_column(comment="who topped up")
    created_at: Mapped[CreatedAt]
    settled_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None] = mapped_column(comment="when the provider is asked without being told to")


class PaymentReversal(TenantRow, Base):
    """Money on its way back: a refund or a dispute. The wallet is debited when it begins."""

    __tablename__ = "payment_reversals"
    __table_args__ = (
        within_tenant("payment_id", "payments"),
        UniqueConstraint("tenant_id", "payment_id", "idempotency_key"),
        UniqueConstraint("tenant_id", "payment_id", "provider_id"),
    )

    payment_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(comment="refund or dispute")
    provider_id: Mapped[str | None]
    amount: Mapped[int]
    from_wallet: Mapped[int] = mapped_column(comment="what the wallet still had; the operator stands in for the rest")
    state: Mapped[str] = mapped_column(server_default="pending", comment="pending, settled or failed")
    idempotency_key: Mapped[str]
    reason: Mapped[str | None]
    user_id: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class PaymentEvent(Base):
    """What a provider told, before anybody knows whose payment it is about. Only the system role sees it."""

    __tablename__ = "payment_events"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index("ix_payment_events_due", "next_attempt_at", postgresql_where=text("state = 'new'")),
        Index("ix_payment_events_handled", "handled_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    provider: Mapped[str]
    event_id: Mapped[str]
    kind: Mapped[str]
    about: Mapped[str] = mapped_column(comment="by which the provider is asked; nothing else of the body is kept")
    is_from_known_address: Mapped[bool] = mapped_column(Boolean, comment="a hint: who comes first")
    state: Mapped[str] = mapped_column(server_default="new", comment="new, done or ignored")
    outcome: Mapped[str | None]
    deliveries: Mapped[int] = mapped_column(Integer, server_default="1")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    received_at: Mapped[CreatedAt]
    next_attempt_at: Mapped[CreatedAt]
    handled_at: Mapped[datetime | None]


class InvoiceSeries(Base):
    """The last number of a kind; its row is locked until the paper is written, so that no number is left out."""

    __tablename__ = "invoice_series"

    kind: Mapped[str] = mapped_column(primary_key=True, comment="invoice or credit_note")
    last: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Invoice(TenantRow, Base):
    """An invoice or a credit note as it was issued; neither runtime role may change or remove it."""

    __tablename__ = "invoices"
    __table_args__ = (
        within_tenant("payment_id", "payments"),
        UniqueConstraint("tenant_id", "kind", "number"),
    )

    kind: Mapped[str] = mapped_column(comment="invoice or credit_note")
    number: Mapped[int]
    payment_id: Mapped[UUID]
    corrects: Mapped[int | None] = mapped_column(comment="number of the invoice that a credit note is about")
    amount: Mapped[int] = mapped_column(comment="minor units of `currency`")
    currency: Mapped[str]
    content: Mapped[Json] = mapped_column(comment="seller, buyer and line as they were then")
    issued_at: Mapped[CreatedAt]
