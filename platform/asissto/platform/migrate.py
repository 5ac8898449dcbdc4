"""Brings the database to the newest schema, one process at a time, and gives the two runtime roles their passwords."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from asissto.platform.database import Addresses
from asissto.platform.errors import BadSetting, DatabaseDown, DatabaseTooOld
from asissto.platform.keys import KeyRing
from asissto.platform.postgres import EmbeddedPostgres

OLDEST_POSTGRES = 150000
OLDEST_PGVECTOR = (0, 8)
_LOCK = 7_261_301_950
"""Any number, as long as every process takes the same advisory lock."""


async def migrate(addresses: Addresses) -> None:
    """Raises DatabaseDown and DatabaseTooOld; what was migrated before is left as it is."""
    engine = create_async_engine(addresses.owner, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            async with connection.begin():
                await check_server(connection)
                await connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
                await connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            async with connection.begin():
                await connection.run_sync(_upgrade)
                await _set_password(connection, addresses.app)
                await _set_password(connection, addresses.sys)
    except (OSError, DBAPIError) as error:
        if isinstance(error, DBAPIError) and not error.connection_invalidated:
            raise
        raise DatabaseDown(address=addresses.owner.host or "") from error
    finally:
        await engine.dispose()


def script_folder() -> Path:
    """`migrations/` of the checkout, or the copy that the wheel carries."""
    here = Path(__file__).resolve()
    carried = here.parents[1] / "migrations"
    return carried if carried.exists() else here.parents[3] / "migrations"


def alembic_config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(script_folder()).replace("%", "%%"))
    return config


def is_current(connection: Connection) -> bool:
    """Whether the schema is the newest that this code knows."""
    newest = ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == newest


def _upgrade(connection: Connection) -> None:
    command.upgrade(alembic_config(connection), "head")


async def check_server(connection: AsyncConnection) -> None:
    """Raises DatabaseTooOld where Postgres or pgvector lack what search needs."""
    found = (await connection.execute(text("SELECT current_setting('server_version_num')::int"))).scalar_one()
    if found < OLDEST_POSTGRES:
        raise DatabaseTooOld(found=f"PostgreSQL {found // 10000}", needed=f"PostgreSQL {OLDEST_POSTGRES // 10000}")
    query = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    version = (await connection.execute(text(query))).scalar_one_or_none()
    needed = f"pgvector {'.'.join(map(str, OLDEST_PGVECTOR))}"
    if version is None:
        raise DatabaseTooOld(found="no pgvector", needed=needed)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
        raise DatabaseTooOld(found=f"pgvector {version}", needed=needed)


async def _set_password(connection: AsyncConnection, address: URL) -> None:
    if address.password is not None:
        literal = (
            await connection.execute(text("SELECT quote_literal(:p)"), {"p": str(address.password)})
        ).scalar_one()
        await connection.execute(text(f"ALTER ROLE {address.username} PASSWORD {literal.replace(':', chr(92) + ':')}"))


def outside_addresses(url: str, ring: KeyRing) -> Addresses:
    """The two runtime roles on an outside server; their passwords follow from the key ring. Raises BadSetting."""
    try:
        owner = make_url(url).set(drivername="postgresql+asyncpg")
    except (ArgumentError, ValueError):  # its words would quote the password
        raise BadSetting(
            name="ASISSTO_DATABASE_URL", detail="not of the form postgresql://user:password@host/name"
        ) from None
    return Addresses(
        owner=owner,
        app=owner.set(username="asissto_app", password=ring.derive("database:app").hex()),
        sys=owner.set(username="asissto_sys", password=ring.derive("database:sys").hex()),
    )


async def embedded_addresses(server: EmbeddedPostgres, database: str = "asissto") -> Addresses:
    """The three roles on the embedded server, whose socket only its owner reaches; makes the database when new."""

    def address(user: str, name: str) -> URL:
        return URL.create("postgresql+asyncpg", username=user, database=name, query={"host": str(server.socket_dir)})

    engine = create_async_engine(address("postgres", "postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        if not await _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = :name", name="asissto_owner"):
            await connection.execute(text("CREATE ROLE asissto_owner LOGIN CREATEROLE"))
        if not await _exists(connection, "SELECT 1 FROM pg_database WHERE datname = :name", name=database):
            await connection.execute(text(f'CREATE DATABASE "{database}" OWNER asissto_owner'))
    await engine.dispose()
    await _create_extension(address("postgres", database))
    owner, app, system = (address(f"asissto_{role}", database) for role in ("owner", "app", "sys"))
    return Addresses(owner=owner, app=app, sys=system)


async def _create_extension(address: URL) -> None:
    """The wheel's pgvector is not marked as trusted, so the owner of the database may not create it."""
    engine = create_async_engine(address, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    await engine.dispose()


async def _exists(connection: AsyncConnection, query: str, **params: Any) -> bool:
    return (await connection.execute(text(query), params)).first() is not None
