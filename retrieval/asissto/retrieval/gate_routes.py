"""The routes of publishing: the draft goes out, if the gate lets it."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput, NotFound
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import Phrase
from asissto.retrieval.assistants import check_included, find_assistant, hold_assistant
from asissto.retrieval.drafts import check_revision, draft_of
from asissto.retrieval.gating import Verdict, check_draft, find_gate, put_gate, refusal, start_runs, take_gate_away
from asissto.retrieval.publishing import Note, publish_draft
from asissto.retrieval.quality_tables import PublishingGate
from asissto.retrieval.shown_assistants import AssistantOut
from asissto.retrieval.shown_runs import RunOut
from asissto.retrieval.tables import Assistant

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]


class PublishIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`override` publishes past the gate; the reason is kept in the audit trail."""

    revision: int | UnsetType = UNSET
    note: Note = ""
    override: bool = False
    reason: Note = ""


class PublishOut(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is not published yet, `runs` are those that decide; ask again when they are done."""

    published: bool
    assistant: AssistantOut
    runs: list[RunOut] = []


class GateIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Up to `allow_drop` questions may break."""

    set_id: UUID
    allow_drop: Annotated[int, Meta(ge=0, le=10_000)] = 0


class BrokenOut(msgspec.Struct, frozen=True):
    case_id: UUID
    question: str


class GateOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of the draft: `needs_run`, `running`, `passes` or `refused`; None where there is no draft."""

    set_id: UUID
    allow_drop: int
    verdict: Verdict | None
    runs: list[RunOut]
    broken: list[BrokenOut]


class PublishController(Controller):
    path = "/api/v1/assistants/{assistant_id:uuid}/publish"
    tags = ("assistants",)

    @post(
        operation_id="assistants.publish",
        status_code=200,
        guards=[need("assistants.write")],
        responses={202: ResponseSpec(PublishOut, generate_examples=False, description="The gate asks first")},
    )
    async def publish(
        self,
        assistant_id: FromPath[UUID],
        data: JSONBody[PublishIn],
        services: Open,
        principal: Caller,
        session: Session,
    ) -> Response[PublishOut]:
        """202 where the gate has to ask its questions first: the runs are started, and a later call decides."""
        row = await hold_assistant(session, principal.tenant_id, assistant_id)
        check_revision(row, data.revision)
        await check_included(session, services.settings, principal.tenant_id, draft_of(row))
        gate = await find_gate(session, principal.tenant_id, assistant_id)
        said: dict[str, Any] = {"note": data.note}
        if gate is not None:
            checked = await check_draft(session, row, gate)
            if data.override:
                said |= _override(data, checked.verdict, list(checked.broken))
            elif checked.verdict == "refused":
                raise refusal(checked)
            elif checked.verdict != "passes":
                return await _wait(session, principal, row, gate)
        await publish_draft(session, row, data.note, principal.user_id)
        await record(session, principal, "assistants.publish", "assistant", row.id, version=row.version, **said)
        return Response(PublishOut(published=True, assistant=AssistantOut.of(row)))


class GateController(Controller):
    path = "/api/v1/assistants/{assistant_id:uuid}/gate"
    tags = ("assistants",)

    @get(operation_id="assistants.gate.read", guards=[need("assistants.read")])
    async def read(self, assistant_id: FromPath[UUID], principal: Caller, session: Session) -> GateOut:
        row = await find_assistant(session, principal.tenant_id, assistant_id)
        gate = await find_gate(session, principal.tenant_id, assistant_id)
        if gate is None:
            raise NotFound(kind="gate")
        return await _show(session, row, gate)

    @put(operation_id="assistants.gate.update", guards=[need("assistants.write")])
    async def update(
        self, assistant_id: FromPath[UUID], data: JSONBody[GateIn], principal: Caller, session: Session
    ) -> GateOut:
        """From now on a draft is published only where it breaks nothing of the set that the published version can."""
        row = await hold_assistant(session, principal.tenant_id, assistant_id)
        gate = await put_gate(session, row, data.set_id, data.allow_drop)
        said = {"set": data.set_id, "allow_drop": data.allow_drop}
        await record(session, principal, "assistants.gate.update", "assistant", row.id, **said)
        return await _show(session, row, gate)

    @delete(operation_id="assistants.gate.remove", guards=[need("assistants.write")])
    async def remove(self, assistant_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        row = await hold_assistant(session, principal.tenant_id, assistant_id)
        await take_gate_away(session, principal.tenant_id, assistant_id)
        await record(session, principal, "assistants.gate.remove", "assistant", row.id)


HANDLERS: list[ControllerRouterHandler] = [PublishController, GateController]


def _override(data: PublishIn, verdict: Verdict, broken: "list[UUID]") -> dict[str, Any]:
    """What the audit trail says of it; raises InvalidInput without a reason."""
    if not data.reason.strip():
        raise InvalidInput(field="reason", detail=Phrase("invalid.missing"))
    return {"override": True, "reason": data.reason, "verdict": verdict, "broken": broken}


async def _wait(
    session: AsyncSession, principal: Principal, row: Assistant, gate: PublishingGate
) -> Response[PublishOut]:
    runs = await start_runs(session, row, gate, principal.user_id)
    await record(session, principal, "assistants.publish", "assistant", row.id, runs=[run.id for run in runs])
    out = PublishOut(published=False, assistant=AssistantOut.of(row), runs=[RunOut.of(run) for run in runs])
    return Response(out, status_code=HTTPStatus.ACCEPTED)


async def _show(session: AsyncSession, row: Assistant, gate: PublishingGate) -> GateOut:
    checked = await check_draft(session, row, gate)
    return GateOut(
        set_id=gate.set_id,
        allow_drop=gate.allow_drop,
        verdict=None if row.draft is None else checked.verdict,
        runs=[RunOut.of(run) for run in checked.runs],
        broken=[BrokenOut(case_id, question) for case_id, question in checked.broken.items()],
    )
