"""The routes of documents, and what is served of knowledge besides."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion import (
    collection_routes,
    embedding_routes,
    finding_routes,
    original_routes,
    pair_routes,
    passage_routes,
    source_routes,
    version_routes,
)
from asissto.ingestion.document_list import MetadataJson, TagList, Wanted, listed, provide_wanted, read_metadata
from asissto.ingestion.documents import Upload, delete_document, find_document, reprocess, upload
from asissto.ingestion.labels import Labels, write_labels
from asissto.ingestion.names import clean_name
from asissto.ingestion.shown_documents import DocumentOut, show_documents
from asissto.ingestion.tables import Document
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import Language

FileName = Annotated[str, QueryParameter(min_length=1, max_length=255, description="The file's name with its suffix.")]
Open = SkipValidation[NamedDependency[Services]]
Session = NamedDependency[AsyncSession]


@dataclass
class UploadOperation(Operation):
    """The body that the handler reads as a stream."""

    def __post_init__(self) -> None:
        binary = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        self.request_body = RequestBody(content={"application/octet-stream": binary}, required=True)


class UploadController(Controller):
    path = "/api/v1/collections/{collection_id:uuid}/documents"

    @post(
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
    UploadController,
    DocumentController,
    *collection_routes.HANDLERS,
    *embedding_routes.HANDLERS,
    *finding_routes.HANDLERS,
    *original_routes.HANDLERS,
    *pair_routes.HANDLERS,
    *passage_routes.HANDLERS,
    *source_routes.HANDLERS,
    *version_routes.HANDLERS,
]


async def _show(session: AsyncSession, document: Document, language: Language) -> DocumentOut:
    return (await show_documents(session, document.tenant_id, [document], language))[document.id]
