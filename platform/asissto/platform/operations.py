"""How the platform is doing, for whoever runs it: queues, channels, workers, the database, who uses most."""

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
MOST_CHANNELS = 100
MOST_CONSUMERS = 20


class QueueOut(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is todo, doing or dead; `postponed` are those that wait for something that is away or used up.

    `oldest_seconds` counts from when the oldest was due, or died.
    """

    kind: str
    state: str
    jobs: int
    postponed: int
    oldest_seconds: float


class OutboxOut(msgspec.Struct, frozen=True, kw_only=True):
    """Parts of answers by their state; what was sent counts for the last day alone."""

    state: str
    parts: int
    oldest_seconds: float


class FailingOut(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    tenant: str
    channel_id: UUID
    channel: str
    type: str
    status: str
    problem: str | None
    paused_until: datetime | None


class WorkerOut(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that has done something within the last hour; `jobs` are those that it has at this moment."""

    worker: UUID
    jobs: int
    seen_at: datetime


class ConsumerOut(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of models within the last 30 days; costs in millionths of a unit, by currency."""

    tenant_id: UUID
    tenant: str
    plan: str
    calls: int
    tokens: int
    cost_micros: dict[str, int]


class OperationsOut(msgspec.Struct, frozen=True, kw_only=True):
    """`failing` are channels that are broken or left alone by their provider's wish, the first hundred."""

    queues: list[QueueOut]
    outbox: list[OutboxOut]
    failing: list[FailingOut]
    workers: list[WorkerOut]
    database_bytes: int
    consumers: list[ConsumerOut]


# In SQL, because some of the tables are those of components that stand on this one.
_QUEUES = """
    SELECT kind, state, count(*) AS jobs,
        count(*) FILTER (WHERE state = 'todo' AND (waiting_since IS NOT NULL OR error IS NOT NULL)) AS postponed,
        greatest(extract(epoch FROM now() - min(CASE state WHEN 'todo' THEN run_at WHEN 'dead' THEN finished_at
            ELSE created_at END)), 0)::float8 AS oldest_seconds
    FROM jobs WHERE state <> 'done' GROUP BY kind, state ORDER BY kind, state
"""
_OUTBOX = """
    SELECT state, count(*) AS parts,
        coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_seconds
    FROM outbox WHERE state <> 'sent' OR created_at > now() - interval '1 day' GROUP BY state ORDER BY state
"""
_FAILING = """
    SELECT c.tenant_id, t.name AS tenant, c.id AS channel_id, c.name AS channel, c.type, c.status, c.problem,
        c.paused_until
    FROM channels c JOIN tenants t ON t.id = c.tenant_id
    WHERE c.status = 'broken' OR c.paused_until > now() ORDER BY t.name, c.name LIMIT :most
"""
_WORKERS = """
    SELECT worker, count(*) FILTER (WHERE state = 'doing' AND lease_until > now()) AS jobs,
        max(coalesce(finished_at, least(lease_until, now()), created_at)) AS seen_at
    FROM jobs WHERE worker IS NOT NULL AND (state = 'doing' OR finished_at > now() - interval '1 hour')
    GROUP BY worker ORDER BY seen_at DESC, worker
"""
_CONSUMERS = """
    WITH spent AS (
        SELECT tenant_id, currency, count(*) AS calls, sum(prompt_tokens + completion_tokens) AS tokens,
            coalesce(sum(cost_micros), 0) AS cost
        FROM model_calls WHERE created_at > now() - interval '30 days' GROUP BY tenant_id, currency
    )
    SELECT s.tenant_id, t.name AS tenant, t.plan, sum(s.calls)::bigint AS calls, sum(s.tokens)::bigint AS tokens,
        coalesce(jsonb_object_agg(s.currency, s.cost) FILTER (WHERE s.currency IS NOT NULL), '{}') AS cost_micros
    FROM spent s JOIN tenants t ON t.id = s.tenant_id
    GROUP BY s.tenant_id, t.name, t.plan ORDER BY tokens DESC, s.tenant_id LIMIT :most
"""


async def show_operations(session: AsyncSession) -> OperationsOut:
    """Of all tenants, in a transaction of the system."""
    size = await session.scalar(text("SELECT pg_database_size(current_database())"))
    return OperationsOut(
        queues=await _rows(session, _QUEUES, QueueOut),
        outbox=await _rows(session, _OUTBOX, OutboxOut),
        failing=await _rows(session, _FAILING, FailingOut, most=MOST_CHANNELS),
        workers=await _rows(session, _WORKERS, WorkerOut),
        database_bytes=int(size or 0),
        consumers=await _rows(session, _CONSUMERS, ConsumerOut, most=MOST_CONSUMERS),
    )


async def _rows(session: AsyncSession, query: str, kind: type[T], **given: Any) -> list[T]:
    rows = await session.execute(text(query), given)
    return [msgspec.convert(dict(row), kind) for row in rows.mappings()]
