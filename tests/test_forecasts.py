"""What a period will come to: by the usual weekdays, with an interval, against what the plan includes."""

import math
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from msgspec import structs

from analytics_log import write_log
from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from asissto.retrieval.forecasting import Source, _foretold
from asissto.retrieval.periods import Period
from people import Person, bearer, make_client

MONTH = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""A Friday."""


def shop_days(today: date, weeks: int, swing: float = 0.0) -> dict[date, float]:
    """A hundred on working days and none at weekends; every other week is `swing` above, the others below."""
    days = [today - timedelta(days=back) for back in range(1, 7 * weeks + 1)]
    return {day: 100.0 + swing * (-1) ** (day.toordinal() // 7) for day in days if day.weekday() < 5}


def test_the_forecast_knows_weekends() -> None:
    """Half of Friday and six working days are left of the month; to go on as it began would count weekends too."""
    days = shop_days(NOON.date(), 8)
    spent = sum(value for day, value in days.items() if day.month == 11) + 50
    found = _foretold(
        "cost", Source(unit="count", currency=None, days=days, spent=spent, limit=2_050), MONTH, "UTC", NOON
    )
    assert spent == 1_450
    assert (found.seasonal, found.low, found.high) == (2_100.0, 2_100.0, 2_100.0)
    assert found.linear == pytest.approx(1_450 * 30 / 19.5)
    assert (found.is_exceeded, found.reached_on) == (True, date(2026, 11, 30))


def test_the_interval_is_that_of_the_days_before() -> None:
    """Eight in ten of a normal distribution, for as many days as are left."""
    days = shop_days(NOON.date(), 8, swing=10)
    found = _foretold("cost", Source(unit="count", currency=None, days=days, spent=1_000), MONTH, "UTC", NOON)
    deviation = math.sqrt(40 * 100 / (56 - 7))
    assert found.seasonal == pytest.approx(1_650)
    assert (found.high or 0) - 1_650 == pytest.approx(1.2816 * deviation * math.sqrt(10.5), rel=1e-6)
    assert (found.is_exceeded, found.reached_on) == (None, None)


@pytest.mark.parametrize("known", [0, 13])
def test_whoever_knows_too_little_says_so(known: int) -> None:
    """The line alone, and no interval."""
    days = {NOON.date() - timedelta(days=back): 10.0 for back in range(1, known + 1)}
    found = _foretold("cost", Source(unit="count", currency=None, days=days, spent=190), MONTH, "UTC", NOON)
    assert (found.seasonal, found.low, found.high) == (None, None, None)
    assert found.linear == pytest.approx(190 * 30 / 19.5)


async def test_the_plan_is_what_is_forecast_against(
    services: Services, alice: Person, bob: Person, superuser: asyncpg.Connection
) -> None:
    """For whoever may read the bills; without plans the calendar month counts, and what has no sum is refused."""
    await write_log(services, alice.tenant_id, seed=3, inquiries=30)
    paid = structs.replace(services, settings=structs.replace(services.settings, billing=True))
    assert (await alice.client.get("/api/v1/analytics/forecast?figure=plan_answers")).status_code == 400
    assert (await alice.client.get("/api/v1/analytics/forecast?figure=answered_share")).status_code == 400
    month = (
        await alice.client.get("/api/v1/analytics/forecast", params={"figure": "questions", "language": "ru"})
    ).json()
    assert (month["limit"], datetime.fromisoformat(month["since"]).astimezone(UTC).hour) == (None, 21)
    async with make_client(build_app(paid)) as client:
        client.headers["authorization"] = bearer(services, alice)
        (await client.get("/api/v1/billing")).raise_for_status()
        period = await superuser.fetchval("SELECT period FROM subscriptions WHERE tenant_id = $1", alice.tenant_id)
        for number in range(130):
            await superuser.execute(
                "INSERT INTO usage_events (tenant_id, key, period, quantities) VALUES ($1, $2, $3, '{\"answers\": 1}')",
                *(alice.tenant_id, f"answer:{number}", period),
            )
        told = (await client.get("/api/v1/analytics/forecast?figure=plan_answers")).json()
        assert (told["spent"], told["limit"], told["limited_by"], told["is_exceeded"]) == (130, 100, "plan", True)
        wallet = (await client.get("/api/v1/analytics/forecast?figure=charges")).json()
        assert (wallet["spent"], wallet["limit"], wallet["limited_by"], wallet["currency"]) == (0, 0, "balance", "USD")
        client.headers["authorization"] = bearer(services, bob)
        assert (await client.get("/api/v1/analytics/forecast?figure=charges")).status_code == 403
