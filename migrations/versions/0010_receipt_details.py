"""What each stage of an answer tells in its receipt."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    details = sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False)
    op.add_column("receipts", details)


def downgrade() -> None:
    op.drop_column("receipts", "details")
