"""The routes of the figures: cards, series, breakdowns, and the rows behind them as pages and files."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

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
    Number,
    Reading,
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

Key = Annotated[
    str | None, QueryParameter(min_length=1, max_length=200, description="A key of this dimension, or none.")
]
Spoken = Annotated[
    str | None,
    QueryParameter(
        name="language", min_length=1, max_length=20, description="Of the answers; `language` is the reader's."
    ),
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
    value: Number | None


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


def provide_slice(
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
) -> dict[str, str]:
    given = {"language" if name == "spoken" else name: key for name, key in locals().items()}
    return {name: key for name, key in given.items() if key is not None}


async def provide_reading(
    principal: Caller,
    session: Session,
    sliced: NamedDependency[dict[str, str]],
    since: Since = None,
    until: Until = None,
) -> Reading:
    timezone = await timezone_of(session, principal.tenant_id)
    period = period_of(since, until, timezone, ("since", "until"))
    return Reading(tenant_id=principal.tenant_id, period=period, sliced=sliced, timezone=timezone)


def provide_before(
    reading: NamedDependency[Reading], before_since: BeforeSince = None, before_until: BeforeUntil = None
) -> Reading:
    """As long and just before, where it is not said otherwise."""
    if before_since is before_until is None:
        return msgspec.structs.replace(reading, period=reading.period.before)
    until = before_until or reading.period.since
    period = period_of(before_since, until, reading.timezone, ("before_since", "before_until"))
    return msgspec.structs.replace(reading, period=period)


Read = NamedDependency[Reading]
_GIVEN = {
    "sliced": Provide(provide_slice, sync_to_thread=False),
    "reading": Provide(provide_reading),
    "earlier": Provide(provide_before, sync_to_thread=False),
}


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
    async def cards(self, session: Session, reading: Read, earlier: Read, compared: FromQuery[bool] = True) -> CardsOut:
        """Every figure of a period, compared with the period before or another one."""
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
    async def series(self, session: Session, reading: Read, figure: Name, step: FromQuery[Step] = "day") -> SeriesOut:
        """A figure by time."""
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
    async def breakdown(self, session: Session, reading: Read, earlier: Read, figure: Name, by: By) -> BreakdownOut:
        """A figure by a dimension in two periods: who has which part in its change."""
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
        sliced: NamedDependency[dict[str, str]],
        figure: Name = "cost",
    ) -> Forecast:
        """What a count or a sum will come to by the end of the running period, and whether plan or wallet bear it.

        Where the server has billing, whoever may read it has `plan_answers` and `charges` besides the catalogue.
        """
        if figure in CHARGES and "billing.read" not in principal.permissions:
            raise Forbidden
        today = Period(datetime.now(UTC), datetime.now(UTC))
        reading = Reading(tenant_id=principal.tenant_id, period=today, sliced=sliced)
        return await forecast(session, reading, figure, bills=services.settings.billing)


class RowController(Controller):
    """The columns of the views are stable: others may come, none goes or changes what it means."""

    path = "/api/v1/analytics/views"
    tags = ("analytics",)
    dependencies = _GIVEN
    guards = READ

    @get("/turns", operation_id="analytics.turns")
    async def turns(
        self,
        session: Session,
        reading: Read,
        figure: MaybeName = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[TurnRow]:
        """Answers, latest first."""
        return await page_of(session, TurnRow, rows_of(reading, "turns", figure), limit, after)

    @get("/inquiries", operation_id="analytics.inquiries")
    async def inquiries(
        self,
        session: Session,
        reading: Read,
        figure: MaybeName = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[InquiryRow]:
        """What customers wanted, latest first."""
        return await page_of(session, InquiryRow, rows_of(reading, "inquiries", figure), limit, after)

    @get("/feedback", operation_id="analytics.feedback")
    async def feedback(
        self,
        session: Session,
        reading: Read,
        figure: MaybeName = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[FeedbackRow]:
        """What customers thought of answers, latest first."""
        return await page_of(session, FeedbackRow, rows_of(reading, "feedback", figure), limit, after)

    @get("/calls", operation_id="analytics.calls")
    async def calls(
        self,
        session: Session,
        reading: Read,
        figure: MaybeName = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[CallRow]:
        """Calls of models, latest first."""
        return await page_of(session, CallRow, rows_of(reading, "calls", figure), limit, after)

    @get("/segments", operation_id="analytics.segments")
    async def segments(
        self,
        session: Session,
        reading: Read,
        figure: MaybeName = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[SegmentRow]:
        """SMS that were sent, latest first."""
        return await page_of(session, SegmentRow, rows_of(reading, "segments", figure), limit, after)

    @get("/{view:str}/export", operation_id="analytics.export")
    async def export(
        self,
        view: FromPath[View],
        services: Open,
        reading: Read,
        figure: MaybeName = None,
        format: FromQuery[Format] = "csv",  # noqa: A002 - the name of the parameter
    ) -> Stream:
        """Oldest first, as a file."""
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
