"""A journal of money that nobody changes, accounts that follow it, and holds."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
GRANTS = {
    "ledger_entries": "SELECT, INSERT",
    # The balance follows the journal; how far it may go below zero is the platform's word.
    "ledger_accounts": "SELECT, INSERT (tenant_id, name), UPDATE (balance)",
    "ledger_holds": "SELECT, INSERT, UPDATE (state, closed_at)",
}


def upgrade() -> None:
    _create_entries()
    _create_accounts()
    _create_holds()
    for table, granted in GRANTS.items():
        _isolate(table, granted)
    op.execute("GRANT UPDATE (overdraft) ON ledger_accounts TO asissto_sys")
    op.execute("GRANT UPDATE (balance) ON tenants TO asissto_app")


def downgrade() -> None:
    op.execute("REVOKE UPDATE (balance) ON tenants FROM asissto_app")
    for table in reversed(GRANTS):
        op.drop_table(table)


def _create_entries() -> None:
    op.create_table(
        "ledger_entries",
        _column("tenant_id", sa.Uuid()),
        _column("id", sa.Uuid()),
        _column("kind"),
        _column("debit"),
        _column("credit"),
        _column("amount", sa.BigInteger(), comment="minor units of `currency`"),
        _column("currency"),
        _column("key", comment="the same is booked once"),
        _column("about", sa.Uuid(), nullable=True, comment="the message, payment or period that it belongs to"),
        _column("note", server_default="", comment="the reason of an adjustment"),
        _moment("created_at", server_default=sa.text("now()")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_entries_amount")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_ledger_entries_sides")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_ledger_entries_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_ledger_entries_tenant_id_key")),
    )
    op.create_index("ix_ledger_entries_about", "ledger_entries", ["tenant_id", "about"])


def _create_accounts() -> None:
    op.create_table(
        "ledger_accounts",
        _column("tenant_id", sa.Uuid()),
        _column("name"),
        _column("balance", sa.BigInteger(), server_default="0", comment="credits less debits, minor units"),
        _column("overdraft", sa.BigInteger(), server_default="0", comment="how far below zero it may go"),
        sa.CheckConstraint(
            "balance + overdraft >= 0 OR name NOT IN ('wallet', 'held')", name=op.f("ck_ledger_accounts_floor")
        ),
        sa.CheckConstraint("overdraft >= 0", name=op.f("ck_ledger_accounts_overdraft")),
        _tenant("ledger_accounts"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_ledger_accounts")),
    )


def _create_holds() -> None:
    op.create_table(
        "ledger_holds",
        _column("tenant_id", sa.Uuid()),
        _column("key"),
        _column("amount", sa.BigInteger()),
        _column("state", server_default="open", comment="open, settled or released"),
        _moment("expires_at"),
        _moment("created_at", server_default=sa.text("now()")),
        _moment("closed_at", nullable=True),
        _tenant("ledger_holds"),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_ledger_holds")),
    )
    is_open = {"postgresql_where": sa.text("state = 'open'")}
    op.create_index("ix_ledger_holds_open", "ledger_holds", ["expires_at"], **is_open)


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
