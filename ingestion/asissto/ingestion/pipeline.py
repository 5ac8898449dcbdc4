"""From a file to passages in the index: parse, chunk, edit, embed, publish. Until the last step nothing is seen."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from pgvector import HalfVector
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from asissto.ingestion.chunking import Chunk, ChunkSizes, chunk
from asissto.ingestion.documents import (
    FINISHED,
    TOPIC,
    chunk_sizes,
    find_collection,
    find_document,
    pipeline_sha,
    tenant_number,
)
from asissto.ingestion.pair_text import read_pair
from asissto.ingestion.parse_process import parse_apart
from asissto.ingestion.parsing import ParsedDocument
from asissto.ingestion.passage_edits import Edit, apply_edits, read_edits
from asissto.ingestion.review import review_later
from asissto.ingestion.spaces import embed_paid, embedder_of, find_space, space_to_fill
from asissto.ingestion.store import (
    Place,
    Vector,
    add_passages,
    embedding_input,
    input_sha,
    known_vectors,
    lock_knowledge,
    remove_passages,
)
from asissto.ingestion.tables import Document, DocumentVersion, EmbeddingCache
from asissto.platform import jobs
from asissto.platform.database import driver
from asissto.platform.embedding import Embedder
from asissto.platform.errors import AsisstoError, DocumentRefused, ProviderError
from asissto.platform.events import announce
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services

EMBED_AT_ONCE = 64
"""Texts between two progress reports: about 3 s of the local embedder."""


class Task(msgspec.Struct, frozen=True):
    """One version on its way; `sizes` are its collection's; `parsed` is what an earlier attempt has read already."""

    place: Place
    name: str
    storage_key: str
    sizes: ChunkSizes
    parsed: ParsedDocument | None


class Passages(msgspec.Struct, frozen=True):
    """A version that is ready to be published; a chunk without a vector is found by its words."""

    parsed: ParsedDocument
    chunks: Sequence[Chunk]
    vectors: Sequence[Vector | None]
    edits: Sequence[Edit] = ()


async def ingest(services: Services, job: ClaimedJob) -> None:
    """The job: it may start anew at any time and goes on where it was; only publishing changes what search sees."""
    task = await _begin(services, job)
    if task is None:
        return
    try:
        parsed = task.parsed or await _parse(services, task)
        chunks = await asyncio.to_thread(chunk, parsed, task.sizes)
        made = await _edit_and_embed(services, task, parsed, chunks)
        while not await _publish(services, job, task, made):
            made = await _edit_and_embed(services, task, parsed, chunks)
    except DocumentRefused as error:
        await _refuse(services, job, error)
    except ProviderError as error:
        if error.temporary:
            raise
        await _refuse(services, job, error)


async def _begin(services: Services, job: ClaimedJob) -> Task | None:
    """None where the document was deleted meanwhile or the version has ended before."""
    version_id = UUID(job.payload["version_id"])
    space_id = await space_to_fill(services, job.tenant_id)
    async with services.database.tenant(job.tenant_id) as session:
        version = await session.get(DocumentVersion, (job.tenant_id, version_id), options=_WITH_PARSED)
        if version is None or version.state in FINISHED:
            await jobs.finish(session, job)
            return None
        document = await find_document(session, job.tenant_id, version.document_id)
        collection = await find_collection(session, job.tenant_id, document.collection_id)
        number = await tenant_number(session, job.tenant_id)
        sizes = chunk_sizes(collection)
        parsed = _read_before(version, pipeline_sha(sizes))
        version.attempts = job.attempts
        version.started_at = version.started_at or func.now()
        version.state = version.stage = "chunking" if parsed else "parsing"
        version.reason, version.reason_params, version.retry_at = None, {}, None
        await announce(session, job.tenant_id, TOPIC, version.document_id)
        place = Place(job.tenant_id, number, collection.id, document.id, version_id, space_id)
        return Task(place, version.file_name, version.storage_key, sizes, parsed)


_WITH_PARSED = (undefer(DocumentVersion.text), undefer(DocumentVersion.parsed))


