"""What people write on documents, and choosing documents by it: tags, metadata, audience."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.tables import Document
from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase

Label = Annotated[str, Meta(min_length=1, max_length=64)]
LabelList = Annotated[list[Label], Meta(max_length=50)]
Value = Annotated[str, Meta(max_length=1000)] | bool | int | float
Metadata = Annotated[dict[Label, Value], Meta(max_length=50)]


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a document is to carry from now on; what is left out stays as it is."""

    tags: LabelList | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    audience: LabelList | UnsetType = UNSET
    """Who may be answered from it; empty: everybody."""


class DocumentFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which documents may be used: those for which all of it holds. What is empty asks for nothing."""

    tags_any: LabelList = []
    tags_all: LabelList = []
    tags_none: LabelList = []
    metadata: Metadata = {}


def write_labels(document: Document, labels: Labels) -> None:
    """Raises InvalidInput for a label of spaces or with a comma, which parts them in lists."""
    if labels.tags is not UNSET:
        document.tags = clean_labels(labels.tags, "tags")
    if labels.audience is not UNSET:
        document.audience = clean_labels(labels.audience, "audience")
    if labels.metadata is not UNSET:
        document.metadata_ = dict(labels.metadata)


def clean_labels(labels: Iterable[str], field: str) -> list[str]:
    """Each once, in small letters: a filter then compares whole words, and `Price` is no other tag than `price`."""
    folded = fold(labels)
    if not all(folded) or any("," in label for label in folded):
        raise InvalidInput(field=field, detail=Phrase("invalid.form"))
    return folded


def fold(labels: Iterable[str]) -> list[str]:
    lowered = (unicodedata.normalize("NFC", label).lower() for label in labels)
    return list(dict.fromkeys(" ".join(label.split()) for label in lowered))


def conditions(wanted: DocumentFilter) -> Iterator[ColumnElement[bool]]:
    """What must hold for a document."""
    if wanted.tags_any:
        yield Document.tags.bool_op("&&")(fold(wanted.tags_any))
    if wanted.tags_all:
        yield Document.tags.bool_op("@>")(fold(wanted.tags_all))
    if wanted.tags_none:
        yield ~Document.tags.bool_op("&&")(fold(wanted.tags_none))
    if wanted.metadata:
        yield Document.metadata_.bool_op("@>")(wanted.metadata)


def visible_to(audience: Sequence[str]) -> ColumnElement[bool]:
    """As `search_passages` has it: a document without an audience is everybody's."""
    return or_(func.cardinality(Document.audience) == 0, Document.audience.bool_op("&&")(fold(audience)))


async def chosen_documents(
    session: AsyncSession, tenant_id: UUID, filters: Iterable[DocumentFilter]
) -> list[UUID] | None:
    """Documents for which all filters hold; None where they ask for nothing."""
    asked = [condition for each in filters for condition in conditions(each)]
    if not asked:
        return None
    return list(await session.scalars(select(Document.id).where(Document.tenant_id == tenant_id, *asked)))
