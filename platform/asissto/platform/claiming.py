"""Keeps places busy with what is claimed from the database, several pieces at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Never, TypeVar

from asissto.platform.waking import happens

T = TypeVar("T")


async def keep_claiming(
    places: int,
    wake: tuple[asyncio.Event, float],
    claim: Callable[[int], Awaitable[list[T]]],
    run: Callable[[T], Coroutine[Any, Any, None]],
    *,
    frees_more: bool = False,
) -> Never:
    """Runs what `claim` finds for so many free places; looks when the event is set, or after so many seconds.

    `frees_more`: what ends may make something due, so that it is looked for also where a place was free.
    """
    event, seconds = wake
    running = set[asyncio.Task[None]]()

    def end(task: asyncio.Task[None]) -> None:
        if frees_more or len(running) == places:  # there may have been no place for what is due
            event.set()
        running.discard(task)

    async with asyncio.TaskGroup() as group:
        while True:
            event.clear()  # before the look, so that what comes during it is not missed
            free = places - len(running)
            found = await claim(free) if free else []
            for each in found:
                task = group.create_task(run(each))
                running.add(task)
                task.add_done_callback(end)
            if not found:
                await happens(event, seconds)
