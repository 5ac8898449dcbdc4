"""Managers of tenants, suspended tenants, and sessions of those who sign in as a tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ACTOR = "who acted as the actor, signed in as a tenant"
SESSION = "who acts as the user in this session"
OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    op.create_table(
        "tenant_managers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_managers_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tenant_managers_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name=op.f("pk_tenant_managers")),
    )
    op.create_index("ix_tenant_managers_user_id", "tenant_managers", ["user_id"])
    op.execute("ALTER TABLE tenant_managers ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE tenant_managers FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON tenant_managers TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute("CREATE POLICY whole_platform ON tenant_managers TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT ON tenant_managers TO asissto_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON tenant_managers TO asissto_sys")
    op.add_column("tenants", sa.Column("suspended_reason", sa.Text(), nullable=True))
    op.add_column("audit_log", sa.Column("impersonator_id", sa.Uuid(), nullable=True, comment=ACTOR))
    op.add_column("refresh_tokens", sa.Column("impersonator_id", sa.Uuid(), nullable=True, comment=SESSION))
    op.create_foreign_key(
        op.f("fk_refresh_tokens_impersonator_id"),
        "refresh_tokens",
        "users",
        ["impersonator_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_index("ix_refresh_tokens_impersonator_id", "refresh_tokens", ["impersonator_id"])


def downgrade() -> None:
    op.drop_column("refresh_tokens", "impersonator_id")
    op.drop_column("audit_log", "impersonator_id")
    op.drop_column("tenants", "suspended_reason")
    op.drop_table("tenant_managers")
