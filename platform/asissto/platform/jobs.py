"""The durable queue: a job is written with the data it is about, leased to one worker, and may run twice."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.tables import Job, new_id

LEASE = timedelta(seconds=15)
"""A killed worker's job runs again after this long; the heartbeat renews it three times as often."""

MOST_ATTEMPTS = 5
CHANNEL = "asissto_jobs"


class ClaimedJob(msgspec.Struct, frozen=True):
    tenant_id: UUID
    id: UUID
    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    worker: UUID


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
    await session.execute(select(func.pg_notify(CHANNEL, kind)))


async def bring_forward(session: AsyncSession, tenant_id: UUID, kind: str, key: str) -> None:
    """Makes a job that waits for its time due now."""
    await session.execute(update(Job).where(*_waiting(tenant_id, kind, key)).values(run_at=func.now()))
    await session.execute(select(func.pg_notify(CHANNEL, kind)))


async def withdraw(session: AsyncSession, tenant_id: UUID, kind: str, key: str) -> None:
    """Takes back a job that waits; one that is being done goes on."""
    await session.execute(delete(Job).where(*_waiting(tenant_id, kind, key)))


def _waiting(tenant_id: UUID, kind: str, key: str) -> tuple[Any, ...]:
    return Job.tenant_id == tenant_id, Job.kind == kind, Job.key == key, Job.state == "todo"


_CLAIM = text("""
    WITH busy AS (
        SELECT tenant_id, count(*) AS jobs FROM jobs WHERE state = 'doing' AND lease_until >= now() GROUP BY tenant_id
    ), next AS (
        SELECT j.tenant_id, j.id FROM jobs j LEFT JOIN busy USING (tenant_id)
        WHERE j.kind = ANY(:kinds)
          AND ((j.state = 'todo' AND j.run_at <= now()) OR (j.state = 'doing' AND j.lease_until < now()))
        ORDER BY coalesce(busy.jobs, 0), j.run_at LIMIT 1 FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE jobs SET state = 'doing', worker = :worker, lease_until = now() + :lease, attempts = attempts + 1
    FROM next WHERE jobs.tenant_id = next.tenant_id AND jobs.id = next.id
    RETURNING jobs.tenant_id, jobs.id, jobs.kind, jobs.key, jobs.payload, jobs.attempts, jobs.worker
""")
"""The tenant with the fewest running jobs comes first, so that a bulk upload does not keep the others waiting."""


async def claim(session: AsyncSession, worker: UUID, kinds: list[str]) -> ClaimedJob | None:
    """Takes the next job, or one whose worker died; None where nothing is due."""
    row = (await session.execute(_CLAIM, {"kinds": kinds, "worker": worker, "lease": LEASE})).one_or_none()
    return None if row is None else ClaimedJob(*row)


async def renew(session: AsyncSession, job: ClaimedJob) -> None:
    """Raises LeaseLost."""
    await _change(session, job, lease_until=func.now() + LEASE)


async def finish(session: AsyncSession, job: ClaimedJob) -> None:
    """Belongs into the transaction of the job's effects: both are seen or neither. Raises LeaseLost."""
    await _change(session, job, state="done", finished_at=func.now(), lease_until=None)


async def put_back(session: AsyncSession, job: ClaimedJob, error: str | None) -> None:
    """Back into the queue: later each time after a failure, at once and without counting the attempt after a stop."""
    twin = select(Job.id).where(*_same_key(job), Job.state == "todo")
    if (await session.execute(twin)).first():
        await session.execute(delete(Job).where(*_mine(job)))
        return
    wait = timedelta(seconds=0 if error is None else 2**job.attempts)
    attempts = job.attempts - (error is None)
    run_at = datetime.now(UTC) + wait
    await _change(session, job, state="todo", error=error, run_at=run_at, lease_until=None, attempts=attempts)


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
