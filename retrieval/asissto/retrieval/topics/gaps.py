"""Finds gaps of knowledge: what was asked and not answered well, grouped, with a draft of what could answer it."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
from pgvector import HalfVector
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import jobs
from asissto.platform.database import driver
from asissto.platform.errors import NotFound
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.topics.asked import WINDOW
from asissto.retrieval.topics.drafting import draft_pair
from asissto.retrieval.topics.gap_clusters import GapClusters, cluster_gaps
from asissto.retrieval.topics.lineage import descend
from asissto.retrieval.topics.naming import Name, name_topics
from asissto.retrieval.topics.nearest import NONE, Vectors, centroids_of, normalised
from asissto.retrieval.topics.pools import Pool, pools_of
from asissto.retrieval.topics.tables import AskedQuestion, QuestionGap

FIND_GAPS = "gaps.find"
MOST_FAILED = 3_000
"""The newest; a silhouette of 3,000 takes seconds."""

_FAILED = """
    SELECT q.message_id, q.question, q.gap_id, v.vector FROM asked_questions q
    JOIN question_vectors v ON v.tenant_id = q.tenant_id AND v.message_id = q.message_id AND v.space = $2
    LEFT JOIN question_gaps g ON g.tenant_id = q.tenant_id AND g.id = q.gap_id
    WHERE q.tenant_id = $1 AND q.language = ANY($3) AND q.asked_at > $4 AND (g.id IS NULL OR g.state = 'open')
      AND (q.outcome <> 'answered' OR q.is_weak OR q.is_disliked)
    ORDER BY q.message_id DESC LIMIT $5
"""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    ids: list[UUID]
    texts: list[str]
    gaps: list[UUID | None]
    vectors: Vectors


async def find_gaps(services: Services, job: ClaimedJob) -> None:
    """Gaps that are approved or dismissed keep their questions; open ones are found again with what has come."""
    for pool in await pools_of(services, job.tenant_id):
        async with services.database.tenant(job.tenant_id) as session:
            failed = await _read_failed(session, job.tenant_id, pool)
        clusters, named = await asyncio.to_thread(_cluster, failed)
        async with services.database.tenant(job.tenant_id) as session:
            await _write(session, job.tenant_id, pool.name, failed, clusters, named)
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.finish(session, job)


async def find_gap(session: AsyncSession, tenant_id: UUID, gap_id: UUID) -> QuestionGap:
    """Locked. Raises NotFound."""
    found = await session.get(QuestionGap, (tenant_id, gap_id), with_for_update=True)
    if found is None:
        raise NotFound(kind="question_gap")
    return found


async def questions_of_gap(session: AsyncSession, tenant_id: UUID, gap_id: UUID) -> list[AskedQuestion]:
    mine = select(AskedQuestion).where(AskedQuestion.tenant_id == tenant_id, AskedQuestion.gap_id == gap_id)
    return list(await session.scalars(mine.order_by(AskedQuestion.message_id)))


def _cluster(failed: Failed) -> tuple[GapClusters, list[Name]]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        clusters = cluster_gaps(failed.vectors)
    return clusters, name_topics(failed.texts, failed.vectors, clusters.labels, clusters.centroids)


async def _read_failed(session: AsyncSession, tenant_id: UUID, pool: Pool) -> Failed:
    since = await session.scalar(select(func.now() - WINDOW))
    connection = await driver(session)
    rows = await connection.fetch(_FAILED, tenant_id, pool.space, list(pool.languages), since, MOST_FAILED)
    vectors = np.array([row[3].to_numpy() for row in rows], np.float32).reshape(len(rows), -1 if rows else 1)
    return Failed(
        ids=[row[0] for row in rows],
        texts=[row[1] for row in rows],
        gaps=[row[2] for row in rows],
        vectors=normalised(vectors),
    )


async def _write(  # noqa: PLR0913, PLR0917 - what was read and what was found
    session: AsyncSession, tenant_id: UUID, pool: str, failed: Failed, clusters: GapClusters, named: Sequence[Name]
) -> None:
    """A gap keeps its id where it keeps half of its questions; open ones that nobody is left of go."""
    its = (QuestionGap.tenant_id == tenant_id, QuestionGap.pool == pool, QuestionGap.state == "open")
    known = {row.id: row for row in await session.scalars(select(QuestionGap).where(*its).with_for_update())}
    kept = _kept(list(known), failed, clusters)
    for number, (name, cohesion) in enumerate(zip(named, clusters.cohesion, strict=True)):
        before = kept[number]
        gap = None if before is None else known.pop(before, None)
        if gap is None:
            gap = QuestionGap(tenant_id=tenant_id, id=new_id(), pool=pool)
            session.add(gap)
        gap.title, gap.chips, gap.cohesion = name.title, list(name.chips), cohesion
        gap.centroid = HalfVector(clusters.centroids[number])
        mine = [each for each, label in zip(failed.ids, clusters.labels, strict=True) if label == number]
        gap.size, gap.updated_at = len(mine), func.now()
        await session.flush()
        await _put_in(session, tenant_id, mine, gap.id)
        draft = await draft_pair(session, tenant_id, gap.title, await questions_of_gap(session, tenant_id, gap.id))
        gap.draft = msgspec.to_builtins(draft)
    without = [each for each, label in zip(failed.ids, clusters.labels, strict=True) if label == NONE]
    await _put_in(session, tenant_id, without, None)
    for gap in known.values():
        await session.delete(gap)


def _kept(known: Sequence[UUID], failed: Failed, clusters: GapClusters) -> list[UUID | None]:
    numbers = {gap: at for at, gap in enumerate(known)}
    before = np.array([numbers.get(gap, NONE) if gap else NONE for gap in failed.gaps], np.int32)
    if not known or not len(clusters.centroids):
        return [None] * len(clusters.centroids)
    middles = centroids_of(failed.vectors, before, len(known))
    origins = descend(before, clusters.labels, middles, clusters.centroids).origins
    return [None if origin == NONE else known[origin] for origin in origins]


async def _put_in(session: AsyncSession, tenant_id: UUID, messages: Sequence[UUID], gap_id: UUID | None) -> None:
    mine = (AskedQuestion.tenant_id == tenant_id, AskedQuestion.message_id.in_(messages))
    other = AskedQuestion.gap_id.is_distinct_from(gap_id)
    await session.execute(update(AskedQuestion).where(*mine, other).values(gap_id=gap_id))
