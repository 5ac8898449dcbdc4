"""Conversations: their messages as they come, their history going into an answer, and the answer coming out of it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.labels import DocumentFilter
from asissto.platform.errors import ConversationClosed, NotFound
from asissto.platform.tables import new_id
from asissto.platform.tokens import count_tokens
from asissto.retrieval.generation import Turn
from asissto.retrieval.passages import Citation
from asissto.retrieval.summaries import remembered
from asissto.retrieval.tables import Citation as CitationRow
from asissto.retrieval.tables import Conversation, Message, Receipt
from asissto.retrieval.who_said import SAID, turn_of

TOPIC = "conversations"

MESSAGES_READ = 24
"""The last six turns word for word, and as many again until the summary has taken them up."""

HISTORY_TOKENS = 1_500
"""Of the messages that are given word for word; with the summary at most `summaries.MOST_TOKENS` more."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks what, where; a new conversation begins where none is named.

    `filter` narrows what the assistant may use; `audience` is who asks, told by somebody who is trusted; `variables`
    take the place of those that the assistant declares. With `more_may_come` the answer waits `burst_seconds` for what
    the customer is still typing.
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
    more_may_come: bool = False


class Narrowing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a message may be answered; kept with it, because another process may answer it."""

    filter: DocumentFilter = DocumentFilter()
    audience: tuple[str, ...] = ()
    variables: dict[str, str] = {}


class History(msgspec.Struct, frozen=True):
    """What was said before a question; `is_long`: as much was read as may be, so that it is time for a summary."""

    turns: tuple[Turn, ...]
    is_long: bool


async def find_conversation(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> Conversation:
    found = await session.get(Conversation, (tenant_id, conversation_id))
    if found is None:
        raise NotFound(kind="conversation")
    return found


async def lock_conversation(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> Conversation:
    """Nobody else changes it until the transaction ends."""
    found = await session.get(Conversation, (tenant_id, conversation_id), with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(kind="conversation")
    return found


async def open_conversation(session: AsyncSession, asked: Asked) -> Conversation:
    """The one that goes on, locked, or a new one; raises NotFound and ConversationClosed."""
    if asked.conversation_id is not None:
        conversation = await lock_conversation(session, asked.tenant_id, asked.conversation_id)
        if conversation.assistant_id != asked.assistant_id:
            raise NotFound(kind="conversation")
        if conversation.status == "closed":
            raise ConversationClosed
        conversation.updated_at = func.now()
        return conversation
    conversation = Conversation(
        tenant_id=asked.tenant_id,
        id=new_id(),
        channel_id=asked.channel_id,
        assistant_id=asked.assistant_id,
        user_id=asked.user_id,
        contact_id=asked.contact_id,
        status="bot",
    )
    session.add(conversation)
    await session.flush()
    return conversation


async def store_message(session: AsyncSession, asked: Asked, conversation: Conversation) -> UUID:
    """It waits for an answer, unless a person has the conversation."""
    kind, sender = ("contact", asked.contact_id) if asked.contact_id else ("user", asked.user_id)
    narrowing = msgspec.to_builtins(
        Narrowing(filter=asked.filter, audience=tuple(asked.audience), variables=asked.variables)
    )
    message_id = new_id()
    session.add(
        Message(
            tenant_id=asked.tenant_id,
            id=message_id,
            conversation_id=conversation.id,
            sender_kind=kind,
            sender_id=sender,
            content=asked.question,
            metadata_=narrowing,
            waits=conversation.status == "bot",
        )
    )
    await session.flush()
    return message_id


async def read_history(session: AsyncSession, conversation: Conversation) -> History:
    """What was said and answered, oldest first: a summary of the old, the last turns word for word.

    Costs the same whatever the length of the conversation: at most MESSAGES_READ rows, and tokens within the budget.
    """
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id)
    newest = select(Message).where(*mine, ~Message.waits, Message.sender_kind.in_(SAID))
    newest = newest.order_by(Message.id.desc()).limit(MESSAGES_READ)
    if conversation.summarised_until is not None:
        newest = newest.where(Message.id > conversation.summarised_until)
    said = [turn_of(message) for message in await session.scalars(newest)]
    turns = (*remembered(conversation.summary), *within_budget(said[::-1]))
    return History(turns, is_long=len(said) == MESSAGES_READ)


def within_budget(turns: Sequence[Turn]) -> list[Turn]:
    """The newest turns, as many as HISTORY_TOKENS allow; the last one is cut where it alone is longer."""
    kept: list[Turn] = []
    left = HISTORY_TOKENS
    for turn in reversed(turns):
        left -= count_tokens(turn.text)
        if left < 0:
            break
        kept.append(turn)
    if not kept and turns:  # a token of Russian is two characters or more
        kept = [Turn(turns[-1].role, turns[-1].text[: 2 * HISTORY_TOKENS])]
    return kept[::-1]


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


async def store_answer(session: AsyncSession, conversation: Conversation, question: str, turned: Turned) -> UUID:
    """The message with its citations and its receipt."""
    tenant_id, message_id = conversation.tenant_id, new_id()
    session.add(
        Message(
            tenant_id=tenant_id,
            id=message_id,
            conversation_id=conversation.id,
            sender_kind="assistant",
            sender_id=conversation.assistant_id,
            content=turned.text,
            metadata_={"outcome": turned.outcome, "mode": turned.mode, "notes": turned.notes},
        )
    )
    await session.flush()
    session.add_all(_citation_row(tenant_id, message_id, citation) for citation in turned.citations)
    session.add(
        Receipt(
            tenant_id=tenant_id,
            message_id=message_id,
            question=question,
            outcome=turned.outcome,
            confidence=turned.confidence,
            passages=turned.passages,
            timings=turned.timings,
            usage=turned.usage,
            details=turned.details,
        )
    )
    return message_id


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
