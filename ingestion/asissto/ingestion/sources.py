"""The life of a web source as people see it: added, synced by hand or by the clock, stopped, deleted."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer
from yarl import URL

from asissto.ingestion.documents import delete_document, find_collection
from asissto.ingestion.source_tables import Kind, Source, SourceSync
from asissto.ingestion.tables import Document
from asissto.ingestion.web_addresses import normalise
from asissto.platform import jobs
from asissto.platform.errors import AddressRefused, AddressUnusable, NotFound
from asissto.platform.public_addresses import is_public
from asissto.platform.tables import new_id
from asissto.platform.texts import Language, text

SYNC = "sources.sync"


class Reach(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a source reaches: clicks from its first page, pages at most, beginnings of paths to read or to leave."""

    depth: int = 3
    max_pages: int = 200
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class NewSource(msgspec.Struct, frozen=True, kw_only=True):
    collection_id: UUID
    name: str
    kind: Kind
    url: str
    reach: Reach
    every_hours: int | None
    by: UUID | None


async def add_source(session: AsyncSession, tenant_id: UUID, new: NewSource, *, private: bool) -> Source:
    """Its first sync begins at once; `private` is the setting. Raises NotFound, AddressUnusable, AddressRefused."""
    await find_collection(session, tenant_id, new.collection_id)
    url = checked_address(new.url, private=private)
    source = Source(
        tenant_id=tenant_id,
        id=new_id(),
        collection_id=new.collection_id,
        name=new.name or URL(url).host or url,
        kind=new.kind,
        url=url,
        settings=msgspec.to_builtins(new.reach),
        every_hours=new.every_hours,
        created_by=new.by,
    )
    session.add(source)
    await session.flush()
    await request_sync(session, source)
    return source


async def find_source(session: AsyncSession, tenant_id: UUID, source_id: UUID, *, lock: bool = False) -> Source:
    found = await session.get(Source, (tenant_id, source_id), with_for_update=lock or None)
    if found is None:
        raise NotFound(kind="source")
    return found


async def find_sync(session: AsyncSession, tenant_id: UUID, source_id: UUID, sync_id: UUID) -> SourceSync:
    """With its entries."""
    found = await session.get(SourceSync, (tenant_id, sync_id), options=[undefer(SourceSync.entries)])
    if found is None or found.source_id != source_id:
        raise NotFound(kind="sync")
    return found


async def request_sync(session: AsyncSession, source: Source) -> None:
    """As soon as a worker is free; nothing where one is on its way. The scheduled one is brought forward."""
    if source.state in {"syncing", "stopping"}:
        return
    source.state = "syncing"
    await jobs.enqueue(session, source.tenant_id, SYNC, str(source.id), {"source_id": str(source.id)})
    await jobs.bring_forward(session, source.tenant_id, SYNC, str(source.id))


async def stop_sync(session: AsyncSession, source: Source) -> None:
    """The job sees it after the page that it is at, also where it was waiting for the site."""
    if source.state == "syncing":
        source.state = "stopping"
        await jobs.bring_forward(session, source.tenant_id, SYNC, str(source.id))


async def reschedule(session: AsyncSession, source: Source) -> None:
    """Puts the next sync in its place; while one runs, that is done at its end."""
    if source.state in {"syncing", "stopping"}:
        return
    await jobs.withdraw(session, source.tenant_id, SYNC, str(source.id))
    await schedule_next(session, source)


async def schedule_next(session: AsyncSession, source: Source) -> None:
    source.next_sync_at = None
    if source.every_hours is None:
        return
    source.next_sync_at = (source.last_sync_at or datetime.now(UTC)) + timedelta(hours=source.every_hours)
    payload = {"source_id": str(source.id)}
    await jobs.enqueue(session, source.tenant_id, SYNC, str(source.id), payload, run_at=source.next_sync_at)


async def delete_source(session: AsyncSession, tenant_id: UUID, source_id: UUID, *, with_documents: bool) -> Source:
    """Documents that stay are then like any other, and nothing renews them."""
    source = await find_source(session, tenant_id, source_id, lock=True)
    mine = (Document.tenant_id == tenant_id, Document.source_id == source_id)
    if with_documents:
        for document_id in list(await session.scalars(select(Document.id).where(*mine))):
            await delete_document(session, tenant_id, document_id)
    else:
        await session.execute(update(Document).where(*mine).values(source_id=None))
    await jobs.withdraw(session, tenant_id, SYNC, str(source_id))
    await session.execute(delete(Source).where(Source.tenant_id == tenant_id, Source.id == source_id))
    return source


def checked_address(url: str, *, private: bool) -> str:
    """In its one spelling. Raises AddressUnusable and AddressRefused for what can be told without a look-up."""
    try:
        address = URL(normalise(url))
    except AddressUnusable:
        raise AddressUnusable(url=url, field="url") from None
    if not (private or address.is_default_port()):
        raise AddressUnusable(url=url, field="url")
    host = address.host or ""
    with suppress(ValueError):  # a name, which is looked up when it is fetched
        if not (private or is_public(host)):
            raise AddressRefused(address=host, field="url")
    return str(address)


def explain(reason: str | None, params: Mapping[str, str], language: Language) -> str | None:
    """Why a sync or a page ended as it did, in the reader's language."""
    return reason and text(f"error.{reason}", language, **{"field": "", **params})
