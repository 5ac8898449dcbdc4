"""Runs of a question set: asked for here, carried out by a worker, kept with the state of the assistant they are of."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.tables import KnowledgeBase
from asissto.platform import jobs
from asissto.platform.errors import NotFound, RunsDiffer
from asissto.platform.events import announce
from asissto.platform.tables import new_id
from asissto.retrieval.assistants import read_snapshot
from asissto.retrieval.publishing import Which, choose
from asissto.retrieval.quality_tables import QuestionCase, SetResult, SetRun
from asissto.retrieval.question_sets import find_set

RUN_SET = "run_set"
TOPIC = "set_runs"
ENDED = ("done", "failed", "cancelled")


async def start_run(  # noqa: PLR0913 - what is asked of whom, and who wants it
    session: AsyncSession, tenant_id: UUID, set_id: UUID, *, assistant_id: UUID, which: Which, by: UUID | None
) -> SetRun:
    """Raises NotFound, NoDraft, and what `read_snapshot` does."""
    row = await find_set(session, tenant_id, set_id)
    chosen = await choose(session, tenant_id, assistant_id, which)
    read_snapshot(chosen.snapshot)
    cases = select(func.count()).where(QuestionCase.tenant_id == tenant_id, QuestionCase.set_id == set_id)
    run = SetRun(
        tenant_id=tenant_id,
        id=new_id(),
        set_id=set_id,
        assistant_id=assistant_id,
        version=chosen.version,
        draft_revision=chosen.draft_revision,
        snapshot=chosen.snapshot,
        set_revision=row.revision,
        knowledge_version=await knowledge_version(session, tenant_id),
        total=await session.scalar(cases) or 0,
        created_by=by,
    )
    session.add(run)
    await session.flush()
    await session.refresh(run)
    await jobs.enqueue(session, tenant_id, RUN_SET, str(run.id), {})
    await announce(session, tenant_id, TOPIC, run.id)
    return run


async def cancel_run(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> SetRun:
    """What it has found so far stays; one that has ended stays as it ended. Raises NotFound."""
    run = await hold_run(session, tenant_id, run_id)
    if run is None:
        raise NotFound(kind="set_run")
    if run.state not in ENDED:
        run.state, run.finished_at = "cancelled", func.now()
        await jobs.withdraw(session, tenant_id, RUN_SET, str(run_id))
        await announce(session, tenant_id, TOPIC, run_id)
        await session.flush()
        await session.refresh(run)
    return run


async def hold_run(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> SetRun | None:
    """The row, locked until the transaction ends."""
    return await session.get(SetRun, (tenant_id, run_id), with_for_update=True, populate_existing=True)


async def find_run(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> SetRun:
    found = await session.get(SetRun, (tenant_id, run_id))
    if found is None:
        raise NotFound(kind="set_run")
    return found


async def find_pair(session: AsyncSession, tenant_id: UUID, before: UUID, after: UUID) -> tuple[SetRun, SetRun]:
    """Two runs that can be compared. Raises NotFound and RunsDiffer."""
    first, second = [await find_run(session, tenant_id, run_id) for run_id in (before, after)]
    if first.set_id != second.set_id or (first.state, second.state) != ("done", "done"):
        raise RunsDiffer
    return first, second


async def results_of(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> Sequence[SetResult]:
    """In the order of the cases."""
    mine = select(SetResult).where(SetResult.tenant_id == tenant_id, SetResult.run_id == run_id)
    return list(await session.scalars(mine.order_by(SetResult.case_id)))


async def knowledge_version(session: AsyncSession, tenant_id: UUID) -> int:
    """0 before the first document."""
    return await session.scalar(select(KnowledgeBase.version).where(KnowledgeBase.tenant_id == tenant_id)) or 0
