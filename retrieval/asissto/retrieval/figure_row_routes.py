"""The routes of the rows behind figures, as pages and files, also for programs that draw their own charts."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from asissto.platform.given import Caller, Open, Session
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import need
from asissto.retrieval.asking_figures import GIVEN, Query
from asissto.retrieval.figure_rows import CallRow, FeedbackRow, InquiryRow, SegmentRow, TurnRow, View
from asissto.retrieval.listing_rows import TYPES, Format, file_of, page_of, rows_of

MaybeName = Annotated[str | None, QueryParameter(pattern="^[a-z0-9_]{1,40}$", description="Only the rows of a figure.")]


class Listed(msgspec.Struct, frozen=True):
    """Which page of which rows."""

    figure: str | None
    limit: int
    after: str | None


def provide_listed(figure: MaybeName = None, limit: Limit = DEFAULT_LIMIT, after: After = None) -> Listed:
    return Listed(figure, limit, after)


class RowController(Controller):
    """The columns of the views are stable: others may come, none goes or changes what it means."""

    path = "/api/v1/analytics/views"
    tags = ("analytics",)
    dependencies = {**GIVEN, "listed": Provide(provide_listed, sync_to_thread=False)}  # noqa: RUF012
    guards = (need("analytics.read"),)

    @get("/turns", operation_id="analytics.turns")
    async def turns(
        self, principal: Caller, session: Session, asked: Query, listed: NamedDependency[Listed]
    ) -> Page[TurnRow]:
        """Answers, latest first."""
        rows = rows_of(await asked.reading(session, principal.tenant_id), "turns", listed.figure)
        return await page_of(session, TurnRow, rows, listed.limit, listed.after)

    @get("/inquiries", operation_id="analytics.inquiries")
    async def inquiries(
        self, principal: Caller, session: Session, asked: Query, listed: NamedDependency[Listed]
    ) -> Page[InquiryRow]:
        """What customers wanted, latest first."""
        rows = rows_of(await asked.reading(session, principal.tenant_id), "inquiries", listed.figure)
        return await page_of(session, InquiryRow, rows, listed.limit, listed.after)

    @get("/feedback", operation_id="analytics.feedback")
    async def feedback(
        self, principal: Caller, session: Session, asked: Query, listed: NamedDependency[Listed]
    ) -> Page[FeedbackRow]:
        """What customers thought of answers, latest first."""
        rows = rows_of(await asked.reading(session, principal.tenant_id), "feedback", listed.figure)
        return await page_of(session, FeedbackRow, rows, listed.limit, listed.after)

    @get("/calls", operation_id="analytics.calls")
    async def calls(
        self, principal: Caller, session: Session, asked: Query, listed: NamedDependency[Listed]
    ) -> Page[CallRow]:
        """Calls of models, latest first."""
        rows = rows_of(await asked.reading(session, principal.tenant_id), "calls", listed.figure)
        return await page_of(session, CallRow, rows, listed.limit, listed.after)

    @get("/segments", operation_id="analytics.segments")
    async def segments(
        self, principal: Caller, session: Session, asked: Query, listed: NamedDependency[Listed]
    ) -> Page[SegmentRow]:
        """SMS that were sent, latest first."""
        rows = rows_of(await asked.reading(session, principal.tenant_id), "segments", listed.figure)
        return await page_of(session, SegmentRow, rows, listed.limit, listed.after)

    @get("/{view:str}/export", operation_id="analytics.export", opt={MEDIA_TYPES: tuple(TYPES.values())})
    async def export(
        self,
        view: FromPath[View],
        services: Open,
        principal: Caller,
        asked: Query,
        figure: MaybeName = None,
        format: FromQuery[Format] = "csv",  # noqa: A002 - the name of the parameter
    ) -> Stream:
        """Oldest first, as a file."""
        async with services.database.tenant(principal.tenant_id) as session:
            reading = await asked.reading(session, principal.tenant_id)
        rows = file_of(services.database, reading, view, rows_of(reading, view, figure), format)
        headers = {"content-disposition": f'attachment; filename="{view}.{format}"'}
        return Stream(rows, media_type=TYPES[format], headers=headers)


HANDLERS: list[ControllerRouterHandler] = [RowController]
