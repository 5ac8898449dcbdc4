"""What was asked, the topics that it belongs to, their runs and edits, and gaps of knowledge."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0026"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
TABLES = ("topics", "topic_runs", "topic_edits", "question_gaps", "asked_questions", "question_vectors")
NOTHING = sa.text("'{}'")
NO, NOW = sa.text("false"), sa.text("now()")


def upgrade() -> None:
    _create_topics()
    _create_gaps()
    _create_questions()
    for table in TABLES:
        _isolate(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_topics() -> None:
    op.create_table(
        "topics",
        *_keys("topics"),
        _column("pool"),
        _column("state", server_default="active", comment="active or retired"),
        _column("title", comment="its words, where the question in the middle is gone"),
        _column("chips", postgresql.ARRAY(sa.Text()), server_default=NOTHING),
        _column("examples", postgresql.ARRAY(sa.Uuid()), server_default=NOTHING),
        _column("size", sa.Integer()),
        _column("centroid", HALFVEC()),
        _column("x", sa.REAL()),
        _column("y", sa.REAL()),
        _column("own_title", nullable=True, comment="the analyst's"),
        _column("is_pinned", sa.Boolean(), server_default=NO, comment="never retired"),
        _column("is_hidden", sa.Boolean(), server_default=NO),
        _column("merged_into", sa.Uuid(), nullable=True),
        _column("parted_from", sa.Uuid(), nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_index("ix_topics_pool", "topics", ["tenant_id", "pool", "state"])
    op.create_table(
        "topic_runs",
        *_keys("topic_runs"),
        _column("pool"),
        _column("kind", comment="anew or refresh"),
        _column("space"),
        _column("by_words", sa.Boolean(), comment="no embedder of the tenant knows the language"),
        _column("questions", sa.Integer()),
        _column("without", sa.Integer(), comment="questions that are near to no topic"),
        _column("floor", sa.Double(), comment="the least cosine with a topic's centroid"),
        _column("tree", postgresql.JSONB()),
        _column("lineage", postgresql.JSONB()),
        _column("seconds", sa.Double()),
        _moment("created_at"),
    )
    op.create_index("ix_topic_runs_pool", "topic_runs", ["tenant_id", "pool", "id"])
    op.create_table(
        "topic_edits",
        *_keys("topic_edits"),
        _column("topic_id", sa.Uuid()),
        _column("before", postgresql.JSONB()),
        _column("after", postgresql.JSONB()),
        _column("made_by", sa.Uuid(), nullable=True),
        _column("undone_at", sa.DateTime(timezone=True), nullable=True),
        _moment("created_at"),
        _within("topic_edits", "topic_id", "topics"),
    )
    op.create_index("ix_topic_edits_topic", "topic_edits", ["tenant_id", "topic_id", "id"])


def _create_gaps() -> None:
    op.create_table(
        "question_gaps",
        *_keys("question_gaps"),
        _column("pool"),
        _column("state", server_default="open", comment="open, approved or dismissed"),
        _column("title"),
        _column("chips", postgresql.ARRAY(sa.Text()), server_default=NOTHING),
        _column("size", sa.Integer()),
        _column("cohesion", sa.Double(), comment="mean cosine of its questions with their middle"),
        _column("centroid", HALFVEC()),
        _column(
            "draft",
            postgresql.JSONB(),
            server_default=NOTHING,
            comment="as asissto.retrieval.topics.drafting.PairDraft",
        ),
        _column("pair_id", sa.Uuid(), nullable=True),
        _column("set_id", sa.Uuid(), nullable=True),
        _column("replay", postgresql.JSONB(), nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_index("ix_question_gaps_state", "question_gaps", ["tenant_id", "state"])


def _create_questions() -> None:
    op.create_table(
        "asked_questions",
        *_keys("asked_questions", "message_id"),
        _column("conversation_id", sa.Uuid()),
        _column("assistant_id", sa.Uuid()),
        _column("channel_id", sa.Uuid()),
        _column("question"),
        _column("language", comment="ru or en"),
        _column("outcome", comment="answered, abstained or handed_over"),
        _column("is_weak", sa.Boolean(), server_default=NO, comment="answered, though not with certainty"),
        _column("is_disliked", sa.Boolean(), server_default=NO, comment="by the customer"),
        _column("topic_id", sa.Uuid(), nullable=True),
        _column("gap_id", sa.Uuid(), nullable=True),
        _column("likeness", sa.REAL(), nullable=True, comment="cosine with the topic's centroid"),
        _column("x", sa.REAL(), nullable=True, comment="on the map"),
        _column("y", sa.REAL(), nullable=True),
        _column("placed_at", sa.DateTime(timezone=True), nullable=True),
        _moment("asked_at"),
        _within("asked_questions", "message_id", "messages"),
        _within("asked_questions", "topic_id", "topics", "SET NULL (topic_id)"),
        _within("asked_questions", "gap_id", "question_gaps", "SET NULL (gap_id)"),
    )
    table = "asked_questions"
    op.create_index("ix_asked_questions_asked", table, ["tenant_id", "asked_at"])
    op.create_index("ix_asked_questions_topic", table, ["tenant_id", "topic_id", "message_id"])
    has_gap, is_new = sa.text("gap_id IS NOT NULL"), sa.text("placed_at IS NULL")
    op.create_index("ix_asked_questions_gap", table, ["tenant_id", "gap_id", "message_id"], postgresql_where=has_gap)
    op.create_index("ix_asked_questions_new", table, ["tenant_id", "message_id"], postgresql_where=is_new)
    op.create_table(
        "question_vectors",
        *_keys("question_vectors", "message_id"),
        _column("space", comment="the model that made it, or that of words alone"),
        _column("vector", HALFVEC()),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["asked_questions.tenant_id", "asked_questions.message_id"],
            name=op.f("fk_question_vectors_tenant_id_message_id"),
            ondelete="CASCADE",
        ),
    )


def _keys(table: str, key: str = "id") -> list[Any]:
    names = ("tenant_id", key)
    tenant = sa.ForeignKeyConstraint(
        ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
    )
    columns = [_column(name, sa.Uuid()) for name in names]
    return [*columns, tenant, sa.PrimaryKeyConstraint(*names, name=op.f(f"pk_{table}"))]


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), server_default=NOW)


def _within(table: str, column: str, target: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id_{column}")
    return sa.ForeignKeyConstraint(
        ["tenant_id", column], [f"{target}.tenant_id", f"{target}.id"], name=name, ondelete=ondelete
    )


def _isolate(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own_tenant ON {table} TO asissto_app USING ({OWN}) WITH CHECK ({OWN})")
    op.execute(f"CREATE POLICY whole_platform ON {table} TO asissto_sys USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO asissto_app, asissto_sys")
