"""The routes of the figures: the catalogue, cards, series, breakdowns and the forecast."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import Forbidden, InvalidInput
from asissto.platform.given import Caller, Open, Session
from asissto.platform.permissions import need
from asissto.platform.texts import Phrase
from asissto.retrieval.asking_figures import GIVEN, Query
from asissto.retrieval.comparing_periods import Card, Contribution, card, contributions
from asissto.retrieval.figure_row_routes import HANDLERS as ROWS
from asissto.retrieval.figure_rows import View
from asissto.retrieval.figures import FIGURES, dimensions_of
from asissto.retrieval.forecasting import CHARGES, Forecast, forecast
from asissto.retrieval.periods import Period
from asissto.retrieval.reckoning import (
    MOST_GROUPS,
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

MOST_HOURS = 62
"""Days that may be shown by the hour."""

Name = Annotated[str, QueryParameter(pattern="^[a-z0-9_]{1,40}$", description="A figure of the catalogue.")]
By = Annotated[str, QueryParameter(pattern="^[a-z_]{1,40}$", description="A dimension of the figure.")]


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


class FigureController(Controller):
    path = "/api/v1/analytics"
    tags = ("analytics",)
    dependencies = GIVEN
    guards = (need("analytics.read"),)

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


HANDLERS: list[ControllerRouterHandler] = [FigureController, *ROWS]


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
