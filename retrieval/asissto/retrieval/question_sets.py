"""Sets of questions with what is expected of an answer to each: written once, asked of every version."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import InvalidInput, NameTaken, NotFound, SetGuards
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase
from asissto.retrieval.assistants import LongText, Name, find_assistant
from asissto.retrieval.quality_tables import PublishingGate, QuestionCase, QuestionSet

Words = Annotated[str, Meta(min_length=1, max_length=1_000)]
WordsList = Annotated[list[Words], Meta(max_length=50)]
Expected = Literal["answer", "abstain", "hand_over"]


class SaidIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]


class CitedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A document by any one of these: its id, the key of its source, or its title."""

    document_id: UUID | None = None
    source_key: Annotated[str, Meta(max_length=2_000)] | None = None
    title: Annotated[str, Meta(max_length=1_000)] | None = None


class CaseIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question and what a good answer to it has."""

    question: Annotated[str, Meta(min_length=1, max_length=4_000)]
    history: Annotated[list[SaidIn], Meta(max_length=50)] = []
    expected: Expected = "answer"
    must_contain: WordsList = []
    """All of these words, in any inflection."""
    must_not_contain: WordsList = []
    must_cite: Annotated[list[CitedDocument], Meta(max_length=50)] = []
    """At least one of these documents."""
    note: Annotated[str, Meta(max_length=5_000)] = ""
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=50)] = []


class SetIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: LongText = ""
    assistant_id: UUID | None = None
    """Whom it is meant for; it can be asked of any."""


class SetPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    description: LongText | UnsetType = UNSET
    assistant_id: UUID | UnsetType | None = UNSET


async def create_set(session: AsyncSession, tenant_id: UUID, what: SetIn, by: UUID | None) -> QuestionSet:
    """Raises NotFound and NameTaken."""
    await _check_set(session, tenant_id, what.name, what.assistant_id)
    row = QuestionSet(tenant_id=tenant_id, id=new_id(), created_by=by, **msgspec.structs.asdict(what))
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def change_set(session: AsyncSession, tenant_id: UUID, set_id: UUID, what: SetPatch) -> QuestionSet:
    """Raises NotFound and NameTaken."""
    row = await find_set(session, tenant_id, set_id)
    name = UNSET if what.name == row.name else what.name
    await _check_set(session, tenant_id, name, what.assistant_id)
    for field, value in msgspec.structs.asdict(what).items():
        if value is not UNSET:
            setattr(row, field, value)
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    return row


async def delete_set(session: AsyncSession, tenant_id: UUID, set_id: UUID) -> QuestionSet:
    """Its cases and runs go with it. Raises NotFound, and SetGuards where a gate stands on it."""
    row = await find_set(session, tenant_id, set_id)
    gates = select(PublishingGate.assistant_id).where(PublishingGate.tenant_id == tenant_id)
    if await session.scalar(gates.where(PublishingGate.set_id == set_id).limit(1)):
        raise SetGuards
    await session.delete(row)
    return row


async def find_set(session: AsyncSession, tenant_id: UUID, set_id: UUID) -> QuestionSet:
    found = await session.get(QuestionSet, (tenant_id, set_id))
    if found is None:
        raise NotFound(kind="question_set")
    return found


async def add_case(session: AsyncSession, tenant_id: UUID, set_id: UUID, what: CaseIn) -> QuestionCase:
    """Raises NotFound and InvalidInput."""
    row = await find_set(session, tenant_id, set_id)
    case = make_case(row, what)
    session.add(case)
    await touch(session, row)
    await session.refresh(case)
    return case


async def change_case(
    session: AsyncSession, tenant_id: UUID, set_id: UUID, case_id: UUID, what: CaseIn
) -> QuestionCase:
    """Raises NotFound and InvalidInput."""
    case = await find_case(session, tenant_id, set_id, case_id)
    write_case(case, what)
    await touch(session, await find_set(session, tenant_id, set_id))
    await session.refresh(case)
    return case


async def delete_case(session: AsyncSession, tenant_id: UUID, set_id: UUID, case_id: UUID) -> None:
    """Raises NotFound."""
    await session.delete(await find_case(session, tenant_id, set_id, case_id))
    await touch(session, await find_set(session, tenant_id, set_id))


async def find_case(session: AsyncSession, tenant_id: UUID, set_id: UUID, case_id: UUID) -> QuestionCase:
    found = await session.get(QuestionCase, (tenant_id, case_id))
    if found is None or found.set_id != set_id:
        raise NotFound(kind="question_case")
    return found


async def cases_of(session: AsyncSession, tenant_id: UUID, set_id: UUID) -> list[QuestionCase]:
    """All of the set, in the order in which they were made."""
    mine = select(QuestionCase).where(QuestionCase.tenant_id == tenant_id, QuestionCase.set_id == set_id)
    return list(await session.scalars(mine.order_by(QuestionCase.id)))


def make_case(row: QuestionSet, what: CaseIn) -> QuestionCase:
    case = QuestionCase(tenant_id=row.tenant_id, id=new_id(), set_id=row.id)
    write_case(case, what)
    return case


def write_case(case: QuestionCase, what: CaseIn) -> None:
    """Raises InvalidInput for an expectation that nothing can meet."""
    check_case(what)
    for name, value in msgspec.to_builtins(what).items():
        setattr(case, name, value)


def check_case(what: CaseIn) -> None:
    """Raises InvalidInput."""
    if not what.question.strip():
        raise InvalidInput(field="question", detail=Phrase("invalid.missing"))
    if what.expected != "answer" and what.must_cite:
        raise InvalidInput(field="must_cite", detail=Phrase("invalid.cites_nothing"))
    if any(cited == CitedDocument() for cited in what.must_cite):
        raise InvalidInput(field="must_cite", detail=Phrase("invalid.missing"))


async def touch(session: AsyncSession, row: QuestionSet) -> None:
    """What a run of the set has measured before is of another set from now on."""
    row.revision += 1
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)


async def _check_set(
    session: AsyncSession, tenant_id: UUID, name: str | UnsetType, assistant_id: UUID | UnsetType | None
) -> None:
    if assistant_id is not UNSET and assistant_id is not None:
        await find_assistant(session, tenant_id, assistant_id)
    same = select(QuestionSet.id).where(QuestionSet.tenant_id == tenant_id, QuestionSet.name == name)
    if name is not UNSET and await session.scalar(same):
        raise NameTaken(name=name, field="name")
