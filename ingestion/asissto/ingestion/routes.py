"""The routes of knowledge: collections and documents."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion import finding_routes as findings
from asissto.ingestion.chunking import ChunkSizes
from asissto.ingestion.documents import (
    Upload,
    delete_collection,
    delete_document,
    explain,
    find_collection,
    find_document,
    newest_version,
    upload,
)
from asissto.ingestion.tables import Collection, Document, DocumentVersion
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


class DocumentOut(msgspec.Struct, frozen=True, kw_only=True):
    """State of the newest version; `searchable` tells whether any version can be found now.

    `stage` is the last step reached, `done` of `total` its progress; `reason` and `detail` say why it failed.
    """

    id: UUID
    collection_id: UUID
    title: str
    file_name: str
    media_type: str
    size: int
    state: str
    stage: str
    done: int
    total: int
    attempts: int
    reason: str | None
    detail: str | None
    warnings: list[str]
    searchable: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, document: Document, version: DocumentVersion, language: Language) -> Self:
        same = ("file_name", "media_type", "size", "state", "stage", "done", "total", "attempts", "reason", "warnings")
        return cls(
            id=document.id,
            collection_id=document.collection_id,
            title=document.title,
            **{name: getattr(version, name) for name in (*same, "created_at", "started_at", "finished_at")},
            detail=explain(version, language),
            searchable=document.active_version_id is not None,
        )


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
    ) -> DocumentOut:
        """The body is the file itself; the same name again in a collection is a new version of the same document."""
        what = Upload(collection_id, name, name, principal)
        document_id = await upload(services, principal.tenant_id, what, request.stream())
        async with services.database.tenant(principal.tenant_id) as session:
            return await _show(session, principal.tenant_id, document_id, language)


class DocumentController(Controller):
    path = "/api/v1/documents"
    tags = ("documents",)

    @get(operation_id="documents.list", guards=[need("documents.read")])
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        collection_id: FromQuery[UUID | None] = None,
    ) -> Page[DocumentOut]:
        mine = select(Document).where(Document.tenant_id == principal.tenant_id)
        if collection_id is not None:
            mine = mine.where(Document.collection_id == collection_id)
        found = await page(session, mine, Document.id, limit, after)
        versions = await _newest(session, principal.tenant_id, [document.id for document in found.items])
        return found.map(lambda document: DocumentOut.of(document, versions[document.id], language))

    @get("/{document_id:uuid}", operation_id="documents.read", guards=[need("documents.read")])
    async def read(
        self,
        document_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> DocumentOut:
        return await _show(session, principal.tenant_id, document_id, language)

    @delete("/{document_id:uuid}", operation_id="documents.delete", guards=[need("documents.write")])
    async def remove(
        self, document_id: FromPath[UUID], principal: NamedDependency[Principal], session: Session
    ) -> None:
        """From the moment of the answer on, nothing of the document is found."""
        document = await delete_document(session, principal.tenant_id, document_id)
        await record(session, principal, "documents.delete", "document", document.id, title=document.title)


HANDLERS: list[ControllerRouterHandler] = [CollectionController, DocumentController, *findings.HANDLERS]


async def _check_name(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    same = select(func.count()).where(Collection.tenant_id == tenant_id, Collection.name == name)
    if await session.scalar(same):
        raise NameTaken(name=name, field="name")


async def _show(session: AsyncSession, tenant_id: UUID, document_id: UUID, language: Language) -> DocumentOut:
    document = await find_document(session, tenant_id, document_id)
    version = await newest_version(session, tenant_id, document_id)
    assert version is not None, "a document is made together with its first version"
    return DocumentOut.of(document, version, language)


async def _newest(session: AsyncSession, tenant_id: UUID, document_ids: "list[UUID]") -> dict[UUID, DocumentVersion]:
    mine = (DocumentVersion.tenant_id == tenant_id, DocumentVersion.document_id.in_(document_ids))
    newest = select(DocumentVersion).where(*mine).ext(distinct_on(DocumentVersion.document_id))
    rows = await session.scalars(newest.order_by(DocumentVersion.document_id, DocumentVersion.id.desc()))
    return {row.document_id: row for row in rows}
