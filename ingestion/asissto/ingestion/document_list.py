"""Which documents a list shows."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import Select, select

from asissto.ingestion.labels import DocumentFilter, Metadata, conditions
from asissto.ingestion.tables import Document, DocumentVersion
from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase

Words = Annotated[str | None, QueryParameter(max_length=200, description="Letters that stand in it, in any case.")]
# `state` itself means Litestar's own state.
State = Annotated[str | None, QueryParameter(name="state", description="State of its newest version.")]
Tag = Annotated[str | None, QueryParameter(min_length=1, max_length=64, description="A tag that it carries.")]
TagList = Annotated[list[str] | None, QueryParameter(max_items=50, description="Tags; once more for each.")]
MetadataJson = Annotated[
    str | None, QueryParameter(max_length=20_000, description="A JSON object of texts, numbers, true and false.")
]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; `kind` None shows every kind."""

    kind: str | None = "file"
    collection_id: UUID | None = None
    state: str | None = None
    words: str | None = None
    filter: DocumentFilter = DocumentFilter()


async def provide_wanted(  # noqa: PLR0913 - one for each parameter of the address
    *,
    kind: FromQuery[str] = "file",
    collection_id: FromQuery[UUID | None] = None,
    in_state: State = None,
    q: Words = None,
    tag: Tag = None,
    metadata: MetadataJson = None,
) -> Wanted:
    """`kind=all` shows every kind."""
    chosen = DocumentFilter(tags_all=[tag] if tag else [], metadata=read_metadata(metadata) if metadata else {})
    shown = None if kind == "all" else kind
    return Wanted(kind=shown, collection_id=collection_id, state=in_state, words=q, filter=chosen)


def read_metadata(json: str) -> Metadata:
    """Raises InvalidInput."""
    try:
        return msgspec.json.decode(json, type=Metadata)
    except msgspec.DecodeError as error:
        raise InvalidInput(field="metadata", detail=Phrase("invalid.form")) from error


def listed(tenant_id: UUID, wanted: Wanted) -> Select[Document]:
    query = select(Document).where(Document.tenant_id == tenant_id, *conditions(wanted.filter))
    if wanted.kind is not None:
        query = query.where(Document.kind == wanted.kind)
    if wanted.collection_id is not None:
        query = query.where(Document.collection_id == wanted.collection_id)
    if wanted.words:
        query = query.where(Document.title.icontains(wanted.words, autoescape=True))
    if wanted.state is not None:
        query = query.where(_newest_state() == wanted.state)
    return query


def _newest_state() -> Any:
    mine = (DocumentVersion.tenant_id == Document.tenant_id, DocumentVersion.document_id == Document.id)
    newest = select(DocumentVersion.state).where(*mine).order_by(DocumentVersion.id.desc()).limit(1)
    return newest.scalar_subquery()
