"""Whether this process can do its work: the database answers, and its schema is the one that the code knows."""

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from asissto.platform.database import Database
from asissto.platform.errors import DatabaseDown, NotReady
from asissto.platform.migrate import is_current


async def check_ready(database: Database) -> None:
    """Raises DatabaseDown, and NotReady while another process migrates."""
    address = database.addresses.owner
    # The runtime roles may not read the table of the migrations.
    engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            current = await connection.run_sync(is_current)
    except (OSError, DBAPIError, asyncpg.PostgresError) as error:
        raise DatabaseDown(address=address.host or address.query.get("host", "")) from error
    finally:
        await engine.dispose()
    if not current:
        raise NotReady
