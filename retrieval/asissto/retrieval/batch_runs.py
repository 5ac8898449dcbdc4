"""The job behind a run: asks every case that has no result yet, judges the answers, and sums them up at the end."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.tables import Document
from asissto.platform import jobs
from asissto.platform.errors import AnswersUsedUp, AsisstoError
from asissto.platform.events import announce
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.trying import Tried
from asissto.retrieval.answering import answer_question
from asissto.retrieval.answers import Answer
from asissto.retrieval.assistants import read_snapshot
from asissto.retrieval.case_import import case_of
from asissto.retrieval.charging import may_try, tried
from asissto.retrieval.generation import Turn
from asissto.retrieval.judging import Judged, cites, judge
from asissto.retrieval.publishing import Chosen
from asissto.retrieval.quality_tables import QuestionCase, SetResult, SetRun
from asissto.retrieval.question_sets import CaseIn, Expected, cases_of
from asissto.retrieval.run_figures import figures_of
from asissto.retrieval.scopes import Scope, scope_of
from asissto.retrieval.set_runs import ENDED, RUN_SET, TOPIC, hold_run, results_of

KIND: Tried = "test_answers"
AT_ONCE = 4
"""Questions at a time: a model answers one in seconds, and its provider takes some side by side."""

PART_SECONDS = 20.0
"""Then whatever else is slow has its turn; the rest is a job of its own."""

Keys = dict[str, set[UUID]]
Row = dict[str, Any]


class Begun(msgspec.Struct, frozen=True):
    """A run that goes on: what it is of, the cases that have no result yet, the documents behind the keys they name.

    `origins` are the conversations of which cases were made.
    """

    chosen: Chosen
    cases: Sequence[tuple[UUID, CaseIn]]
    keys: Keys
    origins: dict[UUID, UUID | None]


async def run_set(services: Services, job: ClaimedJob) -> None:
    """Runs as often as it likes: a result that is there is not asked for again."""
    begun = await _begin(services, job)
    if begun is None:
        return
    until = time.monotonic() + PART_SECONDS
    snapshot = read_snapshot(begun.chosen.snapshot)
    scope = await scope_of(services, job.tenant_id, snapshot, made_by=begun.chosen.made_by)
    for start in range(0, len(begun.cases), AT_ONCE):
        part = begun.cases[start : start + AT_ONCE]
        paid = await may_try(services, job.tenant_id, KIND, *(_key(job, case_id) for case_id, _ in part))
        asked = [each for each in part if _key(job, each[0]) in paid]
        rows = await asyncio.gather(*(_ask(services, scope, begun.keys, job, each) for each in asked))
        rows = [{**row, "conversation_id": begun.origins[row["case_id"]]} for row in rows]
        if not await _store(services, job, rows):
            return
        if len(asked) < len(part):
            await _end_unpaid(services, job)
            return
        if time.monotonic() > until:
            await _queue_rest(services, job)
            return
    await _end(services, job)


async def mark_run_failed(session: AsyncSession, job: ClaimedJob, error: AsisstoError) -> None:
    """What was found so far stays."""
    mine = (SetRun.tenant_id == job.tenant_id, SetRun.id == UUID(job.key), SetRun.state.not_in(ENDED))
    failed = {"state": "failed", "reason": error.code, "finished_at": func.now()}
    await session.execute(update(SetRun).where(*mine).values(**failed))
    await announce(session, job.tenant_id, TOPIC, UUID(job.key))


def outcome_of(answer: Answer) -> Expected:
    if answer.outcome in ("hand_over", "handed_over"):
        return "hand_over"
    return "answer" if answer.answered else "abstain"


async def _begin(services: Services, job: ClaimedJob) -> Begun | None:
    """None where there is nothing to do any more."""
    async with services.database.tenant(job.tenant_id) as session:
        run = await _hold(session, job)
        if run is None:
            return None
        run.state, run.started_at = "running", run.started_at or func.now()
        cases = await cases_of(session, job.tenant_id, run.set_id)
        have = {result.case_id for result in await results_of(session, job.tenant_id, run.id)}
        run.total = len({case.id for case in cases} | have)
        left = [(case.id, case_of(case)) for case in cases if case.id not in have]
        await announce(session, job.tenant_id, TOPIC, run.id)
        chosen = Chosen(snapshot=run.snapshot, version=run.version, draft_revision=run.draft_revision)
        origins = {case.id: case.conversation_id for case in cases}
        return Begun(chosen, left, await _keys(session, job.tenant_id, cases), origins)


async def _keys(session: AsyncSession, tenant_id: UUID, cases: Sequence[QuestionCase]) -> Keys:
    wanted = {cited["source_key"] for case in cases for cited in case.must_cite if cited.get("source_key")}
    mine = select(Document.source_key, Document.id).where(Document.tenant_id == tenant_id)
    keys: Keys = {}
    for key, document_id in await session.execute(mine.where(Document.source_key.in_(wanted))):
        keys.setdefault(key, set()).add(document_id)
    return keys


def _key(job: ClaimedJob, case_id: UUID) -> str:
    """Of the answer to a case in a run, so that it is paid for once."""
    return f"{job.key}:{case_id}"


async def _end_unpaid(services: Services, job: ClaimedJob) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        await mark_run_failed(session, job, AnswersUsedUp())
        await jobs.finish(session, job)


async def _ask(services: Services, scope: Scope, keys: Keys, job: ClaimedJob, asked: tuple[UUID, CaseIn]) -> Row:
    case_id, case = asked
    history = [Turn(said.role, said.text) for said in case.history]
    async with tried(services, scope.tenant_id, KIND, _key(job, case_id)) as calls:
        answer = await answer_question(services, scope, case.question, history, calls)
    return {"case_id": case_id, **_result(case, answer, keys)}


def _result(case: CaseIn, answer: Answer, keys: Keys) -> Row:
    documents = {citation.passage.document_id: citation.passage.title for citation in answer.citations}
    judged = Judged(text=answer.text, outcome=outcome_of(answer), documents=documents)
    failures = judge(case, judged, keys)
    return {
        "question": case.question,
        "expected": case.expected,
        "passed": not failures,
        "failures": msgspec.to_builtins(failures),
        "outcome": judged.outcome,
        "mode": answer.mode,
        "answer": answer.text,
        "citations": [
            {"number": each.number, "document_id": str(each.passage.document_id), "title": each.passage.title}
            | {"quote": each.quote, "support": each.support}
            for each in answer.citations
        ],
        "cited": cites(case, judged, keys),
        "confidence": answer.confidence,
        "latency_ms": answer.latency_ms,
        "usage": msgspec.to_builtins(answer.calls),
        "notes": list(answer.notes),
        "details": answer.details,
    }


async def _store(services: Services, job: ClaimedJob, rows: Sequence[Row]) -> bool:
    """False, and nothing is stored, where nobody wants it any more."""
    mine = {"tenant_id": job.tenant_id, "run_id": UUID(job.key)}
    async with services.database.tenant(job.tenant_id) as session:
        run = await _hold(session, job)
        if run is None:
            return False
        if rows:
            await session.execute(insert(SetResult).on_conflict_do_nothing(), [mine | row for row in rows])
        have = select(func.count(), func.count().filter(SetResult.passed)).where(
            SetResult.tenant_id == job.tenant_id, SetResult.run_id == run.id
        )
        run.done, run.passed = (await session.execute(have)).one()
        await announce(session, job.tenant_id, TOPIC, run.id)
        return True


async def _queue_rest(services: Services, job: ClaimedJob) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)
        await jobs.enqueue(session, job.tenant_id, RUN_SET, job.key, {})


async def _end(services: Services, job: ClaimedJob) -> None:
    async with services.database.tenant(job.tenant_id) as session:
        run = await _hold(session, job)
        if run is None:
            return
        figures = figures_of(await results_of(session, job.tenant_id, run.id))
        run.figures = msgspec.to_builtins(figures)
        run.state, run.total, run.finished_at = "done", figures.cases, func.now()
        await announce(session, job.tenant_id, TOPIC, run.id)
        await jobs.finish(session, job)


async def _hold(session: AsyncSession, job: ClaimedJob) -> SetRun | None:
    """None, and the job is done, where the run was cancelled, has ended, or is gone with its set."""
    run = await hold_run(session, job.tenant_id, UUID(job.key))
    if run is None or run.state in ENDED:
        await jobs.finish(session, job)
        return None
    return run
