"""The routes of knowledge: collections and documents."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion import (
    embedding_routes,
    finding_routes,
    original_routes,
    pair_routes,
    passage_routes,
    source_routes,
    version_routes,
)
from asissto.ingestion.chunking import ChunkSizes
from asissto.ingestion.document_list import MetadataJson, TagList, Wanted, listed, provide_wanted, read_metadata
from asissto.ingestion.documents import (
    Upload,
    delete_collection,
    delete_document,
    find_collection,
    find_document,
    reprocess,
    reprocess_collection,
    upload,
)
from asissto.ingestion.labels import Labels, write_labels
from asissto.ingestion.names import clean_name
from asissto.ingestion.shown_documents import DocumentOut, show_documents
from asissto.ingestion.tables import Collection, Document
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import NameTaken
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import Language

Name = Annotated[str, Meta(min_length=1, max_length=200)]
FileName = Annotated[str, QueryParameter(min_length=1, max_length=255, description="The file's name with its suffix.")]
Open = SkipValidation[NamedDependency[Services]]
Session = NamedDependency[AsyncSession]


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Budgets of passages in tokens; they hold for documents that are uploaded from now on."""

    tokens: Annotated[int, Meta(ge=50, le=1000)] = ChunkSizes().tokens
    overlap: Annotated[int, Meta(ge=0, le=200)] = ChunkSizes().overlap
    section_tokens: Annotated[int, Meta(ge=50, le=4000)] = ChunkSizes().section_tokens


class CollectionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: Annotated[str, Meta(max_length=2000)] = ""
    chunks: Sizes = Sizes()


class CollectionPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    chunks: Sizes | UnsetType = UNSET


class CollectionOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    description: str
    chunks: Sizes
    created_at: datetime

    @classmethod
    def of(cls, row: Collection) -> Self:
        sizes = msgspec.convert(row.settings.get("chunks", {}), Sizes)
        return cls(id=row.id, name=row.name, description=row.description, chunks=sizes, created_at=row.created_at)


class Reprocessed(msgspec.Struct, frozen=True):
    """The documents that are read anew."""

    documents: list[UUID]


@dataclass
class UploadOperation(Operation):
    """The body that the handler reads as a stream."""

    def __post_init__(self) -> None:
        binary = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        self.request_body = RequestBody(content={"application/octet-stream": binary}, required=True)


