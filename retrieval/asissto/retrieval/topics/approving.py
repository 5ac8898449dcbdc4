"""Closes a gap: the draft becomes a pair, its questions join a test set, and all are asked again."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import find_document
from asissto.ingestion.lexemes import folded
from asissto.ingestion.pairs import Answer as PairAnswer
from asissto.ingestion.pairs import PairIn, Question, Variants, create_pair
from asissto.platform import jobs
from asissto.platform.errors import Conflict
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.texts import Phrase
from asissto.retrieval.answering import answer_question
from asissto.retrieval.assistants import published, read_snapshot
from asissto.retrieval.kept_calls import calls_kept
from asissto.retrieval.question_sets import CaseIn, CitedDocument, find_set, make_case, touch
from asissto.retrieval.scopes import Scope, scope_of
from asissto.retrieval.tables import Assistant, Citation
from asissto.retrieval.topics.drafting import PairDraft
from asissto.retrieval.topics.gaps import find_gap, questions_of_gap
from asissto.retrieval.topics.tables import AskedQuestion, QuestionGap, QuestionVector

REPLAY = "gaps.replay"
MOST_REPLAYED = 200
CONTROLS = 50
"""Questions that were answered, the nearest to the gap: none of them may lose its answer to the new pair."""
_AT_ONCE = 4
_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=10)


class ApproveIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pair as the editor wants it; its questions join the set where one is named."""

    collection_id: UUID
    question: Question
    answer: PairAnswer
    variants: Variants = []
    set_id: UUID | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a question was answered and is now; `is_lost`: it had an answer, and now has none or that of the pair."""

    message_id: UUID
    question: str
    was: str
    now: str
    by_pair: bool
    is_lost: bool


async def approve(
    session: AsyncSession, tenant_id: UUID, gap_id: UUID, what: ApproveIn, by: UUID | None
) -> QuestionGap:
    """Raises NotFound, InvalidInput, PairExists, and Conflict where it is not open any more."""
    gap = await find_gap(session, tenant_id, gap_id)
    if gap.state != "open":
        raise Conflict(detail=Phrase("conflict.gap_state"))
    wanted = PairIn(
        collection_id=what.collection_id, question=what.question, answer=what.answer, variants=what.variants
    )
    pair = await create_pair(session, tenant_id, wanted, by)
    gap.state, gap.pair_id, gap.set_id, gap.updated_at = "approved", pair.id, what.set_id, func.now()
    if what.set_id is not None:
        await _join_set(session, gap, pair.document_id)
    await jobs.enqueue(session, tenant_id, REPLAY, str(gap.id), {"document_id": str(pair.document_id)})
    await session.flush()
    await session.refresh(gap)
    return gap


async def dismiss(session: AsyncSession, tenant_id: UUID, gap_id: UUID) -> QuestionGap:
    """It is not found again, and keeps no customer's words. Raises NotFound, and Conflict where it is not open."""
    gap = await find_gap(session, tenant_id, gap_id)
    if gap.state != "open":
        raise Conflict(detail=Phrase("conflict.gap_state"))
    gap.state, gap.updated_at = "dismissed", func.now()
    gap.title, gap.draft = ", ".join(gap.chips), msgspec.to_builtins(PairDraft(question="", variants=[]))
    await session.flush()
    await session.refresh(gap)
    return gap


async def replay(services: Services, job: ClaimedJob) -> None:
    """Asks the questions of the gap and their nearest answered neighbours again, once the pair can be found."""
    tenant_id, gap_id, document_id = job.tenant_id, UUID(job.key), UUID(job.payload["document_id"])
    async with services.database.tenant(tenant_id) as session:
        document = await find_document(session, tenant_id, document_id)
        if document.active_version_id is None and datetime.now(UTC) - document.created_at < _LONGEST_WAIT:
            await jobs.finish(session, job)
            await jobs.enqueue(session, tenant_id, REPLAY, job.key, job.payload, run_at=datetime.now(UTC) + _WAIT)
            return
        asked = (await questions_of_gap(session, tenant_id, gap_id))[-MOST_REPLAYED:]
        controls = await _controls(session, await find_gap(session, tenant_id, gap_id))
        cited = await _cited(session, tenant_id, controls)
    scopes = await _scopes(services, tenant_id, [*asked, *controls])
    told: list[Replayed] = []
    both = [*asked, *controls]
    for start in range(0, len(both), _AT_ONCE):
        part = both[start : start + _AT_ONCE]
        told += await asyncio.gather(
            *(_ask(services, scopes[row.assistant_id], row, document_id, cited) for row in part)
        )
    async with services.database.tenant(tenant_id) as session:
        gap = await find_gap(session, tenant_id, gap_id)
        gap.replay = _summed_up(told[: len(asked)], told[len(asked) :])
        gap.updated_at = func.now()
        await jobs.finish(session, job)


