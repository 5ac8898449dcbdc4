"""Each tenant has its own embedding space, and switches to another without a moment in which search is without one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
SPACES = {
    "space_id": "where search compares vectors; NULL before the first",
    "chosen_space_id": "the tenant's own choice; NULL: that of the settings",
}
OLD_COMMENT, NEW_COMMENT = (
    "what parser, chunker and embedder were, so that a change shows",
    "what parser and chunker were, so that a change shows",
)


def upgrade() -> None:
    op.create_check_constraint(
        op.f("ck_embedding_spaces_dimensions"), "embedding_spaces", "dimensions BETWEEN 1 AND 4000"
    )
    for name, comment in SPACES.items():
        op.add_column("knowledge_bases", sa.Column(name, sa.SmallInteger(), nullable=True, comment=comment))
        op.create_foreign_key(op.f(f"fk_knowledge_bases_{name}"), "knowledge_bases", "embedding_spaces", [name], ["id"])
    # The space that holds most of a tenant's vectors is the one it has been searched in.
    op.execute("""
        UPDATE knowledge_bases k SET space_id = (
            SELECT e.space_id FROM chunk_embeddings e WHERE e.tenant_id = k.tenant_id
            GROUP BY e.space_id ORDER BY count(*) DESC, e.space_id DESC LIMIT 1)
    """)
    op.alter_column("document_versions", "pipeline_sha", existing_type=sa.LargeBinary(), comment=NEW_COMMENT)
    create_switches()


def create_switches() -> None:
    op.create_table(
        "space_switches",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("from_space_id", sa.SmallInteger(), nullable=False),
        sa.Column("to_space_id", sa.SmallInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            server_default="building",
            nullable=False,
            comment="building, active, failed or cancelled",
        ),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="code of the error that ended it or that it waits for"),
        sa.Column("reason_params", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_space_switches")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_space_switches_tenant_id"), ondelete="CASCADE"
        ),
        *(
            sa.ForeignKeyConstraint([name], ["embedding_spaces.id"], name=op.f(f"fk_space_switches_{name}"))
            for name in ("from_space_id", "to_space_id")
        ),
    )
    building = sa.text("state = 'building'")
    op.create_index(
        "ix_space_switches_building", "space_switches", ["tenant_id"], unique=True, postgresql_where=building
    )
    op.execute("ALTER TABLE space_switches ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE space_switches FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON space_switches TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute("CREATE POLICY whole_platform ON space_switches TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON space_switches TO asissto_app, asissto_sys")


def downgrade() -> None:
    op.drop_table("space_switches")
    op.alter_column("document_versions", "pipeline_sha", existing_type=sa.LargeBinary(), comment=OLD_COMMENT)
    for name in SPACES:
        op.drop_column("knowledge_bases", name)
    op.drop_constraint(op.f("ck_embedding_spaces_dimensions"), "embedding_spaces")
