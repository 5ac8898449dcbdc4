"""Looks through a tenant's published passages after each change of them, and keeps what it finds."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.claims import Passage
from asissto.ingestion.findings import Found, Place, find_all
from asissto.ingestion.tables import Chunk, Document, DocumentVersion, Finding
from asissto.platform import jobs
from asissto.platform.errors import NotFound
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.tables import new_id

REVIEW = "knowledge.review"
PAUSE = timedelta(minutes=1)
"""A hundred files that are loaded one after the other are reviewed once or twice, not a hundred times."""

MOST_PASSAGES = 10_000
"""The newest ones: 40 s of one core and 370 MB. Findings in older ones stay as they are."""

MOST_FINDINGS = 1_000


async def review_later(session: AsyncSession, tenant_id: UUID) -> None:
    """For whoever changes what is published: one review for all changes of the next minute."""
    await jobs.enqueue(session, tenant_id, REVIEW, "", {}, run_at=datetime.now(UTC) + PAUSE)


async def review_now(session: AsyncSession, tenant_id: UUID) -> None:
    """Also where one waits for its minute."""
    await jobs.enqueue(session, tenant_id, REVIEW, "", {})
    await jobs.bring_forward(session, tenant_id, REVIEW, "")


async def review(services: Services, job: ClaimedJob) -> None:
    """The job: reads, thinks without a connection, and keeps what is still true."""
    async with services.database.tenant(job.tenant_id) as session:
        passages = await published(session, job.tenant_id)
    found = await asyncio.to_thread(find_all, passages, datetime.now(UTC).date())
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        await _keep(session, job.tenant_id, passages, found[:MOST_FINDINGS])


async def published(session: AsyncSession, tenant_id: UUID) -> list[Passage]:
    query = (
        select(
            *(Chunk.id, Chunk.document_id, Chunk.version_id, Document.title, Chunk.heading_path, Chunk.language),
            *(Chunk.header, Chunk.text, Chunk.start_offset.label("start")),
            DocumentVersion.created_at.label("published_at"),
        )
        .join(Document, Document.id == Chunk.document_id)
        .join(DocumentVersion, DocumentVersion.id == Chunk.version_id)
        .where(*(table.tenant_id == tenant_id for table in (Chunk, Document, DocumentVersion)), Chunk.enabled)
        .order_by(Chunk.version_id.desc(), Chunk.ord)
        .limit(MOST_PASSAGES)
    )
    rows = await session.execute(query)
    return [Passage(**row) for row in rows.mappings()]


async def find_finding(session: AsyncSession, tenant_id: UUID, finding_id: UUID) -> Finding:
    found = await session.get(Finding, (tenant_id, finding_id))
    if found is None:
        raise NotFound(kind="finding")
    return found


async def _keep(session: AsyncSession, tenant_id: UUID, passages: Sequence[Passage], found: Sequence[Found]) -> None:
    """What was dismissed stays so; what is no longer found is resolved, what comes back is open again."""
    active = await _still_active(session, tenant_id, {passage.document_id for passage in passages})
    rows = {each.fingerprint: _row(tenant_id, each) for each in found if _versions(each) <= active}
    row = insert(Finding)
    changed = {name: row.excluded[name] for name in MOVING} | {"seen_at": func.now()}
    state = func.coalesce(func.nullif(Finding.state, "resolved"), "open")
    same = row.on_conflict_do_update(index_elements=["tenant_id", "fingerprint"], set_=changed | {"state": state})
    for fingerprint in sorted(rows):
        await session.execute(same.values(**rows[fingerprint]))
    await _resolve(session, tenant_id, {passage.document_id for passage in passages})


MOVING = ("first_version_id", "first", "second_version_id", "second", "score")
"""A new version may say the same at another place."""


async def _still_active(session: AsyncSession, tenant_id: UUID, document_ids: set[UUID]) -> set[UUID]:
    """Versions that search sees; until the end of the transaction nobody deletes their documents."""
    mine = (Document.tenant_id == tenant_id, Document.id.in_(document_ids))
    query = select(Document.active_version_id).where(*mine).order_by(Document.id)
    return {each for each in await session.scalars(query.with_for_update(read=True, key_share=True)) if each}


async def _resolve(session: AsyncSession, tenant_id: UUID, document_ids: set[UUID]) -> None:
    """Nothing is said of documents that the review did not read."""
    gone = (Finding.tenant_id == tenant_id, Finding.state == "open", Finding.seen_at < func.now())
    read = (
        Finding.first_document_id.in_(document_ids),
        Finding.second_document_id.is_(None) | Finding.second_document_id.in_(document_ids),
    )
    await session.execute(update(Finding).where(*gone, *read).values(state="resolved"))


def _versions(found: Found) -> set[UUID]:
    return {place.passage.version_id for place in (found.first, found.second) if place is not None}


def _row(tenant_id: UUID, found: Found) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "id": new_id(),
        "kind": found.kind,
        "fingerprint": found.fingerprint,
        **_side("first", found.first),
        **_side("second", found.second),
        "value_kind": found.value_kind,
        "score": found.score,
        "passages": found.passages,
    }


def _side(name: str, place: Place | None) -> dict[str, Any]:
    passage = place and place.passage
    return {
        f"{name}_document_id": passage and passage.document_id,
        f"{name}_version_id": passage and passage.version_id,
        name: msgspec.to_builtins(place.quote) if place else None,
    }
