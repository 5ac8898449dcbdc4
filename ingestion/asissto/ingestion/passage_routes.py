"""The routes of passages: what a document was cut into, and what people made of it."""

from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import find_document
from asissto.ingestion.editing import (
    PassagePatch,
    etag,
    find_passage,
    prepare_edit,
    prepare_removal,
    prepare_reset,
    publish_edit,
)
from asissto.ingestion.tables import Chunk, PassageEdit
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.services import Services

Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]
Session = NamedDependency[AsyncSession]


class PassageOut(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is what search finds, from `start` to `end` of the version's text; `source_text` what it was before.

    `etag` goes with a change, so that nobody overwrites what he has not seen.
    """

    id: UUID
    document_id: UUID
    version_id: UUID
    ord: int
    text: str
    header: str
    heading_path: list[str]
    page: int | None
    kind: str
    language: str
    tokens: int
    start: int
    end: int
    enabled: bool
    edited: bool
    source_text: str | None
    etag: str

    @classmethod
    def of(cls, row: Chunk, source_text: str | None) -> Self:
        same = ("id", "document_id", "version_id", "ord", "text", "header", "heading_path", "page", "kind", "language")
        return cls(
            **{name: getattr(row, name) for name in (*same, "tokens", "enabled")},
            start=row.start_offset,
            end=row.end_offset,
            edited=row.source_start is not None,
            source_text=source_text,
            etag=etag(row),
        )


class EditOut(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is None where only the switch was used; orphaned: the source no longer has these words."""

    id: UUID
    source_text: str
    text: str | None
    enabled: bool
    orphaned: bool
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: PassageEdit, *, orphaned: bool) -> Self:
        same = {name: getattr(row, name) for name in cls.__struct_fields__ if name != "orphaned"}
        return cls(**same, orphaned=orphaned)


class PassageController(Controller):
    path = "/api/v1/documents/{document_id:uuid}"
    tags = ("passages",)

    @get("/passages", operation_id="passages.list", guards=[need("documents.read")])
    async def list(
        self,
        document_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PassageOut]:
        """In the order of the document, those that are switched off too."""
        document = await find_document(session, principal.tenant_id, document_id)
        mine = (Chunk.tenant_id == principal.tenant_id, Chunk.version_id == document.active_version_id)
        found = await page(session, select(Chunk).where(*mine), Chunk.id, limit, after)
        sources = await _source_texts(session, principal.tenant_id, document_id, found.items)
        return found.map(lambda row: PassageOut.of(row, sources.get(row.id)))

    @get("/passages/{chunk_id:uuid}", operation_id="passages.read", guards=[need("documents.read")])
    async def read(
        self, document_id: FromPath[UUID], chunk_id: FromPath[UUID], principal: Caller, session: Session
    ) -> PassageOut:
        return await _show(session, principal.tenant_id, document_id, chunk_id)

    @patch("/passages/{chunk_id:uuid}", operation_id="passages.update", guards=[need("documents.write")])
    async def update(
        self,
        document_id: FromPath[UUID],
        chunk_id: FromPath[UUID],
        data: JSONBody[PassagePatch],
        services: Open,
        principal: Caller,
    ) -> PassageOut:
        """Search finds the new words at once, and they outlive new versions of the document that have the old ones."""
        what = await prepare_edit(services, principal.tenant_id, document_id, chunk_id, data)
        async with services.database.tenant(principal.tenant_id) as session:
            if what is not None:
                await publish_edit(session, what, principal.user_id)
                is_edited = what.edit is not None and what.edit.text is not None
                is_enabled = what.edit is None or what.edit.enabled
                changes = {"document_id": document_id, "edited": is_edited, "enabled": is_enabled}
                await record(session, principal, "passages.update", "passage", chunk_id, **changes)
            return await _show(session, principal.tenant_id, document_id, chunk_id)

    @delete(
        "/passages/{chunk_id:uuid}/edit",
        operation_id="passages.reset",
        status_code=200,
        guards=[need("documents.write")],
    )
    async def reset(
        self, document_id: FromPath[UUID], chunk_id: FromPath[UUID], services: Open, principal: Caller
    ) -> PassageOut:
        """Back to the words of the source, and switched on."""
        what = await prepare_reset(services, principal.tenant_id, document_id, chunk_id)
        async with services.database.tenant(principal.tenant_id) as session:
            if what is not None:
                await publish_edit(session, what, principal.user_id)
                await record(session, principal, "passages.reset", "passage", chunk_id, document_id=document_id)
            return await _show(session, principal.tenant_id, document_id, chunk_id)

    @get("/edits", operation_id="edits.list", guards=[need("documents.read")])
    async def edits(
        self,
        document_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[EditOut]:
        """Also those whose passage is not in the newest source: they come back with it."""
        document = await find_document(session, principal.tenant_id, document_id)
        mine = (PassageEdit.tenant_id == principal.tenant_id, PassageEdit.document_id == document_id)
        found = await page(session, select(PassageEdit).where(*mine), PassageEdit.id, limit, after)
        here = (Chunk.tenant_id == principal.tenant_id, Chunk.version_id == document.active_version_id)
        shas = [row.source_sha for row in found.items]
        known = set(await session.scalars(select(Chunk.source_sha).where(*here, Chunk.source_sha.in_(shas))))
        return found.map(lambda row: EditOut.of(row, orphaned=row.source_sha not in known))

    @delete("/edits/{edit_id:uuid}", operation_id="edits.delete", guards=[need("documents.write")])
    async def remove_edit(
        self, document_id: FromPath[UUID], edit_id: FromPath[UUID], services: Open, principal: Caller
    ) -> None:
        """The words of the source come back, where it has them."""
        what = await prepare_removal(services, principal.tenant_id, document_id, edit_id)
        if what is not None:
            async with services.database.tenant(principal.tenant_id) as session:
                await publish_edit(session, what, principal.user_id)
                await record(session, principal, "edits.delete", "edit", edit_id, document_id=document_id)


HANDLERS: list[ControllerRouterHandler] = [PassageController]


async def _show(session: AsyncSession, tenant_id: UUID, document_id: UUID, chunk_id: UUID) -> PassageOut:
    row = await find_passage(session, tenant_id, document_id, chunk_id)
    sources = await _source_texts(session, tenant_id, document_id, [row])
    return PassageOut.of(row, sources.get(row.id))


async def _source_texts(
    session: AsyncSession, tenant_id: UUID, document_id: UUID, rows: "list[Chunk]"
) -> dict[UUID, str]:
    """Of the edited ones."""
    edited = {row.id: row.source_sha for row in rows if row.source_start is not None}
    mine = (PassageEdit.tenant_id == tenant_id, PassageEdit.document_id == document_id)
    found = await session.scalars(select(PassageEdit).where(*mine, PassageEdit.source_sha.in_(edited.values())))
    texts = {row.source_sha: row.source_text for row in found}
    return {id_: texts[sha] for id_, sha in edited.items() if sha in texts}
