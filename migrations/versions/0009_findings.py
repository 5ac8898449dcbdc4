"""What a person should look at in the knowledge: repeats, contradictions, what is over."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    op.create_table(
        "findings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="duplicate, near_duplicate, contradiction or expired"),
        sa.Column("state", sa.Text(), server_default="open", nullable=False, comment="open, dismissed or resolved"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="the same as long as both texts are"),
        sa.Column("first_document_id", sa.Uuid(), nullable=False),
        sa.Column("first_version_id", sa.Uuid(), nullable=False),
        sa.Column("first", postgresql.JSONB(), nullable=False),
        sa.Column("second_document_id", sa.Uuid(), nullable=True),
        sa.Column("second_version_id", sa.Uuid(), nullable=True),
        sa.Column("second", postgresql.JSONB(), nullable=True),
        sa.Column("value_kind", sa.Text(), nullable=False, comment="money, date and the like; what is at odds"),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False, comment="how many passages of the two documents are alike"),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        *(_within_tenant(column, table) for column, table in COLUMNS.items()),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_findings_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_findings")),
    )
    op.create_index("ix_findings_fingerprint", "findings", ["tenant_id", "fingerprint"], unique=True)
    op.create_index("ix_findings_first", "findings", ["tenant_id", "first_document_id"])
    op.create_index("ix_findings_second", "findings", ["tenant_id", "second_document_id"])
    op.execute("ALTER TABLE findings ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE findings FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON findings TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute("CREATE POLICY whole_platform ON findings TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON findings TO asissto_app, asissto_sys")


COLUMNS = {
    "first_document_id": "documents",
    "first_version_id": "document_versions",
    "second_document_id": "documents",
    "second_version_id": "document_versions",
}


def _within_tenant(column: str, table: str) -> sa.ForeignKeyConstraint:
    target = [f"{table}.tenant_id", f"{table}.id"]
    name = op.f(f"fk_findings_tenant_id_{column}")
    return sa.ForeignKeyConstraint(["tenant_id", column], target, name=name, ondelete="CASCADE")


def downgrade() -> None:
    op.drop_table("findings")
