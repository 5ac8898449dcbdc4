"""Tables of the figures: what each turn came to, inquiries, what customers thought, and reports that members want."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Float, ForeignKey, ForeignKeyConstraint, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class Turn(Base):
    """What an answer came to, as small as it can be; the message that it is about has the words."""

    __tablename__ = "turns"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "message_id"], ["messages.tenant_id", "messages.id"], ondelete="CASCADE"),
        Index("ix_turns_at", "tenant_id", "at"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(comment="when it was answered")
    asked_at: Mapped[datetime] = mapped_column(comment="when the first of the messages came that it answers")
    # No foreign keys: assistants and channels take their conversations, and so these rows, with them.
    conversation_id: Mapped[UUID]
    inquiry_id: Mapped[UUID | None]
    assistant_id: Mapped[UUID]
    channel_id: Mapped[UUID]
    version: Mapped[int | None] = mapped_column(Integer, comment="of the assistant")
    model: Mapped[str | None] = mapped_column(comment="that wrote the answer; empty: none did")
    mode: Mapped[str]
    language: Mapped[str]
    result: Mapped[str] = mapped_column(
        comment="answered, clarified, abstained, handed_over, asked_for_person or courtesy"
    )
    reason: Mapped[str | None] = mapped_column(comment="a HandOverReason, where a person was called or offered")
    milliseconds: Mapped[float] = mapped_column(Float, comment="that the answer took to make")


class Inquiry(TenantRow, Base):
    """What a customer wanted at a time: the questions of a conversation without a day of silence between them."""

    __tablename__ = "inquiries"
    __table_args__ = (
        within_tenant("conversation_id", "conversations"),
        Index("ix_inquiries_conversation", "tenant_id", "conversation_id", "id"),
        Index("ix_inquiries_at", "tenant_id", "started_at"),
    )

    conversation_id: Mapped[UUID]
    assistant_id: Mapped[UUID]
    channel_id: Mapped[UUID]
    version: Mapped[int | None] = mapped_column(Integer, comment="of the assistant, at the last question")
    model: Mapped[str | None] = mapped_column(comment="that wrote the last answer")
    language: Mapped[str | None]
    started_at: Mapped[datetime]
    replied_at: Mapped[datetime | None] = mapped_column(comment="when the first reply was stored")
    last_at: Mapped[datetime] = mapped_column(comment="when the last question was answered")
    questions: Mapped[int] = mapped_column(Integer)
    answered: Mapped[int] = mapped_column(Integer)
    last_result: Mapped[str]
    handed_over_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(comment="of the hand-over; operator: a person took it unasked")
    closed_at: Mapped[datetime | None]
    followed_at: Mapped[datetime | None] = mapped_column(comment="when the next inquiry of the conversation began")


class Feedback(TenantRow, Base):
    """What a customer thinks of a message: one row for each, the newest opinion counts.

    `thumb` is 1 or -1 on an answer; `rating` is 1 to 5 on the message that asked for it.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        within_tenant("message_id", "messages"),
        within_tenant("conversation_id", "conversations"),
        UniqueConstraint("tenant_id", "message_id"),
        CheckConstraint(
            "thumb IN (-1, 1) AND rating IS NULL OR thumb IS NULL AND rating BETWEEN 1 AND 5", name="opinion"
        ),
        Index("ix_feedback_at", "tenant_id", "created_at"),
    )

    message_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    assistant_id: Mapped[UUID]
    channel_id: Mapped[UUID]
    version: Mapped[int | None] = mapped_column(Integer)
    model: Mapped[str | None]
    language: Mapped[str | None]
    thumb: Mapped[int | None] = mapped_column(Integer)
    rating: Mapped[int | None] = mapped_column(Integer)
    comment: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class Report(TenantRow, Base):
    """What a member wants to be sent and how often; `next_at` moves on in the transaction that asks for the letter."""

    __tablename__ = "reports"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["memberships.tenant_id", "memberships.user_id"], ondelete="CASCADE"
        ),
        UniqueConstraint("tenant_id", "user_id", "kind", "view", postgresql_nulls_not_distinct=True),
        Index("ix_reports_due", "next_at"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(comment="digest or csv")
    view: Mapped[str | None] = mapped_column(comment="of a csv")
    every: Mapped[str] = mapped_column(comment="day, week or month")
    hour: Mapped[int] = mapped_column(Integer, comment="in the time zone of the workspace")
    language: Mapped[str]
    sliced: Mapped[Json] = mapped_column(comment="what it is about: an assistant, a channel and so on")
    next_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]
