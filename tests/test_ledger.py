"""The ledger: each thing is booked once, nothing goes below its floor, and nobody changes what is booked."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from asissto.platform.database import Addresses, Database
from asissto.platform.errors import BalanceTooLow
from asissto.platform.ledger import Balance, balance, hold, release, release_expired, settle, transfer
from asissto.platform.services import Services
from money_storm import RIGHT, Storm, audit, storm
from people import People

TOP_UP: dict[str, Any] = {"kind": "top_up", "debit": "cash:manual", "credit": "wallet"}
SPEND: dict[str, Any] = {"kind": "spend", "debit": "wallet", "credit": "revenue"}


@pytest.fixture
def tenant_id(people: People) -> UUID:
    return people["alice"].tenant_id


async def book(database: Database, tenant_id: UUID, do: Callable[..., Any], *values: Any, **more: Any) -> Any:
    async with database.tenant(tenant_id) as session:
        return await do(session, tenant_id, *values, **more)


async def accounts(superuser: asyncpg.Connection, tenant_id: UUID) -> dict[str, int]:
    rows = await superuser.fetch("SELECT name, balance FROM ledger_accounts WHERE tenant_id = $1", tenant_id)
    return {row["name"]: row["balance"] for row in rows}


async def of(database: Database, tenant_id: UUID) -> Balance:
    async with database.tenant(tenant_id) as session:
        return await balance(session, tenant_id)


async def test_a_top_up_is_booked_once(services: Services, superuser: asyncpg.Connection, tenant_id: UUID) -> None:
    """The second time its key is known, and the tenant's balance is the wallet's."""
    first = await book(services.database, tenant_id, transfer, **TOP_UP, amount=500, key="payment:1")
    again = await book(services.database, tenant_id, transfer, **TOP_UP, amount=500, key="payment:1")
    assert (first, again) == (True, False)
    assert await accounts(superuser, tenant_id) == {"cash:manual": -500, "wallet": 500}
    assert await of(services.database, tenant_id) == Balance(available=500, held=0, currency="USD")


async def test_what_is_not_there_is_not_spent(services: Services, tenant_id: UUID) -> None:
    """The transaction goes on after the refusal, and what it books besides stands."""
    async with services.database.tenant(tenant_id) as session:
        await transfer(session, tenant_id, **TOP_UP, amount=5, key="a")
        with pytest.raises(BalanceTooLow):
            await transfer(session, tenant_id, **SPEND, amount=6, key="b")
        await transfer(session, tenant_id, **SPEND, amount=5, key="b")
    assert await of(services.database, tenant_id) == Balance(available=0, held=0, currency="USD")


@pytest.mark.parametrize(
    ("charged", "expected"),
    [
        (30, {"cash:manual": -100, "wallet": 70, "held": 0, "revenue": 30}),
        (40, {"cash:manual": -100, "wallet": 60, "held": 0, "revenue": 40}),
        (90, {"cash:manual": -100, "wallet": 10, "held": 0, "revenue": 90}),
        (0, {"cash:manual": -100, "wallet": 100, "held": 0}),
    ],
)
async def test_what_is_held_is_settled_once(
    services: Services, superuser: asyncpg.Connection, tenant_id: UUID, charged: int, expected: dict[str, int]
) -> None:
    """Less than was held gives the rest back, more than that comes out of the wallet."""
    database = services.database
    await book(database, tenant_id, transfer, **TOP_UP, amount=100, key="payment:1")
    assert [await book(database, tenant_id, hold, "answer:1", 40) for _ in range(2)] == [True, False]
    assert await of(database, tenant_id) == Balance(available=60, held=40, currency="USD")
    assert [await book(database, tenant_id, settle, "answer:1", charged) for _ in range(2)] == [True, False]
    assert await book(database, tenant_id, release, "answer:1") is False
    assert await accounts(superuser, tenant_id) == expected


async def test_a_hold_that_nobody_settles_is_given_back(
    services: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """And where the work ends after all, it is charged from the wallet."""
    database = services.database
    await book(database, tenant_id, transfer, **TOP_UP, amount=100, key="payment:1")
    for key in ("lost", "late", "new"):
        await book(database, tenant_id, hold, key, 30)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await superuser.execute("UPDATE ledger_holds SET expires_at = $1 WHERE key <> 'new'", past)
    assert [await release_expired(database) for _ in range(2)] == [2, 0]
    assert await book(database, tenant_id, settle, "late", 30) is True
    assert await of(database, tenant_id) == Balance(available=40, held=30, currency="USD")


async def test_an_overdraft_goes_as_far_as_the_platform_allows(
    services: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """A wallet may go below zero by its overdraft and not a unit further."""
    await book(services.database, tenant_id, transfer, **TOP_UP, amount=1, key="a")
    await superuser.execute("UPDATE ledger_accounts SET overdraft = 10 WHERE name = 'wallet'")
    await book(services.database, tenant_id, transfer, **SPEND, amount=11, key="b")
    with pytest.raises(BalanceTooLow):
        await book(services.database, tenant_id, transfer, **SPEND, amount=1, key="c")
    assert (await of(services.database, tenant_id)).available == -10


@pytest.mark.parametrize("door", ["tenant", "system"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_entries SET amount = 1",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
        "DELETE FROM ledger_accounts",
        "DELETE FROM ledger_holds",
        "UPDATE ledger_holds SET amount = 1",
        "INSERT INTO ledger_accounts (tenant_id, name, balance) SELECT tenant_id, 'gift', 5 FROM ledger_accounts",
    ],
)
async def test_nobody_changes_what_is_booked(services: Services, tenant_id: UUID, change: str, door: str) -> None:
    """The database refuses it to both runtime roles."""
    database = services.database
    await book(database, tenant_id, transfer, **TOP_UP, amount=3, key="a")
    await book(database, tenant_id, hold, "b", 2)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.tenant(tenant_id) if door == "tenant" else database.system() as session:
            await session.execute(text(change))


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE ledger_accounts SET balance = -1 WHERE name = 'wallet'", "ck_ledger_accounts_floor"),
        ("DELETE FROM tenants", "fk_ledger_entries_tenant_id"),
    ],
)
async def test_the_database_keeps_floors_and_journals(
    services: Services, tenant_id: UUID, statement: str, broken: str
) -> None:
    """Whatever the code above it forgets: no wallet below its floor, no tenant deleted with its journal."""
    await book(services.database, tenant_id, transfer, **TOP_UP, amount=1, key="a")
    with pytest.raises(IntegrityError, match=broken):
        async with services.database.system() as session:
            await session.execute(text(statement))


async def test_the_same_key_at_once_is_booked_once(services: Services, tenant_id: UUID) -> None:
    """Eight writers, one payment."""
    booked = await asyncio.gather(
        *(book(services.database, tenant_id, transfer, **TOP_UP, amount=7, key="payment:1") for _ in range(8))
    )
    assert sorted(booked) == [False] * 7 + [True]
    assert (await of(services.database, tenant_id)).available == 7


async def test_whatever_is_done_at_once_the_books_are_right(
    addresses: Addresses, superuser: asyncpg.Connection, people: People
) -> None:
    """Twenty writers, two tenants, the same keys over and over; `benchmarks/ledger.py` does the same 10,000 times."""
    tenants = [people[name].tenant_id for name in ("alice", "charlie")]
    database = Database(addresses, pool_size=10)
    done = await storm(database, tenants, writers=20, operations=1_500)
    await database.close()
    assert {tenant: await audit(superuser, tenant, done.told[tenant]) for tenant in tenants} == dict.fromkeys(
        tenants, RIGHT
    )
    assert_everything_happened(done)


def assert_everything_happened(done: Storm) -> None:
    """Else the storm would prove little."""
    assert set(done.outcomes) == {"booked", "repeated", "too_low", "taken_back"}
    assert min(done.outcomes.values()) > 20


async def test_books_that_are_wrong_are_noticed(
    services: Services, superuser: asyncpg.Connection, people: People
) -> None:
    """A balance that does not follow the journal, an entry that nobody was told of."""
    tenant_id = people["alice"].tenant_id
    done = await storm(services.database, [tenant_id], writers=2, operations=200)
    await superuser.execute("UPDATE ledger_accounts SET balance = balance + 1 WHERE name = 'wallet'")
    await superuser.execute("UPDATE ledger_entries SET amount = amount + 1 WHERE kind = 'spend' AND key = 'spend:0'")
    books = await audit(superuser, tenant_id, done.told[tenant_id])
    assert (books.sum_of_accounts, books.shown_balance_off_by, books.wrongly_charged) == (1, -1, {"0": 1})
    assert books.off_the_journal == {"wallet": 2, "revenue": -1}


async def test_what_has_expired_is_set_aside_anew(
    services: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """As often as it takes, for another amount, and only where there is money; it is settled once."""
    database = services.database
    await book(database, tenant_id, transfer, **TOP_UP, amount=100, key="payment:1")
    for amount in (30, 40):
        assert await book(database, tenant_id, hold, "answer:1", amount) is True
        await superuser.execute("UPDATE ledger_holds SET expires_at = '2026-01-01'")
        assert await release_expired(database) == 1
    with pytest.raises(BalanceTooLow):
        await book(database, tenant_id, hold, "answer:1", 101)
    assert await book(database, tenant_id, hold, "answer:1", 50) is True
    assert await of(database, tenant_id) == Balance(available=50, held=50, currency="USD")
    assert [await book(database, tenant_id, settle, "answer:1", 20) for _ in range(2)] == [True, False]
    assert await book(database, tenant_id, hold, "answer:1", 20) is False
    assert await accounts(superuser, tenant_id) == {"cash:manual": -100, "wallet": 80, "held": 0, "revenue": 20}


async def test_a_hold_that_is_renewed_is_not_given_back(
    services: Services, superuser: asyncpg.Connection, tenant_id: UUID
) -> None:
    """Whoever asks again for what is held has it as long again, also while the round of the expired is on its way."""
    database = services.database
    await book(database, tenant_id, transfer, **TOP_UP, amount=100, key="payment:1")
    await book(database, tenant_id, hold, "answer:1", 30)
    await superuser.execute("UPDATE ledger_holds SET expires_at = '2026-01-01'")
    assert await book(database, tenant_id, hold, "answer:1", 30) is False
    assert await book(database, tenant_id, release, "answer:1", expired=True) is False
    assert await of(database, tenant_id) == Balance(available=70, held=30, currency="USD")
