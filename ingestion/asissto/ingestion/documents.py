"""The life of a document as people see it: received, on its way, ready or failed, deleted."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import PurePath
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import ChunkSizes
from asissto.ingestion.names import suffix_of
from asissto.ingestion.sniffing import SUPPORTED, SUPPORTED_NAMES
from asissto.ingestion.store import lock_knowledge, remove_passages
from asissto.ingestion.tables import Collection, Document, DocumentVersion, EmbeddingSpace, KnowledgeBase
from asissto.platform.audit import Actor, record
from asissto.platform.database import Database
from asissto.platform.embedding import Embedder
from asissto.platform.errors import DocumentEmpty, DocumentTypeUnknown, NotFound
from asissto.platform.files import StoredFile
from asissto.platform.jobs import enqueue
from asissto.platform.services import Services
from asissto.platform.tables import Tenant, new_id
from asissto.platform.texts import Language, text

INGEST, DELETE_FILES = "documents.ingest", "files.delete"
ON_THE_WAY = ("queued", "parsing", "chunking", "embedding", "publishing")
FINISHED = ("ready", "failed", "superseded")

PIPELINE = "2026-11-25"
"""Changes when parsing, chunking or indexing change so that the same file gives other passages."""


class Upload(msgspec.Struct, frozen=True):
    """`name` is the file's name with its suffix; `source_key` makes it the same document when it comes again.

    `by` is None for what the system loads by itself.
    """

    collection_id: UUID
    name: str
    source_key: str
    by: Actor | None


async def upload(services: Services, tenant_id: UUID, what: Upload, pieces: AsyncIterator[bytes]) -> UUID:
    """Stores the file and queues it; no work where the same content is there already. Returns the document's id.

    Raises DocumentTypeUnknown, DocumentTooLarge, DocumentEmpty, NotFound; then nothing is left behind.
    """
    check_type(what.name)
    async with services.database.tenant(tenant_id) as session:
        await find_collection(session, tenant_id, what.collection_id)
    limit = services.settings.max_upload_mb
    stored = await services.files.save(tenant_id, what.name, pieces, limit_mb=limit)
    try:
        if not stored.bytes:
            raise DocumentEmpty(name=what.name)
        async with services.database.tenant(tenant_id) as session:
            document_id, wanted = await _receive(session, tenant_id, what, stored, services.embedder)
            actor = what.by or Actor(tenant_id=tenant_id, kind="system")
            await record(session, actor, "documents.upload", "document", document_id, file_name=what.name)
    except BaseException:
        services.files.delete(stored.key)
        raise
    if not wanted:
        services.files.delete(stored.key)
    return document_id


async def delete_document(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> Document:
    """Takes document, versions and passages out at once; the originals go by a job that cannot be lost."""
    await lock_knowledge(session, tenant_id)
    document = await find_document(session, tenant_id, document_id)
    if document.active_version_id is not None:
        number = await tenant_number(session, tenant_id)
        await remove_passages(session, tenant_id, number, document.active_version_id)
    mine = (DocumentVersion.tenant_id == tenant_id, DocumentVersion.document_id == document_id)
    keys = list(await session.scalars(select(DocumentVersion.storage_key).where(*mine)))
    await enqueue(session, tenant_id, DELETE_FILES, str(document_id), {"keys": keys})
    await session.execute(delete(Document).where(Document.tenant_id == tenant_id, Document.id == document_id))
    return document


async def delete_collection(session: AsyncSession, tenant_id: UUID, collection_id: UUID) -> Collection:
    """Takes every document of the collection with it."""
    collection = await find_collection(session, tenant_id, collection_id)
    mine = (Document.tenant_id == tenant_id, Document.collection_id == collection_id)
    for document_id in list(await session.scalars(select(Document.id).where(*mine))):
        await delete_document(session, tenant_id, document_id)
    await session.delete(collection)
    return collection


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
    """Why the version failed, in the reader's language."""
    return version.reason and text(f"error.{version.reason}", language, **{"field": "", **version.reason_params})


def pipeline_sha(embedder: Embedder, sizes: ChunkSizes) -> bytes:
    """Tells one way of making passages from another, so that unchanged input in an unchanged pipeline is no work."""
    parts = [PIPELINE, embedder.model, str(embedder.dimensions), msgspec.json.encode(sizes).decode()]
    return hashlib.sha256("\n".join(parts).encode()).digest()


def chunk_sizes(collection: Collection) -> ChunkSizes:
    return msgspec.convert(collection.settings.get("chunks", {}), ChunkSizes)


async def _receive(
    session: AsyncSession, tenant_id: UUID, what: Upload, stored: StoredFile, embedder: Embedder
) -> tuple[UUID, bool]:
    """The document's id, and whether there is anything to do."""
    collection = await find_collection(session, tenant_id, what.collection_id)
    pipeline = pipeline_sha(embedder, chunk_sizes(collection))
    document_id = await _document(session, tenant_id, what)
    newest = await newest_version(session, tenant_id, document_id)
    if newest is not None and newest.state != "failed" and _same_work(newest, stored.sha, pipeline):
        return document_id, False
    version = DocumentVersion(
        tenant_id=tenant_id,
        id=new_id(),
        document_id=document_id,
        file_name=what.name,
        media_type=check_type(what.name),
        size=stored.bytes,
        content_sha=stored.sha,
        pipeline_sha=pipeline,
        storage_key=stored.key,
    )
    session.add(version)
    await session.flush()
    await enqueue(session, tenant_id, INGEST, str(version.id), {"version_id": str(version.id)})
    return document_id, True


def _same_work(version: DocumentVersion, content_sha: bytes, pipeline: bytes) -> bool:
    return version.content_sha == content_sha and version.pipeline_sha == pipeline


async def _document(session: AsyncSession, tenant_id: UUID, what: Upload) -> UUID:
    """The document with that source key; of two uploads at once the second waits for the first here."""
    values = {
        "collection_id": what.collection_id,
        "source_key": what.source_key,
        "created_by": what.by and what.by.user_id,
    }
    row = insert(Document).values(tenant_id=tenant_id, id=new_id(), title=PurePath(what.name).stem, **values)
    same = row.on_conflict_do_update(
        index_elements=["tenant_id", "collection_id", "source_key"], set_={"source_key": row.excluded.source_key}
    )
    return (await session.execute(same.returning(Document.id))).scalar_one()
