"""Plans, the subscriptions of tenants, and what is used of them."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0020"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
GRANTS = {
    "subscriptions": "SELECT, INSERT, UPDATE",
    "usage_events": "SELECT, INSERT",
    "usage_totals": "SELECT, INSERT, UPDATE (quantity)",
    "quota_warnings": "SELECT, INSERT",
}
FREE = """{"code": "free", "name": "Free", "price": 0, "currency": "USD", "period": "month", "answers": 100,
"documents": 50, "storage_mb": 200, "channels": 1, "seats": 2}"""


def upgrade() -> None:
    _create_subscriptions()
    _create_usage()
    for table, granted in GRANTS.items():
        _isolate(table, granted)
    _create_plans()
    op.execute("GRANT UPDATE (plan, currency) ON tenants TO asissto_app")


def downgrade() -> None:
    op.execute("REVOKE UPDATE (plan, currency) ON tenants FROM asissto_app")
    for table in ("plans", *reversed(GRANTS)):
        op.drop_table(table)


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        _column("tenant_id", sa.Uuid()),
        _column("plan"),
        _column("terms", postgresql.JSONB(), comment="of the period that runs, whatever the catalogue says by now"),
        _column("status", server_default="active", comment="trial, active or past_due"),
        _column("period", sa.BigInteger(), server_default="1", comment="the number of the period that runs"),
        _moment("anchor", server_default=sa.text("now()"), comment="periods end by its day of the month"),
        _moment("period_start", server_default=sa.text("now()")),
        _moment("period_end"),
        _column("next_plan", nullable=True, comment="the plan from the end of the period on"),
        _column("has_tried", sa.Boolean(), server_default=sa.text("false"), comment="its trial was used up"),
        _column("at_zero", server_default="hand_over", comment="hand_over, pause or overdraft"),
        _column("zero_text", nullable=True, comment="what customers are told then"),
        _moment("created_at", server_default=sa.text("now()")),
        _tenant("subscriptions"),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_subscriptions")),
    )
    op.create_index("ix_subscriptions_due", "subscriptions", ["period_end"])


def _create_usage() -> None:
    op.create_table(
        "usage_events",
        _column("tenant_id", sa.Uuid()),
        _column("key"),
        _column("period", sa.BigInteger()),
        _column("quantities", postgresql.JSONB(), comment="how much of what"),
        _column("about", sa.Uuid(), nullable=True),
        _moment("created_at", server_default=sa.text("now()")),
        _tenant("usage_events"),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_usage_events")),
    )
    op.create_table(
        "usage_totals",
        _column("tenant_id", sa.Uuid()),
        _column("period", sa.BigInteger()),
        _column("name"),
        _column("quantity", sa.BigInteger()),
        _tenant("usage_totals"),
        sa.PrimaryKeyConstraint("tenant_id", "period", "name", name=op.f("pk_usage_totals")),
    )
    op.create_table(
        "quota_warnings",
        _column("tenant_id", sa.Uuid()),
        _column("period", sa.BigInteger()),
        _column("name"),
        _column("percent", sa.BigInteger()),
        _moment("created_at", server_default=sa.text("now()")),
        _tenant("quota_warnings"),
        sa.PrimaryKeyConstraint("tenant_id", "period", "name", "percent", name=op.f("pk_quota_warnings")),
    )


def _create_plans() -> None:
    plans = op.create_table(
        "plans",
        _column("code"),
        _column("terms", postgresql.JSONB(), comment="as asissto.platform.plans.Terms"),
        _column("status", server_default="active", comment="active or archived"),
        _moment("created_at", server_default=sa.text("now()")),
        _moment("updated_at", server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_plans")),
    )
    op.bulk_insert(plans, [{"code": "free", "terms": json.loads(FREE)}])
    op.execute("GRANT SELECT ON plans TO asissto_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON plans TO asissto_sys")


def _tenant(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id")
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=name, ondelete="CASCADE")


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), nullable=nullable, **more)


def _isolate(table: str, granted: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {granted} ON {table} TO asissto_app, asissto_sys")
