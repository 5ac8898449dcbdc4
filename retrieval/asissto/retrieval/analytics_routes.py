"""The routes of the figures: cards, series, breakdowns, and the rows behind them as pages and files."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import Forbidden, InvalidInput
from asissto.platform.given import Caller, Open, Session
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import need
from asissto.platform.texts import Phrase
from asissto.retrieval.comparing_periods import Card, Contribution, card, contributions
from asissto.retrieval.figure_rows import CallRow, FeedbackRow, InquiryRow, SegmentRow, TurnRow, View
from asissto.retrieval.figures import FIGURES, dimensions_of
from asissto.retrieval.forecasting import CHARGES, Forecast, forecast
from asissto.retrieval.listing_rows import MEDIA_TYPES, Format, file_of, page_of, rows_of
from asissto.retrieval.periods import Period, period_of, timezone_of
from asissto.retrieval.reckoning import (
    MOST_GROUPS,
    Reading,
    Slice,
    Step,
    Value,
    breakdown,
    main_currency,
    series,
    steps,
    totals,
    whole,
)

READ = [need("analytics.read")]
MOST_HOURS = 62
"""Days that may be shown by the hour."""

_KEY = r"^[^\x00]{1,200}$"
Key = Annotated[str | None, QueryParameter(pattern=_KEY, description="A key of this dimension, or none.")]
Spoken = Annotated[
    str | None,
    QueryParameter(name="language", pattern=_KEY, description="Of the answers; `language` is the reader's."),
]
Since = Annotated[datetime | None, QueryParameter(description="From this moment on; without it 30 days.")]
Until = Annotated[datetime | None, QueryParameter(description="Before this moment; without it today's end.")]
BeforeSince = Annotated[datetime | None, QueryParameter(description="The period to compare with begins here.")]
BeforeUntil = Annotated[datetime | None, QueryParameter(description="And ends before this moment.")]
Name = Annotated[str, QueryParameter(pattern="^[a-z0-9_]{1,40}$", description="A figure of the catalogue.")]
MaybeName = Annotated[str | None, QueryParameter(pattern="^[a-z0-9_]{1,40}$", description="Only the rows of a figure.")]
By = Annotated[str, QueryParameter(pattern="^[a-z_]{1,40}$", description="A dimension of the figure.")]
Currency = Annotated[str | None, QueryParameter(pattern="^[A-Z]{3}$", description="Of money; else that of most calls.")]


class FigureOut(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is count, sum, mean, quantile or share; a share is `part` of `whole`."""

    figure: str
    view: View
    kind: str
    unit: str
    part: str | None
    whole: str | None
    dimensions: list[str]


class FiguresOut(msgspec.Struct, frozen=True):
    items: list[FigureOut]


class PeriodOut(msgspec.Struct, frozen=True):
    since: datetime
    until: datetime


class CardsOut(msgspec.Struct, frozen=True, kw_only=True):
    """`before` is null where nothing is compared."""

    timezone: str
    period: PeriodOut
    before: PeriodOut | None
    items: list[Card]


class PointOut(msgspec.Struct, frozen=True):
    """`at` is the step's beginning, without a zone: that of the workspace."""

    at: str
    value: float | None


class SeriesOut(msgspec.Struct, frozen=True, kw_only=True):
    """Steps without rows are there too."""

    figure: str
    unit: str
    currency: str | None
    timezone: str
    items: list[PointOut]


