"""The durable queue: a job is written with the data it is about, leased to one worker, and may run twice."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import TextClause, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.notices import notify
from asissto.platform.tables import Job, new_id

LEASE = timedelta(seconds=15)
"""A killed worker's job runs again after this long; the heartbeat renews it three times as often."""

MOST_ATTEMPTS = 5

PATIENCE = timedelta(hours=24)
"""How long a job waits for a provider or a store that is away; whoever waits for the job is told at once."""

_WAITS = timedelta(seconds=2), timedelta(minutes=5)

CHANNEL = "asissto_jobs"


class ClaimedJob(msgspec.Struct, frozen=True):
    tenant_id: UUID
    id: UUID
    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    worker: UUID
    waiting_since: datetime | None = None


class LeaseLost(Exception):
    """Another worker has the job now: whatever this one did in the transaction must not be seen."""


async def enqueue(  # noqa: PLR0913 - a job has that many parts
    session: AsyncSession,
    tenant_id: UUID,
    kind: str,
    key: str,
    payload: dict[str, Any],
    *,
    run_at: datetime | None = None,
) -> None:
    """Adds a job to the caller's transaction, due now or at `run_at`; one of that kind and key that waits is enough."""
    due = func.now() if run_at is None else run_at
    row = insert(Job).values(tenant_id=tenant_id, id=new_id(), kind=kind, key=key, payload=payload, run_at=due)
    waiting = text("state = 'todo'")
    await session.execute(row.on_conflict_do_nothing(index_elements=["tenant_id", "kind", "key"], index_where=waiting))
    await _tell(session, kind, run_at)


async def bring_forward(session: AsyncSession, tenant_id: UUID, kind: str, key: str) -> None:
    """Makes a job that waits for its time due now."""
    await session.execute(update(Job).where(*_waiting(tenant_id, kind, key)).values(run_at=func.now()))
    await _tell(session, kind)


async def withdraw(session: AsyncSession, tenant_id: UUID, kind: str, key: str) -> None:
    """Takes back a job that waits; one that is being done goes on."""
    await session.execute(delete(Job).where(*_waiting(tenant_id, kind, key)))


async def _tell(session: AsyncSession, kind: str, run_at: datetime | None = None) -> None:
    """Wakes the workers, at once or when the job falls due: `kind seconds`, the seconds since 1970."""
    due = 0.0 if run_at is None else run_at.timestamp()
    notify(session, CHANNEL, f"{kind} {due}")


def _waiting(tenant_id: UUID, kind: str, key: str) -> tuple[Any, ...]:
    return Job.tenant_id == tenant_id, Job.kind == kind, Job.key == key, Job.state == "todo"


async def enqueue_all(
    session: AsyncSession, tenant_id: UUID, kind: str, payloads: Mapping[str, dict[str, Any]]
) -> None:
    """The same for thousands of jobs, by their keys."""
    waiting = text("state = 'todo'")
    row = insert(Job).on_conflict_do_nothing(index_elements=["tenant_id", "kind", "key"], index_where=waiting)
    mine = {"tenant_id": tenant_id, "kind": kind}
    await session.execute(
        row, [{**mine, "id": new_id(), "key": key, "payload": payload} for key, payload in payloads.items()]
    )
    await _tell(session, kind)


