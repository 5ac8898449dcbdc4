"""Tables of quality: sets of questions with what is expected of them, and what assistants made of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, ForeignKeyConstraint, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class QuestionSet(TenantRow, Base):
    """Questions that an assistant is measured by; `revision` grows with each change of its cases."""

    __tablename__ = "question_sets"
    __table_args__ = (
        within_tenant("assistant_id", "assistants", ondelete="SET NULL"),
        UniqueConstraint("tenant_id", "name"),
        Index("ix_question_sets_assistant", "tenant_id", "assistant_id"),
    )

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    assistant_id: Mapped[UUID | None]
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class QuestionCase(TenantRow, Base):
    """A question and what a good answer to it has; the fields are those of `CaseIn`."""

    __tablename__ = "question_cases"
    __table_args__ = (
        within_tenant("set_id", "question_sets"),
        within_tenant("conversation_id", "conversations"),
        Index("ix_question_cases_set", "tenant_id", "set_id", "id"),
        Index("ix_question_cases_conversation", "tenant_id", "conversation_id"),
    )

    set_id: Mapped[UUID]
    question: Mapped[str]
    history: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    expected: Mapped[str] = mapped_column(server_default="answer", comment="answer, abstain or hand_over")
    must_contain: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    must_not_contain: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    must_cite: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    note: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    conversation_id: Mapped[UUID | None] = mapped_column(comment="whose words it has; it goes with them")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class SetRun(TenantRow, Base):
    """A set asked of one state of an assistant: of version `version`, or of the draft at `draft_revision`."""

    __tablename__ = "set_runs"
    __table_args__ = (
        within_tenant("set_id", "question_sets"),
        within_tenant("assistant_id", "assistants"),
        Index("ix_set_runs_set", "tenant_id", "set_id", "id"),
        Index("ix_set_runs_assistant", "tenant_id", "assistant_id", "id"),
    )

    set_id: Mapped[UUID]
    assistant_id: Mapped[UUID]
    version: Mapped[int | None] = mapped_column(Integer)
    draft_revision: Mapped[int | None] = mapped_column(Integer)
    snapshot: Mapped[Json]
    set_revision: Mapped[int] = mapped_column(Integer)
    knowledge_version: Mapped[int] = mapped_column(comment="of the knowledge base when the run was asked for")
    state: Mapped[str] = mapped_column(server_default="queued", comment="queued, running, done, failed or cancelled")
    total: Mapped[int] = mapped_column(Integer, server_default="0")
    done: Mapped[int] = mapped_column(Integer, server_default="0")
    passed: Mapped[int] = mapped_column(Integer, server_default="0")
    figures: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str | None] = mapped_column(comment="code of what it failed with")
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class SetResult(Base):
    """What came of one case; it keeps the question, so that a run can be read after its set has changed."""

    __tablename__ = "set_results"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        within_tenant("run_id", "set_runs"),
        within_tenant("conversation_id", "conversations"),
        Index("ix_set_results_conversation", "tenant_id", "conversation_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    # No foreign key: the result outlives its case.
    case_id: Mapped[UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID | None] = mapped_column(comment="whose words it has; it goes with them")
    question: Mapped[str]
    expected: Mapped[str]
    passed: Mapped[bool] = mapped_column(Boolean)
    failures: Mapped[list[dict[str, Any]]]
    outcome: Mapped[str]
    mode: Mapped[str]
    answer: Mapped[str]
    citations: Mapped[list[dict[str, Any]]]
    cited: Mapped[bool | None] = mapped_column(Boolean, comment="whether a document that must be cited was")
    confidence: Mapped[float] = mapped_column(Float)
    latency_ms: Mapped[float] = mapped_column(Float)
    usage: Mapped[list[dict[str, Any]]]
    notes: Mapped[list[str]]
    details: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[CreatedAt]


class PublishingGate(Base):
    """The set that a draft has to pass as well as the published version did, or no worse than by `allow_drop` cases."""

    __tablename__ = "publishing_gates"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        within_tenant("assistant_id", "assistants"),
        within_tenant("set_id", "question_sets"),
        Index("ix_publishing_gates_set", "tenant_id", "set_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    assistant_id: Mapped[UUID] = mapped_column(primary_key=True)
    set_id: Mapped[UUID]
    allow_drop: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[CreatedAt]
