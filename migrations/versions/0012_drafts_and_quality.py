"""Drafts of assistants; sets of questions, their runs, and the gate before publishing."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"
TABLES = ("question_sets", "question_cases", "set_runs", "set_results", "publishing_gates")
NOTHING, EMPTY, NO_ROWS = sa.text("'{}'"), sa.text("''"), sa.text("'[]'")


def upgrade() -> None:
    op.add_column("assistants", _column("draft", postgresql.JSONB(), nullable=True))
    op.add_column("assistants", _column("draft_by", sa.Uuid(), nullable=True))
    op.add_column("assistants", _column("draft_at", sa.DateTime(timezone=True), nullable=True))
    grows = "grows with each change of the draft and of what is published"
    op.add_column("assistants", _column("revision", sa.Integer(), server_default="1", comment=grows))
    op.add_column("assistant_versions", _column("note", server_default=EMPTY))
    repeats = _column("restored_from", sa.Integer(), nullable=True, comment="the version that it repeats")
    op.add_column("assistant_versions", repeats)
    # Whether an assistant is paused is no longer a matter of its versions: pausing has effect at once.
    op.execute("UPDATE assistant_versions SET snapshot = snapshot - 'status'")
    _create_sets()
    _create_runs()
    _create_gates()
    for table in TABLES:
        _isolate(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("assistant_versions", "restored_from")
    op.drop_column("assistant_versions", "note")
    for column in ("revision", "draft_at", "draft_by", "draft"):
        op.drop_column("assistants", column)


def _create_sets() -> None:
    op.create_table(
        "question_sets",
        *_keys("question_sets"),
        _column("name"),
        _column("description", server_default=EMPTY),
        _column("assistant_id", sa.Uuid(), nullable=True),
        _column("revision", sa.Integer(), server_default="1"),
        _column("created_by", sa.Uuid(), nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        _within("question_sets", "assistant_id", "assistants", "SET NULL (assistant_id)"),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_question_sets_tenant_id_name")),
    )
    op.create_index("ix_question_sets_assistant", "question_sets", ["tenant_id", "assistant_id"])
    op.create_table(
        "question_cases",
        *_keys("question_cases"),
        _column("set_id", sa.Uuid()),
        _column("question"),
        _column("history", postgresql.JSONB(), server_default=NO_ROWS),
        _column("expected", server_default="answer", comment="answer, abstain or hand_over"),
        _column("must_contain", postgresql.ARRAY(sa.Text()), server_default=NOTHING),
        _column("must_not_contain", postgresql.ARRAY(sa.Text()), server_default=NOTHING),
        _column("must_cite", postgresql.JSONB(), server_default=NO_ROWS),
        _column("note", server_default=EMPTY),
        _column("tags", postgresql.ARRAY(sa.Text()), server_default=NOTHING),
        _moment("created_at"),
        _moment("updated_at"),
        _within("question_cases", "set_id", "question_sets"),
    )
    op.create_index("ix_question_cases_set", "question_cases", ["tenant_id", "set_id", "id"])


def _create_runs() -> None:
    op.create_table(
        "set_runs",
        *_keys("set_runs"),
        _column("set_id", sa.Uuid()),
        _column("assistant_id", sa.Uuid()),
        _column("version", sa.Integer(), nullable=True),
        _column("draft_revision", sa.Integer(), nullable=True),
        _column("snapshot", postgresql.JSONB()),
        _column("set_revision", sa.Integer()),
        _column("knowledge_version", sa.BigInteger(), comment="of the knowledge base when the run was asked for"),
        _column("state", server_default="queued", comment="queued, running, done, failed or cancelled"),
        _column("total", sa.Integer(), server_default="0"),
        _column("done", sa.Integer(), server_default="0"),
        _column("passed", sa.Integer(), server_default="0"),
        _column("figures", postgresql.JSONB(), nullable=True),
        _column("reason", nullable=True, comment="code of what it failed with"),
        _column("created_by", sa.Uuid(), nullable=True),
        _moment("created_at"),
        _column("started_at", sa.DateTime(timezone=True), nullable=True),
        _column("finished_at", sa.DateTime(timezone=True), nullable=True),
        _within("set_runs", "set_id", "question_sets"),
        _within("set_runs", "assistant_id", "assistants"),
    )
    op.create_index("ix_set_runs_set", "set_runs", ["tenant_id", "set_id", "id"])
    op.create_index("ix_set_runs_assistant", "set_runs", ["tenant_id", "assistant_id", "id"])
    op.create_table(
        "set_results",
        *_keys("set_results", "run_id", "case_id"),
        _column("question"),
        _column("expected"),
        _column("passed", sa.Boolean()),
        _column("failures", postgresql.JSONB()),
        _column("outcome"),
        _column("mode"),
        _column("answer"),
        _column("citations", postgresql.JSONB()),
        _column("cited", sa.Boolean(), nullable=True, comment="whether a document that must be cited was"),
        _column("confidence", sa.Double()),
        _column("latency_ms", sa.Double()),
        _column("usage", postgresql.JSONB()),
        _column("notes", postgresql.ARRAY(sa.Text())),
        _column("details", postgresql.JSONB(), server_default=NOTHING),
        _moment("created_at"),
        _within("set_results", "run_id", "set_runs"),
    )


def _create_gates() -> None:
    op.create_table(
        "publishing_gates",
        *_keys("publishing_gates", "assistant_id"),
        _column("set_id", sa.Uuid()),
        _column("allow_drop", sa.Integer(), server_default="0"),
        _moment("created_at"),
        _within("publishing_gates", "assistant_id", "assistants"),
        _within("publishing_gates", "set_id", "question_sets"),
    )
    op.create_index("ix_publishing_gates_set", "publishing_gates", ["tenant_id", "set_id"])


def _keys(table: str, *more: str) -> list[Any]:
    names = ("tenant_id", *(more or ("id",)))
    tenant = sa.ForeignKeyConstraint(
        ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
    )
    columns = [_column(name, sa.Uuid()) for name in names]
    return [*columns, tenant, sa.PrimaryKeyConstraint(*names, name=op.f(f"pk_{table}"))]


def _column(name: str, kind: Any = None, *, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text() if kind is None else kind, nullable=nullable, **more)


def _moment(name: str) -> sa.Column[Any]:
    return _column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"))


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
