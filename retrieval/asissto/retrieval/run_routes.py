"""The routes of runs: asked for, watched, cancelled, read case by case, compared."""

from typing import Literal
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first, page
from asissto.platform.permissions import need
from asissto.platform.texts import Language, Phrase
from asissto.retrieval.comparing import Change, Comparison, compare
from asissto.retrieval.publishing import Which
from asissto.retrieval.quality_tables import SetResult, SetRun
from asissto.retrieval.question_sets import find_set
from asissto.retrieval.set_runs import cancel_run, find_pair, find_run, results_of, start_run
from asissto.retrieval.shown_runs import ResultOut, RunOut

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]


class RunIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without an assistant, the one that the set is meant for."""

    assistant_id: UUID | None = None
    version: Which = "published"


class SetRunController(Controller):
    path = "/api/v1/question-sets/{set_id:uuid}/runs"
    tags = ("quality",)

    @get(operation_id="set_runs.list", guards=[need("quality.read")])
    async def list(
        self,
        set_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[RunOut]:
        """Newest first."""
        await find_set(session, principal.tenant_id, set_id)
        mine = select(SetRun).where(SetRun.tenant_id == principal.tenant_id, SetRun.set_id == set_id)
        return (await newest_first(session, mine, SetRun.id, limit, after)).map(RunOut.of)

    @post(operation_id="set_runs.start", status_code=202, guards=[need("quality.write")])
    async def start(self, set_id: FromPath[UUID], data: JSONBody[RunIn], principal: Caller, session: Session) -> RunOut:
        """As soon as a worker is free; the events of the topic `set_runs` tell how far it is."""
        row = await find_set(session, principal.tenant_id, set_id)
        assistant_id = data.assistant_id or row.assistant_id
        if assistant_id is None:
            raise InvalidInput(field="assistant_id", detail=Phrase("invalid.missing"))
        run = await start_run(
            session,
            principal.tenant_id,
            set_id,
            assistant_id=assistant_id,
            which=data.version,
            by=principal.user_id,
        )
        await record(session, principal, "set_runs.start", "set_run", run.id, assistant=assistant_id)
        return RunOut.of(run)


class RunController(Controller):
    path = "/api/v1/set-runs/{run_id:uuid}"
    tags = ("quality",)

    @get(operation_id="set_runs.read", guards=[need("quality.read")])
    async def read(self, run_id: FromPath[UUID], principal: Caller, session: Session) -> RunOut:
        return RunOut.of(await find_run(session, principal.tenant_id, run_id))

    @post("/cancel", operation_id="set_runs.cancel", status_code=200, guards=[need("quality.write")])
    async def cancel(self, run_id: FromPath[UUID], principal: Caller, session: Session) -> RunOut:
        """What it has found so far stays; one that has ended stays as it is."""
        run = await cancel_run(session, principal.tenant_id, run_id)
        await record(session, principal, "set_runs.cancel", "set_run", run.id)
        return RunOut.of(run)

    @get("/results", operation_id="set_runs.results", guards=[need("quality.read")])
    async def results(
        self,
        run_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        only: FromQuery[Literal["passed", "failed"] | None] = None,
    ) -> Page[ResultOut]:
        """In the order of the cases."""
        await find_run(session, principal.tenant_id, run_id)
        mine = select(SetResult).where(SetResult.tenant_id == principal.tenant_id, SetResult.run_id == run_id)
        if only is not None:
            mine = mine.where(SetResult.passed == (only == "passed"))
        found = await page(session, mine, SetResult.case_id, limit, after)
        return found.map(lambda result: ResultOut.of(result, language))

    @get("/comparison", operation_id="set_runs.compare", guards=[need("quality.read")])
    async def compare(
        self,
        run_id: FromPath[UUID],
        before: FromQuery[UUID],
        principal: Caller,
        session: Session,
        only: FromQuery[Change | None] = None,
    ) -> Comparison:
        """With an earlier run of the same set: what got better, what got worse, and whether it may be chance.

        `only` leaves out other cases; the figures are of all.
        """
        first, second = await find_pair(session, principal.tenant_id, before, run_id)
        old, new = [await results_of(session, principal.tenant_id, run.id) for run in (first, second)]
        compared = compare(old, new)
        shown = [item for item in compared.items if only in (None, item.change)]
        return msgspec.structs.replace(compared, items=shown)


HANDLERS: list[ControllerRouterHandler] = [SetRunController, RunController]
