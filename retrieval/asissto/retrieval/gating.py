"""The gate before publishing: a draft that breaks what the published version can do does not go out unseen."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import NotFound, PublishRefused
from asissto.retrieval.comparing import Comparison, compare
from asissto.retrieval.publishing import Which
from asissto.retrieval.quality_tables import PublishingGate, SetRun
from asissto.retrieval.question_sets import find_set
from asissto.retrieval.set_runs import knowledge_version, results_of, start_run
from asissto.retrieval.tables import Assistant

Verdict = Literal["needs_run", "running", "passes", "refused"]
_NAMED = 10


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of a draft; `runs` are those of the published version and of the draft, as far as there are.

    `broken` are the questions that only the published version passes, by the ids of their cases.
    """

    verdict: Verdict
    runs: Sequence[SetRun] = ()
    broken: dict[UUID, str] = {}


async def find_gate(session: AsyncSession, tenant_id: UUID, assistant_id: UUID) -> PublishingGate | None:
    return await session.get(PublishingGate, (tenant_id, assistant_id))


async def put_gate(session: AsyncSession, assistant: Assistant, set_id: UUID, allow_drop: int) -> PublishingGate:
    """Raises NotFound for the set."""
    await find_set(session, assistant.tenant_id, set_id)
    gate = await find_gate(session, assistant.tenant_id, assistant.id)
    if gate is None:
        gate = PublishingGate(tenant_id=assistant.tenant_id, assistant_id=assistant.id)
        session.add(gate)
    gate.set_id, gate.allow_drop = set_id, allow_drop
    await session.flush()
    await session.refresh(gate)
    return gate


async def take_gate_away(session: AsyncSession, tenant_id: UUID, assistant_id: UUID) -> None:
    """Raises NotFound."""
    gate = await find_gate(session, tenant_id, assistant_id)
    if gate is None:
        raise NotFound(kind="gate")
    await session.delete(gate)


async def check_draft(session: AsyncSession, assistant: Assistant, gate: PublishingGate) -> Checked:
    """By the newest runs of this very draft and of the published version over the same set and the same knowledge."""
    drafts = await _runs(session, gate, SetRun.draft_revision == assistant.revision)
    versions = await _runs(session, gate, SetRun.version == assistant.version)
    pairs = ((old, new) for new in drafts for old in versions if old.knowledge_version == new.knowledge_version)
    runs = next(pairs, None)
    if assistant.draft is None or runs is None:
        return Checked(verdict="needs_run")
    if any(run.state != "done" for run in runs):
        return Checked(verdict="running", runs=runs)
    broken = await _broken(session, *runs)
    return Checked(verdict="refused" if len(broken) > gate.allow_drop else "passes", runs=runs, broken=broken)


async def start_runs(
    session: AsyncSession, assistant: Assistant, gate: PublishingGate, by: UUID | None
) -> Sequence[SetRun]:
    """Those that are missing for a verdict over the knowledge of this moment; the others are taken as they are."""
    now = await knowledge_version(session, assistant.tenant_id)
    wanted: dict[Which, ColumnElement[bool]] = {
        "published": SetRun.version == assistant.version,
        "draft": SetRun.draft_revision == assistant.revision,
    }
    runs = []
    for which, mine in wanted.items():
        fresh = [run for run in await _runs(session, gate, mine) if run.knowledge_version == now]
        run = (
            fresh[0]
            if fresh
            else await start_run(
                session, assistant.tenant_id, gate.set_id, assistant_id=assistant.id, which=which, by=by
            )
        )
        runs.append(run)
    return runs


def refusal(checked: Checked) -> PublishRefused:
    """Names the questions."""
    named = [f"«{question}»" for question in checked.broken.values()]
    more = ["…"] if len(named) > _NAMED else []
    return PublishRefused(count=len(named), broken=", ".join(named[:_NAMED] + more))


async def _runs(session: AsyncSession, gate: PublishingGate, mine: ColumnElement[bool]) -> list[SetRun]:
    """Newest first, of the set as it is now, without those that came to nothing."""
    row = await find_set(session, gate.tenant_id, gate.set_id)
    same = (SetRun.tenant_id == gate.tenant_id, SetRun.assistant_id == gate.assistant_id, SetRun.set_id == gate.set_id)
    runs = select(SetRun).where(*same, SetRun.set_revision == row.revision, mine)
    good = runs.where(SetRun.state.in_(("queued", "running", "done")))
    return list(await session.scalars(good.order_by(SetRun.id.desc())))


async def _broken(session: AsyncSession, before: SetRun, after: SetRun) -> dict[UUID, str]:
    compared: Comparison = compare(
        await results_of(session, before.tenant_id, before.id), await results_of(session, after.tenant_id, after.id)
    )
    return {item.case_id: item.question for item in compared.items if item.change == "worse"}
