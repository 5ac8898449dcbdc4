"""The routes by which many cases come and go: files, and answers that were given."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.import_reports import ImportOut, audited, takes
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import need
from asissto.platform.texts import Language
from asissto.retrieval.case_files import read_lines, read_table, write_lines, write_table
from asissto.retrieval.case_import import CasePlan, carry_out_cases, case_of, plan_cases, plan_of
from asissto.retrieval.past_cases import cases_from
from asissto.retrieval.question_sets import CaseIn, cases_of, find_set

LARGEST_FILE = 5_000_000
"""Bytes."""

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]
Format = Literal["jsonl", "csv"]
DryRun = Annotated[bool, QueryParameter(description="Only tell what would become of the lines.")]


class FromMessagesIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers of assistants, each of which becomes a case."""

    message_ids: Annotated[list[UUID], Meta(min_length=1, max_length=200)]


class CaseFileController(Controller):
    path = "/api/v1/question-sets/{set_id:uuid}"
    tags = ("quality",)

    @post(
        "/import",
        operation_id="question_cases.import",
        status_code=200,
        guards=[need("quality.write")],
        request_max_body_size=LARGEST_FILE,
        operation_class=takes("application/jsonl", "text/csv"),
    )
    async def take(
        self,
        set_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
        file_format: Annotated[Format, QueryParameter(name="format")] = "jsonl",
        dry_run: DryRun = False,
    ) -> ImportOut:
        """The body is a line of JSON for each case, or CSV with a column `question` and more as in an export.

        A question that is there already, after the same history, gets what the file expects.
        """
        read = read_table if file_format == "csv" else read_lines
        file = await asyncio.to_thread(read, await request.body())
        plan = await plan_cases(session, principal.tenant_id, set_id, file)
        if not dry_run:
            await _carry_out(session, principal, "question_cases.import", plan)
        return ImportOut.of(plan, language)

    @get(
        "/export",
        operation_id="question_cases.export",
        guards=[need("quality.read")],
        opt={MEDIA_TYPES: ("application/jsonl", "text/csv")},
    )
    async def give(
        self,
        set_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        file_format: Annotated[Format, QueryParameter(name="format")] = "jsonl",
    ) -> Response[str]:
        """What an import takes. A table has no room for histories."""
        await find_set(session, principal.tenant_id, set_id)
        cases = [case_of(row) for row in await cases_of(session, principal.tenant_id, set_id)]
        headers = {"content-disposition": f'attachment; filename="questions.{file_format}"'}
        if file_format == "jsonl":
            return Response(write_lines(cases), media_type="application/jsonl", headers=headers)
        # Excel takes CSV for UTF-8 only with a mark in front.
        return Response(f"\ufeff{write_table(cases)}", media_type="text/csv", headers=headers)

    @post(
        "/from-messages", operation_id="question_cases.from_messages", status_code=200, guards=[need("quality.write")]
    )
    async def collect(
        self,
        set_id: FromPath[UUID],
        data: JSONBody[FromMessagesIn],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
    ) -> ImportOut:
        """What was answered then is expected from now on: the documents that it cited, or that it did not know."""
        cases = await cases_from(session, principal.tenant_id, data.message_ids)
        plan = await plan_cases(session, principal.tenant_id, set_id, plan_of([case for case, _ in cases]))
        await _carry_out(session, principal, "question_cases.from_messages", plan, cases)
        return ImportOut.of(plan, language)


HANDLERS: list[ControllerRouterHandler] = [CaseFileController]


async def _carry_out(
    session: AsyncSession,
    principal: Principal,
    action: str,
    plan: CasePlan,
    origins: Sequence[tuple[CaseIn, UUID]] = (),
) -> None:
    await carry_out_cases(session, plan, origins)
    await record(session, principal, action, "question_set", plan.row.id, **audited(plan))