_ABANDONED = """
    SELECT j.tenant_id, j.id FROM jobs j JOIN tenants ON tenants.id = j.tenant_id
    WHERE j.kind = ANY(:kinds) AND j.state = 'doing' AND j.lease_until < now()
        AND (tenants.status = 'active' OR starts_with(j.kind, 'privacy.'))
    ORDER BY j.lease_until LIMIT :most FOR UPDATE OF j SKIP LOCKED
"""
_DUE_BY_LAW = """
    SELECT j.tenant_id, j.id FROM jobs j JOIN tenants ON tenants.id = j.tenant_id AND tenants.status <> 'active'
    WHERE j.kind = ANY(:kinds) AND starts_with(j.kind, 'privacy.') AND j.state = 'todo' AND j.run_at <= now()
    ORDER BY j.run_at LIMIT :most FOR UPDATE OF j SKIP LOCKED
"""
# Walks the tenants that have jobs by the index, not the jobs: a hundred thousand of one tenant cost as much as one.
_DUE = """
    WITH RECURSIVE waiting AS (
        (SELECT tenant_id FROM jobs WHERE state = 'todo' ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.tenant_id FROM jobs j WHERE j.state = 'todo' AND j.tenant_id > w.tenant_id
                ORDER BY j.tenant_id LIMIT 1)
        FROM waiting w WHERE w.tenant_id IS NOT NULL
    ), busy AS (
        SELECT tenant_id, count(*) AS jobs FROM jobs WHERE state = 'doing' AND lease_until >= now() GROUP BY tenant_id
    ), turns AS (
        SELECT w.tenant_id FROM waiting w JOIN tenants ON tenants.id = w.tenant_id AND tenants.status = 'active'
        LEFT JOIN busy USING (tenant_id) LEFT JOIN job_turns t USING (tenant_id)
        ORDER BY coalesce(busy.jobs, 0), t.served_at NULLS FIRST, w.tenant_id
    )
    SELECT j.tenant_id, j.id FROM turns CROSS JOIN LATERAL (
        SELECT tenant_id, id FROM jobs
        WHERE tenant_id = turns.tenant_id AND state = 'todo' AND run_at <= now() AND kind = ANY(:kinds)
        ORDER BY run_at
        LIMIT (SELECT greatest(1, :most / greatest(1, count(tenant_id))) FROM waiting)
        FOR UPDATE SKIP LOCKED
    ) j LIMIT :most
"""
"""The tenant with the fewest running jobs comes first, of those the one that was served longest ago: a bulk upload
keeps nobody else waiting, even where one job runs at a time. Of several that are claimed at once each tenant has its
share. Jobs of suspended tenants rest, but for `privacy.` ones: what has to be erased is erased also there."""

_TAKE = """
    WITH next AS ({next}), served AS (
        INSERT INTO job_turns (tenant_id, served_at) SELECT tenant_id, clock_timestamp() FROM next GROUP BY tenant_id
        ON CONFLICT (tenant_id) DO UPDATE SET served_at = excluded.served_at
    )
    UPDATE jobs SET state = 'doing', worker = :worker, lease_until = now() + :lease, attempts = attempts + 1
    FROM next WHERE jobs.tenant_id = next.tenant_id AND jobs.id = next.id
    RETURNING jobs.tenant_id, jobs.id, jobs.kind, jobs.key, jobs.payload, jobs.attempts, jobs.worker, jobs.waiting_since
"""
_TAKE_ABANDONED, _TAKE_DUE_BY_LAW, _TAKE_DUE = (
    text(_TAKE.format(next=query)) for query in (_ABANDONED, _DUE_BY_LAW, _DUE)
)


async def claim(session: AsyncSession, worker: UUID, kinds: list[str], most: int) -> list[ClaimedJob]:
    """Takes at most so many jobs that are due."""
    return await _take(session, _TAKE_DUE, worker, kinds, most)


async def claim_abandoned(session: AsyncSession, worker: UUID, kinds: list[str], most: int) -> list[ClaimedJob]:
    """Takes at most so many jobs whose worker died, and those of suspended tenants that do not rest."""
    found = await _take(session, _TAKE_ABANDONED, worker, kinds, most)
    if any(kind.startswith("privacy.") for kind in kinds) and len(found) < most:
        found += await _take(session, _TAKE_DUE_BY_LAW, worker, kinds, most - len(found))
    return found


async def _take(
    session: AsyncSession, query: TextClause, worker: UUID, kinds: list[str], most: int
) -> list[ClaimedJob]:
    asked = {"kinds": kinds, "worker": worker, "lease": LEASE, "most": most}
    return [ClaimedJob(*row) for row in await session.execute(query, asked)]


