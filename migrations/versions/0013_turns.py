"""Messages wait for an answer and turns claim them; conversations know who took them over and what was said long ago."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CONVERSATION = (
    sa.Column("handed_over_reason", sa.Text(), nullable=True, comment="a HandOverReason; NULL: an operator took it"),
    sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="abstentions in a row"),
    sa.Column("summary", sa.Text(), server_default="", nullable=False),
    sa.Column("summarised_until", sa.Uuid(), nullable=True, comment="the newest message in the summary"),
    sa.Column("claimed_by", sa.Uuid(), nullable=True, comment="the turn that is being answered"),
    sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
)
MESSAGE = (
    sa.Column("waits", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="for an answer"),
    sa.Column("answer_id", sa.Uuid(), nullable=True, comment="the message that answered it"),
)


def upgrade() -> None:
    for table, columns in (("conversations", CONVERSATION), ("messages", MESSAGE)):
        for column in columns:
            op.add_column(table, column)
    waiting = {"postgresql_where": sa.text("waits")}
    op.create_index("ix_messages_waiting", "messages", ["tenant_id", "conversation_id", "id"], **waiting)


def downgrade() -> None:
    op.drop_index("ix_messages_waiting", "messages")
    for table, columns in (("messages", MESSAGE), ("conversations", CONVERSATION)):
        for column in columns:
            op.drop_column(table, column.name)
