"""Conversations: their history going into an answer, and the finished turn coming out of it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter
from asissto.platform.errors import NotFound
from asissto.platform.tables import new_id
from asissto.retrieval.generation import Turn
from asissto.retrieval.passages import Citation
from asissto.retrieval.tables import Citation as CitationRow
from asissto.retrieval.tables import Conversation, Message, Receipt

TURNS_REMEMBERED = 6


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks what, where; a new conversation begins where none is named.

    `filter` narrows what the assistant may use; `audience` is who asks, told by somebody who is trusted; `variables`
    take the place of those that the assistant declares.
    """

    tenant_id: UUID
    assistant_id: UUID
    channel_id: UUID
    question: str
    conversation_id: UUID | None = None
    user_id: UUID | None = None
    contact_id: UUID | None = None
    filter: DocumentFilter = DocumentFilter()
    audience: Sequence[str] = ()
    channel_type: str = "api"
    variables: dict[str, str] = {}


async def find_conversation(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> Conversation:
    found = await session.get(Conversation, (tenant_id, conversation_id))
    if found is None:
        raise NotFound(kind="conversation")
    return found


async def read_history(session: AsyncSession, asked: Asked) -> list[Turn]:
    """The last turns, oldest first; raises NotFound for another assistant's conversation."""
    if asked.conversation_id is None:
        return []
    conversation = await find_conversation(session, asked.tenant_id, asked.conversation_id)
    if conversation.assistant_id != asked.assistant_id:
        raise NotFound(kind="conversation")
    mine = (Message.tenant_id == asked.tenant_id, Message.conversation_id == conversation.id)
    newest = select(Message).where(*mine).order_by(Message.id.desc()).limit(TURNS_REMEMBERED)
    said = reversed(list(await session.scalars(newest)))
    return [Turn("assistant" if each.sender_kind == "assistant" else "user", each.content) for each in said]


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer leaves behind besides its text."""

    text: str
    outcome: str
    mode: str
    notes: list[str]
    confidence: float
    citations: Sequence[Citation]
    passages: list[dict[str, Any]]
    timings: dict[str, float]
    usage: list[dict[str, Any]]
    details: dict[str, Any]


async def store_turn(session: AsyncSession, asked: Asked, turned: Turned) -> tuple[UUID, UUID]:
    """Question, answer, citations and receipt together; returns the ids of the conversation and of the answer."""
    conversation_id = await _conversation(session, asked)
    same = {"tenant_id": asked.tenant_id, "conversation_id": conversation_id}
    kind, sender = ("contact", asked.contact_id) if asked.contact_id else ("user", asked.user_id)
    session.add(Message(**same, id=new_id(), sender_kind=kind, sender_id=sender, content=asked.question))
    message_id = new_id()
    told = {"outcome": turned.outcome, "mode": turned.mode, "notes": turned.notes}
    said = {"sender_kind": "assistant", "sender_id": asked.assistant_id, "content": turned.text, "metadata_": told}
    session.add(Message(**same, id=message_id, **said))
    await session.flush()
    session.add_all(_citation_row(asked.tenant_id, message_id, citation) for citation in turned.citations)
    session.add(
        Receipt(
            tenant_id=asked.tenant_id,
            message_id=message_id,
            question=asked.question,
            outcome=turned.outcome,
            confidence=turned.confidence,
            passages=turned.passages,
            timings=turned.timings,
            usage=turned.usage,
            details=turned.details,
        )
    )
    return conversation_id, message_id


async def _conversation(session: AsyncSession, asked: Asked) -> UUID:
    if asked.conversation_id is not None:
        conversation = await find_conversation(session, asked.tenant_id, asked.conversation_id)
        conversation.updated_at = func.now()
        return conversation.id
    conversation = Conversation(
        tenant_id=asked.tenant_id,
        id=new_id(),
        channel_id=asked.channel_id,
        assistant_id=asked.assistant_id,
        user_id=asked.user_id,
        contact_id=asked.contact_id,
    )
    session.add(conversation)
    await session.flush()
    return conversation.id


def _citation_row(tenant_id: UUID, message_id: UUID, citation: Citation) -> CitationRow:
    passage = citation.passage
    return CitationRow(
        tenant_id=tenant_id,
        message_id=message_id,
        number=citation.number,
        document_id=passage.document_id,
        version_id=passage.version_id,
        chunk_id=passage.chunk_id,
        title=passage.title,
        locator=citation.locator,
        quote=citation.quote,
        start_offset=citation.start,
        end_offset=citation.end,
        page=passage.page,
        support=citation.support,
    )
