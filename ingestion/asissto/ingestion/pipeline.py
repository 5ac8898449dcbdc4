"""From a file to passages in the index: parse, chunk, embed, publish. Until the last step nothing is seen."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import Chunk, ChunkSizes, chunk
from asissto.ingestion.documents import (
    FINISHED,
    chunk_sizes,
    embedding_space,
    find_collection,
    find_document,
    tenant_number,
)
from asissto.ingestion.parse_process import parse_apart
from asissto.ingestion.parsing import ParsedDocument
from asissto.ingestion.review import review_later
from asissto.ingestion.store import (
    Place,
    Vector,
    add_passages,
    embedding_input,
    input_sha,
    lock_knowledge,
    remove_passages,
)
from asissto.ingestion.tables import Document, DocumentVersion
from asissto.platform import jobs
from asissto.platform.embedding import Embedder
from asissto.platform.errors import AsisstoError, DocumentRefused, ProviderError
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services

EMBED_AT_ONCE = 64
"""Texts between two progress reports: about 3 s of the local embedder."""


class Task(msgspec.Struct, frozen=True):
    """One version on its way; `sizes` are its collection's."""

    place: Place
    name: str
    storage_key: str
    sizes: ChunkSizes


class Passages(msgspec.Struct, frozen=True):
    """A version that is ready to be published; a chunk without a vector is found by its words."""

    parsed: ParsedDocument
    chunks: Sequence[Chunk]
    vectors: Sequence[Vector | None]


async def ingest(services: Services, job: ClaimedJob) -> None:
    """The job: it may start anew at any time, because only publishing changes what search sees."""
    task = await _begin(services, job)
    if task is None:
        return
    try:
        parsed = await _parse(services, task)
        chunks = await _chunk(services, task, parsed)
        vectors = await embed_chunks(
            services, task.place, parsed, chunks, partial(_report, services, task, "embedding")
        )
    except DocumentRefused as error:
        await _refuse(services, job, error)
    except ProviderError as error:
        if not error.permanent:
            raise
        await _refuse(services, job, error)
    else:
        await _publish(services, job, task, Passages(parsed, chunks, vectors))


async def _begin(services: Services, job: ClaimedJob) -> Task | None:
    """None where the document was deleted meanwhile or the version has ended before."""
    version_id = UUID(job.payload["version_id"])
    space_id = await embedding_space(services.database, services.embedder)
    async with services.database.tenant(job.tenant_id) as session:
        version = await session.get(DocumentVersion, (job.tenant_id, version_id))
        if version is None or version.state in FINISHED:
            await jobs.finish(session, job)
            return None
        version.attempts = job.attempts
        version.started_at = func.now()
        document = await find_document(session, job.tenant_id, version.document_id)
        collection = await find_collection(session, job.tenant_id, document.collection_id)
        number = await tenant_number(session, job.tenant_id)
        place = Place(job.tenant_id, number, collection.id, document.id, version_id, space_id)
        return Task(place=place, name=version.file_name, storage_key=version.storage_key, sizes=chunk_sizes(collection))


async def _parse(services: Services, task: Task) -> ParsedDocument:
    await _report(services, task, "parsing")
    limits = services.settings
    path = services.files.path(task.storage_key)
    return await parse_apart(path, task.name, seconds=limits.parse_seconds, memory_mb=limits.parse_memory_mb)


async def _chunk(services: Services, task: Task, parsed: ParsedDocument) -> list[Chunk]:
    await _report(services, task, "chunking")
    return await asyncio.to_thread(chunk, parsed, task.sizes)


