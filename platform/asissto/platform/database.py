"""The one door to the database: transactions of one tenant, transactions of the system, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import msgspec
from pgvector.asyncpg import register_vector
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry

from asissto.platform.errors import DatabaseDown


class Addresses(msgspec.Struct, frozen=True):
    """Where the three roles connect: `owner` migrates, `app` owns nothing and sees one tenant, `sys` sees all."""

    owner: URL
    app: URL
    sys: URL


class _TenantAwareSession(Session):
    pass


@event.listens_for(_TenantAwareSession, "after_begin")
def _name_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """SET LOCAL dies with the transaction, so nothing leaks through the pool; the literal is what Citus passes on."""
    tenant_id = session.info.get("tenant_id")
    if tenant_id is not None:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{UUID(str(tenant_id))}'")


class Database:
    """Two pools of connections. Nobody else begins, commits or rolls back."""

    def __init__(self, addresses: Addresses, *, pool_size: int = 8) -> None:
        self.addresses = addresses
        self._app = _engine(addresses.app, pool_size)
        self._sys = _engine(addresses.sys, pool_size)
        self._app_sessions = _sessions(self._app)
        self._sys_sessions = _sessions(self._sys)

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction that sees the rows of one tenant; it commits when the block ends well."""
        async with self._app_sessions(info={"tenant_id": tenant_id}) as session, _transaction(session):
            yield session

    @asynccontextmanager
    async def system(self) -> AsyncIterator[AsyncSession]:
        """One transaction that sees every tenant: sign-in, jobs, administration of the platform."""
        async with self._sys_sessions() as session, _transaction(session):
            yield session

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
        await session.commit()
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
        raise _down(session, error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _down(session, error) from error
        raise


def _down(session: AsyncSession, _error: Exception) -> DatabaseDown:
    engine = session.bind
    address = engine.url.host or engine.url.query.get("host", "") if isinstance(engine, AsyncEngine) else ""
    return DatabaseDown(address=address)


def _engine(url: URL, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, hide_parameters=True
    )
    event.listen(engine.sync_engine, "connect", _register_types)
    return engine


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
    if "tenant_id" not in session.info:  # else naming the tenant has begun it
        await session.execute(text("SELECT 1"))  # the transaction begins at the first statement
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, asyncpg.Connection)
    return connection