class CollectionController(Controller):
    path = "/api/v1/collections"
    tags = ("collections",)

    @get(operation_id="collections.list", guards=[need("documents.read")])
    async def list(
        self, principal: NamedDependency[Principal], session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[CollectionOut]:
        mine = select(Collection).where(Collection.tenant_id == principal.tenant_id)
        return (await page(session, mine, Collection.id, limit, after)).map(CollectionOut.of)

    @post(operation_id="collections.create", guards=[need("documents.write")])
    async def create(
        self, data: JSONBody[CollectionIn], principal: NamedDependency[Principal], session: Session
    ) -> CollectionOut:
        await _check_name(session, principal.tenant_id, data.name)
        settings = {"chunks": msgspec.to_builtins(data.chunks)}
        row = Collection(
            tenant_id=principal.tenant_id, id=new_id(), name=data.name, description=data.description, settings=settings
        )
        session.add(row)
        await session.flush()
        await record(session, principal, "collections.create", "collection", row.id, name=data.name)
        return CollectionOut.of(row)

    @get("/{collection_id:uuid}", operation_id="collections.read", guards=[need("documents.read")])
    async def read(
        self, collection_id: FromPath[UUID], principal: NamedDependency[Principal], session: Session
    ) -> CollectionOut:
        return CollectionOut.of(await find_collection(session, principal.tenant_id, collection_id))

    @patch("/{collection_id:uuid}", operation_id="collections.update", guards=[need("documents.write")])
    async def update(
        self,
        collection_id: FromPath[UUID],
        data: JSONBody[CollectionPatch],
        principal: NamedDependency[Principal],
        session: Session,
    ) -> CollectionOut:
        row = await find_collection(session, principal.tenant_id, collection_id)
        if data.name is not UNSET and data.name != row.name:
            await _check_name(session, principal.tenant_id, data.name)
            row.name = data.name
        if data.description is not UNSET:
            row.description = data.description
        if data.chunks is not UNSET:
            row.settings = {**row.settings, "chunks": msgspec.to_builtins(data.chunks)}
        changes = {name: value for name, value in msgspec.to_builtins(data).items() if value is not UNSET}
        await record(session, principal, "collections.update", "collection", row.id, **changes)
        return CollectionOut.of(row)

    @delete("/{collection_id:uuid}", operation_id="collections.delete", guards=[need("documents.write")])
    async def remove(
        self, collection_id: FromPath[UUID], principal: NamedDependency[Principal], session: Session
    ) -> None:
        row = await delete_collection(session, principal.tenant_id, collection_id)
        await record(session, principal, "collections.delete", "collection", row.id, name=row.name)

    @post(
        "/{collection_id:uuid}/documents",
        operation_id="documents.upload",
        status_code=202,
        guards=[need("documents.write")],
        request_max_body_size=None,  # the file store counts while it writes
        tags=("documents",),
        operation_class=UploadOperation,
    )
    async def upload(
        self,
        collection_id: FromPath[UUID],
        name: FileName,
        request: Request[Any, Any, Any],
        services: Open,
        principal: NamedDependency[Principal],
        language: NamedDependency[Language],
        tags: TagList = None,
        metadata: MetadataJson = None,
        audience: TagList = None,
    ) -> DocumentOut:
        """The body is the file itself; the same name again in a collection is a new version of the same document."""
        labels = Labels(
            tags=UNSET if tags is None else tags,
            metadata=UNSET if metadata is None else read_metadata(metadata),
            audience=UNSET if audience is None else audience,
        )
        what = Upload(collection_id, name, clean_name(name), principal, labels)
        document_id = await upload(services, principal.tenant_id, what, request.stream())
        async with services.database.tenant(principal.tenant_id) as session:
            return await _show(session, await find_document(session, principal.tenant_id, document_id), language)

    @post(
        "/{collection_id:uuid}/reprocess",
        operation_id="collections.reprocess",
        status_code=202,
        guards=[need("documents.write")],
    )
    async def reprocess(
        self,
        collection_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
    ) -> Reprocessed:
        """Reads anew what failed, and what was cut before the collection's sizes were changed."""
        due = await reprocess_collection(session, principal.tenant_id, collection_id)
        await record(session, principal, "collections.reprocess", "collection", collection_id, documents=len(due))
        return Reprocessed(due)


class DocumentController(Controller):
    path = "/api/v1/documents"
    tags = ("documents",)

    @get(
        operation_id="documents.list", guards=[need("documents.read")], dependencies={"wanted": Provide(provide_wanted)}
    )
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
        wanted: NamedDependency[Wanted],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[DocumentOut]:
        found = await page(session, listed(principal.tenant_id, wanted), Document.id, limit, after)
        shown = await show_documents(session, principal.tenant_id, found.items, language)
        return found.map(lambda document: shown[document.id])

    @get("/{document_id:uuid}", operation_id="documents.read", guards=[need("documents.read")])
    async def read(
        self,
        document_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> DocumentOut:
        return await _show(session, await find_document(session, principal.tenant_id, document_id), language)

    @post(
        "/{document_id:uuid}/reprocess",
        operation_id="documents.reprocess",
        status_code=202,
        guards=[need("documents.write")],
    )
    async def reprocess(
        self,
        document_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> DocumentOut:
        """Reads the stored file anew, after a failure or with the sizes that its collection has now."""
        document = await reprocess(session, principal.tenant_id, document_id)
        await record(session, principal, "documents.reprocess", "document", document.id, title=document.title)
        return await _show(session, document, language)

    @patch("/{document_id:uuid}", operation_id="documents.update", guards=[need("documents.write")])
    async def update(
        self,
        document_id: FromPath[UUID],
        data: JSONBody[Labels],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> DocumentOut:
        """Tags, metadata and audience; the next question is answered by them."""
        document = await find_document(session, principal.tenant_id, document_id)
        write_labels(document, data)
        await record(session, principal, "documents.update", "document", document.id, **msgspec.to_builtins(data))
        return await _show(session, document, language)

    @delete("/{document_id:uuid}", operation_id="documents.delete", guards=[need("documents.write")])
    async def remove(
        self, document_id: FromPath[UUID], principal: NamedDependency[Principal], session: Session
    ) -> None:
        """From the moment of the answer on, nothing of the document is found."""
        document = await delete_document(session, principal.tenant_id, document_id)
        await record(session, principal, "documents.delete", "document", document.id, title=document.title)


HANDLERS: list[ControllerRouterHandler] = [
    CollectionController,
    DocumentController,
    *embedding_routes.HANDLERS,
    *finding_routes.HANDLERS,
    *original_routes.HANDLERS,
    *pair_routes.HANDLERS,
    *passage_routes.HANDLERS,
    *source_routes.HANDLERS,
    *version_routes.HANDLERS,
]


async def _check_name(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    same = select(func.count()).where(Collection.tenant_id == tenant_id, Collection.name == name)
    if await session.scalar(same):
        raise NameTaken(name=name, field="name")


async def _show(session: AsyncSession, document: Document, language: Language) -> DocumentOut:
    return (await show_documents(session, document.tenant_id, [document], language))[document.id]
