"""Answers that are paid for: asked before a model is, charged with the answer; nothing of it where billing is off."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from uuid import UUID

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import trying
from asissto.platform.errors import AnswersPaused
from asissto.platform.languages import language_of
from asissto.platform.metering import Allowance, allowance, count_answer, forgive
from asissto.platform.model_calls import ModelCall, store_calls
from asissto.platform.services import Services
from asissto.platform.texts import Language, text
from asissto.platform.trying import Tried
from asissto.retrieval.answering import answer_in_pieces
from asissto.retrieval.answers import Answer, Piece
from asissto.retrieval.at_once import MODE as CANNED
from asissto.retrieval.bursts import Burst
from asissto.retrieval.handing_over import HandOverReason, hand_over
from asissto.retrieval.scopes import Scope

QUOTA = str(HandOverReason.QUOTA)


async def paid_answer(
    services: Services, scope: Scope, burst: Burst, calls: list[ModelCall]
) -> AsyncGenerator[Piece | Answer, None]:
    """The answer in pieces, or what is said where the workspace has neither answers nor money left.

    Raises AnswersPaused where its customers' messages are to wait then.
    """
    if services.settings.billing:
        async with services.database.tenant(scope.tenant_id) as session:
            allowed = await allowance(session, scope.tenant_id, burst.message_ids[0])
        if not allowed.granted:
            yield _refused(allowed, scope, burst.question)
            return
    pieces = answer_in_pieces(services, scope, burst.question, burst.history.turns, calls)
    async with aclosing(pieces) as events:
        async for event in events:
            yield event


async def charge(session: AsyncSession, services: Services, burst: Burst, answer: Answer, message_id: UUID) -> None:
    """In the transaction that stores the answer; courtesies and what no model was asked for in vain cost nothing."""
    if not services.settings.billing or QUOTA in answer.notes:
        return
    tenant_id, asked = burst.place.tenant_id, burst.message_ids[0]
    if answer.mode != CANNED and (answer.answered or answer.calls):
        await count_answer(session, tenant_id, asked, answer.calls, about=message_id)
    else:
        await forgive(session, tenant_id, asked)


async def spare(session: AsyncSession, services: Services, burst: Burst) -> None:
    """A person has taken the conversation over: there is no answer to pay for."""
    if services.settings.billing:
        await forgive(session, burst.place.tenant_id, burst.message_ids[0])


async def may_try(services: Services, tenant_id: UUID, kind: Tried, *keys: str) -> list[str]:
    """Those of the answers by these keys that may be tried, in a transaction of its own; all where billing is off."""
    if not services.settings.billing:
        return list(keys)
    async with services.database.tenant(tenant_id) as session:
        return [key for key in keys if await trying.may_try(session, tenant_id, kind, key)]


@asynccontextmanager
async def tried(services: Services, tenant_id: UUID, kind: Tried, key: str) -> AsyncIterator[list[ModelCall]]:
    """A list for the calls of the block; they are stored without a message, and charged as that answer."""
    calls: list[ModelCall] = []
    try:
        yield calls
    finally:
        if calls or services.settings.billing:
            async with services.database.tenant(tenant_id) as session:
                await store_calls(session, tenant_id, calls, None)
                if services.settings.billing:
                    await trying.count_try(session, tenant_id, kind, key, calls)


def _refused(allowed: Allowance, scope: Scope, question: str) -> Answer:
    if allowed.at_zero == "pause":
        raise AnswersPaused
    found = language_of(question)
    language: Language = scope.language if found == "und" else found
    proposed = hand_over(HandOverReason.QUOTA, scope.settings.hand_over, language)
    if proposed is not None and allowed.text is not None:
        proposed = structs.replace(proposed, text=allowed.text)
    return Answer(
        text=allowed.text or text("quota.text", language),
        language=language,
        confidence=0.0,
        found=(),
        best_sentences=(),
        timings={"total": 0.0},
        mode=CANNED,
        notes=(QUOTA,),
        hand_over=proposed,
    )
