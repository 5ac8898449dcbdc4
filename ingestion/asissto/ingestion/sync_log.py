"""What a sync leaves behind: documents, the state of each page, and an account of what happened."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.crawling import Plan
from asissto.ingestion.documents import Upload, delete_document, upload
from asissto.ingestion.fetching import Validators
from asissto.ingestion.source_tables import Source, SourcePage, SourceSync
from asissto.ingestion.sources import schedule_next
from asissto.ingestion.tables import Document
from asissto.ingestion.visiting import Content, Known, Visit
from asissto.ingestion.web_addresses import file_name
from asissto.platform.audit import Actor, record
from asissto.platform.errors import (
    AsisstoError,
    CrawlCancelled,
    DocumentRefused,
    PageDisallowed,
    PageDuplicate,
    PageElsewhere,
    PageGone,
    PageHidden,
    PagesMissing,
    PageTypeUnknown,
    PageUnlinked,
    PlanLimit,
)
from asissto.platform.services import Services
from asissto.platform.tables import new_id

LOGS_KEPT = 30
"""Syncs of a source that can be looked up."""

MOST_ENTRIES = 2000

FEW = 5
"""As many pages may vanish from one sync to the next without looking like a site that is out of order."""

_NO_DOCUMENT_OF_ITS_OWN = (PageDisallowed, PageDuplicate, PageElsewhere, PageHidden, PageTypeUnknown)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One sync on its way."""

    tenant_id: UUID
    source_id: UUID
    sync_id: UUID
    collection_id: UUID
    plan: Plan
    started_at: datetime
    stopping: bool


async def known_pages(services: Services, run: Run) -> dict[str, Known]:
    """A page whose document is gone is asked for anew, whatever the site says of changes."""
    async with services.database.tenant(run.tenant_id) as session:
        rows = await session.scalars(select(SourcePage).where(*_pages_of(run)))
        return {row.url: _known(row, run) for row in rows}


def _known(row: SourcePage, run: Run) -> Known:
    validators = Validators(row.etag, row.last_modified) if row.document_id else Validators()
    moved = row.reason == PageDuplicate.code and row.content_sha is None
    return Known(validators, row.links, visited=row.sync_id == run.sync_id, moved=moved)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a visit comes to; without `stored` nothing that was there is touched."""

    outcome: str
    error: AsisstoError | None = None
    stored: dict[str, Any] | None = None


async def store_visit(services: Services, run: Run, visit: Visit) -> None:
    """Raises CrawlCancelled where somebody stopped the sync; what was visited is stored all the same."""
    before = await _page_before(services, run, visit.url)
    result = await _result(services, run, visit, before)
    async with services.database.tenant(run.tenant_id) as session:
        if result.outcome == "removed" and before is not None:
            await _delete_document(session, run, before)
        await _write_page(session, run, visit.url, result)
        await _count(session, run, result.outcome)
        state = await session.scalar(select(Source.state).where(*_source(run)))
    if state == "stopping":
        raise CrawlCancelled


async def _page_before(services: Services, run: Run, url: str) -> SourcePage | None:
    async with services.database.tenant(run.tenant_id) as session:
        return await session.scalar(select(SourcePage).where(*_pages_of(run), SourcePage.url == url))


async def _result(services: Services, run: Run, visit: Visit, before: SourcePage | None) -> Result:
    had = before is not None and before.document_id is not None
    if visit.error is not None:
        return _without_content(visit.error, visit.links, had=had)
    if visit.content is None:
        return Result(outcome="unchanged", stored={"links": visit.links})
    sha = hashlib.sha256(visit.content.data).digest()
    stored = {"links": visit.links, "content_sha": sha, **msgspec.structs.asdict(visit.validators)}
    if before is not None and had and before.content_sha == sha:
        return Result(outcome="unchanged", stored=stored)
    twin = await _twin(services, run, visit.url, sha)
    if twin is not None:
        error = PageDuplicate(url=visit.url, target=twin)
        return Result(outcome="removed" if had else "skipped", error=error, stored={**stored, "document_id": None})
    try:
        document_id = await _upload(services, run, visit.url, visit.content)
    except (DocumentRefused, PlanLimit) as error:
        return _without_content(error, visit.links, had=had)
    return Result(outcome="changed" if had else "added", stored={**stored, "document_id": document_id})


def _without_content(error: AsisstoError, links: tuple[str, ...], *, had: bool) -> Result:
    """Only what is gone, or is not to be had, takes a document away; trouble with a page never does."""
    if not isinstance(error, (PageGone, *_NO_DOCUMENT_OF_ITS_OWN)):
        return Result(outcome="failed", error=error)
    outcome = "failed" if isinstance(error, PageGone) else "skipped"
    nothing = {"document_id": None, "content_sha": None, "etag": None, "last_modified": None, "links": links}
    return Result(outcome="removed" if had else outcome, error=error, stored=nothing)


async def _twin(services: Services, run: Run, url: str, sha: bytes) -> str | None:
    """Another page of this sync with the very same text, under which it is stored already."""
    same = (SourcePage.content_sha == sha, SourcePage.sync_id == run.sync_id, SourcePage.url != url)
    query = select(SourcePage.url).where(*_pages_of(run), *same, SourcePage.document_id.is_not(None)).limit(1)
    async with services.database.tenant(run.tenant_id) as session:
        return await session.scalar(query)


async def _upload(services: Services, run: Run, url: str, content: Content) -> UUID:
    async def pieces() -> AsyncIterator[bytes]:
        yield content.data

    name = file_name(url, content.suffix)
    what = Upload(run.collection_id, name, url, None, source_id=run.source_id, url=url)
    return await upload(services, run.tenant_id, what, pieces())


async def _delete_document(session: AsyncSession, run: Run, page: SourcePage) -> None:
    """Unless it is another source's, or somebody was quicker."""
    mine = (Document.tenant_id == run.tenant_id, Document.source_id == run.source_id, Document.id == page.document_id)
    document_id = await session.scalar(select(Document.id).where(*mine))
    if document_id is None:
        return
    document = await delete_document(session, run.tenant_id, document_id)
    actor = Actor(tenant_id=run.tenant_id, kind="system")
    await record(session, actor, "documents.delete", "document", document.id, title=document.title)