async def renew(session: AsyncSession, job: ClaimedJob) -> None:
    """Raises LeaseLost."""
    await _change(session, job, lease_until=func.now() + LEASE)


async def finish(session: AsyncSession, job: ClaimedJob) -> None:
    """Belongs into the transaction of the job's effects: both are seen or neither. Raises LeaseLost."""
    await _change(session, job, state="done", finished_at=func.now(), lease_until=None)


async def remove(session: AsyncSession, job: ClaimedJob) -> None:
    """`finish` for jobs as frequent as messages, of which nothing is to be kept. Raises LeaseLost."""
    removed = await session.execute(delete(Job).where(*_mine(job)).returning(Job.id))
    if removed.first() is None:
        raise LeaseLost


async def put_back(session: AsyncSession, job: ClaimedJob, error: str | None) -> None:
    """Back into the queue: later each time after a failure, at once and without counting the attempt after a stop."""
    wait = timedelta(seconds=0 if error is None else 2**job.attempts)
    attempts = job.attempts - (error is None)
    await _requeue(session, job, error=error, run_at=datetime.now(UTC) + wait, attempts=attempts)


async def postpone(session: AsyncSession, job: ClaimedJob, error: str, at_least: float) -> datetime | None:
    """Back into the queue until what is away may have come back; does not count as an attempt.

    Each pause is as long as all those before, or `at_least` so many seconds. Returns when the job runs again, None
    where the patience is at its end.
    """
    now = datetime.now(UTC)
    waited = now - (job.waiting_since or now)
    if waited > PATIENCE:
        return None
    asked = timedelta(seconds=min(at_least, PATIENCE.total_seconds()))  # some ask for more than a date can hold
    run_at = now + max(asked, min(max(waited, _WAITS[0]), _WAITS[1]))
    since = job.waiting_since or now
    await _requeue(session, job, error=error, run_at=run_at, attempts=job.attempts - 1, waiting_since=since)
    return run_at


async def rest(session: AsyncSession, job: ClaimedJob, until: str, at_most: timedelta) -> None:
    """Back into the queue until somebody calls `wake` with the same `until`; does not count as an attempt.

    It is tried again after `at_most`, for what it waits for may have come while it lay down.
    """
    await _requeue(session, job, error=until, run_at=datetime.now(UTC) + at_most, attempts=job.attempts - 1)


async def wake(session: AsyncSession, tenant_id: UUID, until: str) -> None:
    """What rests until this is due now."""
    mine = (Job.tenant_id == tenant_id, Job.state == "todo", Job.error == until)
    kinds = await session.scalars(update(Job).where(*mine).values(run_at=func.now()).returning(Job.kind))
    for kind in set(kinds):
        await _tell(session, kind)


async def _requeue(session: AsyncSession, job: ClaimedJob, **values: Any) -> None:
    """A twin that waits already does the work."""
    twin = select(Job.id).where(*_same_key(job), Job.state == "todo")
    if (await session.execute(twin)).first():
        await session.execute(delete(Job).where(*_mine(job)))
    else:
        await _change(session, job, state="todo", lease_until=None, **values)


async def bury(session: AsyncSession, job: ClaimedJob, error: str) -> None:
    """No more attempts; the row stays for somebody to look at. Raises LeaseLost."""
    await _change(session, job, state="dead", error=error, finished_at=func.now(), lease_until=None)


async def _change(session: AsyncSession, job: ClaimedJob, **values: Any) -> None:
    changed = await session.execute(update(Job).where(*_mine(job)).values(**values).returning(Job.id))
    if changed.first() is None:
        raise LeaseLost


def _mine(job: ClaimedJob) -> tuple[Any, ...]:
    return Job.tenant_id == job.tenant_id, Job.id == job.id, Job.worker == job.worker, Job.state == "doing"


def _same_key(job: ClaimedJob) -> tuple[Any, ...]:
    return Job.tenant_id == job.tenant_id, Job.kind == job.kind, Job.key == job.key
