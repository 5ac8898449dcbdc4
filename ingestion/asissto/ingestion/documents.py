"""The life of a document as people see it: received, on its way, ready or failed, deleted."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import ChunkSizes
from asissto.ingestion.labels import Labels, write_labels
from asissto.ingestion.names import clean_name, suffix_of
from asissto.ingestion.review import review_later
from asissto.ingestion.sniffing import SUPPORTED, SUPPORTED_NAMES
from asissto.ingestion.store import lock_knowledge, remove_passages
from asissto.ingestion.tables import Collection, Document, DocumentVersion, EmbeddingSpace, KnowledgeBase, Pair
from asissto.platform.audit import Actor, record
from asissto.platform.database import Database
from asissto.platform.embedding import Embedder
from asissto.platform.errors import DocumentBusy, DocumentEmpty, DocumentTypeUnknown, NotFound
from asissto.platform.events import announce
from asissto.platform.jobs import enqueue
from asissto.platform.plan_limits import Kept, check_room
from asissto.platform.services import Services
from asissto.platform.stored_files import StoredFile
from asissto.platform.tables import Tenant, new_id
from asissto.platform.texts import Language, reason_text

INGEST, DELETE_FILES, SWEEP_FILES = "documents.ingest", "files.delete", "files.sweep"
SWEEP_AFTER = timedelta(days=1)
TOPIC = "documents"
ON_THE_WAY = ("queued", "parsing", "chunking", "embedding", "publishing")
FINISHED = ("ready", "failed", "superseded")

PIPELINE = "2026-11-25"
"""Changes when parsing, chunking or indexing change so that the same file gives other passages."""


class Upload(msgspec.Struct, frozen=True):
    """`name` is the file's name with its suffix; `source_key` makes it the same document when it comes again.

    `by` is None for what the system loads by itself, as it does the pages of a web source.
    """

    collection_id: UUID
    name: str
    source_key: str
    by: Actor | None
    labels: Labels = Labels()
    source_id: UUID | None = None
    url: str | None = None


async def upload(services: Services, tenant_id: UUID, what: Upload, pieces: AsyncIterator[bytes]) -> UUID:
    """Stores the file and queues it; no work where the same content is there already. Returns the document's id.

    Raises DocumentTypeUnknown, DocumentTooLarge, DocumentEmpty, NotFound, PlanLimit; then nothing is left behind.
    """
    what = msgspec.structs.replace(what, name=clean_name(what.name))
    check_type(what.name)
    async with services.database.tenant(tenant_id) as session:
        await find_collection(session, tenant_id, what.collection_id)
        await sweep_later(session, tenant_id)
    limit = services.settings.max_upload_mb
    stored = await services.files.save(tenant_id, what.name, pieces, limit_mb=limit)
    try:
        if not stored.bytes:
            raise DocumentEmpty(name=what.name)
        async with services.database.tenant(tenant_id) as session:
            document_id, taken = await _receive(session, tenant_id, what, stored)
            if taken:
                await check_room(session, services.settings, tenant_id, *taken)
            actor = what.by or Actor(tenant_id=tenant_id, kind="system")
            await record(session, actor, "documents.upload", "document", document_id, file_name=what.name)
    except BaseException:
        await services.files.delete(stored.key)
        raise
    if not taken:
        await services.files.delete(stored.key)
    return document_id


async def reprocess(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> Document:
    """Reads the stored file anew: a version that failed gets another try, a published one a successor.

    Raises NotFound, and DocumentBusy while the newest version is on its way.
    """
    document = await find_document(session, tenant_id, document_id)
    newest = await newest_version(session, tenant_id, document_id)
    if newest is None or newest.state in ON_THE_WAY:
        raise DocumentBusy(title=document.title)
    collection = await find_collection(session, tenant_id, document.collection_id)
    await _read_anew(session, newest, pipeline_sha(chunk_sizes(collection)))
    return document


async def reprocess_collection(session: AsyncSession, tenant_id: UUID, collection_id: UUID) -> list[UUID]:
    """Every document of the collection that failed, or whose passages would be made otherwise by now."""
    collection = await find_collection(session, tenant_id, collection_id)
    pipeline = pipeline_sha(chunk_sizes(collection))
    newest = (
        select(DocumentVersion)
        .join(Document, (Document.tenant_id == tenant_id) & (Document.id == DocumentVersion.document_id))
        .where(DocumentVersion.tenant_id == tenant_id, Document.collection_id == collection_id)
        .ext(distinct_on(DocumentVersion.document_id))
        .order_by(DocumentVersion.document_id, DocumentVersion.id.desc())
    )
    due = [
        version
        for version in await session.scalars(newest)
        if version.state == "failed" or (version.state == "ready" and version.pipeline_sha != pipeline)
    ]
    for version in due:
        await _read_anew(session, version, pipeline)
    return [version.document_id for version in due]


async def _read_anew(session: AsyncSession, newest: DocumentVersion, pipeline: bytes) -> None:
    if newest.state == "failed":
        await _try_again(session, newest, pipeline)
        return
    kept = ("document_id", "file_name", "media_type", "size", "content_sha", "storage_key", "created_by")
    same = {name: getattr(newest, name) for name in kept}
    if not newest.storage_key:  # a pair brings its text along
        await session.refresh(newest, ["text"])
        same["text"] = newest.text
    await _queue(session, DocumentVersion(pipeline_sha=pipeline, **same), newest.tenant_id)


async def _try_again(session: AsyncSession, version: DocumentVersion, pipeline: bytes) -> None:
    version.state, version.pipeline_sha, version.attempts, version.done, version.total = "queued", pipeline, 0, 0, 0
    version.reason, version.reason_params, version.retry_at = None, {}, None
    version.started_at = version.finished_at = None
    await _have_ingested(session, version)


async def _queue(session: AsyncSession, version: DocumentVersion, tenant_id: UUID) -> None:
    version.tenant_id, version.id = tenant_id, new_id()
    session.add(version)
    await session.flush()
    await _have_ingested(session, version)


async def _have_ingested(session: AsyncSession, version: DocumentVersion) -> None:
    await enqueue(session, version.tenant_id, INGEST, str(version.id), {"version_id": str(version.id)})
    await announce(session, version.tenant_id, TOPIC, version.document_id)


async def delete_document(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> Document:
    """Takes document, versions and passages out at once; the originals go by a job that cannot be lost.

    Pairs that were made from it go with it.
    """
    await lock_knowledge(session, tenant_id)
    document = await find_document(session, tenant_id, document_id)
    made = select(Pair.document_id).where(Pair.tenant_id == tenant_id, Pair.source_document_id == document_id)
    for pair_document_id in list(await session.scalars(made)):
        await delete_document(session, tenant_id, pair_document_id)
    if document.active_version_id is not None:
        number = await tenant_number(session, tenant_id)
        await remove_passages(session, tenant_id, number, document.active_version_id)
    mine = (DocumentVersion.tenant_id == tenant_id, DocumentVersion.document_id == document_id)
    keys = list(await session.scalars(select(DocumentVersion.storage_key).where(*mine).distinct()))
    if any(keys):  # a pair has no file
        await enqueue(session, tenant_id, DELETE_FILES, str(document_id), {"keys": keys})
    await session.execute(delete(Document).where(Document.tenant_id == tenant_id, Document.id == document_id))
    await announce(session, tenant_id, TOPIC, document_id)
    await review_later(session, tenant_id)
    return document


async def delete_collection(session: AsyncSession, tenant_id: UUID, collection_id: UUID) -> Collection:
    """Takes every document of the collection with it."""
    collection = await find_collection(session, tenant_id, collection_id)
    mine = (Document.tenant_id == tenant_id, Document.collection_id == collection_id)
    # Newest first: what was made from a document goes before it.
    for document_id in list(await session.scalars(select(Document.id).where(*mine).order_by(Document.id.desc()))):
        await delete_document(session, tenant_id, document_id)
    await session.delete(collection)
    return collection


async def sweep_later(session: AsyncSession, tenant_id: UUID) -> None:
    """A process that dies between a file and its row leaves the file: whoever saves one has somebody look again."""
    await enqueue(session, tenant_id, SWEEP_FILES, "", {}, run_at=datetime.now(UTC) + SWEEP_AFTER)


async def prepare_tenant(session: AsyncSession, tenant_id: UUID, language: str) -> None:
    """Gives a new tenant its empty knowledge base and a first collection."""
    session.add(KnowledgeBase(tenant_id=tenant_id))
    session.add(Collection(tenant_id=tenant_id, name="Общее" if language == "ru" else "General"))


async def find_collection(session: AsyncSession, tenant_id: UUID, collection_id: UUID) -> Collection:
    found = await session.get(Collection, (tenant_id, collection_id))
    if found is None:
        raise NotFound(kind="collection")
    return found


async def find_document(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> Document:
    found = await session.get(Document, (tenant_id, document_id))
    if found is None:
        raise NotFound(kind="document")
    return found


async def newest_version(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> DocumentVersion | None:
    mine = (DocumentVersion.tenant_id == tenant_id, DocumentVersion.document_id == document_id)
    return await session.scalar(select(DocumentVersion).where(*mine).order_by(DocumentVersion.id.desc()).limit(1))


async def newest_versions(
    session: AsyncSession, tenant_id: UUID, document_ids: Sequence[UUID]
) -> dict[UUID, DocumentVersion]:
    mine = (DocumentVersion.tenant_id == tenant_id, DocumentVersion.document_id.in_(document_ids))
    newest = select(DocumentVersion).where(*mine).ext(distinct_on(DocumentVersion.document_id))
    rows = await session.scalars(newest.order_by(DocumentVersion.document_id, DocumentVersion.id.desc()))
    return {row.document_id: row for row in rows}


async def tenant_number(session: AsyncSession, tenant_id: UUID) -> int:
    return (await session.scalars(select(Tenant.number).where(Tenant.id == tenant_id))).one()


async def embedding_space(database: Database, embedder: Embedder) -> int:
    """The number of the embedder's space, which is made when it is new."""
    same = (EmbeddingSpace.model == embedder.model, EmbeddingSpace.dimensions == embedder.dimensions)
    number = select(EmbeddingSpace.id).where(*same)
    async with database.system() as session:
        found = await session.scalar(number)
        if found is None:  # each attempt to insert uses up one of 32,767 numbers, also where it comes second
            row = insert(EmbeddingSpace).values(model=embedder.model, dimensions=embedder.dimensions)
            await session.execute(row.on_conflict_do_nothing())
            found = (await session.scalars(number)).one()
        return found


