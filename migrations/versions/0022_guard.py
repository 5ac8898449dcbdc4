"""Personal data: what was asked to be exported or erased, how long things are kept, and an audit trail that ends."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0024"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
TABLES = ("privacy_requests", "retention_periods")
COPIES = ("question_cases", "set_results")
"""Their questions may be the words of a customer."""
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
    for table in COPIES:
        _tie_to_conversation(table)
    by_law = sa.text("state = 'todo' AND starts_with(kind, 'privacy.')")
    op.create_index("ix_jobs_by_law", "jobs", ["run_at"], postgresql_where=by_law)
    op.execute("GRANT UPDATE (email, revoked_at) ON invitations TO asissto_sys")
    op.execute("GRANT UPDATE (name, revoked_at) ON api_keys TO asissto_sys")
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
    op.drop_index("ix_jobs_by_law", "jobs")
    op.execute("REVOKE UPDATE (name, revoked_at) ON api_keys FROM asissto_sys")
    op.execute("REVOKE UPDATE (email, revoked_at) ON invitations FROM asissto_sys")
    for table in reversed(COPIES):
        op.drop_index(f"ix_{table}_conversation", table)
        op.drop_column(table, "conversation_id")
    for table in reversed(TABLES):
        op.drop_table(table)


def _key(*more: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Uuid(), nullable=False) for name in more),
        sa.PrimaryKeyConstraint("tenant_id", *more),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    ]


def _tie_to_conversation(table: str) -> None:
    """Of what was copied before, the conversation is the first in which a customer said the same."""
    op.add_column(
        table, sa.Column("conversation_id", sa.Uuid(), nullable=True, comment="whose words it has; it goes with them")
    )
    said = "m.tenant_id = c.tenant_id AND m.content = c.question AND m.sender_kind IN ('user', 'contact')"
    for each in (table, "messages"):
        op.execute(f"ALTER TABLE {each} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        f"UPDATE {table} c SET conversation_id = "
        f"(SELECT m.conversation_id FROM messages m WHERE {said} ORDER BY m.id LIMIT 1)"
    )
    for each in (table, "messages"):
        op.execute(f"ALTER TABLE {each} FORCE ROW LEVEL SECURITY")
    op.create_foreign_key(
        op.f(f"fk_{table}_tenant_id_conversation_id"),
        table,
        "conversations",
        ["tenant_id", "conversation_id"],
        ["tenant_id", "id"],
        ondelete="CASCADE",
    )
    op.create_index(f"ix_{table}_conversation", table, ["tenant_id", "conversation_id"])


def _isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")