def _summed_up(asked: Sequence[Replayed], controls: Sequence[Replayed]) -> dict[str, Any]:
    lost = [each for each in controls if each.is_lost]
    return {
        "asked": len(asked),
        "answered_before": sum(each.was == "answered" for each in asked),
        "answered": sum(each.now == "answered" for each in asked),
        "controls": len(controls),
        "lost": len(lost),
        "items": msgspec.to_builtins([*lost, *asked]),
    }


async def _ask(
    services: Services, scope: Scope, row: AskedQuestion, document_id: UUID, cited: dict[UUID, set[UUID]]
) -> Replayed:
    async with calls_kept(services, scope.tenant_id) as calls:
        answer = await answer_question(services, scope, row.question, (), calls)
    by_pair = document_id in {each.passage.document_id for each in answer.citations}
    was = cited.get(row.message_id, set())
    is_other = by_pair and bool(was) and document_id not in was
    return Replayed(
        message_id=row.message_id,
        question=row.question,
        was=row.outcome,
        now=answer.outcome,
        by_pair=by_pair,
        is_lost=row.outcome == "answered" and (not answer.answered or is_other),
    )


async def _controls(session: AsyncSession, gap: QuestionGap) -> list[AskedQuestion]:
    joined = (QuestionVector.tenant_id == gap.tenant_id) & (QuestionVector.message_id == AskedQuestion.message_id)
    answered = (AskedQuestion.outcome == "answered", ~AskedQuestion.is_weak, ~AskedQuestion.is_disliked)
    width = len(gap.centroid.to_list())
    mine = select(AskedQuestion).join(QuestionVector, joined).where(AskedQuestion.tenant_id == gap.tenant_id, *answered)
    same_width = func.vector_dims(QuestionVector.vector) == width
    near = QuestionVector.vector.op("<=>")(gap.centroid)
    return list(await session.scalars(mine.where(same_width).order_by(near).limit(CONTROLS)))


async def _cited(session: AsyncSession, tenant_id: UUID, rows: Sequence[AskedQuestion]) -> dict[UUID, set[UUID]]:
    wanted = [row.message_id for row in rows]
    mine = select(Citation.message_id, Citation.document_id).where(Citation.tenant_id == tenant_id)
    found: dict[UUID, set[UUID]] = {}
    for message_id, document_id in await session.execute(mine.where(Citation.message_id.in_(wanted))):
        found.setdefault(message_id, set()).add(document_id)
    return found


async def _scopes(services: Services, tenant_id: UUID, rows: Sequence[AskedQuestion]) -> dict[UUID, Scope]:
    """Of the assistants as they are published now."""
    wanted = {row.assistant_id for row in rows}
    async with services.database.tenant(tenant_id) as session:
        mine = select(Assistant).where(Assistant.tenant_id == tenant_id, Assistant.id.in_(wanted))
        snapshots = {row.id: read_snapshot(published(row)) for row in await session.scalars(mine)}
    return {each: await scope_of(services, tenant_id, snapshot) for each, snapshot in snapshots.items()}


async def _join_set(session: AsyncSession, gap: QuestionGap, document_id: UUID) -> None:
    """Each question once, expected to be answered from the pair. Raises NotFound."""
    assert gap.set_id is not None
    row = await find_set(session, gap.tenant_id, gap.set_id)
    distinct = {folded(each.question): each for each in await questions_of_gap(session, gap.tenant_id, gap.id)}
    for asked in list(distinct.values())[:MOST_REPLAYED]:
        what = CaseIn(question=asked.question, must_cite=[CitedDocument(document_id=document_id)], tags=["gap"])
        case = make_case(row, what)
        case.conversation_id = asked.conversation_id
        session.add(case)
    await touch(session, row)
