"""Notes what was asked: in the transaction that stores the answer, and for answers from before there were topics."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from pgvector import HalfVector
from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import jobs
from asissto.platform.languages import language_of
from asissto.retrieval.answers import Answer
from asissto.retrieval.at_once import MODE as CANNED
from asissto.retrieval.tables import Conversation, Message, Receipt
from asissto.retrieval.topics.tables import AskedQuestion, QuestionVector

PLACE = "topics.place"
"""The job that puts new questions into topics."""
PAUSE = timedelta(seconds=10)
"""So long it waits for more: one look at the topics is enough for all questions that come meanwhile."""
WINDOW = timedelta(days=180)
"""Older questions keep their topic and shape no new ones."""

_AT_A_TIME = 1_000
_COMMAND = re.compile(r"/\w+(?:@\w+)?\s*")


def is_question(said: str, mode: str) -> bool:
    """Whether it tells what somebody wants to know: no greeting, no thanks, no command, no call for a person."""
    return mode not in (CANNED, "silent") and language_of(said) != "und" and not _COMMAND.fullmatch(said)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question and its answer, which is stored as `message_id`; `space` is that of the answer's vector."""

    question: str
    answer: Answer
    message_id: UUID
    space: str


async def note_question(session: AsyncSession, conversation: Conversation, asked: Asked) -> None:
    """Keeps the vector that the answer was searched with, where there is one: nothing is embedded twice."""
    answer, tenant_id = asked.answer, conversation.tenant_id
    if not is_question(asked.question, answer.mode):
        return
    row = {
        "message_id": asked.message_id,
        "conversation_id": conversation.id,
        "assistant_id": conversation.assistant_id,
        "channel_id": conversation.channel_id,
        "question": asked.question,
        "language": language_of(asked.question),
        "outcome": answer.outcome,
        "is_weak": answer.answered and is_weak(answer.details),
    }
    await session.execute(insert(AskedQuestion).values(tenant_id=tenant_id, **row).on_conflict_do_nothing())
    if answer.vector is not None:
        made = {"message_id": asked.message_id, "space": asked.space, "vector": HalfVector(answer.vector)}
        await session.execute(insert(QuestionVector).values(tenant_id=tenant_id, **made))
    await jobs.enqueue(session, tenant_id, PLACE, "new", {}, run_at=datetime.now(UTC) + PAUSE)


def is_weak(details: dict[str, Any]) -> bool:
    """Of an answer: it was given with less than certainty."""
    return bool(details.get("confidence", {}).get("zone") == "middle")


async def note_past(session: AsyncSession, tenant_id: UUID) -> int:
    """Notes answers of the window that nobody has noted, at most a thousand; returns how many were looked at."""
    known = exists().where(AskedQuestion.tenant_id == tenant_id, AskedQuestion.message_id == Receipt.message_id)
    mode = Message.metadata_["mode"].as_string()
    past = (
        select(Receipt, mode, Message.conversation_id, Conversation.assistant_id, Conversation.channel_id)
        .join(Message, (Message.tenant_id == tenant_id) & (Message.id == Receipt.message_id))
        .join(Conversation, (Conversation.tenant_id == tenant_id) & (Conversation.id == Message.conversation_id))
        .where(Receipt.tenant_id == tenant_id, ~known, mode.not_in((CANNED, "silent")))
        .where(Receipt.created_at > func.now() - WINDOW, Receipt.question.op("~")("[A-Za-zА-Яа-яЁё]"))
        .where(Receipt.question.op("!~")(r"^/\w+(@\w+)?\s*$"))
        .order_by(Receipt.message_id)
        .limit(_AT_A_TIME)
    )
    rows = [
        {
            "tenant_id": tenant_id,
            "message_id": receipt.message_id,
            "conversation_id": conversation_id,
            "assistant_id": assistant_id,
            "channel_id": channel_id,
            "question": receipt.question,
            "language": language_of(receipt.question),
            "outcome": receipt.outcome,
            "is_weak": receipt.outcome == "answered" and is_weak(receipt.details),
            "asked_at": receipt.created_at,
        }
        for receipt, _, conversation_id, assistant_id, channel_id in await session.execute(past)
    ]
    if rows:
        await session.execute(insert(AskedQuestion).on_conflict_do_nothing(), rows)
    return len(rows)


async def dislike(session: AsyncSession, tenant_id: UUID, message_id: UUID, *, disliked: bool) -> None:
    """Whether the customer dislikes the answer; nothing happens where it answered no question."""
    found = await session.get(AskedQuestion, (tenant_id, message_id))
    if found is not None:
        found.is_disliked = disliked
