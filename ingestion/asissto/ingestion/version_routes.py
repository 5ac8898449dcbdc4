"""The routes of a document's versions: how they came to be, and the stored text that citations point into."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import explain, find_document
from asissto.ingestion.tables import DocumentVersion
from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.texts import Language

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]
# The bounds are those of PostgreSQL's int.
Start = Annotated[int, QueryParameter(ge=0, le=2_000_000_000, description="Where the text begins, in characters.")]
Length = Annotated[int, QueryParameter(ge=1, le=20_000, description="How many characters.")]


class DocumentVersionOut(msgspec.Struct, frozen=True, kw_only=True):
    """`active` is the version that answers; `reason` and `detail` say why one failed."""

    id: UUID
    file_name: str
    media_type: str
    size: int
    state: str
    stage: str
    attempts: int
    reason: str | None
    detail: str | None
    warnings: list[str]
    active: bool
    created_by: UUID | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: DocumentVersion, language: Language, *, active: bool) -> Self:
        same = {name: getattr(row, name) for name in cls.__struct_fields__ if name not in ("detail", "active")}
        return cls(**same, detail=explain(row, language), active=active)


class TextOut(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the version's text from `start` to `end`; the whole of it has `length` characters."""

    version_id: UUID
    start: int
    end: int
    length: int
    text: str


class VersionController(Controller):
    path = "/api/v1/documents/{document_id:uuid}"
    tags = ("documents",)

    @get("/versions", operation_id="documents.versions", guards=[need("documents.read")])
    async def versions(
        self,
        document_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[DocumentVersionOut]:
        """Newest first."""
        active = (await find_document(session, principal.tenant_id, document_id)).active_version_id
        mine = (DocumentVersion.tenant_id == principal.tenant_id, DocumentVersion.document_id == document_id)
        found = await newest_first(session, select(DocumentVersion).where(*mine), DocumentVersion.id, limit, after)
        return found.map(lambda row: DocumentVersionOut.of(row, language, active=row.id == active))

    @get("/text", operation_id="documents.text", guards=[need("documents.read")])
    async def text(
        self,
        document_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        version: FromQuery[UUID | None] = None,
        start: Start = 0,
        length: Length = 4_000,
    ) -> TextOut:
        """Of the version that answers now, where none is named; words of edited passages stand at the end."""
        wanted = version or (await find_document(session, principal.tenant_id, document_id)).active_version_id
        stored = DocumentVersion.text
        part = select(DocumentVersion.id, func.substr(stored, start + 1, length), func.length(stored))
        mine = (DocumentVersion.tenant_id == principal.tenant_id, DocumentVersion.document_id == document_id)
        query = part.where(*mine, DocumentVersion.id == wanted, stored.is_not(None))
        found = (await session.execute(query)).one_or_none()
        if found is None:
            raise NotFound(kind="version")
        version_id, words, whole = found
        return TextOut(version_id=version_id, start=start, end=start + len(words), length=whole, text=words)


HANDLERS: list[ControllerRouterHandler] = [VersionController]
