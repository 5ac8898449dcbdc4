"""Tables of the outside: channels and the contacts who write through them."""

from uuid import UUID

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class Channel(TenantRow, Base):
    """A way in for questions; `secrets` are encrypted field by field."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    type: Mapped[str] = mapped_column(comment="api; telegram, vk, sms, mail and web are to come")
    status: Mapped[str] = mapped_column(server_default="active")
    settings: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    secrets: Mapped[bytes | None]
    created_at: Mapped[CreatedAt]


class Contact(TenantRow, Base):
    """A customer as a channel knows them."""

    __tablename__ = "contacts"
    __table_args__ = (
        within_tenant("channel_id", "channels"),
        UniqueConstraint("tenant_id", "channel_id", "external_id"),
    )

    channel_id: Mapped[UUID]
    external_id: Mapped[str]
    name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str | None]
    metadata_: Mapped[Json] = mapped_column("metadata", server_default=text("'{}'"))
    created_at: Mapped[CreatedAt]
