"""Tables of web sources: what is read from the web, its pages, and the log of what each sync did."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant

Kind = Literal["page", "sitemap", "site"]


class Source(TenantRow, Base):
    """A page, a sitemap or a site whose pages are documents of a collection."""

    __tablename__ = "sources"
    __table_args__ = (
        within_tenant("collection_id", "collections"),
        Index("ix_sources_collection", "tenant_id", "collection_id"),
    )

    collection_id: Mapped[UUID]
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(comment="page, sitemap or site")
    url: Mapped[str]
    settings: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    every_hours: Mapped[int | None] = mapped_column(Integer, comment="NULL: synced by hand only")
    state: Mapped[str] = mapped_column(server_default="idle", comment="idle, syncing, stopping or failed")
    reason: Mapped[str | None] = mapped_column(comment="code of what ended the last sync early")
    reason_params: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    last_sync_at: Mapped[datetime | None]
    next_sync_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]


class SourcePage(TenantRow, Base):
    """An address of a source as the last sync left it; its `links` serve when the page is not sent again."""

    __tablename__ = "source_pages"
    __table_args__ = (
        within_tenant("source_id", "sources"),
        within_tenant("document_id", "documents", ondelete="SET NULL"),
        UniqueConstraint("tenant_id", "source_id", "url"),
        Index("ix_source_pages_document", "tenant_id", "document_id"),
    )

    source_id: Mapped[UUID]
    url: Mapped[str]
    document_id: Mapped[UUID | None]
    sync_id: Mapped[UUID] = mapped_column(comment="the last sync that met it")
    outcome: Mapped[str] = mapped_column(comment="added, changed, unchanged, removed, failed or skipped")
    reason: Mapped[str | None]
    reason_params: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    content_sha: Mapped[bytes | None] = mapped_column(comment="of what was stored")
    links: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    missed: Mapped[int] = mapped_column(Integer, server_default="0", comment="complete syncs in a row without it")
    seen_at: Mapped[CreatedAt]


class SourceSync(TenantRow, Base):
    """One look at the source, with the id of the job that began it; `entries` tell of all but unchanged pages."""

    __tablename__ = "source_syncs"
    __table_args__ = (within_tenant("source_id", "sources"), Index("ix_source_syncs_source", "tenant_id", "source_id"))

    source_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="running", comment="running, done, partial, failed or cancelled")
    reason: Mapped[str | None]
    reason_params: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    added: Mapped[int] = mapped_column(Integer, server_default="0")
    changed: Mapped[int] = mapped_column(Integer, server_default="0")
    unchanged: Mapped[int] = mapped_column(Integer, server_default="0")
    removed: Mapped[int] = mapped_column(Integer, server_default="0")
    failed: Mapped[int] = mapped_column(Integer, server_default="0")
    skipped: Mapped[int] = mapped_column(Integer, server_default="0")
    seeds: Mapped[list[str] | None] = mapped_column(deferred=True, comment="what the sitemaps list")
    entries: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"), deferred=True)
