"""Processes are killed with -9, and the database is torn down, while customers write: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from copies import server_folder
from crash_room import Line, Room, crash_room, hold


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    with server_folder() as folder:
        async with crash_room(folder, workers=1) as room:
            yield room


NONE = {"lost": 0, "out_of_order": 0, "answered_twice": 0}


def faults_of(line: Line) -> dict[str, int]:
    return {name: getattr(line, name) for name in NONE}


async def test_killed_processes_lose_nothing_where_the_provider_knows_a_repetition(room: Room) -> None:
    """VK, with connections that break besides: nothing is doubled either."""
    line = await hold(room, "vk", customers=4, messages=2, kill_every=2.5, most_kills=3)
    assert line.kills > 0
    assert faults_of(line) == NONE, await room.story()
    assert (line.doubled, set(line.states)) == (0, {"sent"})


async def test_killed_processes_where_the_provider_cannot_tell(room: Room) -> None:
    """Telegram: at most one copy more for a kill or a broken connection, and what is given up is told to be unknown."""
    line = await hold(room, "telegram", customers=4, messages=2, kill_every=3, most_kills=3)
    assert line.kills > 0
    assert line.lost <= line.states.get("unknown", 0), await room.story()
    assert (line.out_of_order, line.answered_twice) == (0, 0)
    assert set(line.states) <= {"sent", "unknown"}


async def test_a_database_that_is_torn_down_loses_nothing(room: Room) -> None:
    """Server, worker, poller and courier come back by themselves."""

    async def tear_down() -> None:
        answered = "SELECT 'answered', count(*) FROM receipts HAVING count(*) > 0"
        while not await room.counted(answered):  # noqa: ASYNC110 - what happens in the database sets no event here
            await asyncio.sleep(0.05)
        await asyncio.to_thread(room.restart_database)

    tearing = asyncio.create_task(tear_down())
    try:
        line = await hold(room, "http", customers=4, messages=3, kill_every=None)
    finally:
        await tearing
    assert faults_of(line) == NONE, await room.story()
    assert (line.doubled, set(line.states)) == (0, {"sent"})
