"""The durable queue: nothing is lost with a worker, nothing is done twice, and nobody is kept waiting by another."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import Upload, upload
from asissto.ingestion.tables import Collection
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.errors import AsisstoError, ProviderError
from asissto.platform.jobs import (
    LEASE,
    MOST_ATTEMPTS,
    PATIENCE,
    ClaimedJob,
    LeaseLost,
    claim,
    claim_abandoned,
    enqueue,
    finish,
    put_back,
    renew,
)
from asissto.platform.services import Services
from asissto.platform.tables import Job, Tenant, new_id
from asissto.platform.worker import Handler, Worker
from people import Person

KIND = "tests.work"


async def put(services: Services, tenant_id: UUID, key: str = "a") -> None:
    async with services.database.tenant(tenant_id) as session:
        await enqueue(session, tenant_id, KIND, key, {"key": key})


async def take(services: Services, worker: UUID | None = None) -> ClaimedJob | None:
    async with services.database.system() as session:
        mine = worker or new_id()
        found = await claim_abandoned(session, mine, [KIND], 1) or await claim(session, mine, [KIND], 1)
        return found[0] if found else None


async def taken(services: Services) -> ClaimedJob:
    job = await take(services)
    assert job is not None
    return job


async def rename(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    await session.execute(update(Tenant).where(Tenant.id == tenant_id).values(name=name))


async def rename_and_finish(services: Services, job: ClaimedJob, name: str) -> None:
    """A job with an effect that can be seen."""
    async with services.database.tenant(job.tenant_id) as session:
        await rename(session, job.tenant_id, name)
        await finish(session, job)


async def states(services: Services) -> list[tuple[str, int]]:
    """State and attempts of each job, in the order of their keys."""
    async with services.database.system() as session:
        rows = await session.execute(select(Job.state, Job.attempts).where(Job.kind == KIND).order_by(Job.key))
        return [(state, attempts) for state, attempts in rows]


async def expire_leases(superuser: asyncpg.Connection) -> None:
    """As if the workers had been dead for the length of a lease."""
    await superuser.execute("UPDATE jobs SET lease_until = lease_until - $1::interval", LEASE)


async def bring_forward(superuser: asyncpg.Connection) -> None:
    """As if the pause before the next attempt were over."""
    await superuser.execute("UPDATE jobs SET run_at = now()")


async def test_a_job_comes_with_the_transaction_that_wrote_it(services: Services, alice: Person) -> None:
    """Nobody sees it before the commit, and a rollback leaves none."""
    async with services.database.tenant(alice.tenant_id) as session:
        await enqueue(session, alice.tenant_id, KIND, "a", {"number": 1})
        assert await take(services) is None
        await session.rollback()
    assert await take(services) is None
    await put(services, alice.tenant_id)
    worker = new_id()
    job = await take(services, worker)
    assert job is not None
    assert job == ClaimedJob(alice.tenant_id, job.id, KIND, "a", {"key": "a"}, 1, worker)


async def test_a_waiting_twin_is_enough(services: Services, alice: Person, charlie: Person) -> None:
    """The same work is queued once for a tenant; while it is being done, it may be queued again."""
    for _ in range(3):
        await put(services, alice.tenant_id)
    await put(services, charlie.tenant_id)
    assert await states(services) == [("todo", 0), ("todo", 0)]
    await taken(services)
    await taken(services)
    await put(services, alice.tenant_id)
    assert sorted(await states(services)) == [("doing", 1), ("doing", 1), ("todo", 0)]


async def test_a_bulk_of_work_keeps_no_other_tenant_waiting(services: Services, alice: Person, charlie: Person) -> None:
    """The tenant with the fewest running jobs is served first, whoever came first."""
    for key in "abcd":
        await put(services, alice.tenant_id, key)
    for key in "xy":
        await put(services, charlie.tenant_id, key)
    served = [(await taken(services)).key for _ in range(6)]
    assert served == ["a", "x", "b", "y", "c", "d"]


async def test_of_several_places_each_tenant_has_its_share(services: Services, alice: Person, charlie: Person) -> None:
    """A bulk upload that came first takes not all of them."""
    for number in range(9):
        await put(services, alice.tenant_id, f"bulk {number}")
    await put(services, charlie.tenant_id, "single")
    async with services.database.system() as session:
        found = await claim(session, new_id(), [KIND], 4)
        rest = await claim(session, new_id(), [KIND], 20)
    assert sorted(job.key for job in found) == ["bulk 0", "bulk 1", "single"]
    assert sorted(job.key for job in rest) == [f"bulk {number}" for number in range(2, 9)]


async def test_two_workers_never_take_the_same_job(services: Services, alice: Person) -> None:
    """Claims at the same moment pass each other by."""
    for key in "abcdef":
        await put(services, alice.tenant_id, key)
    claimed = await asyncio.gather(*(taken(services) for _ in range(6)))
    assert sorted(job.key for job in claimed) == list("abcdef")


async def test_the_job_of_a_dead_worker_goes_to_another(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """When the lease is over; what the first one still does then is rolled back with its finish."""
    await put(services, alice.tenant_id)
    first = await taken(services)
    assert await take(services) is None
    await expire_leases(superuser)
    second = await taken(services)
    assert (second.id, second.attempts) == (first.id, 2)
    with pytest.raises(LeaseLost):
        await rename_and_finish(services, first, "by the first")
    assert await superuser.fetchval("SELECT name FROM tenants WHERE id = $1", alice.tenant_id) != "by the first"
    await rename_and_finish(services, second, "by the second")
    assert await superuser.fetchval("SELECT name FROM tenants WHERE id = $1", alice.tenant_id) == "by the second"
    assert await states(services) == [("done", 2)]


async def test_a_heartbeat_keeps_the_lease(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """A job that takes long stays with its worker as long as that one is alive."""
    await put(services, alice.tenant_id)
    job = await taken(services)
    await expire_leases(superuser)
    async with services.database.system() as session:
        await renew(session, job)
    assert await take(services) is None


async def test_a_failure_waits_longer_each_time(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """2, 4, 8 seconds; after a stop of the worker at once, and then the attempt does not count."""
    await put(services, alice.tenant_id)
    for seconds in (2, 4, 8):
        job = await taken(services)
        before = datetime.now(UTC)
        async with services.database.system() as session:
            await put_back(session, job, "ValueError: no")
        run_at = await superuser.fetchval("SELECT run_at FROM jobs WHERE id = $1", job.id)
        assert before <= run_at - timedelta(seconds=seconds) <= datetime.now(UTC)
        assert await take(services) is None
        await bring_forward(superuser)
    job = await taken(services)
    async with services.database.system() as session:
        await put_back(session, job, None)
    assert await states(services) == [("todo", 3)]
    assert (await taken(services)).attempts == 4


async def test_putting_back_beside_a_waiting_twin_leaves_one(services: Services, alice: Person) -> None:
    """The twin does the work."""
    await put(services, alice.tenant_id)
    job = await taken(services)
    await put(services, alice.tenant_id)
    async with services.database.system() as session:
        await put_back(session, job, "ValueError: no")
    assert await states(services) == [("todo", 0)]


async def test_what_fails_each_time_is_given_up(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """After the last attempt whoever waits is told, once, and the row keeps the error."""
    told: list[str] = []

    async def fail(_services: Services, job: ClaimedJob) -> None:
        raise ValueError(f"attempt {job.attempts}")

    async def tell(session: AsyncSession, job: ClaimedJob, _error: AsisstoError) -> None:
        await rename(session, job.tenant_id, "told")
        told.append(job.key)

    worker = Worker(services, {KIND: Handler(fail, tell)})
    await put(services, alice.tenant_id)
    for attempt in range(1, MOST_ATTEMPTS):
        assert await worker.run_one()
        assert (await states(services), told) == ([("todo", attempt)], [])
        await bring_forward(superuser)
    assert await worker.run_one()
    assert (await states(services), told) == ([("dead", MOST_ATTEMPTS)], ["a"])
    assert await superuser.fetchval("SELECT error FROM jobs") == f"ValueError: attempt {MOST_ATTEMPTS}"
    assert await superuser.fetchval("SELECT name FROM tenants WHERE id = $1", alice.tenant_id) == "told"
    await bring_forward(superuser)
    assert not await worker.run_one()


async def test_what_kills_its_worker_each_time_is_given_up(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A file that takes the process with it ends as failed, although nobody was left to say so."""
    async with services.database.tenant(alice.tenant_id) as session:
        collection_id = (await session.scalars(select(Collection.id))).one()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"Deadly."

    await upload(services, alice.tenant_id, Upload(collection_id, "deadly.txt", "deadly.txt", None), pieces())
    for _ in range(MOST_ATTEMPTS):
        async with services.database.system() as session:
            kinds, worker = ["documents.ingest"], new_id()
            assert await claim_abandoned(session, worker, kinds, 1) or await claim(session, worker, kinds, 1)
        await expire_leases(superuser)
    assert await make_worker(services).run_one()
    (document,) = (await alice.client.get("/api/v1/documents")).json()["items"]
    assert (document["state"], document["reason"], document["searchable"]) == ("failed", "internal", False)
    assert await superuser.fetchrow("SELECT state, error FROM jobs WHERE kind = 'documents.ingest'") == (
        "dead",
        "the worker died",
    )
    assert not await make_worker(services).run_one()


