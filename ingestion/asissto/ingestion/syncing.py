"""The job that brings a web source up to date: visit, store, remove what is gone, tell what happened."""

import time
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.crawling import Crawl, Plan
from asissto.ingestion.fetching import Fetcher
from asissto.ingestion.source_tables import Source, SourceSync
from asissto.ingestion.sources import SYNC
from asissto.ingestion.sync_log import Ending, Run, close_sync, known_pages, remove_lost, store_visit
from asissto.ingestion.visiting import Visit
from asissto.platform import jobs
from asissto.platform.errors import (
    AddressRefused,
    AddressUnusable,
    AsisstoError,
    CrawlCancelled,
    CrawlStopped,
    CrawlTimeLimit,
    PageBusy,
    PageDuplicate,
    PageEmpty,
    PageGone,
    PageHidden,
    PagesMissing,
    PageTypeUnknown,
    SourceProblem,
)
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services

SLICE_SECONDS = 30.0
"""Then other jobs have their turn: a large site would keep a worker for hours, and its own documents waiting."""

MOST_PAUSES, LONGEST_PAUSE = 3, 900.0
"""How often, and for how many seconds, a site may ask to come back later."""

MOST_HOURS = 12


class Yielded(Exception):
    """The sync goes on in another job, after `seconds`."""

    def __init__(self, seconds: float, pauses: int) -> None:
        self.seconds, self.pauses = seconds, pauses
        super().__init__(seconds)


async def sync(services: Services, job: ClaimedJob) -> None:
    """The job: it may start anew at any time, because a page that this sync has stored is not visited again."""
    run = await _begin(services, job)
    if run is None:
        return
    try:
        await _crawl(services, run, job.payload.get("pauses", 0))
        await remove_lost(services, run)
    except Yielded as pause:
        await _go_on_later(services, job, run, pause)
    except CrawlCancelled as error:
        await _close(services, job, "cancelled", error)
    except (CrawlStopped, PagesMissing) as error:
        await _close(services, job, "partial", error)
    except (SourceProblem, AddressRefused, AddressUnusable) as error:
        await _close(services, job, "failed", error)
    else:
        await _close(services, job, "done", None)


async def _begin(services: Services, job: ClaimedJob) -> Run | None:
    """None where the source was deleted meanwhile."""
    source_id, sync_id = UUID(job.payload["source_id"]), _sync_id(job)
    async with services.database.tenant(job.tenant_id) as session:
        source = await session.get(Source, (job.tenant_id, source_id), with_for_update=True)
        if source is None:
            await jobs.finish(session, job)
            return None
        stopping = source.state == "stopping"
        source.state = "stopping" if stopping else "syncing"
        row = insert(SourceSync).values(tenant_id=job.tenant_id, id=sync_id, source_id=source_id)
        await session.execute(row.on_conflict_do_nothing())
        started = (await session.get_one(SourceSync, (job.tenant_id, sync_id))).started_at
        return Run(
            tenant_id=job.tenant_id,
            source_id=source_id,
            sync_id=sync_id,
            collection_id=source.collection_id,
            plan=msgspec.convert({"kind": source.kind, "url": source.url, **source.settings}, Plan),
            started_at=started,
            stopping=stopping,
        )


def _sync_id(job: ClaimedJob) -> UUID:
    return UUID(job.payload["sync_id"]) if "sync_id" in job.payload else job.id


async def _crawl(services: Services, run: Run, pauses: int) -> None:
    if run.stopping:
        raise CrawlCancelled
    end = time.monotonic() + SLICE_SECONDS
    async with Fetcher(services.settings) as web:
        crawl = Crawl(web, run.plan, await known_pages(services, run))
        async with aclosing(crawl.visits(await _seeds(services, run, crawl))) as visits:
            async for visit in visits:
                _check(visit, run.plan, pauses)
                await store_visit(services, run, visit)
                if datetime.now(UTC) - run.started_at > timedelta(hours=MOST_HOURS):
                    raise CrawlTimeLimit(hours=MOST_HOURS)
                if time.monotonic() > end:
                    raise Yielded(0, pauses)


async def _seeds(services: Services, run: Run, crawl: Crawl) -> list[str]:
    """What the sitemaps listed when this sync began."""
    async with services.database.tenant(run.tenant_id) as session:
        mine = (SourceSync.tenant_id == run.tenant_id, SourceSync.id == run.sync_id)
        known = await session.scalar(select(SourceSync.seeds).where(*mine))
    if known is not None:
        return known
    found = await crawl.seeds()
    async with services.database.tenant(run.tenant_id) as session:
        (await session.get_one(SourceSync, (run.tenant_id, run.sync_id))).seeds = found
    return found


def _check(visit: Visit, plan: Plan, pauses: int) -> None:
    """A site that asks for patience gets it; where the first page cannot be read, there is nothing to conclude."""
    if isinstance(visit.error, PageBusy) and pauses < MOST_PAUSES:
        raise Yielded(min(visit.error.seconds, LONGEST_PAUSE), pauses + 1)
    harmless: tuple[type[AsisstoError], ...] = (PageDuplicate, PageEmpty, PageHidden, PageTypeUnknown)
    if plan.kind == "page":
        harmless = (*harmless, PageGone)
    if visit.first and visit.error is not None and not isinstance(visit.error, harmless):
        raise visit.error


async def _go_on_later(services: Services, job: ClaimedJob, run: Run, pause: Yielded) -> None:
    payload: dict[str, Any] = {"source_id": str(run.source_id), "sync_id": str(run.sync_id), "pauses": pause.pauses}
    async with services.database.tenant(run.tenant_id) as session:
        await jobs.finish(session, job)
        due = datetime.now(UTC) + timedelta(seconds=pause.seconds)
        await jobs.enqueue(session, run.tenant_id, SYNC, str(run.source_id), payload, run_at=due)


async def _close(services: Services, job: ClaimedJob, state: str, error: AsisstoError | None) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        await close_sync(session, _ending(job, state, error))


def _ending(job: ClaimedJob, state: str, error: AsisstoError | None) -> Ending:
    source_id = UUID(job.payload["source_id"])
    return Ending(tenant_id=job.tenant_id, source_id=source_id, sync_id=_sync_id(job), state=state, error=error)


async def give_up_syncing(session: AsyncSession, job: ClaimedJob, error: AsisstoError) -> None:
    source_id, sync_id = UUID(job.payload["source_id"]), _sync_id(job)
    row = insert(SourceSync).values(tenant_id=job.tenant_id, id=sync_id, source_id=source_id)
    if await session.get(Source, (job.tenant_id, source_id)) is not None:
        await session.execute(row.on_conflict_do_nothing())
        await close_sync(session, _ending(job, "failed", error))