def check_type(name: str) -> str:
    """The media type by the name's suffix, where it has one; raises DocumentTypeUnknown."""
    suffix = suffix_of(name)
    if suffix and suffix not in SUPPORTED:
        raise DocumentTypeUnknown(name=name, supported=SUPPORTED_NAMES)
    return SUPPORTED.get(suffix, "application/octet-stream")


def explain(version: DocumentVersion, language: Language) -> str | None:
    """Why the version failed or waits, in the reader's language."""
    return version.reason and reason_text(version.reason, version.reason_params, language)


def pipeline_sha(sizes: ChunkSizes) -> bytes:
    """Tells one way of making passages from another, so that unchanged input in an unchanged pipeline is no work.

    Without the embedding model, because a switch to another makes its vectors by itself.
    """
    parts = [PIPELINE, msgspec.json.encode(sizes).decode()]
    return hashlib.sha256("\n".join(parts).encode()).digest()


def chunk_sizes(collection: Collection) -> ChunkSizes:
    return msgspec.convert(collection.settings.get("chunks", {}), ChunkSizes)


async def _receive(
    session: AsyncSession, tenant_id: UUID, what: Upload, stored: StoredFile
) -> tuple[UUID, tuple[Kept, ...]]:
    """The document's id, and of what it takes room; of nothing where there is nothing to do."""
    collection = await find_collection(session, tenant_id, what.collection_id)
    pipeline = pipeline_sha(chunk_sizes(collection))
    document_id = await _document(session, tenant_id, what)
    write_labels(await find_document(session, tenant_id, document_id), what.labels)
    newest = await newest_version(session, tenant_id, document_id)
    if newest is not None and newest.state != "failed" and _same_work(newest, stored.sha, pipeline):
        return document_id, ()
    version = DocumentVersion(
        document_id=document_id,
        file_name=what.name,
        media_type=check_type(what.name),
        size=stored.bytes,
        content_sha=stored.sha,
        pipeline_sha=pipeline,
        storage_key=stored.key,
        created_by=what.by and what.by.user_id,
    )
    await _queue(session, version, tenant_id)
    return document_id, ("storage_mb",) if newest else ("documents", "storage_mb")


def _same_work(version: DocumentVersion, content_sha: bytes, pipeline: bytes) -> bool:
    return version.content_sha == content_sha and version.pipeline_sha == pipeline


async def _document(session: AsyncSession, tenant_id: UUID, what: Upload) -> UUID:
    """The document with that source key; of two uploads at once the second waits for the first here."""
    values = {
        "collection_id": what.collection_id,
        "source_key": what.source_key,
        "created_by": what.by and what.by.user_id,
        "source_id": what.source_id,
        "url": what.url,
    }
    row = insert(Document).values(tenant_id=tenant_id, id=new_id(), title=PurePath(what.name).stem, **values)
    # Of two sources with the same page the first keeps it.
    kept = {name: func.coalesce(getattr(Document, name), row.excluded[name]) for name in ("source_id", "url")}
    same = row.on_conflict_do_update(index_elements=["tenant_id", "collection_id", "source_key"], set_=kept)
    return (await session.execute(same.returning(Document.id))).scalar_one()