async def _write_page(session: AsyncSession, run: Run, url: str, result: Result) -> None:
    values = {
        "sync_id": run.sync_id,
        "outcome": result.outcome,
        **reason_of(result.error),
        "missed": 0,
        "seen_at": func.now(),
        **(result.stored or {}),
    }
    row = insert(SourcePage).values(tenant_id=run.tenant_id, id=new_id(), source_id=run.source_id, url=url, **values)
    same = row.on_conflict_do_update(index_elements=["tenant_id", "source_id", "url"], set_=values)
    await session.execute(same)


async def _count(session: AsyncSession, run: Run, outcome: str) -> None:
    column = getattr(SourceSync, outcome)
    await session.execute(update(SourceSync).where(*_sync(run)).values({column: column + 1}))


async def remove_lost(services: Services, run: Run) -> None:
    """After a sync that saw all there is: takes out what nothing leads to any more.

    Raises PagesMissing where that is more than what is left, for then the site is more likely to be out of order.
    """
    async with services.database.tenant(run.tenant_id) as session:
        with_document = (*_pages_of(run), SourcePage.document_id.is_not(None))
        lost = list(await session.scalars(select(SourcePage).where(*with_document, SourcePage.sync_id != run.sync_id)))
        kept = await session.scalar(
            select(func.count()).select_from(SourcePage).where(*with_document, SourcePage.sync_id == run.sync_id)
        )
    if len(lost) > max(FEW, kept or 0) and not all(page.missed for page in lost):
        raise PagesMissing(count=len(lost))
    for page in lost:
        unlinked = Result(outcome="removed", error=PageUnlinked(url=page.url), stored={"document_id": None})
        async with services.database.tenant(run.tenant_id) as session:
            await _delete_document(session, run, page)
            await _write_page(session, run, page.url, unlinked)
            await _count(session, run, "removed")


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    source_id: UUID
    sync_id: UUID
    state: str
    error: AsisstoError | None = None


async def close_sync(session: AsyncSession, end: Ending) -> None:
    """Writes the account, forgets the oldest, and puts the next sync in its place."""
    source = await session.get(Source, (end.tenant_id, end.source_id), with_for_update=True)
    if source is None:
        return
    source.state = "failed" if end.state == "failed" else "idle"
    source.last_sync_at = datetime.now(UTC)
    await _tidy_pages(session, end)
    sync = await session.get_one(SourceSync, (end.tenant_id, end.sync_id))
    sync.entries = await _entries(session, end)
    sync.state, sync.finished_at = end.state, source.last_sync_at
    for row in (source, sync):
        for name, value in reason_of(end.error).items():
            setattr(row, name, value)
    await _forget(session, source)
    await schedule_next(session, source)


async def _tidy_pages(session: AsyncSession, end: Ending) -> None:
    unseen = (
        SourcePage.tenant_id == end.tenant_id,
        SourcePage.source_id == end.source_id,
        SourcePage.sync_id != end.sync_id,
    )
    if isinstance(end.error, PagesMissing):
        await session.execute(update(SourcePage).where(*unseen).values(missed=SourcePage.missed + 1))
    if end.state == "done":
        await session.execute(delete(SourcePage).where(*unseen, SourcePage.document_id.is_(None)))


async def _entries(session: AsyncSession, end: Ending) -> list[dict[str, Any]]:
    """Each page of this sync that is not just what it was."""
    mine = (
        SourcePage.tenant_id == end.tenant_id,
        SourcePage.source_id == end.source_id,
        SourcePage.sync_id == end.sync_id,
        SourcePage.outcome != "unchanged",
    )
    rows = await session.scalars(select(SourcePage).where(*mine).order_by(SourcePage.seen_at).limit(MOST_ENTRIES))
    return [{"url": row.url, "outcome": row.outcome, "reason": row.reason, "params": row.reason_params} for row in rows]


async def _forget(session: AsyncSession, source: Source) -> None:
    mine = (SourceSync.tenant_id == source.tenant_id, SourceSync.source_id == source.id)
    newest = select(SourceSync.id).where(*mine).order_by(SourceSync.id.desc()).limit(LOGS_KEPT)
    await session.execute(delete(SourceSync).where(*mine, SourceSync.id.not_in(newest)))


def reason_of(error: AsisstoError | None) -> dict[str, Any]:
    params = {} if error is None else {name: str(value) for name, value in error.params.items()}
    return {"reason": error and error.code, "reason_params": params}


def _pages_of(run: Run) -> tuple[Any, ...]:
    return SourcePage.tenant_id == run.tenant_id, SourcePage.source_id == run.source_id


def _source(run: Run) -> tuple[Any, ...]:
    return Source.tenant_id == run.tenant_id, Source.id == run.source_id


def _sync(run: Run) -> tuple[Any, ...]:
    return SourceSync.tenant_id == run.tenant_id, SourceSync.id == run.sync_id
