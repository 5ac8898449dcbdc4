"""Holds that are renewed, hashes of passwords for the system alone, audit rows that outlive their tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SHOWN = "id, name, email, phone, role, status, language, referrer_id, manager_id, created_at, confirmed_at"
"""Of a person, to the members of their workspaces."""


KEEP_AMOUNT = """
    CREATE FUNCTION keep_held_amount() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE insufficient_privilege USING MESSAGE = 'permission denied to change what is held';
    END $$
"""
WHERE_CHANGED = """
    CREATE TRIGGER keep_held_amount BEFORE UPDATE ON ledger_holds FOR EACH ROW
    WHEN (NEW.amount <> OLD.amount AND NOT (OLD.state = 'released' AND NEW.state = 'open'))
    EXECUTE FUNCTION keep_held_amount()
"""


def upgrade() -> None:
    times = sa.Column(
        "times", sa.BigInteger(), nullable=False, server_default="1", comment="how often it was set aside"
    )
    op.add_column("ledger_holds", times)
    op.execute("GRANT UPDATE (amount, expires_at, times) ON ledger_holds TO asissto_app, asissto_sys")
    op.execute(KEEP_AMOUNT)
    op.execute(WHERE_CHANGED)
    op.drop_constraint("fk_audit_log_tenant_id", "audit_log")
    op.create_index("ix_audit_log_id", "audit_log", ["id"])
    op.execute("REVOKE SELECT ON users FROM asissto_app")
    op.execute(f"GRANT SELECT ({SHOWN}) ON users TO asissto_app")


def downgrade() -> None:
    op.execute(f"REVOKE SELECT ({SHOWN}) ON users FROM asissto_app")
    op.execute("GRANT SELECT ON users TO asissto_app")
    op.drop_index("ix_audit_log_id", "audit_log")
    op.execute("DELETE FROM audit_log WHERE tenant_id NOT IN (SELECT id FROM tenants)")
    name = "fk_audit_log_tenant_id"
    op.create_foreign_key(name, "audit_log", "tenants", ["tenant_id"], ["id"], ondelete="CASCADE")
    op.execute("DROP TRIGGER keep_held_amount ON ledger_holds")
    op.execute("DROP FUNCTION keep_held_amount()")
    op.execute("REVOKE UPDATE (amount, expires_at, times) ON ledger_holds FROM asissto_app, asissto_sys")
    op.drop_column("ledger_holds", "times")
