"""The routes of question sets and their cases, one by one."""

from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.retrieval.quality_tables import QuestionCase, QuestionSet
from asissto.retrieval.question_sets import (
    CaseIn,
    SetIn,
    SetPatch,
    add_case,
    change_case,
    change_set,
    create_set,
    delete_case,
    delete_set,
    find_case,
    find_set,
)
from asissto.retrieval.shown_runs import CaseOut, SetOut

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]


class QuestionSetController(Controller):
    path = "/api/v1/question-sets"
    tags = ("quality",)

    @get(operation_id="question_sets.list", guards=[need("quality.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        assistant_id: FromQuery[UUID | None] = None,
    ) -> Page[SetOut]:
        mine = select(QuestionSet).where(QuestionSet.tenant_id == principal.tenant_id)
        if assistant_id is not None:
            mine = mine.where(QuestionSet.assistant_id == assistant_id)
        return (await page(session, mine, QuestionSet.id, limit, after)).map(SetOut.of)

    @post(operation_id="question_sets.create", guards=[need("quality.write")])
    async def create(self, data: JSONBody[SetIn], principal: Caller, session: Session) -> SetOut:
        row = await create_set(session, principal.tenant_id, data, principal.user_id)
        await record(session, principal, "question_sets.create", "question_set", row.id, name=row.name)
        return SetOut.of(row)

    @get("/{set_id:uuid}", operation_id="question_sets.read", guards=[need("quality.read")])
    async def read(self, set_id: FromPath[UUID], principal: Caller, session: Session) -> SetOut:
        return SetOut.of(await find_set(session, principal.tenant_id, set_id))

    @patch("/{set_id:uuid}", operation_id="question_sets.update", guards=[need("quality.write")])
    async def update(
        self, set_id: FromPath[UUID], data: JSONBody[SetPatch], principal: Caller, session: Session
    ) -> SetOut:
        row = await change_set(session, principal.tenant_id, set_id, data)
        await record(session, principal, "question_sets.update", "question_set", row.id, **msgspec.to_builtins(data))
        return SetOut.of(row)

    @delete("/{set_id:uuid}", operation_id="question_sets.delete", guards=[need("quality.write")])
    async def remove(self, set_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        """Its cases and runs go with it; refused while it guards what an assistant publishes."""
        row = await delete_set(session, principal.tenant_id, set_id)
        await record(session, principal, "question_sets.delete", "question_set", row.id, name=row.name)


class QuestionCaseController(Controller):
    path = "/api/v1/question-sets/{set_id:uuid}/cases"
    tags = ("quality",)

    @get(operation_id="question_cases.list", guards=[need("quality.read")])
    async def list(
        self,
        set_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        tag: FromQuery[str | None] = None,
    ) -> Page[CaseOut]:
        await find_set(session, principal.tenant_id, set_id)
        mine = select(QuestionCase).where(QuestionCase.tenant_id == principal.tenant_id, QuestionCase.set_id == set_id)
        if tag is not None:
            mine = mine.where(QuestionCase.tags.bool_op("@>")([tag]))
        return (await page(session, mine, QuestionCase.id, limit, after)).map(CaseOut.of)

    @post(operation_id="question_cases.create", guards=[need("quality.write")])
    async def create(
        self, set_id: FromPath[UUID], data: JSONBody[CaseIn], principal: Caller, session: Session
    ) -> CaseOut:
        case = await add_case(session, principal.tenant_id, set_id, data)
        await record(session, principal, "question_cases.create", "question_case", case.id, set=set_id)
        return CaseOut.of(case)

    @get("/{case_id:uuid}", operation_id="question_cases.read", guards=[need("quality.read")])
    async def read(
        self, set_id: FromPath[UUID], case_id: FromPath[UUID], principal: Caller, session: Session
    ) -> CaseOut:
        return CaseOut.of(await find_case(session, principal.tenant_id, set_id, case_id))

    @put("/{case_id:uuid}", operation_id="question_cases.update", guards=[need("quality.write")])
    async def update(
        self,
        set_id: FromPath[UUID],
        case_id: FromPath[UUID],
        data: JSONBody[CaseIn],
        principal: Caller,
        session: Session,
    ) -> CaseOut:
        """The whole case: what is left out is empty from now on."""
        case = await change_case(session, principal.tenant_id, set_id, case_id, data)
        await record(session, principal, "question_cases.update", "question_case", case.id, set=set_id)
        return CaseOut.of(case)

    @delete("/{case_id:uuid}", operation_id="question_cases.delete", guards=[need("quality.write")])
    async def remove(
        self, set_id: FromPath[UUID], case_id: FromPath[UUID], principal: Caller, session: Session
    ) -> None:
        """Runs keep what came of it."""
        await delete_case(session, principal.tenant_id, set_id, case_id)
        await record(session, principal, "question_cases.delete", "question_case", case_id, set=set_id)


HANDLERS: list[ControllerRouterHandler] = [QuestionSetController, QuestionCaseController]
