"""Tables of topics: what was asked, the topics it belongs to, their runs and edits, and gaps of knowledge."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import REAL, Boolean, Float, ForeignKeyConstraint, Index, Integer, Uuid, false, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class PlainHalfvec(HALFVEC):
    """Values go to and from the driver as they are: its connections know vectors in binary (`register_types`)."""

    cache_ok = True

    def bind_processor(self, _dialect: Any) -> None:
        return None

    def result_processor(self, _dialect: Any, _kind: Any) -> None:
        return None


class AskedQuestion(Base):
    """A question that was put to an assistant and the topic that it belongs to; `message_id` is that of the answer.

    `placed_at` is empty until a topic was looked for; a question near to none has then no topic.
    """

    __tablename__ = "asked_questions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        within_tenant("message_id", "messages"),
        within_tenant("topic_id", "topics", ondelete="SET NULL"),
        within_tenant("gap_id", "question_gaps", ondelete="SET NULL"),
        Index("ix_asked_questions_asked", "tenant_id", "asked_at"),
        Index("ix_asked_questions_topic", "tenant_id", "topic_id", "message_id"),
        Index(
            "ix_asked_questions_gap", "tenant_id", "gap_id", "message_id", postgresql_where=text("gap_id IS NOT NULL")
        ),
        Index("ix_asked_questions_new", "tenant_id", "message_id", postgresql_where=text("placed_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID]
    assistant_id: Mapped[UUID]
    channel_id: Mapped[UUID]
    question: Mapped[str]
    language: Mapped[str] = mapped_column(comment="ru or en")
    outcome: Mapped[str] = mapped_column(comment="answered, abstained or handed_over")
    is_weak: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), comment="answered, though not with certainty"
    )
    is_disliked: Mapped[bool] = mapped_column(Boolean, server_default=false(), comment="by the customer")
    topic_id: Mapped[UUID | None]
    gap_id: Mapped[UUID | None]
    likeness: Mapped[float | None] = mapped_column(REAL, comment="cosine with the topic's centroid")
    x: Mapped[float | None] = mapped_column(REAL, comment="on the map")
    y: Mapped[float | None] = mapped_column(REAL)
    placed_at: Mapped[datetime | None]
    asked_at: Mapped[CreatedAt]


class QuestionVector(Base):
    """A question in one space, L2-normalised; apart from its row, which lists and counts read often."""

    __tablename__ = "question_vectors"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["asked_questions.tenant_id", "asked_questions.message_id"],
            ondelete="CASCADE",
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    space: Mapped[str] = mapped_column(comment="the model that made it, or that of words alone")
    vector: Mapped[Any] = mapped_column(PlainHalfvec)


class Topic(TenantRow, Base):
    """Questions about one thing, in the questions of `pool` ("all", or a language); its id outlives the runs.

    What an analyst says of it goes before what a run finds. With `merged_into` it is shown as a part of another, and
    still draws the questions that are near to it.
    """

    __tablename__ = "topics"
    __table_args__ = (Index("ix_topics_pool", "tenant_id", "pool", "state"),)

    pool: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="active", comment="active or retired")
    title: Mapped[str] = mapped_column(comment="its words, where the question in the middle is gone")
    chips: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    examples: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default=text("'{}'"))
    size: Mapped[int] = mapped_column(Integer)
    centroid: Mapped[Any] = mapped_column(PlainHalfvec)
    x: Mapped[float] = mapped_column(REAL)
    y: Mapped[float] = mapped_column(REAL)
    own_title: Mapped[str | None] = mapped_column(comment="the analyst's")
    is_pinned: Mapped[bool] = mapped_column(Boolean, server_default=false(), comment="never retired")
    is_hidden: Mapped[bool] = mapped_column(Boolean, server_default=false())
    merged_into: Mapped[UUID | None]
    parted_from: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class TopicRun(TenantRow, Base):
    """One finding of topics in a pool; the newest is what questions are placed by.

    `tree` are the topics' ids and Ward's merges of their places in that list, `lineage` what became of those before.
    """

    __tablename__ = "topic_runs"
    __table_args__ = (Index("ix_topic_runs_pool", "tenant_id", "pool", "id"),)

    pool: Mapped[str]
    kind: Mapped[str] = mapped_column(comment="anew or refresh")
    space: Mapped[str]
    by_words: Mapped[bool] = mapped_column(Boolean, comment="no embedder of the tenant knows the language")
    questions: Mapped[int] = mapped_column(Integer)
    without: Mapped[int] = mapped_column(Integer, comment="questions that are near to no topic")
    floor: Mapped[float] = mapped_column(Float, comment="the least cosine with a topic's centroid")
    tree: Mapped[Json]
    lineage: Mapped[Json]
    seconds: Mapped[float] = mapped_column(Float)
    created_at: Mapped[CreatedAt]


class TopicEdit(TenantRow, Base):
    """What an analyst changed of a topic: the fields before and after, so that it can be taken back."""

    __tablename__ = "topic_edits"
    __table_args__ = (within_tenant("topic_id", "topics"), Index("ix_topic_edits_topic", "tenant_id", "topic_id", "id"))

    topic_id: Mapped[UUID]
    before: Mapped[Json]
    after: Mapped[Json]
    made_by: Mapped[UUID | None]
    undone_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class QuestionGap(TenantRow, Base):
    """Questions that found no good answer and belong together; `draft` is what could answer them.

    `replay` tells what the same questions are answered since the pair was approved.
    """

    __tablename__ = "question_gaps"
    __table_args__ = (Index("ix_question_gaps_state", "tenant_id", "state"),)

    pool: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open", comment="open, approved or dismissed")
    title: Mapped[str]
    chips: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    size: Mapped[int] = mapped_column(Integer)
    cohesion: Mapped[float] = mapped_column(Float, comment="mean cosine of its questions with their middle")
    centroid: Mapped[Any] = mapped_column(PlainHalfvec)
    draft: Mapped[Json] = mapped_column(
        server_default=text("'{}'"), comment="as asissto.retrieval.topics.drafting.PairDraft"
    )
    pair_id: Mapped[UUID | None]
    set_id: Mapped[UUID | None]
    replay: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