def _read_before(version: DocumentVersion, pipeline: bytes) -> ParsedDocument | None:
    """What an earlier attempt has read, unless files are read in another way by now."""
    if version.parsed is None or version.text is None or version.pipeline_sha != pipeline:
        return None
    structure = msgspec.msgpack.decode(version.parsed, type=ParsedDocument)
    return msgspec.structs.replace(structure, text=version.text)


async def _parse(services: Services, task: Task) -> ParsedDocument:
    if not task.storage_key:  # a pair: it was written and not uploaded
        return await read_pair(services.database, task.place.tenant_id, task.place.version_id)
    limits = services.settings
    async with services.files.open(task.storage_key) as path:
        parsed = await parse_apart(
            path,
            task.name,
            seconds=limits.parse_seconds,
            memory_mb=limits.parse_memory_mb,
            report=partial(_report, services, task, "parsing"),
        )
    structure = msgspec.msgpack.encode(msgspec.structs.replace(parsed, text=""))
    read = {"text": parsed.text, "parsed": structure, "media_type": parsed.media_type}
    async with services.database.tenant(task.place.tenant_id) as session:
        await _set(session, task.place, state="chunking", stage="chunking", **read)
    return parsed


async def _edit_and_embed(services: Services, task: Task, parsed: ParsedDocument, chunks: Sequence[Chunk]) -> Passages:
    async with services.database.tenant(task.place.tenant_id) as session:
        edits = await read_edits(session, task.place.tenant_id, task.place.document_id)
    edited, passages = apply_edits(parsed, chunks, edits)
    report = partial(_report, services, task, "embedding")
    return Passages(edited, passages, await embed_chunks(services, task.place, edited, passages, report), edits)


async def embed_chunks(
    services: Services,
    place: Place,
    parsed: ParsedDocument,
    chunks: Sequence[Chunk],
    report: Callable[[int, int], Awaitable[None]],
) -> list[Vector | None]:
    """Vectors of the chunks in the embedder's languages; texts that the space knows already are not embedded again."""
    space = await find_space(services, place.tenant_id, place.space_id)
    embedder = await embedder_of(services, place.tenant_id, space)
    if embedder is None:
        return [None] * len(chunks)
    texts = {
        at: embedding_input(each, parsed.text)
        for at, each in enumerate(chunks)
        if each.enabled and speaks(embedder, each.language)
    }
    shas = {at: input_sha(text) for at, text in texts.items()}
    known = await _known_vectors(services, place, shas.values())
    missing = {sha: texts[at] for at, sha in shas.items() if sha not in known}  # equal texts are embedded once
    for done in range(0, len(missing), EMBED_AT_ONCE):
        await report(done, len(missing))
        batch = dict(islice(missing.items(), done, done + EMBED_AT_ONCE))
        made = dict(zip(batch, await embed_paid(services, place.tenant_id, embedder, batch.values()), strict=True))
        if done + EMBED_AT_ONCE < len(missing):  # what follows the last batch is the publication
            await _keep_vectors(services, place, made)
        known |= made
    return [known.get(shas[at]) if at in shas else None for at in range(len(chunks))]


def speaks(embedder: Embedder, language: str) -> bool:
    """Whether vectors of text in that language mean anything; text without letters is left to its words."""
    return embedder.languages is None or language in embedder.languages


async def _known_vectors(services: Services, place: Place, shas: Collection[bytes]) -> dict[bytes, Vector]:
    """Those of published passages, and those of earlier attempts at what is on its way."""
    made = select(EmbeddingCache.input_sha, EmbeddingCache.embedding).where(
        EmbeddingCache.tenant_id == place.tenant_id,
        EmbeddingCache.version_id == place.version_id,
        EmbeddingCache.space_id == place.space_id,
    )
    async with services.database.tenant(place.tenant_id) as session:
        published = await known_vectors(session, place.tenant_id, place.space_id, list(shas))
        return published | {sha: np.array(vector, np.float32) for sha, vector in await session.execute(made)}


