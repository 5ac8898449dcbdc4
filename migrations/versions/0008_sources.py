"""Web sources, their pages and the log of their syncs; documents know which source brought them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("sources", "source_pages", "source_syncs")
OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="page, sitemap or site"),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("every_hours", sa.Integer(), nullable=True, comment="NULL: synced by hand only"),
        sa.Column(
            "state", sa.Text(), server_default="idle", nullable=False, comment="idle, syncing, stopping or failed"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="code of what ended the last sync early"),
        sa.Column(
            "reason_params", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collections.tenant_id", "collections.id"],
            name=op.f("fk_sources_tenant_id_collection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_sources_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_sources")),
    )
    op.create_index("ix_sources_collection", "sources", ["tenant_id", "collection_id"], unique=False)
    op.create_table(
        "source_syncs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            server_default="running",
            nullable=False,
            comment="running, done, partial, failed or cancelled",
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "reason_params", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("added", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("removed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("seeds", postgresql.ARRAY(sa.Text()), nullable=True, comment="what the sitemaps list"),
        sa.Column("entries", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "source_id"],
            ["sources.tenant_id", "sources.id"],
            name=op.f("fk_source_syncs_tenant_id_source_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_source_syncs_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_source_syncs")),
    )
    op.create_index("ix_source_syncs_source", "source_syncs", ["tenant_id", "source_id"], unique=False)
    op.create_table(
        "source_pages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("sync_id", sa.Uuid(), nullable=False, comment="the last sync that met it"),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="added, changed, unchanged, removed, failed or skipped"
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "reason_params", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column(
            "content_sha",
            sa.LargeBinary(),
            nullable=True,
            comment="of what was stored",
        ),
        sa.Column("links", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "missed", sa.Integer(), server_default="0", nullable=False, comment="complete syncs in a row without it"
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["documents.tenant_id", "documents.id"],
            name=op.f("fk_source_pages_tenant_id_document_id"),
            ondelete="SET NULL (document_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "source_id"],
            ["sources.tenant_id", "sources.id"],
            name=op.f("fk_source_pages_tenant_id_source_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_source_pages_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_source_pages")),
        sa.UniqueConstraint("tenant_id", "source_id", "url", name=op.f("uq_source_pages_tenant_id_source_id_url")),
    )
    op.create_index("ix_source_pages_document", "source_pages", ["tenant_id", "document_id"], unique=False)
    op.add_column(
        "documents", sa.Column("source_id", sa.Uuid(), nullable=True, comment="the web source that brought it")
    )
    op.add_column("documents", sa.Column("url", sa.Text(), nullable=True))
    op.create_index("ix_documents_source", "documents", ["tenant_id", "source_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_documents_tenant_id_source_id"),
        "documents",
        "sources",
        ["tenant_id", "source_id"],
        ["tenant_id", "id"],
        ondelete="SET NULL (source_id)",
    )
    for table in TABLES:
        isolate(table)


def isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")


def downgrade() -> None:
    op.drop_constraint(op.f("fk_documents_tenant_id_source_id"), "documents", type_="foreignkey")
    op.drop_index("ix_documents_source", table_name="documents")
    op.drop_column("documents", "url")
    op.drop_column("documents", "source_id")
    op.drop_index("ix_source_pages_document", table_name="source_pages")
    op.drop_table("source_pages")
    op.drop_index("ix_source_syncs_source", table_name="source_syncs")
    op.drop_table("source_syncs")
    op.drop_index("ix_sources_collection", table_name="sources")
    op.drop_table("sources")