class BreakdownOut(msgspec.Struct, frozen=True, kw_only=True):
    """`value` and `before` are those of the whole; the contributions add up to the `change`."""

    figure: str
    unit: str
    currency: str | None
    by: str
    period: PeriodOut
    before: PeriodOut
    whole: Card | None
    items: list[Contribution]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the query says, before the time zone of the workspace is known."""

    sliced: Slice
    since: datetime | None
    until: datetime | None
    before_since: datetime | None
    before_until: datetime | None

    async def reading(self, session: AsyncSession, tenant_id: UUID) -> Reading:
        """Raises InvalidInput."""
        timezone = await timezone_of(session, tenant_id)
        period = period_of(self.since, self.until, timezone, ("since", "until"))
        return Reading(tenant_id=tenant_id, period=period, sliced=self.sliced, timezone=timezone)

    def earlier(self, reading: Reading) -> Reading:
        """As long and just before, where it is not said otherwise. Raises InvalidInput."""
        if self.before_since is self.before_until is None:
            return msgspec.structs.replace(reading, period=reading.period.before)
        until = self.before_until or reading.period.since
        period = period_of(self.before_since, until, reading.timezone, ("before_since", "before_until"))
        return msgspec.structs.replace(reading, period=period)


def provide_asked(
    assistant: Key = None,
    version: Key = None,
    channel: Key = None,
    channel_type: Key = None,
    model: Key = None,
    spoken: Spoken = None,
    day: Key = None,
    hour: Key = None,
    result: Key = None,
    mode: Key = None,
    reason: Key = None,
    purpose: Key = None,
    provider: Key = None,
    confidence: Key = None,
    currency: Currency = None,
    since: Since = None,
    until: Until = None,
    before_since: BeforeSince = None,
    before_until: BeforeUntil = None,
) -> Asked:
    told = locals()
    moments = {name: told.pop(name) for name in Asked.__struct_fields__ if name != "sliced"}
    told["language"] = told.pop("spoken")
    return Asked(sliced={name: key for name, key in told.items() if key is not None}, **moments)


Query = NamedDependency[Asked]
# One dependency beside the session's, and none that needs another: Litestar leaves the session of a request open where
# a later one fails.
_GIVEN = {"asked": Provide(provide_asked, sync_to_thread=False)}


class FigureController(Controller):
    path = "/api/v1/analytics"
    tags = ("analytics",)
    dependencies = _GIVEN
    guards = READ

    @get("/figures", operation_id="analytics.figures")
    async def figures(self) -> FiguresOut:
        """The catalogue: what there is, and by what it can be divided."""
        return FiguresOut([_described(name) for name in FIGURES])

    @get("/cards", operation_id="analytics.cards")
    async def cards(
        self, principal: Caller, session: Session, asked: Query, compared: FromQuery[bool] = True
    ) -> CardsOut:
        """Every figure of a period, compared with the period before or another one."""
        reading = await asked.reading(session, principal.tenant_id)
        earlier = asked.earlier(reading)
        now = await totals(session, reading)
        before = await totals(session, earlier) if compared else None
        items = [each for name in now for each in _cards(name, now[name], None if before is None else before[name])]
        return CardsOut(
            timezone=reading.timezone,
            period=_shown(reading.period),
            before=_shown(earlier.period) if compared else None,
            items=items,
        )

    @get("/series", operation_id="analytics.series")
    async def series(
        self, principal: Caller, session: Session, asked: Query, figure: Name, step: FromQuery[Step] = "day"
    ) -> SeriesOut:
        """A figure by time."""
        reading = await asked.reading(session, principal.tenant_id)
        if step == "hour" and reading.period.until - reading.period.since > timedelta(days=MOST_HOURS):
            raise InvalidInput(field="since", detail=Phrase("invalid.period", MOST_HOURS))
        currency = await _currency(session, reading, figure)
        found = await series(session, reading, figure, step, currency)
        is_summed = FIGURES[figure].kind in ("count", "sum")
        absent = Value(0 if is_summed else None)
        return SeriesOut(
            figure=figure,
            unit=FIGURES[figure].unit,
            currency=currency,
            timezone=reading.timezone,
            items=[PointOut(at, found.get(at, absent).value) for at in steps(reading, step)],
        )

    @get("/breakdown", operation_id="analytics.breakdown")
    async def breakdown(self, principal: Caller, session: Session, asked: Query, figure: Name, by: By) -> BreakdownOut:
        """A figure by a dimension in two periods: who has which part in its change."""
        reading = await asked.reading(session, principal.tenant_id)
        earlier = asked.earlier(reading)
        currency = await _currency(session, reading, figure)
        now = await breakdown(session, reading, figure, by, currency)
        before = await breakdown(session, earlier, figure, by, currency)
        wholes = await whole(session, reading, figure, currency), await whole(session, earlier, figure, currency)
        return BreakdownOut(
            figure=figure,
            unit=FIGURES[figure].unit,
            currency=currency,
            by=by,
            period=_shown(reading.period),
            before=_shown(earlier.period),
            whole=card(figure, FIGURES[figure], *wholes),
            items=contributions(FIGURES[figure], now, before)[:MOST_GROUPS],
        )

    @get("/forecast", operation_id="analytics.forecast")
    async def forecast(
        self,
        principal: Caller,
        services: Open,
        session: Session,
        asked: Query,
        figure: Name = "cost",
    ) -> Forecast:
        """What a count or a sum will come to by the end of the running period, and whether plan or wallet bear it.

        Where the server has billing, whoever may read it has `plan_answers` and `charges` besides the catalogue. The
        period is the one that runs, whatever the query says.
        """
        if figure in CHARGES and "billing.read" not in principal.permissions:
            raise Forbidden
        today = Period(datetime.now(UTC), datetime.now(UTC))
        reading = Reading(tenant_id=principal.tenant_id, period=today, sliced=asked.sliced)
        return await forecast(session, reading, figure, bills=services.settings.billing)


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
    dependencies = {**_GIVEN, "listed": Provide(provide_listed, sync_to_thread=False)}  # noqa: RUF012
    guards = READ

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

    @get("/{view:str}/export", operation_id="analytics.export")
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
        return Stream(rows, media_type=MEDIA_TYPES[format], headers=headers)


HANDLERS: list[ControllerRouterHandler] = [FigureController, RowController]


def _described(name: str) -> FigureOut:
    figure = FIGURES[name]
    return FigureOut(
        figure=name,
        view=figure.view,
        kind=figure.kind,
        unit=figure.unit,
        part=figure.part or None,
        whole=figure.whole or None,
        dimensions=dimensions_of(figure.view),
    )


def _shown(period: Period) -> PeriodOut:
    return PeriodOut(period.since, period.until)


def _cards(name: str, now: list[Value], before: list[Value] | None) -> list[Card]:
    """One for each currency, also where there was money of it in one of the periods alone."""
    if not FIGURES[name].is_money:
        return [card(name, FIGURES[name], now[0], before[0] if before else None)]
    latest = {each.currency: each for each in now}
    earlier = {each.currency: each for each in before or ()}
    currencies = sorted({*latest, *earlier}, key=str)
    absent = {currency: Value(0, currency) for currency in currencies}
    pairs = [
        ({**absent, **latest}[each], None if before is None else {**absent, **earlier}[each]) for each in currencies
    ]
    return [card(name, FIGURES[name], *pair) for pair in pairs]


async def _currency(session: AsyncSession, reading: Reading, figure: str) -> str | None:
    """That of the slice, or of most calls; None where the figure is no money. Raises InvalidInput."""
    if figure not in FIGURES:
        raise InvalidInput(field="figure", detail=Phrase("invalid.choice"))
    if not FIGURES[figure].is_money:
        return None
    return reading.sliced.get("currency") or await main_currency(session, reading)
