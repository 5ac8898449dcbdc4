"""Runs jobs until told to stop: wakes by notification, when one falls due, or by the clock where that was missed."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import jobs
from asissto.platform.claiming import keep_claiming
from asissto.platform.errors import AsisstoError, DatabaseDown
from asissto.platform.jobs import ClaimedJob, LeaseLost
from asissto.platform.listening import listen
from asissto.platform.services import Services
from asissto.platform.tables import new_id

Lane = Literal["usual", "slow", "turns"]
LANES: tuple[Lane, ...] = get_args(Lane)


class Handler(msgspec.Struct, frozen=True):
    """`run` does the work and calls `jobs.finish` in the transaction of its effects.

    `give_up` and `postpone` tell whoever waits that it failed, and that it goes on at a later time. Each lane has its
    own places: what is `slow` (a crawl, a new embedding of everything) keeps no document waiting, and neither keeps a
    customer waiting, whose `turns` mostly wait for a model themselves.
    """

    run: Callable[[Services, ClaimedJob], Awaitable[None]]
    give_up: Callable[[AsyncSession, ClaimedJob, AsisstoError], Awaitable[None]] | None = None
    postpone: Callable[[AsyncSession, ClaimedJob, AsisstoError, datetime], Awaitable[None]] | None = None
    lane: Lane = "usual"


Claim = Callable[[AsyncSession, UUID, list[str], int], Awaitable[list[ClaimedJob]]]
POLL_SECONDS = 2.0
_LONGEST_TIMER = 600.0
log = structlog.get_logger()


class Worker:
    def __init__(self, services: Services, handlers: Mapping[str, Handler]) -> None:
        self._services = services
        self._handlers = handlers
        self._id = new_id()
        self._wakes: dict[Lane, asyncio.Event] = {lane: asyncio.Event() for lane in LANES}

    async def run(self) -> None:
        """Until cancelled; jobs that are running then go back into the queue at once."""
        settings = self._services.settings
        places: dict[Lane, int] = {"usual": settings.worker_jobs, "slow": 1, "turns": settings.worker_turns}
        async with asyncio.TaskGroup() as group:
            for lane, most in places.items():
                group.create_task(self._work(lane, most))
            group.create_task(listen(self._services.database, jobs.CHANNEL, self._hear, self._turn))

    def _turn(self, _is_connected: bool) -> None:
        for wake in self._wakes.values():
            wake.set()

    def _hear(self, told: str) -> None:
        """As `jobs.enqueue` tells it; one lane alone is woken, for a look that finds nothing costs as much as any."""
        kind, _, due = told.partition(" ")
        if kind in self._handlers:
            pause = min(max(0.0, float(due) - time.time()), _LONGEST_TIMER)
            asyncio.get_running_loop().call_later(pause, self._wakes[self._handlers[kind].lane].set)

    async def _work(self, lane: Lane, most: int) -> None:
        """One claims for all places of a lane: dozens that are woken at once would mostly find nothing."""
        kinds = [kind for kind, handler in self._handlers.items() if handler.lane == lane]
        looked_for_abandoned = -math.inf

        async def claim(free: int) -> list[ClaimedJob]:
            nonlocal looked_for_abandoned
            found = list[ClaimedJob]()
            if time.monotonic() - looked_for_abandoned >= POLL_SECONDS:
                looked_for_abandoned = time.monotonic()
                found = await self._claim(jobs.claim_abandoned, kinds, free)
            if free > len(found):
                found += await self._claim(jobs.claim, kinds, free - len(found))
            return found

        await keep_claiming(most, (self._wakes[lane], POLL_SECONDS), claim, self._run)

    async def run_one(self, kinds: list[str] | None = None) -> bool:
        """Runs the next job that is due, of these kinds or any; False where there is none."""
        kinds = list(self._handlers) if kinds is None else kinds
        found = await self._claim(jobs.claim_abandoned, kinds, 1) or await self._claim(jobs.claim, kinds, 1)
        for job in found:
            await self._run(job)
        return bool(found)

    async def _claim(self, claim: Claim, kinds: list[str], most: int) -> list[ClaimedJob]:
        try:
            async with self._services.database.system() as session:
                return await claim(session, self._id, kinds, most)
        except Exception as error:  # the database may be away for a while: the loop outlives it
            log.error("jobs cannot be claimed", error=repr(error))  # noqa: TRY400
            return []

    async def _run(self, job: ClaimedJob) -> None:
        with structlog.contextvars.bound_contextvars(job=str(job.id), kind=job.kind, tenant=str(job.tenant_id)):
            heartbeat = asyncio.create_task(self._keep_lease(job))
            try:
                if job.attempts > jobs.MOST_ATTEMPTS:  # it killed its worker each time
                    await self._give_up(job, AsisstoError(), "the worker died")
                else:
                    await self._handlers[job.kind].run(self._services, job)
            except LeaseLost:
                log.warning("another worker took the job")
            except asyncio.CancelledError:
                await asyncio.shield(self._give_back(job, None))
                raise
            except Exception as error:
                await self._fail(job, error)
            finally:
                heartbeat.cancel()

    async def _fail(self, job: ClaimedJob, error: Exception) -> None:
        known = error if isinstance(error, AsisstoError) else AsisstoError()
        what = f"{type(error).__name__}: {error}"
        if known.temporary:
            log.warning("job postponed", error=what)
            await self._postpone(job, known, what)
            return
        log.error("job failed", attempt=job.attempts, exc_info=error)
        if job.attempts < jobs.MOST_ATTEMPTS:
            await self._give_back(job, what)
        else:
            await self._give_up(job, known, what)

    async def _keep_lease(self, job: ClaimedJob) -> None:
        while True:
            await asyncio.sleep(jobs.LEASE.total_seconds() / 3)
            try:
                async with self._services.database.system() as session:
                    await jobs.renew(session, job)
            except LeaseLost:
                return
            except DatabaseDown as error:
                log.warning("lease not renewed", error=str(error))

    async def _give_back(self, job: ClaimedJob, error: str | None) -> None:
        with suppress(LeaseLost, DatabaseDown):  # without a database the lease runs out, which is as good
            async with self._services.database.system() as session:
                await jobs.put_back(session, job, error)

    async def _postpone(self, job: ClaimedJob, error: AsisstoError, what: str) -> None:
        tell = self._handlers[job.kind].postpone
        with suppress(LeaseLost, DatabaseDown):
            async with self._services.database.system() as session:
                run_at = await jobs.postpone(session, job, what, error.retry_after or 0)
                if run_at is not None and tell is not None:
                    await tell(session, job, error, run_at)
            if run_at is None:
                await self._give_up(job, error, what)

    async def _give_up(self, job: ClaimedJob, error: AsisstoError, what: str) -> None:
        give_up = self._handlers[job.kind].give_up
        with suppress(LeaseLost, DatabaseDown):
            async with self._services.database.system() as session:
                await jobs.bury(session, job, what)
                if give_up is not None:
                    await give_up(session, job, error)
