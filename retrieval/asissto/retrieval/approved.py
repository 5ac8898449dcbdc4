"""Finds the approved answer to exactly the question that was asked."""

from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

import msgspec
from sqlalchemy import Select, Uuid, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter, conditions, visible_to
from asissto.ingestion.pair_text import answer_start, phrasings_of, question_key
from asissto.ingestion.tables import Chunk, Document, DocumentVersion, Pair, PairKey
from asissto.platform.languages import language_of
from asissto.retrieval.passages import Passage, Scores

KIND = "pair"
_CERTAIN = Scores(lexical=1.0, dense=None, fused=1.0)  # of no search: the question is the same


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Where a question may be answered from."""

    collections: list[UUID] | None
    filters: Sequence[DocumentFilter]
    audience: Sequence[str]


async def find_approved(session: AsyncSession, tenant_id: UUID, question: str, where: Sought) -> Passage | None:
    """The whole answer of the pair that was changed last, as it is published at this moment."""
    key = question_key(question)
    if key is None:
        return None
    asked = {"tenant": tenant_id, "key": key, "collections": where.collections or []}
    for chunk_id, document_id, version_id, title, text in await session.execute(_published(where), asked):
        # Between a change and its publication the new question would get the old answer.
        if key in map(question_key, phrasings_of(text)):
            start = answer_start(text)
            return Passage(
                chunk_id=chunk_id,
                document_id=document_id,
                version_id=version_id,
                title=title,
                heading_path=(),
                page=None,
                kind=KIND,
                language=language_of(text[start:]),
                text=text[start:],
                start=start,
                end=len(text),
                scores=_CERTAIN,
            )
    return None


def _published(where: Sought) -> Select[UUID, UUID, UUID, str, str]:
    found = _anywhere(tuple(where.audience), within=where.collections is not None)
    return found.where(*(condition for each in where.filters for condition in conditions(each)))


@lru_cache(maxsize=256)  # writing the statement takes as long as asking it
def _anywhere(audience: tuple[str, ...], *, within: bool) -> Select[UUID, UUID, UUID, str, str]:
    """`within` the collections that are a parameter, as tenant and key are."""
    tenant_id = bindparam("tenant", type_=Uuid)
    first = and_(Chunk.tenant_id == tenant_id, Chunk.version_id == Document.active_version_id, Chunk.ord == 0)
    version = and_(DocumentVersion.tenant_id == tenant_id, DocumentVersion.id == Document.active_version_id)
    found = (
        select(Chunk.id, Document.id, DocumentVersion.id, Document.title, func.coalesce(DocumentVersion.text, ""))
        .select_from(PairKey)
        .join(Pair, and_(Pair.tenant_id == tenant_id, Pair.id == PairKey.pair_id))
        .join(Document, and_(Document.tenant_id == tenant_id, Document.id == Pair.document_id))
        .join(DocumentVersion, version)
        .join(Chunk, first)
        .where(PairKey.tenant_id == tenant_id, PairKey.key == bindparam("key"), visible_to(audience))
    )
    if within:
        found = found.where(PairKey.collection_id.in_(bindparam("collections", expanding=True)))
    return found.order_by(Pair.updated_at.desc(), Pair.id)
