"""What people correct in passages, kept apart from the passages so that it outlives a new version of the source."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OWN = "nullif(current_setting('app.tenant_id', true), '')::uuid"
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    comments = {
        "source_start": "where the words stand that an edit replaced",
        "source_sha": "of the words in the source, by which an edit knows its passage",
    }
    op.add_column("chunks", sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("chunks", sa.Column("source_start", sa.Integer(), comment=comments["source_start"]))
    op.add_column("chunks", sa.Column("source_end", sa.Integer()))
    op.add_column("chunks", sa.Column("source_sha", sa.LargeBinary(), comment=comments["source_sha"]))
    # Not by UPDATE, which row-level security lets see nothing.
    folded = r"sha256(convert_to(btrim(regexp_replace(text, '\s+', ' ', 'g')), 'UTF8'))"
    op.execute(f"ALTER TABLE chunks ALTER source_sha TYPE bytea USING {folded}, ALTER source_sha SET NOT NULL")
    op.create_table(
        "passage_edits",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("source_sha", sa.LargeBinary(), nullable=False),
        sa.Column("source_text", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), comment="empty: the words of the source"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_passage_edits"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE", name="fk_passage_edits_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["documents.tenant_id", "documents.id"],
            ondelete="CASCADE",
            name="fk_passage_edits_tenant_id_document_id",
        ),
        sa.UniqueConstraint(
            "tenant_id", "document_id", "source_sha", name="uq_passage_edits_tenant_id_document_id_source_sha"
        ),
    )
    op.execute("ALTER TABLE passage_edits ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE passage_edits FORCE ROW LEVEL SECURITY")
    own = f"tenant_id = {OWN}"
    op.execute(f"CREATE POLICY own_tenant ON passage_edits TO asissto_app USING ({own}) WITH CHECK ({own})")
    op.execute("CREATE POLICY whole_platform ON passage_edits TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON passage_edits TO asissto_app, asissto_sys")
    op.add_column("document_versions", sa.Column("created_by", sa.Uuid()))
    op.create_index("ix_citations_document", "citations", ["tenant_id", "document_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_citations_document", "citations")
    op.drop_column("document_versions", "created_by")
    op.drop_table("passage_edits")
    for column in ("source_sha", "source_end", "source_start", "enabled"):
        op.drop_column("chunks", column)
