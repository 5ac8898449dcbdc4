"""Tables of the outside: channels, the contacts who write through them, what came in and what goes out."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Integer, UniqueConstraint, false, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class Channel(TenantRow, Base):
    """A way in for questions and out for answers."""

    __tablename__ = "channels"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        within_tenant("assistant_id", "assistants", ondelete="SET NULL"),
        Index("ix_channels_polled", "polled_until", postgresql_where=text("polls = true")),
    )

    name: Mapped[str]
    type: Mapped[str] = mapped_column(comment="api, or a name in channels.registry")
    status: Mapped[str] = mapped_column(server_default="active", comment="active, paused or broken")
    problem: Mapped[str | None] = mapped_column(comment="what the provider said when the channel broke")
    assistant_id: Mapped[UUID | None] = mapped_column(comment="who answers; empty: the oldest assistant")
    settings: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    secrets: Mapped[bytes | None] = mapped_column(comment="sealed JSON of all secrets")
    revision: Mapped[int] = mapped_column(Integer, server_default="1", comment="grows with each change of the settings")
    polls: Mapped[bool] = mapped_column(server_default=false(), comment="we fetch its events")
    cursor: Mapped[Json] = mapped_column(server_default=text("'{}'"), comment="up to where events were fetched")
    polled_by: Mapped[UUID | None]
    polled_until: Mapped[datetime | None]
    paused_until: Mapped[datetime | None] = mapped_column(comment="the provider wants to be left alone till then")
    heard_at: Mapped[datetime | None] = mapped_column(comment="when the last event came")
    created_at: Mapped[CreatedAt]


class Contact(TenantRow, Base):
    """A customer as a channel knows them; contacts of one person share `person_id`."""

    __tablename__ = "contacts"
    __table_args__ = (
        within_tenant("channel_id", "channels"),
        UniqueConstraint("tenant_id", "channel_id", "external_id"),
        Index("ix_contacts_person", "tenant_id", "person_id"),
    )

    channel_id: Mapped[UUID]
    external_id: Mapped[str]
    person_id: Mapped[UUID | None]
    name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str | None]
    metadata_: Mapped[Json] = mapped_column("metadata", server_default=text("'{}'"))
    created_at: Mapped[CreatedAt]


class Thread(TenantRow, Base):
    """A conversation as its channel knows it; `id` is the conversation's."""

    __tablename__ = "threads"
    __table_args__ = (
        within_tenant("id", "conversations"),
        within_tenant("channel_id", "channels"),
        UniqueConstraint("tenant_id", "channel_id", "external_key"),
    )

    channel_id: Mapped[UUID]
    external_key: Mapped[str]
    address: Mapped[Json] = mapped_column(server_default=text("'{}'"), comment="of the newest event")
    reach: Mapped[str] = mapped_column(server_default="open", comment="open, or why the customer cannot be written to")
    seq: Mapped[int] = mapped_column(Integer, server_default="0", comment="of the newest row in the outbox")
    paused_until: Mapped[datetime | None]
    heard_at: Mapped[datetime | None] = mapped_column(comment="when the customer last wrote")


class InboundEvent(TenantRow, Base):
    """An event that was taken in; the key outlives the conversation, so that nothing is ever taken twice."""

    __tablename__ = "inbound_events"
    __table_args__ = (
        within_tenant("channel_id", "channels"),
        UniqueConstraint("tenant_id", "channel_id", "key"),
        Index("ix_inbound_events_external", "tenant_id", "channel_id", "external_id"),
        Index("ix_inbound_events_message", "tenant_id", "message_id"),
    )

    channel_id: Mapped[UUID]
    key: Mapped[str]
    kind: Mapped[str]
    external_id: Mapped[str | None]
    conversation_id: Mapped[UUID | None]
    message_id: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]


class Outgoing(TenantRow, Base):
    """A part of a message on its way to a customer; of a conversation only the lowest unfinished `seq` may be sent."""

    __tablename__ = "outbox"
    __table_args__ = (
        within_tenant("channel_id", "channels"),
        within_tenant("conversation_id", "conversations"),
        within_tenant("message_id", "messages"),
        UniqueConstraint("tenant_id", "conversation_id", "seq"),
        UniqueConstraint("tenant_id", "message_id", "part"),
        Index(
            "ix_outbox_open",
            "tenant_id",
            "channel_id",
            "next_attempt_at",
            postgresql_where=text("state IN ('pending', 'sending')"),
        ),
        Index(
            "ix_outbox_queue",
            "tenant_id",
            "conversation_id",
            "seq",
            postgresql_where=text("state IN ('pending', 'sending')"),
        ),
        Index("ix_outbox_provider", "tenant_id", "channel_id", "provider_message_id"),
        Index("ix_outbox_sent", "tenant_id", "channel_id", "finished_at", postgresql_where=text("state = 'sent'")),
    )

    channel_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    message_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(Integer)
    part: Mapped[int] = mapped_column(Integer)
    content: Mapped[Json] = mapped_column(JSONB, comment="a Part")
    key: Mapped[int] = mapped_column(comment="1 to 2^31-1, by which a provider knows a repetition")
    state: Mapped[str] = mapped_column(
        server_default="pending", comment="pending, sending, sent, unknown, failed, blocked or cancelled"
    )
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    repeats: Mapped[int] = mapped_column(Integer, server_default="0", comment="sent again though it may have arrived")
    is_uncertain: Mapped[bool] = mapped_column(server_default=false(), comment="an earlier attempt may have arrived")
    next_attempt_at: Mapped[CreatedAt]
    first_sent_at: Mapped[datetime | None] = mapped_column(comment="begin of the first attempt")
    worker: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    provider_message_id: Mapped[str | None]
    segments: Mapped[int] = mapped_column(Integer, server_default="0")
    error_code: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(comment="the provider's word")
    delivery: Mapped[str | None] = mapped_column(comment="delivered, read or failed, as receipts tell")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class StoredAttachment(TenantRow, Base):
    """What a customer sent besides words; `content` is an Attachment."""

    __tablename__ = "attachments"
    __table_args__ = (
        within_tenant("message_id", "messages"),
        Index("ix_attachments_message", "tenant_id", "message_id"),
    )

    message_id: Mapped[UUID]
    content: Mapped[Json] = mapped_column(comment="an Attachment")
    state: Mapped[str] = mapped_column(server_default="waiting", comment="waiting, stored, too_large or failed")
    file_key: Mapped[str | None]
    size: Mapped[int | None]
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
