"""The routes of web sources: what is read from the web, and the log of what each sync did."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.source_tables import Kind, Source, SourcePage, SourceSync
from asissto.ingestion.sources import (
    NewSource,
    Reach,
    add_source,
    delete_source,
    explain,
    find_source,
    find_sync,
    request_sync,
    reschedule,
    stop_sync,
)
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first, page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import Language

Name = Annotated[str, Meta(max_length=200)]
Address = Annotated[str, Meta(min_length=1, max_length=1000)]
Depth = Annotated[int, Meta(ge=0, le=10, description="Clicks from the first page.")]
MaxPages = Annotated[int, Meta(ge=1, le=2000)]
Path = Annotated[str, Meta(pattern="^/", max_length=500)]
Paths = Annotated[list[Path], Meta(max_length=50, description="Beginnings of paths.")]
Hours = Annotated[int, Meta(ge=1, le=8760)]
Open = SkipValidation[NamedDependency[Services]]
Session = NamedDependency[AsyncSession]


class SourceIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `every_hours` it is synced by hand only; `include` and `exclude` are beginnings of paths."""

    collection_id: UUID
    kind: Kind
    url: Address
    name: Name = ""
    depth: Depth = Reach().depth
    max_pages: MaxPages = Reach().max_pages
    include: Paths = []
    exclude: Paths = []
    every_hours: Hours | None = None


class SourcePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another address is another source."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    depth: Depth | UnsetType = UNSET
    max_pages: MaxPages | UnsetType = UNSET
    include: Paths | UnsetType = UNSET
    exclude: Paths | UnsetType = UNSET
    every_hours: Hours | UnsetType | None = UNSET