async def _keep_vectors(services: Services, place: Place, vectors: Mapping[bytes, Vector]) -> None:
    """Nothing is kept where the document was deleted meanwhile."""
    query = """
        INSERT INTO embedding_cache (tenant_id, version_id, space_id, input_sha, embedding)
        SELECT $1, $2, $3, * FROM unnest($4::bytea[], $5::halfvec[])
        WHERE EXISTS (SELECT FROM document_versions v WHERE v.tenant_id = $1 AND v.id = $2) ON CONFLICT DO NOTHING
    """
    async with services.database.tenant(place.tenant_id) as session:
        connection = await driver(session)
        made = list(map(HalfVector, vectors.values()))
        await connection.execute(query, place.tenant_id, place.version_id, place.space_id, list(vectors), made)


async def _publish(services: Services, job: ClaimedJob, task: Task, made: Passages) -> bool:
    """One transaction: the old passages go, the new ones come, the job is done. Search sees all of it or nothing.

    False where somebody edited a passage of the document after the edits were made into these ones.
    """
    await _report(services, task, "publishing")
    place = task.place
    async with services.database.tenant(place.tenant_id) as session:
        await lock_knowledge(session, place.tenant_id)
        if await read_edits(session, place.tenant_id, place.document_id) != made.edits:
            return False
        await jobs.finish(session, job)
        document = await session.get(Document, (place.tenant_id, place.document_id))
        if document is None:
            return True
        mine = (EmbeddingCache.tenant_id == place.tenant_id, EmbeddingCache.version_id == place.version_id)
        await session.execute(delete(EmbeddingCache).where(*mine))
        if document.active_version_id is not None and document.active_version_id > place.version_id:
            await _set(session, place, state="superseded", parsed=None, finished_at=func.now())
            return True
        if document.active_version_id is not None:
            await remove_passages(session, place.tenant_id, place.tenant_number, document.active_version_id)
            old = msgspec.structs.replace(place, version_id=document.active_version_id)
            await _set(session, old, state="superseded")
        await add_passages(session, place, made.parsed.text, made.chunks, made.vectors)
        document.active_version_id = place.version_id
        document.title = made.parsed.title
        ready = {"state": "ready", "stage": "ready", "parsed": None, "warnings": list(made.parsed.warnings)}
        edited = {"text": made.parsed.text} if made.edits else {}
        await _set(session, place, **ready, **edited, finished_at=func.now())
        await review_later(session, place.tenant_id)
        return True


async def _refuse(services: Services, job: ClaimedJob, error: AsisstoError) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        await mark_failed(session, job, error)


async def mark_failed(session: AsyncSession, job: ClaimedJob, error: AsisstoError) -> None:
    """What was published before stays; `stage` keeps telling how far this version came."""
    await _tell(session, job, error, state="failed", finished_at=func.now())


async def mark_postponed(session: AsyncSession, job: ClaimedJob, error: AsisstoError, run_at: datetime) -> None:
    """The version waits for what is away, says what that is, and goes on from the stage it has reached."""
    await _tell(session, job, error, state="queued", retry_at=run_at)


async def _tell(session: AsyncSession, job: ClaimedJob, error: AsisstoError, **values: Any) -> None:
    params = {name: str(value) for name, value in error.params.items()}
    mine = (DocumentVersion.tenant_id == job.tenant_id, DocumentVersion.id == UUID(job.payload["version_id"]))
    why = {"reason": error.code, "reason_params": params}
    told = update(DocumentVersion).where(*mine).values(**why, **values).returning(DocumentVersion.document_id)
    for document_id in await session.scalars(told):
        await announce(session, job.tenant_id, TOPIC, document_id)


async def _report(services: Services, task: Task, stage: str, done: int = 0, total: int = 0) -> None:
    async with services.database.tenant(task.place.tenant_id) as session:
        await _set(session, task.place, state=stage, stage=stage, done=done, total=total)


async def _set(session: AsyncSession, place: Place, **values: Any) -> None:
    mine = (DocumentVersion.tenant_id == place.tenant_id, DocumentVersion.id == place.version_id)
    await session.execute(update(DocumentVersion).where(*mine).values(**values))
    await announce(session, place.tenant_id, TOPIC, place.document_id)
