"""Payments, what comes back of them, what providers tell, and papers that nobody changes."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
GRANTS = {
    "payments": (
        "SELECT, INSERT (tenant_id, id, provider, amount, currency, idempotency_key, email, payer, user_id, next_check_at)",
        "SELECT, INSERT, UPDATE",
    ),
    "payment_reversals": ("SELECT", "SELECT, INSERT, UPDATE"),
    "invoices": ("SELECT", "SELECT, INSERT"),
}
NOW = sa.text("now()")


def upgrade() -> None:
    _create_payments()
    _create_reversals()
    _create_invoices()
    for table, (app, sys) in GRANTS.items():
        _isolate(table, app, sys)
    _create_events()
    _create_series()


def downgrade() -> None:
    for table in ("invoice_series", "payment_events", "invoices", "payment_reversals", "payments"):
        op.drop_table(table)


def _create_payments() -> None:
    op.create_table(
        "payments",
        *_keys("payments"),
        _column("provider"),
        _column("provider_id", nullable=True, comment="of the order"),
        _column("charge_id", nullable=True, comment="what it was charged under, which refunds name"),
        _column("amount", sa.BigInteger(), comment="minor units of `currency`"),
        _column("currency"),
        _column("refunded", sa.BigInteger(), server_default="0", comment="refunds and lost disputes together"),
        _column("state", server_default="pending", comment="pending, settled, failed, refunded or disputed"),
        _column("idempotency_key"),
        _column("email", comment="for the provider's receipt"),
        _column("payer", nullable=True, comment="name and details of who pays, for the invoice"),
        _column("pay_url", nullable=True),
        _column("instructions", nullable=True),
        _column("problem", nullable=True, comment="a code of payment.problem, and a detail"),
        _column("user_id", sa.Uuid(), nullable=True, comment="who topped up"),
        _moment("created_at", server_default=NOW),
        _moment("settled_at", nullable=True),
        _moment("next_check_at", nullable=True, comment="when the provider is asked without being told to"),
        _unique("payments", "tenant_id", "idempotency_key"),
    )
    waiting = sa.text("next_check_at IS NOT NULL")
    op.create_index("ix_payments_check", "payments", ["next_check_at"], postgresql_where=waiting)


def _create_reversals() -> None:
    op.create_table(
        "payment_reversals",
        *_keys("payment_reversals"),
        _column("payment_id", sa.Uuid()),
        _column("kind", comment="refund or dispute"),
        _column("provider_id", nullable=True),
        _column("amount", sa.BigInteger()),
        _column(
            "from_wallet", sa.BigInteger(), comment="what the wallet still had; the operator stands in for the rest"
        ),
        _column("state", server_default="pending", comment="pending, settled or failed"),
        _column("idempotency_key"),
        _column("reason", nullable=True),
        _column("user_id", sa.Uuid(), nullable=True),
        _moment("created_at", server_default=NOW),
        _moment("finished_at", nullable=True),
        _of_payment("payment_reversals"),
        _unique("payment_reversals", "tenant_id", "payment_id", "idempotency_key"),
        _unique("payment_reversals", "tenant_id", "payment_id", "provider_id"),
    )


def _create_invoices() -> None:
    op.create_table(
        "invoices",
        *_keys("invoices"),
        _column("kind", comment="invoice or credit_note"),
        _column("number", sa.BigInteger()),
        _column("payment_id", sa.Uuid()),
        _column(
            "corrects", sa.BigInteger(), nullable=True, comment="number of the invoice that a credit note is about"
        ),
        _column("amount", sa.BigInteger(), comment="minor units of `currency`"),
        _column("currency"),
        _column("content", postgresql.JSONB(), comment="seller, buyer and line as they were then"),
        _moment("issued_at", server_default=NOW),
        _of_payment("invoices"),
        _unique("invoices", "tenant_id", "kind", "number"),
    )


def _create_events() -> None:
    op.create_table(
        "payment_events",
        _column("id", sa.Uuid()),
        _column("provider"),
        _column("event_id"),
        _column("kind"),
        _column("about", comment="by which the provider is asked; nothing else of the body is kept"),
        _column("is_from_known_address", sa.Boolean(), comment="a hint: who comes first"),
        _column("state", server_default="new", comment="new, done or ignored"),
        _column("outcome", nullable=True),
        _column("deliveries", sa.Integer(), server_default="1"),
        _column("attempts", sa.Integer(), server_default="0"),
        _moment("received_at", server_default=NOW),
        _moment("next_attempt_at", server_default=NOW),
        _moment("handled_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_events")),
        _unique("payment_events", "provider", "event_id"),
    )
    is_new = sa.text("state = 'new'")
    op.create_index("ix_payment_events_due", "payment_events", ["next_attempt_at"], postgresql_where=is_new)
    op.create_index("ix_payment_events_handled", "payment_events", ["handled_at"])
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON payment_events TO asissto_sys")


def _create_series() -> None:
    op.create_table(
        "invoice_series",
        _column("kind", comment="invoice or credit_note"),
        _column("last", sa.BigInteger(), server_default="0"),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_invoice_series")),
    )
    op.execute("INSERT INTO invoice_series (kind) VALUES ('invoice'), ('credit_note')")
    op.execute("GRANT SELECT, UPDATE ON invoice_series TO asissto_sys")


def _keys(table: str) -> list[Any]:
    columns = [_column(name, sa.Uuid()) for name in ("tenant_id", "id")]
    own = op.f(f"fk_{table}_tenant_id")
    tenant = sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=own, ondelete="CASCADE")
    return [*columns, tenant, sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}"))]


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str, **more: Any) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), **more)


def _of_payment(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id_payment_id")
    target = ["payments.tenant_id", "payments.id"]
    return sa.ForeignKeyConstraint(["tenant_id", "payment_id"], target, name=name, ondelete="CASCADE")


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _isolate(table: str, app: str, sys: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {app} ON {table} TO asissto_app")
    op.execute(f"GRANT {sys} ON {table} TO asissto_sys")