@pytest.mark.parametrize("seconds", [1e6, 1e300, float("inf")])
async def test_a_pause_that_never_ends_is_cut(seconds: float, services: Services, alice: Person) -> None:
    """A provider may ask for more than a date can hold: the job comes again all the same, and the worker lives."""

    async def wait(_services: Services, _job: ClaimedJob) -> None:
        raise ProviderError(permanent=False, reason="rate_limited", retry_after=seconds)

    await put(services, alice.tenant_id)
    assert await Worker(services, {KIND: Handler(wait)}).run_one()
    async with services.database.system() as session:
        run_at = await session.scalar(select(Job.run_at).where(Job.kind == KIND))
    assert run_at is not None
    assert timedelta(hours=23) < run_at - datetime.now(UTC) <= PATIENCE
    assert await states(services) == [("todo", 0)]


async def test_a_stopped_worker_gives_its_jobs_back(services: Services, alice: Person) -> None:
    """Another worker need not wait for the lease, and the attempt does not count."""
    started = asyncio.Event()

    async def last_for_ever(_services: Services, _job: ClaimedJob) -> None:
        started.set()
        await asyncio.Event().wait()

    await put(services, alice.tenant_id)
    running = asyncio.create_task(Worker(services, {KIND: Handler(last_for_ever)}).run())
    await asyncio.wait_for(started.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await states(services) == [("todo", 0)]
    assert (await taken(services)).attempts == 1


async def test_a_worker_wakes_when_a_job_comes(
    services: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the notification: with an hour between two looks the job is still done at once."""
    monkeypatch.setattr("asissto.platform.worker.POLL_SECONDS", 3600)
    done = asyncio.Event()

    async def do(services: Services, job: ClaimedJob) -> None:
        async with services.database.tenant(job.tenant_id) as session:
            await finish(session, job)
        done.set()

    running = asyncio.create_task(Worker(services, {KIND: Handler(do)}).run())
    for key in "abc":
        done.clear()
        await put(services, alice.tenant_id, key)
        await asyncio.wait_for(done.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_only_jobs_of_known_kinds_are_taken(services: Services, alice: Person) -> None:
    """A worker of an older release leaves what it does not know to the newer ones."""
    await put(services, alice.tenant_id)
    assert not await make_worker(services).run_one()
    assert await states(services) == [("todo", 0)]


async def test_a_failed_effect_is_not_seen(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """What a handler wrote before it failed goes with its transaction."""

    async def fail_late(services: Services, job: ClaimedJob) -> None:
        async with services.database.tenant(job.tenant_id) as session:
            await rename(session, job.tenant_id, "half done")
            await finish(session, job)
            raise ValueError

    await put(services, alice.tenant_id)
    assert await Worker(services, {KIND: Handler(fail_late)}).run_one()
    assert await states(services) == [("todo", 1)]
    assert await superuser.fetchval("SELECT count(*) FROM tenants WHERE name = 'half done'") == 0
