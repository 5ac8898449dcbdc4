"""The job behind a switch of the embedding model: makes the missing vectors, then changes the space in one step."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pgvector import HalfVector
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.spaces import Space, embed_paid, embedder_of
from asissto.ingestion.store import Vector, input_sha, known_vectors
from asissto.ingestion.switching import (
    KEPT,
    REEMBED,
    drop_others,
    end_switch,
    hold_knowledge,
)
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase, SpaceSwitch
from asissto.platform import jobs
from asissto.platform.database import driver
from asissto.platform.embedding import Embedder, impatient
from asissto.platform.errors import AsisstoError, ProviderError
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services

BATCH = 64
BATCHES_AT_ONCE = 8
"""About 25 s of the local embedder; then whatever else waits has its turn, so that no switch keeps uploads waiting."""

SECONDS = 30.0


class Switch(msgspec.Struct, frozen=True):
    """A switch that is under way, and what makes its vectors; `languages` as of the embedder, None: all."""

    tenant_id: UUID
    id: UUID
    space: Space
    embedder: Embedder

    @property
    def scope(self) -> dict[str, Any]:
        languages = self.embedder.languages
        return {
            "tenant": self.tenant_id,
            "space": self.space.id,
            "languages": None if languages is None else sorted(languages),
        }


class Missing(msgspec.Struct, frozen=True):
    """A published chunk without its vector in the new space."""

    chunk_id: UUID
    input: str


async def reembed(services: Services, job: ClaimedJob) -> None:
    """A part of the switch; the next part is a job of its own. Runs as often as it likes, and misses nothing."""
    try:
        switch = await _begin(services, job)
        if switch is not None:
            await _go_on(services, job, switch)
    except ProviderError as error:
        if error.temporary:
            raise
        await _fail(services, job, error)


async def drop_space(services: Services, job: ClaimedJob) -> None:
    """Deletes the vectors of a space that is neither searched nor about to be."""
    tenant_id, space_id = job.tenant_id, job.payload["space_id"]
    while True:
        async with services.database.tenant(tenant_id) as session:
            base = await hold_knowledge(session, tenant_id)
            needed = {base.space_id, await session.scalar(_BUILDING, {"tenant": tenant_id})}
            mine = {"tenant": tenant_id, "space": space_id}
            if space_id in needed or not await session.scalar(_DROP, mine):
                await jobs.finish(session, job)
                return


async def mark_switch_failed(session: AsyncSession, job: ClaimedJob, error: AsisstoError) -> None:
    """Search stays where it is, and what was made is kept for another attempt."""
    await _tell(session, job, error, state="failed", retry_at=None, finished_at=func.now())


async def mark_switch_waiting(session: AsyncSession, job: ClaimedJob, error: AsisstoError, run_at: datetime) -> None:
    """It goes on at that time where it was."""
    await _tell(session, job, error, retry_at=run_at)


async def _tell(session: AsyncSession, job: ClaimedJob, error: AsisstoError, **values: Any) -> None:
    mine = (SpaceSwitch.tenant_id == job.tenant_id, SpaceSwitch.id == UUID(job.key), SpaceSwitch.state == "building")
    params = {name: str(value) for name, value in error.params.items()}
    why = {"reason": error.code, "reason_params": params}
    await session.execute(update(SpaceSwitch).where(*mine).values(**why, **values))


async def _begin(services: Services, job: ClaimedJob) -> Switch | None:
    """None where the switch has ended meanwhile; raises ProviderError where no endpoint could have the model."""
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get_one(SpaceSwitch, (job.tenant_id, UUID(job.key)))
        if row.state != "building":
            await jobs.finish(session, job)
            return None
        space = Space.of(await session.get_one(EmbeddingSpace, row.to_space_id))
    embedder = await embedder_of(services, job.tenant_id, space)
    if embedder is None:
        raise ProviderError(permanent=True, reason="no_endpoint")
    switch = Switch(job.tenant_id, row.id, space, impatient(embedder, SECONDS))
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get_one(SpaceSwitch, (job.tenant_id, switch.id))
        row.total, row.done = (await session.execute(_PROGRESS, switch.scope)).one()
    return switch


async def _go_on(services: Services, job: ClaimedJob, switch: Switch) -> None:
    after = None if job.payload["after"] is None else UUID(job.payload["after"])
    for _ in range(BATCHES_AT_ONCE):
        batch = await _next(services, switch, after)
        if batch:
            if not await _store(services, switch, batch, await _embed(services, switch, batch)):
                break
            after = batch[-1].chunk_id
        elif await _swap(services, job, switch):
            return
        else:
            after = None  # a chunk came or changed behind us
    async with services.database.tenant(job.tenant_id) as session:
        await _queue_next(session, job, after)


async def _next(services: Services, switch: Switch, after: UUID | None) -> list[Missing]:
    async with services.database.tenant(switch.tenant_id) as session:
        rows = await session.execute(_MISSING, switch.scope | {"after": after or UUID(int=0), "limit": BATCH})
        return [Missing(*row) for row in rows]


async def _embed(services: Services, switch: Switch, batch: Sequence[Missing]) -> dict[bytes, Vector]:
    """By the hash of the input: equal inputs are embedded once, those that the space knows already never."""
    inputs = {input_sha(each.input): each.input for each in batch}
    async with services.database.tenant(switch.tenant_id) as session:
        vectors = await known_vectors(session, switch.tenant_id, switch.space.id, list(inputs))
    new = {sha: text for sha, text in inputs.items() if sha not in vectors}
    made = await embed_paid(services, switch.tenant_id, switch.embedder, new.values())
    return vectors | dict(zip(new, made, strict=True))


async def _store(services: Services, switch: Switch, batch: Sequence[Missing], vectors: dict[bytes, Vector]) -> bool:
    """Not for chunks that were deleted or switched off meanwhile; False, and nothing at all, where the switch ended."""
    shas = [input_sha(each.input) for each in batch]
    async with services.database.tenant(switch.tenant_id) as session:
        await hold_knowledge(session, switch.tenant_id)
        connection = await driver(session)
        ids, rows = [each.chunk_id for each in batch], [HalfVector(vectors[sha]) for sha in shas]
        await connection.execute(_STORE, switch.tenant_id, switch.space.id, switch.id, ids, shas, rows)
        return await connection.fetchval(_STORED, switch.tenant_id, switch.id, len(batch)) is not None


async def _swap(services: Services, job: ClaimedJob, switch: Switch) -> bool:
    """The step that everybody sees: all vectors are there, so search moves to them. False where one is missing."""
    async with services.database.tenant(job.tenant_id) as session:
        base = await hold_knowledge(session, job.tenant_id)
        row = await session.get_one(SpaceSwitch, (job.tenant_id, switch.id), populate_existing=True)
        if row.state == "building":
            first = switch.scope | {"after": UUID(int=0), "limit": 1}
            if (await session.execute(_MISSING, first)).first() is not None:
                return False
            await _move(session, base, row, switch)
        await jobs.finish(session, job)
        return True


async def _move(session: AsyncSession, base: KnowledgeBase, row: SpaceSwitch, switch: Switch) -> None:
    total, done = (await session.execute(_PROGRESS, switch.scope)).one()
    await end_switch(session, base, "active", total=total, done=done, reason=None, reason_params={})
    base.space_id = row.to_space_id
    base.version += 1
    await drop_others(session, base, KEPT)


async def _fail(services: Services, job: ClaimedJob, error: AsisstoError) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        await mark_switch_failed(session, job, error)


async def _queue_next(session: AsyncSession, job: ClaimedJob, after: UUID | None) -> None:
    await jobs.finish(session, job)
    await jobs.enqueue(session, job.tenant_id, REEMBED, job.key, {"after": after and str(after)})


# A vector belongs to what was embedded: that of a passage which was changed in its place is missing too.
_MISSING = text("""
    SELECT c.id, i.input FROM chunks c
    CROSS JOIN LATERAL (SELECT CASE c.header WHEN '' THEN '' ELSE c.header || chr(10) END || c.text AS input) i
    WHERE c.tenant_id = :tenant AND c.id > :after AND c.enabled
      AND (CAST(:languages AS text[]) IS NULL OR c.language = ANY (CAST(:languages AS text[])))
      AND NOT EXISTS (
          SELECT FROM chunk_embeddings e WHERE e.tenant_id = :tenant AND e.space_id = :space AND e.chunk_id = c.id
            AND e.input_sha = sha256(convert_to(i.input, 'UTF8')))
    ORDER BY c.id LIMIT :limit
