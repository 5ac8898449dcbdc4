"""Personal data: what was asked to be exported or erased, how long things are kept, and an audit trail that ends."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0023"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
TABLES = ("privacy_requests", "retention_periods")
OLD = "at < now() - interval '30 days'"


def upgrade() -> None:
    op.create_table(
        "privacy_requests",
        *_key("id"),
        sa.Column("kind", sa.Text(), nullable=False, comment="export or erase"),
        sa.Column("subject", sa.Text(), nullable=False, comment="contact or user"),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False, comment="waiting, done or failed"),
        sa.Column("error", sa.Text(), nullable=True, comment="code of what it failed with"),
        sa.Column("file_key", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True, comment="of the link to the file"),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
    )
    periods = ("conversations", "attachments", "receipts", "audit")
    op.create_table(
        "retention_periods",
        *_key(),
        *(sa.Column(f"{name}_days", sa.Integer(), nullable=True) for name in periods),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    for table in TABLES:
        _isolate(table)
    # Nobody may delete from the trail but this function, and it takes nothing that is younger than 30 days.
    op.execute(f"CREATE POLICY forgetting ON audit_log TO CURRENT_USER USING ({OWN} AND {OLD})")
    op.execute(
        "CREATE FUNCTION forget_audit(before timestamptz, most integer) RETURNS integer LANGUAGE sql "
        "SECURITY DEFINER SET search_path = pg_catalog, public AS $$ "
        "WITH old AS (SELECT tenant_id, id FROM audit_log a "
        f"WHERE a.{OWN} AND a.{OLD} AND a.at < before ORDER BY a.at LIMIT most), "
        "gone AS (DELETE FROM audit_log a USING old WHERE a.tenant_id = old.tenant_id AND a.id = old.id RETURNING 1) "
        "SELECT count(*)::integer FROM gone $$"
    )
    op.execute("REVOKE ALL ON FUNCTION forget_audit(timestamptz, integer) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION forget_audit(timestamptz, integer) TO asissto_app")


def downgrade() -> None:
    op.execute("DROP FUNCTION forget_audit(timestamptz, integer)")
    op.execute("DROP POLICY forgetting ON audit_log")
    for table in reversed(TABLES):
        op.drop_table(table)


def _key(*more: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in more),
        sa.PrimaryKeyConstraint("tenant_id", *more),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    ]


def _isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")
