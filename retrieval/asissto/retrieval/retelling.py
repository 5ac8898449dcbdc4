"""Tells a stored answer once more, to whoever asked a part of its question at the same time."""

from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.languages import language_of
from asissto.retrieval.answers import Answer
from asissto.retrieval.handing_over import HandOver
from asissto.retrieval.passages import Citation, Passage, Scores
from asissto.retrieval.tables import Citation as CitationRow
from asissto.retrieval.tables import Message, Receipt

_UNKNOWN = Scores(lexical=0.0, dense=None, fused=0.0)


async def stored_answer(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> Answer:
    """As it was told, without the passages that were found."""
    message = await session.get_one(Message, (tenant_id, message_id))
    receipt = await session.get_one(Receipt, (tenant_id, message_id))
    mine = select(CitationRow).where(CitationRow.tenant_id == tenant_id, CitationRow.message_id == message_id)
    rows = await session.scalars(mine.order_by(CitationRow.number))
    told = receipt.details.get("hand_over")
    return Answer(
        text=message.content,
        language=receipt.details["turn"]["language"],
        confidence=receipt.confidence,
        found=(),
        best_sentences=(),
        timings=receipt.timings,
        outcome=receipt.outcome,
        mode=message.metadata_["mode"],
        citations=tuple(_citation(row) for row in rows),
        notes=tuple(message.metadata_["notes"]),
        details=receipt.details,
        hand_over=None if told is None else msgspec.convert(told, HandOver),
    )


def _citation(row: CitationRow) -> Citation:
    passage = Passage(
        chunk_id=row.chunk_id,
        document_id=row.document_id,
        version_id=row.version_id,
        title=row.title,
        heading_path=(),
        page=row.page,
        kind="",
        language=language_of(row.quote),
        text=row.quote,
        start=row.start_offset,
        end=row.end_offset,
        scores=_UNKNOWN,
    )
    return Citation(
        number=row.number,
        passage=passage,
        locator=row.locator,
        quote=row.quote,
        start=row.start_offset,
        end=row.end_offset,
        support=row.support,
    )
