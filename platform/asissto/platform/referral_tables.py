"""Tables of the referral programme: its terms, partners and their codes, who was brought, and what is owed for it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, new_id


class ReferralProgramme(Base):
    """Terms under which partners earn; those who were brought before keep the terms that they were brought under."""

    __tablename__ = "referral_programmes"

    code: Mapped[str] = mapped_column(primary_key=True)
    terms: Mapped[Json] = mapped_column(comment="as asissto.platform.referral_terms.ReferralTerms")
    status: Mapped[str] = mapped_column(server_default="active", comment="active or archived")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class ReferralPartner(Base):
    """Where a partner is paid; the row is the one lock of their payouts."""

    __tablename__ = "referral_partners"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    payout_details: Mapped[str | None] = mapped_column(comment="account and name, in the partner's own words")
    created_at: Mapped[CreatedAt]


class ReferralCode(Base):
    """A code of a partner, in capitals; `look` is the same without what is easily taken for something else."""

    __tablename__ = "referral_codes"
    __table_args__ = (UniqueConstraint("look"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str]
    look: Mapped[str]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    programme: Mapped[str] = mapped_column(ForeignKey("referral_programmes.code"))
    campaign: Mapped[str] = mapped_column(server_default="", comment="the partner's own note")
    status: Mapped[str] = mapped_column(server_default="active", comment="active or disabled")
    created_at: Mapped[CreatedAt]


class ReferralClicks(Base):
    """How often the link of a code was followed on a day (UTC); nothing is kept of whoever followed it."""

    __tablename__ = "referral_clicks"

    code_id: Mapped[UUID] = mapped_column(ForeignKey("referral_codes.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    count: Mapped[int] = mapped_column(server_default="1")


class Referral(TenantRow, Base):
    """Who brought the tenant, and by which terms they earn. Only the system role sees it."""

    __tablename__ = "referrals"
    __table_args__ = (UniqueConstraint("tenant_id"), Index("ix_referrals_partner_id", "partner_id"))

    # Not a foreign key: what was earned outlives the account of the partner.
    partner_id: Mapped[UUID]
    code: Mapped[str]
    programme: Mapped[str]
    terms: Mapped[Json] = mapped_column(comment="of the programme when the tenant was brought")
    origin: Mapped[str] = mapped_column(comment="registration, or admin where an administrator said so")
    clicked_at: Mapped[datetime | None]
    registered_at: Mapped[datetime] = mapped_column(comment="of the tenant; from then on payments earn")
    created_at: Mapped[CreatedAt]


class ReferralPayout(Base):
    """What is paid to a partner at once. Only the system role sees it."""

    __tablename__ = "referral_payouts"
    __table_args__ = (Index("ix_referral_payouts_partner_id", "partner_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    partner_id: Mapped[UUID]
    currency: Mapped[str]
    amount: Mapped[int] = mapped_column(comment="minor units of `currency`: the sum of its entries")
    state: Mapped[str] = mapped_column(comment="requested, approved, paid, failed or cancelled")
    payout_details: Mapped[str | None] = mapped_column(comment="where to, as the partner had it then")
    reference: Mapped[str | None] = mapped_column(comment="of the bank transfer")
    paid_on: Mapped[date | None] = mapped_column(Date)
    note: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    changed_at: Mapped[CreatedAt]


class CommissionEntry(Base):
    """What a payment has earned a partner, or what was taken back; added, and changed in `payout_id` alone."""

    __tablename__ = "commission_entries"
    __table_args__ = (
        UniqueConstraint("tenant_id", "payment_id", "number"),
        CheckConstraint("amount <> 0 OR kind = 'voided'", name="amount"),
        Index("ix_commission_entries_partner_id", "partner_id"),
        Index("ix_commission_entries_payout_id", "payout_id", postgresql_where=text("payout_id IS NOT NULL")),
    )

    # No CASCADE, as in the ledger.
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    partner_id: Mapped[UUID]
    referral_id: Mapped[UUID]
    payment_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(comment="of the payment's entries, from 0")
    kind: Mapped[str] = mapped_column(comment="earned, reversed, restored or voided")
    amount: Mapped[int] = mapped_column(comment="minor units of `currency`, below zero for what was taken back")
    currency: Mapped[str]
    rule: Mapped[Json] = mapped_column(comment="plan, rate, and the amount that it was taken of")
    payable_at: Mapped[datetime] = mapped_column(comment="when the payment has earned it for good, refunds aside")
    payout_id: Mapped[UUID | None] = mapped_column(ForeignKey("referral_payouts.id"))
    created_at: Mapped[CreatedAt]
