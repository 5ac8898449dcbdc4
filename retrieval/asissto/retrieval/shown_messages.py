"""Messages as the API shows them, answers with their citations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.paging import Page, page
from asissto.retrieval.conversations import find_conversation
from asissto.retrieval.tables import Citation, Message


class CitationOut(msgspec.Struct, frozen=True, kw_only=True):
    """`quote` is the text of the document's version from `start` to `end`."""

    number: int
    document_id: UUID
    version_id: UUID
    title: str
    locator: str
    page: int | None
    quote: str
    start: int
    end: int

    @classmethod
    def of(cls, row: Citation) -> Self:
        same = ("number", "document_id", "version_id", "title", "locator", "page", "quote")
        return cls(**{name: getattr(row, name) for name in same}, start=row.start_offset, end=row.end_offset)


class MessageOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    conversation_id: UUID
    sender_kind: str
    sender_id: UUID | None
    content: str
    metadata: dict[str, Any]
    citations: list[CitationOut]
    created_at: datetime

    @classmethod
    def of(cls, row: Message, citations: list[CitationOut]) -> Self:
        same = ("id", "conversation_id", "sender_kind", "sender_id", "content", "created_at")
        return cls(**{name: getattr(row, name) for name in same}, metadata=row.metadata_, citations=citations)


async def read_messages(
    session: AsyncSession, tenant_id: UUID, conversation_id: UUID, limit: int, after: str | None
) -> Page[MessageOut]:
    """In the order in which they were said. Raises NotFound."""
    await find_conversation(session, tenant_id, conversation_id)
    mine = (Message.tenant_id == tenant_id, Message.conversation_id == conversation_id)
    found = await page(session, select(Message).where(*mine), Message.id, limit, after)
    cited = await _citations(session, tenant_id, [message.id for message in found.items])
    return found.map(lambda message: MessageOut.of(message, cited.get(message.id, [])))


async def _citations(
    session: AsyncSession, tenant_id: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, list[CitationOut]]:
    mine = select(Citation).where(Citation.tenant_id == tenant_id, Citation.message_id.in_(message_ids))
    cited: dict[UUID, list[CitationOut]] = {}
    for row in await session.scalars(mine.order_by(Citation.number)):
        cited.setdefault(row.message_id, []).append(CitationOut.of(row))
    return cited
