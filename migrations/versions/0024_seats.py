"""Holds that are renewed, hashes of passwords for the system alone, audit rows that outlive their tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None

SHOWN = "id, name, email, phone, role, status, language, referrer_id, manager_id, created_at, confirmed_at"
"""Of a person, to the members of their workspaces."""


def upgrade() -> None:
    times = sa.Column(
        "times", sa.BigInteger(), nullable=False, server_default="1", comment="which time it is by this key"
    )
    op.add_column("ledger_holds", times)
    op.drop_constraint("pk_ledger_holds", "ledger_holds")
    op.create_primary_key("pk_ledger_holds", "ledger_holds", ["tenant_id", "key", "times"])
    op.execute("GRANT UPDATE (expires_at) ON ledger_holds TO asissto_app, asissto_sys")
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
    op.execute("REVOKE UPDATE (expires_at) ON ledger_holds FROM asissto_app, asissto_sys")
    op.execute(
        "DELETE FROM ledger_holds h USING ledger_holds n "
        "WHERE (n.tenant_id, n.key) = (h.tenant_id, h.key) AND n.times > h.times"
    )
    op.drop_constraint("pk_ledger_holds", "ledger_holds")
    op.create_primary_key("pk_ledger_holds", "ledger_holds", ["tenant_id", "key"])
    op.drop_column("ledger_holds", "times")
