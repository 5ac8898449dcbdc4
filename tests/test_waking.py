"""Waiting for an event."""

import asyncio

import pytest

from asissto.platform.waking import happens


async def test_it_tells_whether_the_event_came_in_time() -> None:
    """At once where it has happened already."""
    event = asyncio.Event()
    assert await happens(event, 0.01) is False
    event.set()
    assert await happens(event, 0.01) is True


async def test_who_is_cancelled_while_the_event_comes_ends() -> None:
    """Or a loop that waits for events could not be stopped."""
    event = asyncio.Event()
    waiting = asyncio.create_task(happens(event, 60))
    for _ in range(3):
        await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
