"""What could answer a gap: its commonest question, its other phrasings, and what an operator has replied to them."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.lexemes import folded
from asissto.retrieval.tables import Message
from asissto.retrieval.topics.tables import AskedQuestion
from asissto.retrieval.topics.word_vectors import word_vectors
from asissto.retrieval.who_said import by_person

MOST_VARIANTS = 20
LONGEST = 500
"""Characters of a phrasing that a pair may have."""
_SHORTEST_REPLY = 15
"""Characters; what is shorter greets or thanks."""


class PairDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that could be: `answer` is empty where no operator has replied; `reply_id` is the message it stands in."""

    question: str
    variants: list[str]
    answer: str = ""
    reply_id: UUID | None = None
    replies: int = 0


async def draft_pair(
    session: AsyncSession, tenant_id: UUID, title: str, questions: Sequence[AskedQuestion]
) -> PairDraft:
    """The answer is the reply that is most like the other replies of operators to these questions."""
    replies = await _replies(session, tenant_id, questions)
    distinct = {folded(each): each for each in (title, *(row.question for row in questions)) if len(each) <= LONGEST}
    question, *variants = distinct.values() if distinct else (title[:LONGEST],)
    chosen = _middle(replies)
    return PairDraft(
        question=question,
        variants=variants[:MOST_VARIANTS],
        answer=chosen.content if chosen else "",
        reply_id=chosen.id if chosen else None,
        replies=len(replies),
    )


async def _replies(session: AsyncSession, tenant_id: UUID, questions: Sequence[AskedQuestion]) -> list[Message]:
    """The first words of a person after each question."""
    theirs = {row.conversation_id: row.message_id for row in sorted(questions, key=lambda row: row.message_id)}
    mine = select(Message).where(Message.tenant_id == tenant_id, Message.conversation_id.in_(theirs), by_person())
    found: dict[UUID, Message] = {}
    for message in await session.scalars(mine.order_by(Message.id)):
        is_later = message.id > theirs[message.conversation_id]
        if is_later and len(message.content.strip()) >= _SHORTEST_REPLY:
            found.setdefault(message.conversation_id, message)
    return list(found.values())


def _middle(replies: Sequence[Message]) -> Message | None:
    if not replies:
        return None
    vectors = word_vectors([each.content for each in replies])
    return replies[int(np.argmax((vectors @ vectors.T).sum(1)))]
