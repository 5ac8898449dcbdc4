"""Writes down what a turn came to and what became of the inquiry, in the transaction of what happened."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.tables import new_id
from asissto.retrieval.analytics_tables import Inquiry, Turn
from asissto.retrieval.answers import Answer
from asissto.retrieval.at_once import MODE as CANNED
from asissto.retrieval.handing_over import HandOverReason
from asissto.retrieval.tables import Conversation, Message

Result = Literal["answered", "clarified", "abstained", "handed_over", "asked_for_person", "courtesy"]

SILENCE = timedelta(days=1)
"""A question after so long begins another inquiry."""

OPERATOR = "operator"
"""The reason where a person took the conversation unasked."""

_QUOTA = str(HandOverReason.QUOTA)
_WRITES = ("answer", "regenerate")


async def remember_turn(
    session: AsyncSession, conversation: Conversation, asked: Sequence[UUID], answer: Answer, message_id: UUID
) -> None:
    """The conversation is locked, so that its inquiries are written one after the other."""
    turn = Turn(
        tenant_id=conversation.tenant_id,
        message_id=message_id,
        conversation_id=conversation.id,
        assistant_id=conversation.assistant_id,
        channel_id=conversation.channel_id,
        version=answer.details.get("assistant", {}).get("version"),
        model=_model(answer),
        mode=answer.mode,
        language=answer.language,
        result=result_of(answer),
        reason=None if answer.hand_over is None else str(answer.hand_over.reason),
        milliseconds=answer.latency_ms,
    )
    mine = (Message.tenant_id == turn.tenant_id, Message.id.in_((*asked, message_id)))
    first, last = (
        await session.execute(select(func.min(Message.created_at), func.max(Message.created_at)).where(*mine))
    ).one()
    turn.asked_at, turn.at = first, last
    if turn.result != "courtesy":
        turn.inquiry_id = await _go_on(session, turn)
    session.add(turn)
    await session.flush()


def result_of(answer: Answer) -> Result:
    """What an answer counts as; docs/reference/analytics.md says what each word means."""
    if answer.mode == CANNED and _QUOTA not in answer.notes:
        return "courtesy" if answer.outcome == "answered" else "asked_for_person"
    if answer.outcome in ("answered", "handed_over"):
        return "answered" if answer.outcome == "answered" else "handed_over"
    clarifies = answer.details.get("generation", {}).get("decision") == "clarify"
    return "clarified" if clarifies else "abstained"


async def remember_hand_over(session: AsyncSession, conversation: Conversation, reason: str | None) -> None:
    """By the assistant for a reason, or without one by a person; only the first of an inquiry counts."""
    inquiry = await _newest(session, conversation.tenant_id, conversation.id)
    now = await session.scalar(select(func.now()))
    assert now is not None
    if inquiry is None or inquiry.closed_at is not None or now - inquiry.last_at > SILENCE:
        if reason is None:  # nobody asked the assistant anything
            return
        inquiry = Inquiry(
            tenant_id=conversation.tenant_id,
            id=new_id(),
            conversation_id=conversation.id,
            assistant_id=conversation.assistant_id,
            channel_id=conversation.channel_id,
            started_at=now,
            last_at=now,
            questions=0,
            answered=0,
            last_result="handed_over",
        )
        session.add(inquiry)
    if inquiry.handed_over_at is None:
        inquiry.handed_over_at, inquiry.reason = now, reason or OPERATOR


async def remember_end(session: AsyncSession, conversation: Conversation) -> None:
    """Somebody has closed the conversation; what ended by silence long ago stays as it is."""
    mine = (Inquiry.tenant_id == conversation.tenant_id, Inquiry.conversation_id == conversation.id)
    is_on = (Inquiry.closed_at.is_(None), Inquiry.last_at > func.now() - SILENCE)
    is_with_person = (Inquiry.closed_at.is_(None), Inquiry.handed_over_at.is_not(None), Inquiry.followed_at.is_(None))
    for which in (is_on, is_with_person):
        await session.execute(update(Inquiry).where(*mine, *which).values(closed_at=func.now()))


async def _go_on(session: AsyncSession, turn: Turn) -> UUID:
    """The inquiry that the turn belongs to, which begins where none goes on."""
    found = await _newest(session, turn.tenant_id, turn.conversation_id)
    if found is None or found.closed_at is not None or turn.asked_at - found.last_at > SILENCE:
        if found is not None:
            found.followed_at = turn.asked_at
        found = Inquiry(
            tenant_id=turn.tenant_id,
            id=new_id(),
            conversation_id=turn.conversation_id,
            assistant_id=turn.assistant_id,
            channel_id=turn.channel_id,
            started_at=turn.asked_at,
            replied_at=turn.at,
            questions=0,
            answered=0,
        )
        session.add(found)
    found.questions += turn.result != "asked_for_person"
    found.answered += turn.result == "answered"
    found.last_at, found.last_result = turn.at, turn.result
    found.version, found.model, found.language = turn.version, turn.model, turn.language
    return found.id


async def _newest(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> Inquiry | None:
    mine = (Inquiry.tenant_id == tenant_id, Inquiry.conversation_id == conversation_id)
    newest = select(Inquiry).where(*mine).order_by(Inquiry.id.desc()).limit(1)
    return await session.scalar(newest.execution_options(populate_existing=True))


def _model(answer: Answer) -> str | None:
    """That wrote the answer; rewriting and ranking are no writing."""
    if answer.mode != "generated":
        return None
    wrote = [call.model for call in answer.calls if call.purpose in _WRITES and call.error is None]
    return wrote[-1] if wrote else None
