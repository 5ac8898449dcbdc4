"""A database that is slow, busy or restarted: whoever waits is told in time, and no connection is lost."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import text

from asissto.channels import routes
from asissto.platform import database as database_module
from asissto.platform.database import Addresses, Database
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import DatabaseSlow
from asissto.platform.services import Services
from people import Person, bearer, make_client
from test_answers import assistant_of, library, post  # noqa: F401 - a fixture among them

QUESTION = "When does a refund reach my bank card?"
OURS = "usename LIKE 'asissto_%' AND datname = current_database()"
BUSY = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND state <> 'idle'"
KILLING = f"SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity WHERE {OURS}"


@pytest.fixture
async def locked(superuser: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """Nobody else can read conversations as long as this transaction is open."""
    transaction = superuser.transaction()
    await transaction.start()
    await superuser.execute("LOCK TABLE conversations")
    yield superuser
    await transaction.rollback()


async def test_a_statement_that_hangs_ends_in_a_clear_error(
    library: object,  # noqa: F811
    alice: Person,
    locked: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More often than there are connections, so that a lost one would be missed; then all is well again."""
    monkeypatch.setattr(routes, "STATEMENT_SECONDS", 0.2)
    before = time.perf_counter()
    for _ in range(5):
        answer = await post(alice, QUESTION)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_slow")
    assert 1 <= time.perf_counter() - before < 10
    assert await locked.fetchval(BUSY) == 0
    await locked.execute("ROLLBACK")
    await locked.execute("BEGIN")
    assert (await post(alice, QUESTION)).json()["answered"]


async def test_a_stream_tells_that_the_database_is_slow(
    library: object,  # noqa: F811
    alice: Person,
    locked: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its status is out by then."""
    monkeypatch.setattr(routes, "STATEMENT_SECONDS", 0.2)
    address = f"/api/v1/assistants/{await assistant_of(alice)}/ask"
    told = await alice.client.post(address, json={"question": QUESTION}, headers={"accept": "text/event-stream"})
    assert told.status_code == 200
    last = told.text.strip().splitlines()[-2:]
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["code"] == "database_slow"
    assert await locked.fetchval(BUSY) == 0


async def test_patience_is_not_left_behind_on_the_connection(addresses: Addresses) -> None:
    """Whoever waits for nobody gets the same connection next, and all the time that is needed."""
    database = Database(addresses, pool_size=1)
    limit = text("SELECT current_setting('statement_timeout'), current_setting('app.tenant_id', true)")
    tenant_id = uuid4()
    async with database.impatient(1.5).tenant(tenant_id) as session:
        assert tuple((await session.execute(limit)).one()) == ("1500ms", str(tenant_id))
    async with database.impatient(1.5).tenant(tenant_id):
        pass  # begins nothing, so that nothing may be left for the next one
    async with database.system() as session:
        assert (await session.execute(limit)).one()[0] == "0"
    async with database.tenant(uuid4()) as session:
        assert (await session.execute(limit)).one()[0] == "0"
    async with database.tenant(tenant_id) as session:
        await session.execute(text("SELECT 1"))
    async with database._app_sessions() as session:
        assert tuple((await session.execute(limit)).one()) == ("0", "")
    await database.close()


async def test_a_request_without_a_free_connection_is_told_so(
    services: Services, addresses: Addresses, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time, and not with an error of ours."""
    monkeypatch.setattr(database_module, "POOL_SECONDS", 0.2)
    database = Database(addresses, pool_size=1)
    app = build_app(msgspec.structs.replace(services, database=database))
    async with AsyncExitStack() as held, make_client(app, authorization=bearer(services, alice)) as client:
        for _ in range(2):
            session = await held.enter_async_context(database.tenant(alice.tenant_id))
            await session.execute(text("SELECT 1"))
        answer = await client.get("/api/v1/assistants")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_slow")
        with pytest.raises(DatabaseSlow):
            async with database.tenant(alice.tenant_id) as session:
                await session.execute(text("SELECT 1"))
    await database.close()


async def test_connections_that_the_server_has_closed_are_replaced(
    library: object,  # noqa: F811
    alice: Person,
    superuser: asyncpg.Connection,
) -> None:
    """As after its restart: nobody is told of it."""
    assert (await post(alice, QUESTION)).status_code == 200
    assert await superuser.fetchval(KILLING) >= 2
    await asyncio.sleep(0.05)
    assert (await post(alice, QUESTION)).status_code == 200


async def test_a_connection_that_lay_idle_is_asked_first(
    services: Services, app: Litestar, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The net can lose a connection without a word; the one that answers to nothing is replaced."""
    monkeypatch.setattr(database_module, "_PROBE_AFTER", 0.0)
    async with services.database.tenant(alice.tenant_id) as session:
        first = await session.scalar(text("SELECT pg_backend_pid()"))
    asked = []
    dialect = services.database._app.dialect
    real = dialect.do_ping

    def lost(connection: object) -> bool:
        asked.append(connection)
        if len(asked) == 1:
            raise dialect.loaded_dbapi.OperationalError("no route to host")
        return real(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(dialect, "do_ping", lost)
    async with services.database.tenant(alice.tenant_id) as session:
        assert await session.scalar(text("SELECT pg_backend_pid()")) != first
    assert len(asked) == 1
