"""Hears what Postgres notifies on a channel, for as long as it is wanted, whatever becomes of the connection."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import asyncpg
import structlog

from asissto.platform.database import Database
from asissto.platform.waking import happens

_PROBE_SECONDS = 30.0
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
log = structlog.get_logger()


async def listen(
    database: Database, channel: str, hear: Callable[[str], object], turn: Callable[[bool], object]
) -> NoReturn:
    """`turn(True)` says that from now on nothing is missed, `turn(False)` that the connection is lost."""
    wait = _FIRST_WAIT
    while True:
        try:
            await _hear_until_lost(database, channel, hear, turn)
            wait = _FIRST_WAIT
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("notifications cannot be heard", channel=channel, error=repr(error))
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


async def _hear_until_lost(
    database: Database, channel: str, hear: Callable[[str], object], turn: Callable[[bool], object]
) -> None:
    connection = await database.connect()
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())
    try:
        await connection.add_listener(channel, lambda *heard: hear(heard[-1]))
        turn(True)
        while not await happens(lost, _PROBE_SECONDS):
            await connection.execute("SELECT 1", timeout=_PROBE_SECONDS)
    finally:
        turn(False)
        connection.terminate()