""")
_PROGRESS = text("""
    SELECT chunks, least(chunks, vectors) FROM (SELECT count(*) AS chunks FROM chunks c WHERE c.tenant_id = :tenant
        AND c.enabled AND (CAST(:languages AS text[]) IS NULL OR c.language = ANY (CAST(:languages AS text[])))) c,
        (SELECT count(*) AS vectors FROM chunk_embeddings WHERE tenant_id = :tenant AND space_id = :space) e
""")
_STORE = """
    INSERT INTO chunk_embeddings (tenant_id, space_id, chunk_id, collection_id, document_id, input_sha, embedding)
    SELECT $1, $2, c.id, c.collection_id, c.document_id, made.sha, made.embedding
    FROM unnest($4::uuid[], $5::bytea[], $6::halfvec[]) made(id, sha, embedding)
    JOIN chunks c ON c.tenant_id = $1 AND c.id = made.id AND c.enabled
    WHERE EXISTS (SELECT FROM space_switches s WHERE s.tenant_id = $1 AND s.id = $3 AND s.state = 'building')
    ON CONFLICT (tenant_id, space_id, chunk_id)
    DO UPDATE SET input_sha = excluded.input_sha, embedding = excluded.embedding
"""
_STORED = """
    UPDATE space_switches SET done = least(done + $3, total),
        reason = NULL, reason_params = '{}', retry_at = NULL
    WHERE tenant_id = $1 AND id = $2 AND state = 'building' RETURNING id
"""
_BUILDING = text("SELECT to_space_id FROM space_switches WHERE tenant_id = :tenant AND state = 'building'")
_DROP = text("""
    WITH dropped AS (
        DELETE FROM chunk_embeddings WHERE tenant_id = :tenant AND space_id = :space AND chunk_id IN (
            SELECT chunk_id FROM chunk_embeddings WHERE tenant_id = :tenant AND space_id = :space LIMIT 5000)
        RETURNING 1
    ) SELECT count(*) FROM dropped
""")
