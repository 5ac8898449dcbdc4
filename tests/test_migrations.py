"""Migrations: the schema they make is the one the code describes, forwards, backwards, and with two at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncpg
import pytest
from alembic import command
from msgspec import structs
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from asissto.platform import migrate as migrating
from asissto.platform.database import Addresses, Database
from asissto.platform.errors import BadSetting, DatabaseDown, DatabaseTooOld, NotReady
from asissto.platform.health import check_ready
from asissto.platform.keys import parse_key_ring
from asissto.platform.migrate import alembic_config, embedded_addresses, migrate, outside_addresses
from asissto.platform.postgres import EmbeddedPostgres

KEYS = parse_key_ring("test:" + "A" * 43 + "=")


@pytest.fixture
async def empty(server: EmbeddedPostgres) -> AsyncIterator[Addresses]:
    """A database in which nothing was migrated yet."""
    yield await embedded_addresses(server, "empty")
    connection = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database="postgres")
    await connection.execute("DROP DATABASE empty WITH (FORCE)")
    await connection.close()


async def run(addresses: Addresses, do: Callable[[Connection], None]) -> None:
    engine = create_async_engine(addresses.owner)
    async with engine.begin() as connection:
        await connection.run_sync(do)
    await engine.dispose()


async def schema(connection: asyncpg.Connection) -> list[str]:
    """Columns, constraints, indexes, policies and functions of ours as Postgres describes them."""
    ours = "connamespace = 'public'::regnamespace"
    rows = await connection.fetch(f"""
        SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE {ours}
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT tablename || ' ' || policyname || ' ' || qual FROM pg_policies
        UNION ALL SELECT proname || ' ' || prosrc || ' ' || coalesce(proacl::text, '') FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prokind = 'f' AND probin IS NULL ORDER BY 1
    """)  # fmt: skip
    return [row[0] for row in rows]


async def test_the_migrated_schema_is_the_one_of_the_models(addresses: Addresses) -> None:
    """Alembic finds nothing to add to the migrations."""
    await run(addresses, lambda connection: command.check(alembic_config(connection)))


async def test_down_to_nothing_and_up_again(addresses: Addresses, superuser: asyncpg.Connection) -> None:
    """Each migration takes back what it did, and can then be run again to the same schema."""
    before = await schema(superuser)
    await run(addresses, lambda connection: command.downgrade(alembic_config(connection), "base"))
    assert await superuser.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1
    await migrate(addresses)
    assert await schema(superuser) == before


async def test_a_second_migration_changes_nothing(addresses: Addresses, superuser: asyncpg.Connection) -> None:
    """Every start of every process migrates."""
    before = await schema(superuser)
    await migrate(addresses)
    assert await schema(superuser) == before


async def test_two_first_starts_at_once_do_not_clash(empty: Addresses) -> None:
    """One waits for the other, and both find the newest schema."""
    async with asyncio.timeout(60):
        await asyncio.gather(migrate(empty), migrate(empty), migrate(empty))
    database = Database(empty, pool_size=1)
    await check_ready(database)
    await database.close()


async def test_a_database_that_is_not_migrated_is_not_ready(empty: Addresses) -> None:
    """A process that meets it says so instead of failing at the first request."""
    database = Database(empty, pool_size=1)
    with pytest.raises(NotReady):
        await check_ready(database)
    await database.close()


@dataclass(frozen=True)
class TooOld:
    constant: str
    value: object
    needed: str


@pytest.mark.parametrize(
    "case",
    [TooOld("OLDEST_POSTGRES", 990000, "PostgreSQL 99"), TooOld("OLDEST_PGVECTOR", (99, 1), "pgvector 99.1")],
    ids=lambda case: case.constant,
)
async def test_a_server_that_is_too_old_is_refused_and_left_alone(
    case: TooOld, empty: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what is needed; no table is made."""
    monkeypatch.setattr(migrating, case.constant, case.value)
    with pytest.raises(DatabaseTooOld) as caught:
        await migrate(empty)
    assert caught.value.params["needed"] == case.needed
    engine = create_async_engine(empty.owner)
    async with engine.connect() as connection:
        tables = await connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
    await engine.dispose()
    assert tables == 0


async def test_a_server_that_does_not_answer_is_named() -> None:
    """By its address, without the password."""
    addresses = outside_addresses("postgresql://dora:secret@127.0.0.1:1/asissto", KEYS)
    with pytest.raises(DatabaseDown) as caught:
        await migrate(addresses)
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_address_that_is_none_is_refused() -> None:
    """Before anything connects, and without quoting it."""
    with pytest.raises(BadSetting) as caught:
        outside_addresses("dora:secret@nowhere", KEYS)
    assert caught.value.params["name"] == "ASISSTO_DATABASE_URL"
    assert "secret" not in str(caught.value)


def test_the_runtime_roles_of_an_outside_server_have_passwords_of_the_key_ring() -> None:
    """Each its own, the same at every start, and never the owner's."""
    addresses = outside_addresses("postgres://dora:secret@db.example.com:5433/asissto?ssl=require", KEYS)
    users = [(url.username, url.host, url.port, url.database, url.drivername) for url in structs.astuple(addresses)]
    same = ("db.example.com", 5433, "asissto", "postgresql+asyncpg")
    assert users == [("dora", *same), ("asissto_app", *same), ("asissto_sys", *same)]
    assert len({addresses.owner.password, addresses.app.password, addresses.sys.password}) == 3
    assert outside_addresses("postgresql://dora@h/a", KEYS).app.password == addresses.app.password
