"""Takes a file of cases in: new questions are added, known ones get the new expectation, bad lines are told."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.import_reports import BadRow
from asissto.ingestion.lexemes import folded
from asissto.retrieval.case_files import CaseFile
from asissto.retrieval.quality_tables import QuestionCase, QuestionSet
from asissto.retrieval.question_sets import CaseIn, cases_of, find_set, make_case, touch, write_case

Key = tuple[str, tuple[tuple[str, str], ...]]


class CasePlan(msgspec.Struct, frozen=True):
    """What becomes of the lines; nothing of it is written yet."""

    row: QuestionSet
    new: list[CaseIn]
    changed: list[tuple[QuestionCase, CaseIn]]
    unchanged: list[CaseIn]
    bad: list[BadRow]


async def plan_cases(session: AsyncSession, tenant_id: UUID, set_id: UUID, file: CaseFile) -> CasePlan:
    """A question that the file has twice counts as it stands last. Raises NotFound."""
    row = await find_set(session, tenant_id, set_id)
    known = {_key(case_of(case)): case for case in await cases_of(session, tenant_id, set_id)}
    plan = CasePlan(row, [], [], [], sorted(file.bad, key=lambda each: each.line))
    for key, case in {_key(case): case for _, case in file.cases}.items():
        mine = known.get(key)
        if mine is None:
            plan.new.append(case)
        elif case_of(mine) == case:
            plan.unchanged.append(case)
        else:
            plan.changed.append((mine, case))
    return plan


async def carry_out_cases(session: AsyncSession, plan: CasePlan, origins: Sequence[tuple[CaseIn, UUID]] = ()) -> None:
    """All of it in the caller's transaction; new cases go with the conversations that `origins` names."""
    conversations = {_key(case): conversation_id for case, conversation_id in origins}
    for case in plan.new:
        row = make_case(plan.row, case)
        row.conversation_id = conversations.get(_key(case))
        session.add(row)
    for row, case in plan.changed:
        write_case(row, case)
    if plan.new or plan.changed:
        await touch(session, plan.row)


def case_of(row: QuestionCase) -> CaseIn:
    return msgspec.convert({name: getattr(row, name) for name in CaseIn.__struct_fields__}, CaseIn)


def plan_of(cases: Sequence[CaseIn]) -> CaseFile:
    """As if the cases had come in a file."""
    return CaseFile(list(enumerate(cases, 1)))


def _key(case: CaseIn) -> Key:
    """What makes two cases the same: the question after the same history, however it is typed."""
    return " ".join(folded(case.question).split()), tuple((said.role, said.text) for said in case.history)
