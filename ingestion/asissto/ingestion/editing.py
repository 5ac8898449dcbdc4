"""Corrects the passages that search finds now: embed first, then one transaction puts the new words in their place."""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from asissto.ingestion.chunking import Chunk
from asissto.ingestion.documents import find_document, tenant_number
from asissto.ingestion.parsing import ParsedDocument
from asissto.ingestion.passage_edits import Edit, apply_edits, read_edits
from asissto.ingestion.pipeline import embed_chunks
from asissto.ingestion.review import review_later
from asissto.ingestion.spaces import space_to_fill
from asissto.ingestion.store import Place, Vector, add_passages, lock_knowledge, passage_sha, remove_chunks
from asissto.ingestion.tables import Chunk as ChunkRow
from asissto.ingestion.tables import Document, DocumentVersion, PassageEdit
from asissto.platform.errors import InvalidInput, NotFound, VersionConflict
from asissto.platform.languages import language_of
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase
from asissto.platform.tokens import count_tokens

MOST_CHARACTERS = 4000
"""Of an edited passage: what is much longer than the passages around it is found for everything and answers nothing."""


class PassagePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; `etag` is that of the passage as the editor saw it."""

    text: Annotated[str, Meta(max_length=MOST_CHARACTERS)] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    etag: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class Target(msgspec.Struct, frozen=True):
    """The passages of a document with the same words in its source, as they are now; none where an edit is orphaned."""

    place: Place
    source_sha: bytes
    ids: tuple[UUID, ...]
    chunks: tuple[Chunk, ...]
    edit: Edit | None


class Prepared(msgspec.Struct, frozen=True):
    """What is to become of the passages, with their vectors; `edit` is None where the source's words come back."""

    target: Target
    edit: Edit | None
    vectors: Sequence[Vector | None]


async def prepare_edit(
    services: Services, tenant_id: UUID, document_id: UUID, chunk_id: UUID, change: PassagePatch
) -> Prepared | None:
    """None where the passage is that way already. Raises NotFound, InvalidInput, VersionConflict, ProviderError."""
    row = await _find(services, tenant_id, document_id, chunk_id)
    if change.etag not in (UNSET, etag(row)):
        raise VersionConflict

    def changed(before: Edit | None) -> Edit | None:
        return _changed(before or Edit(row.source_sha, None, enabled=True), change)

    return await _prepare(services, tenant_id, document_id, row.source_sha, changed)


async def prepare_reset(services: Services, tenant_id: UUID, document_id: UUID, chunk_id: UUID) -> Prepared | None:
    """Back to the words of the source, and switched on; the same otherwise."""
    row = await _find(services, tenant_id, document_id, chunk_id)
    return await _prepare(services, tenant_id, document_id, row.source_sha, lambda _: None)


async def prepare_removal(services: Services, tenant_id: UUID, document_id: UUID, edit_id: UUID) -> Prepared | None:
    """The same by the edit's own id, also where its passage is no longer in the source."""
    mine = (PassageEdit.tenant_id == tenant_id, PassageEdit.document_id == document_id, PassageEdit.id == edit_id)
    async with services.database.tenant(tenant_id) as session:
        source_sha = await session.scalar(select(PassageEdit.source_sha).where(*mine))
    if source_sha is None:
        raise NotFound(kind="edit")
    return await _prepare(services, tenant_id, document_id, source_sha, lambda _: None)


async def publish_edit(session: AsyncSession, what: Prepared, by: UUID | None) -> None:
    """Search finds the new words when the transaction commits. Raises VersionConflict and SpaceChanged."""
    before, place = what.target, what.target.place
    await lock_knowledge(session, place.tenant_id)
    version = await _active_version(session, place.tenant_id, place.document_id)
    if version.id != place.version_id or await _read(session, version, place, before.source_sha) != before:
        raise VersionConflict
    stored = _stored(version)
    await _keep(session, what, stored, by)
    if not before.chunks:
        return
    edited, chunks = _edited(stored, before, what.edit)
    await remove_chunks(session, place.tenant_id, place.tenant_number, before.ids)
    await add_passages(session, place, edited.text, chunks, what.vectors, before.ids)
    version.text = edited.text
    await review_later(session, place.tenant_id)


async def find_passage(session: AsyncSession, tenant_id: UUID, document_id: UUID, chunk_id: UUID) -> ChunkRow:
    found = await session.get(ChunkRow, (tenant_id, chunk_id))
    if found is None or found.document_id != document_id:
        raise NotFound(kind="passage")
    return found


def etag(row: ChunkRow) -> str:
    """Changes with each edit, because new words always stand at a new place."""
    return f"{row.start_offset}-{row.end_offset}-{'on' if row.enabled else 'off'}"


async def _find(services: Services, tenant_id: UUID, document_id: UUID, chunk_id: UUID) -> ChunkRow:
    async with services.database.tenant(tenant_id) as session:
        return await find_passage(session, tenant_id, document_id, chunk_id)


