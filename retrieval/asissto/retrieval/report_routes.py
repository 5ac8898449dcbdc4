"""The routes of reports: a member's own, and the links in the letters, which need no sign-in."""

from html import escape
from http import HTTPStatus
from typing import Any
from uuid import UUID

from litestar import Controller, MediaType, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform.audit import Actor, record
from asissto.platform.errors import MailMissing, NotFound
from asissto.platform.given import Caller, Open, Session
from asissto.platform.openapi import MEDIA_TYPES, PROBLEM_PAGES
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need, open_to_all
from asissto.platform.services import Services
from asissto.platform.texts import Language, text
from asissto.retrieval.analytics_tables import Report
from asissto.retrieval.listing_rows import TYPES, file_of, rows_of
from asissto.retrieval.periods import Period
from asissto.retrieval.reckoning import Reading
from asissto.retrieval.report_letters import applicable
from asissto.retrieval.report_links import Linked, moment, read_token
from asissto.retrieval.reports import (
    ReportIn,
    ReportOut,
    ReportPatch,
    change_report,
    create_report,
    find_report,
    may_read,
)

READ = [need("analytics.read")]


class ReportController(Controller):
    """Everybody has reports of their own; they end when somebody may not see figures any more."""

    path = "/api/v1/analytics/reports"
    tags = ("analytics",)

    @get(operation_id="reports.list", guards=READ)
    async def list(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[ReportOut]:
        """One's own, oldest first."""
        mine = select(Report).where(Report.tenant_id == principal.tenant_id, Report.user_id == principal.user_id)
        return (await page(session, mine, Report.id, limit, after)).map(ReportOut.of)

    @post(operation_id="reports.create", guards=READ)
    async def create(self, data: JSONBody[ReportIn], services: Open, principal: Caller, session: Session) -> ReportOut:
        """It comes by e-mail to the address of the account; 503 where the server sends no mail."""
        if not services.settings.has_mail:
            raise MailMissing
        row = await create_report(session, principal.tenant_id, principal.user_id, data)
        told = {"kind": row.kind, "view": row.view, "every": row.every, "hour": row.hour}
        await record(session, principal, "reports.create", "report", row.id, **told)
        return ReportOut.of(row)

    @patch("/{report_id:uuid}", operation_id="reports.update", guards=READ)
    async def update(
        self, report_id: FromPath[UUID], data: JSONBody[ReportPatch], principal: Caller, session: Session
    ) -> ReportOut:
        row = await find_report(session, principal.tenant_id, principal.user_id, report_id)
        changes = await change_report(session, row, data)
        await record(session, principal, "reports.update", "report", row.id, **changes)
        return ReportOut.of(row)

    @delete("/{report_id:uuid}", operation_id="reports.delete", guards=READ)
    async def remove(self, report_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        row = await find_report(session, principal.tenant_id, principal.user_id, report_id)
        await session.delete(row)
        await record(session, principal, "reports.delete", "report", row.id)


class ReportLinkController(Controller):
    """For whoever has the letter."""

    path = "/api/v1/reports/{token:str}"
    tags = ("analytics",)

    @get(operation_id="reports.show_end", guards=[open_to_all], media_type=MediaType.HTML, opt={PROBLEM_PAGES: True})
    async def show_end(self, token: FromPath[str], services: Open) -> Response[str]:
        """A page with one button: programs that follow every link of a letter end nothing."""
        linked = read_token(services.keys, "end", token)
        row = None if linked is None else await _row(services, linked)
        if row is None:
            return _page("en", "report.ended")
        language: Language = "ru" if row.language == "ru" else "en"
        button = f'<form method="post"><button>{escape(text("report.end_button", language))}</button></form>'
        return _page(language, "report.end_question", button)

    @post(
        operation_id="reports.end",
        status_code=200,
        guards=[open_to_all],
        media_type=MediaType.HTML,
        opt={PROBLEM_PAGES: True},
    )
    async def end(self, token: FromPath[str], services: Open) -> Response[str]:
        """Ends the report; the second time nothing happens. Mail programs call it by themselves (RFC 8058)."""
        linked = read_token(services.keys, "end", token)
        if linked is None:
            return _page("en", "report.unknown_link", status=HTTPStatus.NOT_FOUND)
        async with services.database.tenant(linked.tenant_id) as session:
            row = await session.get(Report, (linked.tenant_id, linked.report_id))
            if row is None:
                return _page("en", "report.ended")
            language: Language = "ru" if row.language == "ru" else "en"
            await session.delete(row)
            actor = Actor(tenant_id=row.tenant_id, user_id=row.user_id)
            await record(session, actor, "reports.end", "report", row.id)
        return _page(language, "report.ended")

    @get("/file", operation_id="reports.file", guards=[open_to_all], opt={MEDIA_TYPES: (TYPES["csv"],)})
    async def file(self, token: FromPath[str], services: Open) -> Stream:
        """The rows as CSV, as long as the member may see them and the report goes on; the link is good for 14 days."""
        linked = read_token(services.keys, "file", token)
        row = None if linked is None or linked.is_expired else await _row(services, linked)
        if row is None or linked is None or row.kind != "csv":
            raise NotFound(kind="report")
        period = Period(moment(linked.since), moment(linked.until))
        reading = Reading(tenant_id=row.tenant_id, period=period, sliced=applicable(row))
        view: Any = row.view
        rows = file_of(services.database, reading, view, rows_of(reading, view, None), "csv")
        headers = {"content-disposition": f'attachment; filename="{view}.csv"'}
        return Stream(rows, media_type=TYPES["csv"], headers=headers)


HANDLERS: list[ControllerRouterHandler] = [ReportController, ReportLinkController]


async def _row(services: Services, linked: Linked) -> Report | None:
    async with services.database.tenant(linked.tenant_id) as session:
        row = await session.get(Report, (linked.tenant_id, linked.report_id))
        return row if row is not None and await may_read(session, linked.tenant_id, row.user_id) else None


def _page(language: Language, key: str, more: str = "", status: HTTPStatus = HTTPStatus.OK) -> Response[str]:
    """In both languages where nobody knows whose it is."""
    languages: tuple[Language, ...] = (language,) if more else ("ru", "en")
    words = "".join(f'<p lang="{each}">{escape(text(key, each))}</p>' for each in languages)
    body = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Asissto</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"</head><body><main>{words}{more}</main></body></html>"
    )
    return Response(body, status_code=status, media_type=MediaType.HTML)
