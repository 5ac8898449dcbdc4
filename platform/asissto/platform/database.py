"""The one door to the database: transactions of one tenant, transactions of the system, and nothing else."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, Self
from uuid import UUID

import asyncpg
import msgspec
from pgvector.asyncpg import register_vector
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from asissto.platform.errors import DatabaseDown, DatabaseSlow
from asissto.platform.notices import send_notices

POOL_SECONDS = 10.0
"""How long a transaction waits for a connection."""

_PROBE_AFTER = 30.0  # seconds without use; a server that went away meanwhile has closed the socket, unless the net did
_LAST_USED = "asissto_last_used"
_CANCELLED = "57014"  # by statement_timeout


class Addresses(msgspec.Struct, frozen=True):
    """Where the three roles connect: `owner` migrates, `app` owns nothing and sees one tenant, `sys` sees all."""

    owner: URL
    app: URL
    sys: URL


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """Says in the message that begins a transaction whose it is: a message of its own is a way there and back."""

    settings = ""

    async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
        if self.settings and query.startswith("BEGIN"):
            query, self.settings = query + self.settings, ""
        return str(await super().execute(query, *arguments, **options))


class _TenantAwareSession(Session):
    pass


@event.listens_for(_TenantAwareSession, "after_begin")
def _name_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """Goes with the BEGIN, which the first statement sends; SET LOCAL dies with it, so nothing leaks through the pool.

    Literals are what Citus passes on, and they stay out of the cache of prepared statements.
    """
    own = connection.connection.driver_connection
    assert isinstance(own, _Connection)
    named = {name: session.info[name] for name in ("tenant_id", "seconds") if session.info.get(name) is not None}
    own.settings = ""
    if "tenant_id" in named:
        own.settings += f" SET LOCAL app.tenant_id = '{UUID(str(named['tenant_id']))}';"
    if "seconds" in named:
        own.settings += f" SET LOCAL statement_timeout = {int(named['seconds'] * 1000)};"


class Database:
    """Two pools of connections. Nobody else begins, commits or rolls back.

    Transactions raise DatabaseDown, and DatabaseSlow where no connection comes free or a statement takes too long.
    """

    seconds: float | None = None
    """How long a statement may take; None: as long as it needs."""

    def __init__(self, addresses: Addresses, *, pool_size: int = 8) -> None:
        self.addresses = addresses
        self._app = _engine(addresses.app, pool_size)
        self._sys = _engine(addresses.sys, pool_size)
        self._app_sessions = _sessions(self._app)
        self._sys_sessions = _sessions(self._sys)

    def impatient(self, seconds: float) -> Self:
        """The same pools for those whom somebody waits for: no statement may take longer."""
        other = copy(self)
        other.seconds = seconds
        return other

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction that sees the rows of one tenant; it commits when the block ends well."""
        async with self._app_sessions(info=self._info(tenant_id)) as session, _transaction(session):
            yield session

    @asynccontextmanager
    async def system(self) -> AsyncIterator[AsyncSession]:
        """One transaction that sees every tenant: sign-in, jobs, administration of the platform."""
        async with self._sys_sessions(info=self._info(None)) as session, _transaction(session):
            yield session

    def _info(self, tenant_id: UUID | None) -> dict[str, Any]:
        return {"tenant_id": tenant_id, "seconds": self.seconds}

    async def connect(self) -> asyncpg.Connection:
        """A connection outside the pools, of no tenant, for LISTEN; the caller closes it."""
        address = self.addresses.app
        return await asyncpg.connect(
            host=address.query.get("host", address.host),
            port=address.port or 5432,
            user=address.username,
            password=address.password,
            database=address.database,
            timeout=10,
        )

    async def close(self) -> None:
        await self._app.dispose()
        await self._sys.dispose()


@asynccontextmanager
async def _transaction(session: AsyncSession) -> AsyncIterator[None]:
    try:
        yield
        await send_notices(session)
        await session.commit()
    except (PoolExhausted, asyncpg.QueryCanceledError) as error:
        raise DatabaseSlow from error
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
        raise _down(session, error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _down(session, error) from error
        if getattr(error.orig, "sqlstate", None) == _CANCELLED:
            raise DatabaseSlow from error
        raise


def _down(session: AsyncSession, _error: Exception) -> DatabaseDown:
    engine = session.bind
    address = engine.url.host or engine.url.query.get("host", "") if isinstance(engine, AsyncEngine) else ""
    return DatabaseDown(address=address)


def _engine(url: URL, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,
        connect_args={"connection_class": _Connection},
    )

    def probe(connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Instead of `pool_pre_ping`, whose three messages were half of a short transaction's."""
        last_used = entry.info.get(_LAST_USED)
        own = entry.driver_connection
        if own is None or own.is_closed():
            raise DisconnectionError
        if last_used is not None and time.monotonic() - last_used > _PROBE_AFTER:
            try:
                engine.dialect.do_ping(connection)
            except (engine.dialect.loaded_dbapi.Error, OSError) as error:
                raise DisconnectionError from error

    event.listen(engine.sync_engine, "connect", _register_types)
    event.listen(engine.sync_engine, "checkout", probe)
    event.listen(engine.sync_engine, "checkin", _note_use)
    return engine


def _note_use(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_LAST_USED] = time.monotonic()


def _sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, sync_session_class=_TenantAwareSession, expire_on_commit=False)


def _register_types(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.run_async(register_types)


async def register_types(connection: asyncpg.Connection) -> None:
    """Teaches a connection to send vectors and packed lexemes in binary, which COPY needs."""
    await register_vector(connection)
    await connection.set_type_codec("tsvector", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def driver(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection inside the session's transaction, for COPY and for what the ORM would slow down."""
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, asyncpg.Connection)
    if not connection.is_in_transaction():
        await session.execute(text("SELECT 1"))  # the transaction begins at the first statement
    return connection