async def embed_chunks(
    services: Services,
    place: Place,
    parsed: ParsedDocument,
    chunks: Sequence[Chunk],
    report: Callable[[int, int], Awaitable[None]],
) -> list[Vector | None]:
    """Vectors of the chunks in the embedder's languages; texts that the space knows already are not embedded again."""
    embedder = services.embedder
    texts = {
        at: embedding_input(each, parsed.text) for at, each in enumerate(chunks) if speaks(embedder, each.language)
    }
    known = await _known_vectors(services, place, [input_sha(text) for text in texts.values()])
    vectors = [known.get(input_sha(texts[at])) if at in texts else None for at in range(len(chunks))]
    missing = [at for at in texts if vectors[at] is None]
    for start in range(0, len(missing), EMBED_AT_ONCE):
        await report(start, len(missing))
        batch = missing[start : start + EMBED_AT_ONCE]
        for at, vector in zip(batch, await embedder.embed([texts[at] for at in batch]), strict=True):
            vectors[at] = vector
    return vectors


def speaks(embedder: Embedder, language: str) -> bool:
    """Whether vectors of text in that language mean anything; text without letters is left to its words."""
    return embedder.languages is None or language in embedder.languages


async def _known_vectors(services: Services, place: Place, shas: list[bytes]) -> dict[bytes, Vector]:
    query = text("""
        SELECT DISTINCT ON (input_sha) input_sha, embedding::text FROM chunk_embeddings
        WHERE tenant_id = :tenant AND space_id = :space AND input_sha = ANY(:shas)
    """)
    async with services.database.tenant(place.tenant_id) as session:
        rows = await session.execute(query, {"tenant": place.tenant_id, "space": place.space_id, "shas": shas})
        return {sha: np.array(msgspec.json.decode(vector), dtype=np.float32) for sha, vector in rows}


async def _publish(services: Services, job: ClaimedJob, task: Task, made: Passages) -> None:
    """One transaction: the old passages go, the new ones come, the job is done. Search sees all of it or nothing."""
    await _report(services, task, "publishing")
    place = task.place
    async with services.database.tenant(place.tenant_id) as session:
        await lock_knowledge(session, place.tenant_id)
        await jobs.finish(session, job)
        document = await session.get(Document, (place.tenant_id, place.document_id))
        if document is None:
            return
        if document.active_version_id is not None and document.active_version_id > place.version_id:
            await _set(session, place, state="superseded", finished_at=func.now())
            return
        if document.active_version_id is not None:
            await remove_passages(session, place.tenant_id, place.tenant_number, document.active_version_id)
            old = msgspec.structs.replace(place, version_id=document.active_version_id)
            await _set(session, old, state="superseded")
        await add_passages(session, place, made.parsed.text, made.chunks, made.vectors)
        document.active_version_id = place.version_id
        document.title = made.parsed.title
        await _set(
            session,
            place,
            state="ready",
            stage="ready",
            text=made.parsed.text,
            warnings=list(made.parsed.warnings),
            finished_at=func.now(),
        )
        await review_later(session, place.tenant_id)


async def _refuse(services: Services, job: ClaimedJob, error: AsisstoError) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        await mark_failed(session, job, error)


async def mark_failed(session: AsyncSession, job: ClaimedJob, error: AsisstoError) -> None:
    """What was published before stays; `stage` keeps telling how far this version came."""
    params = {name: str(value) for name, value in error.params.items()}
    mine = (DocumentVersion.tenant_id == job.tenant_id, DocumentVersion.id == UUID(job.payload["version_id"]))
    values: dict[str, Any] = {"state": "failed", "reason": error.code, "reason_params": params}
    await session.execute(update(DocumentVersion).where(*mine).values(**values, finished_at=func.now()))


async def _report(services: Services, task: Task, stage: str, done: int = 0, total: int = 0) -> None:
    async with services.database.tenant(task.place.tenant_id) as session:
        await _set(session, task.place, state=stage, stage=stage, done=done, total=total)


async def _set(session: AsyncSession, place: Place, **values: Any) -> None:
    mine = (DocumentVersion.tenant_id == place.tenant_id, DocumentVersion.id == place.version_id)
    await session.execute(update(DocumentVersion).where(*mine).values(**values))
