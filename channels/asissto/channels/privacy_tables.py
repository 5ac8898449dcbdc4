"""Tables of personal data: what was asked to be exported or erased, and how long a workspace keeps things."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, TenantRow


class PrivacyRequest(TenantRow, Base):
    """It outlives whom it was about: nothing in it names them."""

    __tablename__ = "privacy_requests"

    kind: Mapped[str] = mapped_column(comment="export or erase")
    subject: Mapped[str] = mapped_column(comment="contact or user")
    subject_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="waiting", comment="waiting, done or failed")
    error: Mapped[str | None] = mapped_column(comment="code of what it failed with")
    file_key: Mapped[str | None]
    size: Mapped[int | None]
    expires_at: Mapped[datetime | None] = mapped_column(comment="of the link to the file")
    fetched_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class RetentionPeriods(Base):
    """In days; empty: for ever."""

    __tablename__ = "retention_periods"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    conversations_days: Mapped[int | None] = mapped_column(Integer)
    attachments_days: Mapped[int | None] = mapped_column(Integer)
    receipts_days: Mapped[int | None] = mapped_column(Integer)
    audit_days: Mapped[int | None] = mapped_column(Integer)
    updated_at: Mapped[CreatedAt]