def _changed(before: Edit, change: PassagePatch) -> Edit | None:
    """None where nothing differs from the source any more."""
    text = before.text if change.text is UNSET else unicodedata.normalize("NFC", change.text).strip()
    if text == "":
        raise InvalidInput(field="text", detail=Phrase("invalid.empty_passage"))
    if text is not None and passage_sha(text) == before.source_sha:
        text = None
    enabled = before.enabled if change.enabled is UNSET else change.enabled
    return None if text is None and enabled else Edit(before.source_sha, text, enabled)


async def _prepare(
    services: Services,
    tenant_id: UUID,
    document_id: UUID,
    source_sha: bytes,
    change: Callable[[Edit | None], Edit | None],
) -> Prepared | None:
    space_id = await space_to_fill(services, tenant_id)
    async with services.database.tenant(tenant_id) as session:
        version = await _active_version(session, tenant_id, document_id)
        document = await find_document(session, tenant_id, document_id)
        if document.kind == "pair":
            raise InvalidInput(field="passage", detail=Phrase("invalid.pair_passage"))
        number = await tenant_number(session, tenant_id)
        place = Place(tenant_id, number, document.collection_id, document_id, version.id, space_id)
        target = await _read(session, version, place, source_sha)
    edit = change(target.edit)
    if edit == target.edit:
        return None
    edited, chunks = _edited(_stored(version), target, edit)

    async def silent(_done: int, _total: int) -> None: ...

    return Prepared(target, edit, await embed_chunks(services, place, edited, chunks, silent))


async def _active_version(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> DocumentVersion:
    """With its text. Raises NotFound where nothing of the document is published."""
    active = select(DocumentVersion).join(Document, Document.active_version_id == DocumentVersion.id)
    mine = (DocumentVersion.tenant_id == tenant_id, Document.tenant_id == tenant_id, Document.id == document_id)
    found = await session.scalar(active.where(*mine).options(undefer(DocumentVersion.text)))
    if found is None:
        raise NotFound(kind="passage")
    return found


async def _read(session: AsyncSession, version: DocumentVersion, place: Place, source_sha: bytes) -> Target:
    mine = (ChunkRow.tenant_id == place.tenant_id, ChunkRow.version_id == version.id)
    same = select(ChunkRow).where(*mine, ChunkRow.source_sha == source_sha).order_by(ChunkRow.ord)
    rows = list(await session.scalars(same))
    edits = await read_edits(session, place.tenant_id, place.document_id)
    edit = next((edit for edit in edits if edit.source_sha == source_sha), None)
    return Target(place, source_sha, tuple(row.id for row in rows), tuple(map(_as_chunk, rows)), edit)


def _as_chunk(row: ChunkRow) -> Chunk:
    same = ("ord", "section_start", "section_end", "page", "kind", "header", "language", "tokens", "enabled")
    source = None if row.source_start is None or row.source_end is None else (row.source_start, row.source_end)
    return Chunk(
        **{name: getattr(row, name) for name in same},
        start=row.start_offset,
        end=row.end_offset,
        heading_path=tuple(row.heading_path),
        source=source,
    )


def _edited(stored: ParsedDocument, target: Target, edit: Edit | None) -> tuple[ParsedDocument, list[Chunk]]:
    if edit is not None and target.edit is not None and edit.text == target.edit.text:  # only the switch was used
        return stored, [msgspec.structs.replace(chunk, enabled=edit.enabled) for chunk in target.chunks]
    return apply_edits(stored, [_source(chunk, stored.text) for chunk in target.chunks], [edit] if edit else [])


def _source(chunk: Chunk, text: str) -> Chunk:
    """The passage as it was cut, without any edit."""
    start, end = chunk.source or (chunk.start, chunk.end)
    words = text[start:end]
    same = {"start": start, "end": end, "source": None, "enabled": True}
    return msgspec.structs.replace(chunk, **same, language=language_of(words), tokens=count_tokens(words))


def _stored(version: DocumentVersion) -> ParsedDocument:
    return ParsedDocument(title="", text=version.text or "", elements=(), pages=None, warnings=())


async def _keep(session: AsyncSession, what: Prepared, stored: ParsedDocument, by: UUID | None) -> None:
    place, edit = what.target.place, what.edit
    keys = {"tenant_id": place.tenant_id, "document_id": place.document_id, "source_sha": what.target.source_sha}
    if edit is None:
        mine = [getattr(PassageEdit, name) == value for name, value in keys.items()]
        await session.execute(delete(PassageEdit).where(*mine))
        return
    first = _source(what.target.chunks[0], stored.text)
    source_text = stored.text[first.start : first.end]
    row = insert(PassageEdit).values(
        **keys, id=new_id(), source_text=source_text, text=edit.text, enabled=edit.enabled, created_by=by
    )
    changed = {"text": row.excluded.text, "enabled": row.excluded.enabled, "updated_at": func.now()}
    await session.execute(row.on_conflict_do_update(index_elements=list(keys), set_=changed))