class SourceOut(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` and `detail` say what ended the last sync early, where something did."""

    id: UUID
    collection_id: UUID
    name: str
    kind: str
    url: str
    depth: int
    max_pages: int
    include: list[str]
    exclude: list[str]
    every_hours: int | None
    state: str
    reason: str | None
    detail: str | None
    last_sync_at: datetime | None
    next_sync_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Source, language: Language) -> Self:
        same = ("id", "collection_id", "name", "kind", "url", "every_hours", "state", "reason")
        times = ("last_sync_at", "next_sync_at", "created_at")
        detail = explain(row.reason, row.reason_params, language)
        return cls(**{name: getattr(row, name) for name in (*same, *times)}, **row.settings, detail=detail)


class SyncOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many pages were added, changed and so on; `skipped` are those that are no documents, `detail` says why."""

    id: UUID
    state: str
    reason: str | None
    detail: str | None
    started_at: datetime
    finished_at: datetime | None
    added: int
    changed: int
    unchanged: int
    removed: int
    failed: int
    skipped: int

    @classmethod
    def of(cls, row: SourceSync, language: Language, **more: Any) -> Self:
        same = ("id", "state", "reason", "started_at", "finished_at")
        counts = ("added", "changed", "unchanged", "removed", "failed", "skipped")
        detail = explain(row.reason, row.reason_params, language)
        return cls(**{name: getattr(row, name) for name in (*same, *counts)}, detail=detail, **more)


class EntryOut(msgspec.Struct, frozen=True, kw_only=True):
    """One page in a sync; `detail` says why it failed, was skipped or removed."""

    url: str
    outcome: str
    reason: str | None
    detail: str | None


class SyncWithEntriesOut(SyncOut, frozen=True, kw_only=True):
    """With each page that was not just what it had been; written at the end of the sync."""

    entries: list[EntryOut]


class PageOut(msgspec.Struct, frozen=True, kw_only=True):
    """A page as the last sync left it."""

    url: str
    document_id: UUID | None
    outcome: str
    reason: str | None
    detail: str | None
    seen_at: datetime

    @classmethod
    def of(cls, row: SourcePage, language: Language) -> Self:
        same = ("url", "document_id", "outcome", "reason", "seen_at")
        detail = explain(row.reason, row.reason_params, language)
        return cls(**{name: getattr(row, name) for name in same}, detail=detail)


class SourceController(Controller):
    path = "/api/v1/sources"
    tags = ("sources",)

    @get(operation_id="sources.list", guards=[need("documents.read")])
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        collection_id: FromQuery[UUID | None] = None,
    ) -> Page[SourceOut]:
        mine = select(Source).where(Source.tenant_id == principal.tenant_id)
        if collection_id is not None:
            mine = mine.where(Source.collection_id == collection_id)
        found = await page(session, mine, Source.id, limit, after)
        return found.map(lambda row: SourceOut.of(row, language))

    @post(operation_id="sources.create", guards=[need("documents.write")])
    async def create(
        self,
        data: JSONBody[SourceIn],
        services: Open,
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> SourceOut:
        """The first sync begins at once."""
        reach = Reach(
            depth=data.depth, max_pages=data.max_pages, include=tuple(data.include), exclude=tuple(data.exclude)
        )
        new = NewSource(
            collection_id=data.collection_id,
            name=data.name,
            kind=data.kind,
            url=data.url,
            reach=reach,
            every_hours=data.every_hours,
            by=principal.user_id,
        )
        row = await add_source(session, principal.tenant_id, new, private=services.settings.crawl_private_addresses)
        await record(session, principal, "sources.create", "source", row.id, url=row.url, kind=row.kind)
        await session.refresh(row)
        return SourceOut.of(row, language)

    @get("/{source_id:uuid}", operation_id="sources.read", guards=[need("documents.read")])
    async def read(
        self,
        source_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> SourceOut:
        return SourceOut.of(await find_source(session, principal.tenant_id, source_id), language)

    @patch("/{source_id:uuid}", operation_id="sources.update", guards=[need("documents.write")])
    async def update(
        self,
        source_id: FromPath[UUID],
        data: JSONBody[SourcePatch],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> SourceOut:
        """A new reach holds from the next sync on."""
        row = await find_source(session, principal.tenant_id, source_id, lock=True)
        changes = {name: value for name, value in msgspec.to_builtins(data).items() if value is not UNSET}
        row.settings = {**row.settings, **{name: changes[name] for name in row.settings if name in changes}}
        if data.name is not UNSET:
            row.name = data.name
        if data.every_hours is not UNSET:
            row.every_hours = data.every_hours
            await reschedule(session, row)
        await record(session, principal, "sources.update", "source", row.id, **changes)
        return SourceOut.of(row, language)

    @delete("/{source_id:uuid}", operation_id="sources.delete", guards=[need("documents.write")])
    async def remove(
        self,
        source_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        documents: FromQuery[Literal["keep", "delete"]] = "delete",
    ) -> None:
        """Its documents are deleted with it, or stay as they are and are no longer renewed."""
        with_documents = documents == "delete"
        row = await delete_source(session, principal.tenant_id, source_id, with_documents=with_documents)
        await record(session, principal, "sources.delete", "source", row.id, url=row.url, documents=documents)

    @post("/{source_id:uuid}/sync", operation_id="sources.sync", status_code=202, guards=[need("documents.write")])
    async def sync(
        self,
        source_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> SourceOut:
        """As soon as a worker is free; where a sync is on its way already, that one is enough."""
        row = await find_source(session, principal.tenant_id, source_id, lock=True)
        await request_sync(session, row)
        await record(session, principal, "sources.sync", "source", row.id)
        return SourceOut.of(row, language)

    @post("/{source_id:uuid}/stop", operation_id="sources.stop", status_code=202, guards=[need("documents.write")])
    async def stop(
        self,
        source_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> SourceOut:
        """The sync ends after the page that it is at; what it has stored stays."""
        row = await find_source(session, principal.tenant_id, source_id, lock=True)
        await stop_sync(session, row)
        await record(session, principal, "sources.stop", "source", row.id)
        return SourceOut.of(row, language)

    @get("/{source_id:uuid}/pages", operation_id="sources.pages", guards=[need("documents.read")])
    async def pages(
        self,
        source_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PageOut]:
        await find_source(session, principal.tenant_id, source_id)
        mine = select(SourcePage).where(SourcePage.tenant_id == principal.tenant_id, SourcePage.source_id == source_id)
        found = await page(session, mine, SourcePage.id, limit, after)
        return found.map(lambda row: PageOut.of(row, language))

    @get("/{source_id:uuid}/syncs", operation_id="sources.syncs", guards=[need("documents.read")])
    async def syncs(
        self,
        source_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[SyncOut]:
        """Newest first."""
        await find_source(session, principal.tenant_id, source_id)
        mine = select(SourceSync).where(SourceSync.tenant_id == principal.tenant_id, SourceSync.source_id == source_id)
        found = await newest_first(session, mine, SourceSync.id, limit, after)
        return found.map(lambda row: SyncOut.of(row, language))

    @get("/{source_id:uuid}/syncs/{sync_id:uuid}", operation_id="sources.read_sync", guards=[need("documents.read")])
    async def read_sync(
        self,
        source_id: FromPath[UUID],
        sync_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> SyncWithEntriesOut:
        row = await find_sync(session, principal.tenant_id, source_id, sync_id)
        entries = [
            EntryOut(
                url=entry["url"],
                outcome=entry["outcome"],
                reason=entry["reason"],
                detail=explain(entry["reason"], entry["params"], language),
            )
            for entry in row.entries
        ]
        return SyncWithEntriesOut.of(row, language, entries=entries)


HANDLERS: list[ControllerRouterHandler] = [SourceController]
