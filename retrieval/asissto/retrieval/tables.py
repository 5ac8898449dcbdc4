"""Tables of answering: assistants and their versions, conversations, messages, citations and receipts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Float, ForeignKeyConstraint, Index, Integer, UniqueConstraint, false, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant
from asissto.retrieval import analytics_tables as _analytics
from asissto.retrieval import quality_tables as _quality
from asissto.retrieval.topics import tables as _topics

assert _analytics
assert _quality
assert _topics


class Assistant(TenantRow, Base):
    """Who answers, as it is published; `settings` are those of `AssistantSettings`.

    `draft` is what is to be published next, in the form of a version's snapshot.
    """

    __tablename__ = "assistants"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    role: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str] = mapped_column(server_default="active")
    prompt: Mapped[str] = mapped_column(server_default="")
    instructions: Mapped[str] = mapped_column(server_default="")
    model: Mapped[str | None] = mapped_column(comment="empty: the one of the settings")
    settings: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    draft: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    draft_by: Mapped[UUID | None]
    draft_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(
        Integer, server_default="1", comment="grows with each change of the draft and of what is published"
    )
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class AssistantVersion(TenantRow, Base):
    """What an assistant was when it was published for the `number`-th time; never changed."""

    __tablename__ = "assistant_versions"
    __table_args__ = (
        within_tenant("assistant_id", "assistants"),
        UniqueConstraint("tenant_id", "assistant_id", "number"),
    )

    assistant_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    snapshot: Mapped[Json]
    note: Mapped[str] = mapped_column(server_default="")
    restored_from: Mapped[int | None] = mapped_column(Integer, comment="the version that it repeats")
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]


class Conversation(TenantRow, Base):
    """A dialogue of a user or a contact with an assistant on a channel."""

    __tablename__ = "conversations"
    __table_args__ = (
        within_tenant("assistant_id", "assistants"),
        within_tenant("channel_id", "channels"),
        within_tenant("contact_id", "contacts", ondelete="SET NULL"),
        Index("ix_conversations_updated", "tenant_id", "updated_at"),
        Index("ix_conversations_contact", "tenant_id", "contact_id"),
    )

    channel_id: Mapped[UUID]
    assistant_id: Mapped[UUID]
    user_id: Mapped[UUID | None]
    contact_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(server_default="bot", comment="bot, pending, human or closed")
    handed_over_reason: Mapped[str | None] = mapped_column(comment="a HandOverReason; NULL: an operator took it")
    handed_over_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(Integer, server_default="0", comment="abstentions in a row")
    summary: Mapped[str] = mapped_column(server_default="")
    summarised_until: Mapped[UUID | None] = mapped_column(comment="the newest message in the summary")
    claimed_by: Mapped[UUID | None] = mapped_column(comment="the turn that is being answered")
    claimed_until: Mapped[datetime | None]
    assignee_id: Mapped[UUID | None] = mapped_column(comment="the member who takes care of it")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class Message(TenantRow, Base):
    """What somebody said; `sender_kind` is user, contact, assistant, note (for members alone) or system."""

    __tablename__ = "messages"
    __table_args__ = (
        within_tenant("conversation_id", "conversations"),
        Index("ix_messages_conversation", "tenant_id", "conversation_id", "id"),
        Index("ix_messages_waiting", "tenant_id", "conversation_id", "id", postgresql_where=text("waits = true")),
    )

    conversation_id: Mapped[UUID]
    sender_kind: Mapped[str]
    sender_id: Mapped[UUID | None]
    content: Mapped[str]
    metadata_: Mapped[Json] = mapped_column("metadata", server_default=text("'{}'"))
    waits: Mapped[bool] = mapped_column(server_default=false(), comment="for an answer")
    answer_id: Mapped[UUID | None] = mapped_column(comment="the message that answered it")
    created_at: Mapped[CreatedAt]


class Citation(TenantRow, Base):
    """Where an answer stands: `quote` is `text[start_offset:end_offset]` of the document's version."""

    __tablename__ = "citations"
    __table_args__ = (
        within_tenant("message_id", "messages"),
        Index("ix_citations_message", "tenant_id", "message_id"),
        Index("ix_citations_document", "tenant_id", "document_id", "id"),
    )

    message_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    # No foreign keys: an answer outlives the document that it cited.
    document_id: Mapped[UUID]
    version_id: Mapped[UUID]
    chunk_id: Mapped[UUID]
    title: Mapped[str]
    locator: Mapped[str]
    quote: Mapped[str]
    start_offset: Mapped[int] = mapped_column(Integer)
    end_offset: Mapped[int] = mapped_column(Integer)
    page: Mapped[int | None] = mapped_column(Integer)
    support: Mapped[float] = mapped_column(Float)


class Receipt(Base):
    """How an answer came about: passages with scores, timings in milliseconds, tokens, decision."""

    __tablename__ = "receipts"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "message_id"], ["messages.tenant_id", "messages.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    question: Mapped[str]
    outcome: Mapped[str] = mapped_column(comment="answered, abstained or failed")
    confidence: Mapped[float] = mapped_column(Float)
    passages: Mapped[list[dict[str, Any]]]
    timings: Mapped[Json]
    usage: Mapped[list[dict[str, Any]]]
    details: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[CreatedAt]
