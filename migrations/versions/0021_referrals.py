"""The referral programme: terms, codes, who was brought, commissions and payouts."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0023"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
NOW = sa.text("now()")
GRANTS = {
    "referral_programmes": "SELECT, INSERT, UPDATE",
    "referral_partners": "SELECT, INSERT, UPDATE",
    "referral_codes": "SELECT, INSERT, UPDATE",
    "referral_clicks": "SELECT, INSERT, UPDATE",
    "referrals": "SELECT, INSERT, UPDATE, DELETE",
    "referral_payouts": "SELECT, INSERT, UPDATE",
    "commission_entries": "SELECT, INSERT, UPDATE (payout_id)",
}
"""To the system role; the application's role may not even read what the operator owes to whom."""

STANDARD = """{"name": "Standard", "click_days": 60, "hold_days": 30, "rate": {"basis_points": 2000, "days": 365}}"""


def upgrade() -> None:
    _create_programmes()
    _create_partners()
    _create_codes()
    _create_referrals()
    _create_payouts()
    _create_entries()
    for table, granted in GRANTS.items():
        op.execute(f"GRANT {granted} ON {table} TO asissto_sys")
    for table in ("referrals", "commission_entries"):
        _isolate(table)


def downgrade() -> None:
    for table in ("commission_entries", "referral_payouts", "referrals", "referral_clicks", "referral_codes"):
        op.drop_table(table)
    op.drop_table("referral_partners")
    op.drop_table("referral_programmes")


def _create_programmes() -> None:
    programmes = op.create_table(
        "referral_programmes",
        _column("code"),
        _column("terms", postgresql.JSONB(), comment="as asissto.platform.referral_terms.ReferralTerms"),
        _column("status", server_default="active", comment="active or archived"),
        _moment("created_at", server_default=NOW),
        _moment("updated_at", server_default=NOW),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_referral_programmes")),
    )
    op.bulk_insert(programmes, [{"code": "standard", "terms": json.loads(STANDARD)}])


def _create_partners() -> None:
    op.create_table(
        "referral_partners",
        _column("user_id", sa.Uuid()),
        _column("payout_details", nullable=True, comment="account and name, in the partner's own words"),
        _moment("created_at", server_default=NOW),
        _foreign("referral_partners", "user_id", "users.id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_referral_partners")),
    )


def _create_codes() -> None:
    op.create_table(
        "referral_codes",
        _column("id", sa.Uuid()),
        _column("code"),
        _column("look"),
        _column("user_id", sa.Uuid()),
        _column("programme"),
        _column("campaign", server_default="", comment="the partner's own note"),
        _column("status", server_default="active", comment="active or disabled"),
        _moment("created_at", server_default=NOW),
        _foreign("referral_codes", "user_id", "users.id", ondelete="CASCADE"),
        _foreign("referral_codes", "programme", "referral_programmes.code"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_codes")),
        sa.UniqueConstraint("look", name=op.f("uq_referral_codes_look")),
    )
    op.create_index("ix_referral_codes_user_id", "referral_codes", ["user_id"])
    op.create_table(
        "referral_clicks",
        _column("code_id", sa.Uuid()),
        _column("day", sa.Date()),
        _column("count", sa.BigInteger(), server_default="1"),
        _foreign("referral_clicks", "code_id", "referral_codes.id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("code_id", "day", name=op.f("pk_referral_clicks")),
    )


def _create_referrals() -> None:
    op.create_table(
        "referrals",
        _column("tenant_id", sa.Uuid()),
        _column("id", sa.Uuid()),
        _column("partner_id", sa.Uuid()),
        _column("code"),
        _column("programme"),
        _column("terms", postgresql.JSONB(), comment="of the programme when the tenant was brought"),
        _column("origin", comment="registration, or admin where an administrator said so"),
        _moment("clicked_at", nullable=True),
        _moment("registered_at", comment="of the tenant; from then on payments earn"),
        _moment("created_at", server_default=NOW),
        _foreign("referrals", "tenant_id", "tenants.id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_referrals")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_referrals_tenant_id")),
    )
    op.create_index("ix_referrals_partner_id", "referrals", ["partner_id"])


def _create_payouts() -> None:
    op.create_table(
        "referral_payouts",
        _column("id", sa.Uuid()),
        _column("partner_id", sa.Uuid()),
        _column("currency"),
        _column("amount", sa.BigInteger(), comment="minor units of `currency`: the sum of its entries"),
        _column("state", comment="requested, approved, paid, failed or cancelled"),
        _column("payout_details", nullable=True, comment="where to, as the partner had it then"),
        _column("reference", nullable=True, comment="of the bank transfer"),
        _column("paid_on", sa.Date(), nullable=True),
        _column("note", nullable=True),
        _moment("created_at", server_default=NOW),
        _moment("changed_at", server_default=NOW),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_payouts")),
    )
    op.create_index("ix_referral_payouts_partner_id", "referral_payouts", ["partner_id"])


def _create_entries() -> None:
    op.create_table(
        "commission_entries",
        _column("tenant_id", sa.Uuid()),
        _column("id", sa.Uuid()),
        _column("partner_id", sa.Uuid()),
        _column("referral_id", sa.Uuid()),
        _column("payment_id", sa.Uuid()),
        _column("number", sa.BigInteger(), comment="of the payment's entries, from 0"),
        _column("kind", comment="earned, reversed, restored or voided"),
        _column("amount", sa.BigInteger(), comment="minor units of `currency`, below zero for what was taken back"),
        _column("currency"),
        _column("rule", postgresql.JSONB(), comment="plan, rate, and the amount that it was taken of"),
        _moment("payable_at", comment="when the payment has earned it for good, refunds aside"),
        _column("payout_id", sa.Uuid(), nullable=True),
        _moment("created_at", server_default=NOW),
        sa.CheckConstraint("amount <> 0 OR kind = 'voided'", name=op.f("ck_commission_entries_amount")),
        _foreign("commission_entries", "tenant_id", "tenants.id"),
        _foreign("commission_entries", "payout_id", "referral_payouts.id"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_commission_entries")),
        sa.UniqueConstraint(
            "tenant_id", "payment_id", "number", name=op.f("uq_commission_entries_tenant_id_payment_id_number")
        ),
    )
    op.create_index("ix_commission_entries_partner_id", "commission_entries", ["partner_id"])
    in_payout = {"postgresql_where": sa.text("payout_id IS NOT NULL")}
    op.create_index("ix_commission_entries_payout_id", "commission_entries", ["payout_id"], **in_payout)


def _foreign(table: str, column: str, target: str, *, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), nullable=nullable, **more)


def _isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
