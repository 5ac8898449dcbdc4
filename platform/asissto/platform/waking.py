"""Waits for an event, for so long at most."""

import asyncio


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happened in time.

    Not `asyncio.wait_for`: before Python 3.12 it forgets that it was cancelled when the event comes at the same moment,
    so that a loop around it never ends.
    """
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
