"""The jobs of all tenants, for those who run the platform: looked at, tried again, taken away."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import Conflict, NotFound
from asissto.platform.jobs import CHANNEL
from asissto.platform.notices import notify
from asissto.platform.paging import Page, newest_first
from asissto.platform.tables import Job
from asissto.platform.texts import Phrase

State = Literal["todo", "doing", "done", "dead"]


class JobOut(msgspec.Struct, frozen=True, kw_only=True):
    """Without what it is about in words: that is the tenant's. `error` is the class and message of the last failure."""

    tenant_id: UUID
    id: UUID
    kind: str
    key: str
    state: str
    attempts: int
    error: str | None
    run_at: datetime
    waiting_since: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Job) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    state: State | None = None
    kind: str | None = None
    tenant_id: UUID | None = None


async def list_jobs(session: AsyncSession, wanted: Wanted, limit: int, after: str | None) -> Page[JobOut]:
    """Newest first."""
    found = select(Job)
    for name, value in msgspec.structs.asdict(wanted).items():
        if value is not None:
            found = found.where(getattr(Job, name) == value)
    return (await newest_first(session, found, Job.id, limit, after)).map(JobOut.of)


async def retry_job(session: AsyncSession, principal: Principal, tenant_id: UUID, job_id: UUID) -> JobOut:
    """A dead job is due again, and one that waits is due now.

    Raises NotFound, and Conflict for one that is at work, was done, or whose successor waits already.
    """
    job = await _hold(session, tenant_id, job_id)
    if job.state not in ("dead", "todo") or (job.state == "dead" and await _has_successor(session, job)):
        raise Conflict(detail=Phrase("conflict.job"))
    before = job.state
    job.state, job.attempts, job.run_at = "todo", 0, func.now()
    job.finished_at = job.waiting_since = job.error = None
    await session.flush()
    notify(session, CHANNEL, f"{job.kind} 0.0")
    await _record(session, principal, "platform.jobs.retry", job, before)
    await session.refresh(job)
    return JobOut.of(job)


async def cancel_job(session: AsyncSession, principal: Principal, tenant_id: UUID, job_id: UUID) -> None:
    """A job that is dead or waits is gone, and nobody is told: what it was to do is not done.

    Raises NotFound, and Conflict for one that is at work or was done.
    """
    job = await _hold(session, tenant_id, job_id)
    if job.state not in ("dead", "todo"):
        raise Conflict(detail=Phrase("conflict.job"))
    await session.delete(job)
    await _record(session, principal, "platform.jobs.cancel", job, job.state)


async def _hold(session: AsyncSession, tenant_id: UUID, job_id: UUID) -> Job:
    job = await session.get(Job, (tenant_id, job_id), with_for_update=True)
    if job is None:
        raise NotFound(kind="job")
    return job


async def _has_successor(session: AsyncSession, job: Job) -> bool:
    same = (Job.tenant_id == job.tenant_id, Job.kind == job.kind, Job.key == job.key, Job.state == "todo")
    return await session.scalar(select(Job.id).where(*same)) is not None


async def _record(session: AsyncSession, principal: Principal, action: str, job: Job, before: str) -> None:
    told = {"kind": job.kind, "key": job.key, "before": before}
    await record(session, principal.within(job.tenant_id), action, "job", job.id, **told)
