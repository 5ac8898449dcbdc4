"""Plans: tried, paid by the period, changed for a dearer one at once and for a cheaper one when the period ends."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from asissto.platform.errors import BalanceTooLow, CurrencyDiffers, NotFound
from asissto.platform.ledger import transfer
from asissto.platform.metering import count
from asissto.platform.money_tables import Subscription
from asissto.platform.plans import Terms, next_end, put_plan
from asissto.platform.services import Services
from asissto.platform.subscriptions import GRACE, change_plan, find_subscription, renew, renew_all
from people import People

FIRST = datetime(2026, 1, 31, 12, tzinfo=UTC)
START = Terms(code="start", name="Start", price=3_000, answers=100)
TEAM = Terms(code="team", name="Team", price=9_000, answers=500)
TRIED = Terms(code="tried", name="Tried", price=3_000, trial_days=14)
ROUBLES = Terms(code="start-ru", name="Старт", price=300_000, currency="RUB")


@pytest.fixture
def tenant_id(people: People) -> UUID:
    return people["alice"].tenant_id


@pytest.fixture
async def offered(services: Services) -> Services:
    """With four plans beside the free one."""
    async with services.database.system() as session:
        for terms in (START, TEAM, TRIED, ROUBLES):
            await put_plan(session, terms, "active")
    return services


async def top_up(services: Services, tenant_id: UUID, amount: int, key: str = "payment:1") -> None:
    sides: dict[str, Any] = {"kind": "top_up", "debit": "cash:manual", "credit": "wallet"}
    async with services.database.tenant(tenant_id) as session:
        await transfer(session, tenant_id, **sides, amount=amount, key=key)


async def change(services: Services, tenant_id: UUID, code: str, now: datetime) -> Subscription:
    async with services.database.tenant(tenant_id) as session:
        return await change_plan(session, tenant_id, code, now)


async def renewed(services: Services, tenant_id: UUID, now: datetime) -> bool:
    async with services.database.tenant(tenant_id) as session:
        return await renew(session, tenant_id, now)


async def current(services: Services, tenant_id: UUID) -> Subscription:
    async with services.database.tenant(tenant_id) as session:
        return await find_subscription(session, tenant_id)


async def answer(services: Services, tenant_id: UUID, times: int) -> None:
    async with services.database.tenant(tenant_id) as session:
        await count(session, tenant_id, f"so many: {times}", {"answers": times})


async def booked(
    superuser: asyncpg.Connection, kinds: Iterable[str] = ("plan", "plan_credit")
) -> list[tuple[str, int]]:
    rows = await superuser.fetch(
        "SELECT kind, amount FROM ledger_entries WHERE kind = ANY($1) ORDER BY id", list(kinds)
    )
    return [(row["kind"], row["amount"]) for row in rows]


@pytest.mark.parametrize(
    ("anchor", "after", "period", "expected"),
    [
        ("2026-01-31", "2026-01-31", "month", "2026-02-28"),
        ("2026-01-31", "2026-02-28", "month", "2026-03-31"),
        ("2026-01-31", "2026-12-31", "month", "2027-01-31"),
        ("2028-02-29", "2028-02-29", "year", "2029-02-28"),
        ("2028-02-29", "2031-02-28", "year", "2032-02-29"),
        ("2026-03-15", "2026-03-01", "month", "2026-03-15"),
    ],
)
def test_periods_end_by_the_day_they_began_on(anchor: str, after: str, period: Any, expected: str) -> None:
    """Or on the last day that the month has, without moving the ones behind it."""
    assert str(next_end(datetime.fromisoformat(anchor), datetime.fromisoformat(after), period).date()) == expected


async def test_a_workspace_has_the_free_plan_until_it_chooses(services: Services, tenant_id: UUID) -> None:
    """Without anybody doing anything."""
    found = await current(services, tenant_id)
    assert (found.plan, found.status, found.period) == ("free", "active", 1)


async def test_a_plan_is_paid_from_the_wallet_at_once(
    offered: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """Its period begins now; the tenant shows it."""
    await top_up(offered, tenant_id, 5_000)
    found = await change(offered, tenant_id, "start", FIRST)
    assert (found.plan, found.status, found.period, found.period_start) == ("start", "active", 2, FIRST)
    assert found.period_end == datetime(2026, 2, 28, 12, tzinfo=UTC)
    row = await superuser.fetchrow("SELECT plan, balance FROM tenants WHERE id = $1", tenant_id)
    assert tuple(row) == ("start", 2_000)


async def test_what_cannot_be_paid_changes_nothing(
    offered: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """Neither plan nor money, nor the credit that came before."""
    await top_up(offered, tenant_id, 5_000)
    await change(offered, tenant_id, "start", FIRST)
    with pytest.raises(BalanceTooLow):
        await change(offered, tenant_id, "team", FIRST + timedelta(days=1))
    assert (await current(offered, tenant_id)).plan == "start"
    assert await booked(superuser) == [("plan", 3_000)]
    with pytest.raises(NotFound):
        await change(offered, tenant_id, "nothing", FIRST)


@pytest.mark.parametrize(
    ("days", "used", "credit"),
    [
        (14, 0, 1_500),  # half of the 28 days
        (14, 50, 1_500),
        (7, 90, 300),  # three quarters of the days, a tenth of the answers
        (14, 100, 0),
    ],
)
async def test_an_upgrade_credits_what_is_left(
    offered: Services, superuser: asyncpg.Connection, tenant_id: UUID, days: int, used: int, credit: int
) -> None:
    """By days or by answers, whichever is less; then the new plan is paid in full and begins with none used."""
    await top_up(offered, tenant_id, 20_000)
    await change(offered, tenant_id, "start", FIRST)
    await answer(offered, tenant_id, used)
    now = FIRST + timedelta(days=days)
    found = await change(offered, tenant_id, "team", now)
    credited = [("plan_credit", credit)] if credit else []
    assert await booked(superuser) == [("plan", 3_000), *credited, ("plan", 9_000)]
    assert (found.plan, found.period, found.period_start) == ("team", 3, now)


async def test_a_cheaper_plan_begins_when_the_period_ends(
    offered: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """And can be taken back until then."""
    await top_up(offered, tenant_id, 20_000)
    await change(offered, tenant_id, "team", FIRST)
    found = await change(offered, tenant_id, "start", FIRST + timedelta(days=3))
    assert (found.plan, found.next_plan) == ("team", "start")
    assert (await change(offered, tenant_id, "team", FIRST + timedelta(days=4))).next_plan is None
    await change(offered, tenant_id, "start", FIRST + timedelta(days=5))
    assert await renewed(offered, tenant_id, found.period_end)
    now = await current(offered, tenant_id)
    assert (now.plan, now.next_plan, now.period_start) == ("start", None, found.period_end)
    assert await booked(superuser) == [("plan", 9_000), ("plan", 3_000)]


async def test_a_renewal_is_paid_once(offered: Services, superuser: asyncpg.Connection, tenant_id: UUID) -> None:
    """However many workers look at the same moment, and the day of the month is kept."""
    await top_up(offered, tenant_id, 20_000)
    end = (await change(offered, tenant_id, "start", FIRST)).period_end
    assert not await renewed(offered, tenant_id, end - timedelta(seconds=1))
    begun = await asyncio.gather(*(renew_all(offered.database, end) for _ in range(4)))
    assert sum(begun) == 1
    assert await booked(superuser) == [("plan", 3_000), ("plan", 3_000)]
    assert (await current(offered, tenant_id)).period_end == datetime(2026, 3, 31, 12, tzinfo=UTC)


async def test_a_server_that_stood_still_asks_for_one_period(
    offered: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """Nobody pays for months in which there was no service."""
    await top_up(offered, tenant_id, 20_000)
    await change(offered, tenant_id, "start", FIRST)
    now = datetime(2026, 7, 15, tzinfo=UTC)
    assert [await renewed(offered, tenant_id, now) for _ in range(2)] == [True, False]
    assert await booked(superuser) == [("plan", 3_000), ("plan", 3_000)]
    assert (await current(offered, tenant_id)).period_start == now


async def test_a_renewal_that_cannot_be_paid_waits_and_then_falls_back(offered: Services, tenant_id: UUID) -> None:
    """The plan goes on for the days of grace; after them the workspace has the free one."""
    await top_up(offered, tenant_id, 3_000)
    end = (await change(offered, tenant_id, "start", FIRST)).period_end
    assert not await renewed(offered, tenant_id, end)
    waiting = await current(offered, tenant_id)
    assert (waiting.plan, waiting.status) == ("start", "past_due")
    assert await renewed(offered, tenant_id, end + GRACE)
    fallen = await current(offered, tenant_id)
    assert (fallen.plan, fallen.status) == ("free", "active")


async def test_who_tops_up_within_the_days_of_grace_keeps_the_plan(offered: Services, tenant_id: UUID) -> None:
    """The next look finds the money, and the period begins where the last one ended."""
    await top_up(offered, tenant_id, 3_000)
    end = (await change(offered, tenant_id, "start", FIRST)).period_end
    await renewed(offered, tenant_id, end)
    await top_up(offered, tenant_id, 3_000, "payment:2")
    assert await renewed(offered, tenant_id, end + timedelta(days=2))
    found = await current(offered, tenant_id)
    assert (found.plan, found.status, found.period_start) == ("start", "active", end)


async def test_a_plan_is_tried_once(offered: Services, superuser: asyncpg.Connection, tenant_id: UUID) -> None:
    """Without money; at its end it is paid for, or gone at once."""
    found = await change(offered, tenant_id, "tried", FIRST)
    assert (found.status, found.period_end) == ("trial", FIRST + timedelta(days=14))
    assert await renewed(offered, tenant_id, found.period_end)
    assert (await current(offered, tenant_id)).plan == "free"
    with pytest.raises(BalanceTooLow):
        await change(offered, tenant_id, "tried", FIRST + timedelta(days=15))
    assert await booked(superuser) == []


async def test_terms_hold_until_the_period_ends(
    offered: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """A new price in the catalogue is asked for at the next renewal."""
    await top_up(offered, tenant_id, 20_000)
    end = (await change(offered, tenant_id, "start", FIRST)).period_end
    async with offered.database.system() as session:
        await put_plan(session, Terms(code="start", name="Start", price=4_000, answers=50), "active")
    assert (await current(offered, tenant_id)).terms["answers"] == 100
    await renewed(offered, tenant_id, end)
    assert (await current(offered, tenant_id)).terms["answers"] == 50
    assert await booked(superuser) == [("plan", 3_000), ("plan", 4_000)]


async def test_money_keeps_its_currency(offered: Services, superuser: asyncpg.Connection, tenant_id: UUID) -> None:
    """It is that of the first plan, unless something was booked before."""
    with pytest.raises(BalanceTooLow):
        await change(offered, tenant_id, "start-ru", FIRST)
    await top_up(offered, tenant_id, 300_000)
    with pytest.raises(CurrencyDiffers):
        await change(offered, tenant_id, "start-ru", FIRST)
    assert await superuser.fetchval("SELECT currency FROM tenants WHERE id = $1", tenant_id) == "USD"
