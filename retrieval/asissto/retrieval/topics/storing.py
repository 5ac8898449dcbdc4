"""Reads questions and topics of a pool as arrays, and writes what was found back."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
from pgvector import HalfVector
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import driver
from asissto.platform.tables import new_id
from asissto.retrieval.topics.asked import WINDOW
from asissto.retrieval.topics.finding import Before, Found
from asissto.retrieval.topics.nearest import NONE, Vectors, centroids_of, normalised
from asissto.retrieval.topics.pools import Pool
from asissto.retrieval.topics.tables import Topic, TopicRun

MOST_QUESTIONS = 100_000
"""The newest of a pool shape its topics: 60 s and 1 GB; older ones keep theirs."""
_WRITTEN = 5_000

_NEWEST = """
    SELECT q.message_id, q.question, q.topic_id, q.placed_at IS NOT NULL, v.vector
    FROM asked_questions q
    JOIN question_vectors v ON v.tenant_id = q.tenant_id AND v.message_id = q.message_id AND v.space = $2
    WHERE q.tenant_id = $1 AND q.language = ANY($3) AND q.asked_at > $4 AND (NOT $6 OR q.placed_at IS NULL)
    ORDER BY q.asked_at DESC, q.message_id DESC LIMIT $5
"""
_PLACE = """
    UPDATE asked_questions q SET topic_id = v.topic, likeness = v.likeness, x = v.x, y = v.y, placed_at = now()
    FROM unnest($2::uuid[], $3::uuid[], $4::real[], $5::real[], $6::real[]) v(message, topic, likeness, x, y)
    WHERE q.tenant_id = $1 AND q.message_id = v.message
"""


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """Of a pool, oldest first; `topics` are the ids of their topics."""

    ids: list[UUID]
    texts: list[str]
    topics: list[UUID | None]
    vectors: Vectors


class KnownTopics(msgspec.Struct, frozen=True, kw_only=True):
    """The active topics of a pool, and the run that found them last."""

    rows: Sequence[Topic]
    run: TopicRun | None

    def before(self, questions: Questions, space: str) -> Before:
        """As a run wants them; in another space their centroids follow from their questions."""
        numbers = {row.id: at for at, row in enumerate(self.rows)}
        labels = np.array([numbers.get(topic, NONE) if topic else NONE for topic in questions.topics], np.int32)
        is_same = self.run is not None and self.run.space == space
        return Before(
            ids=[row.id for row in self.rows],
            centroids=self._centroids() if is_same else centroids_of(questions.vectors, labels, len(self.rows)),
            places=np.array([(row.x, row.y) for row in self.rows], np.float32).reshape(-1, 2),
            pinned=np.array([row.is_pinned for row in self.rows], np.bool_),
            labels=labels,
            floor=self.run.floor if self.run is not None and is_same else None,
        )

    def _centroids(self) -> Vectors:
        return (
            normalised(np.stack([_floats(row.centroid) for row in self.rows]))
            if self.rows
            else np.empty((0, 1), np.float32)
        )


async def read_questions(
    session: AsyncSession, tenant_id: UUID, pool: Pool, *, most: int = MOST_QUESTIONS, only_new: bool = False
) -> Questions:
    since = await session.scalar(select(func.now() - WINDOW))
    connection = await driver(session)
    wanted = (tenant_id, pool.space, list(pool.languages), since, most, only_new)
    rows = (await connection.fetch(_NEWEST, *wanted))[::-1]
    vectors = [row[4].to_numpy() for row in rows]
    return Questions(
        ids=[row[0] for row in rows],
        texts=[row[1] for row in rows],
        topics=[row[2] for row in rows],
        vectors=normalised(np.array(vectors, np.float32).reshape(len(rows), -1))
        if rows
        else np.empty((0, 1), np.float32),
    )


async def read_topics(
    session: AsyncSession, tenant_id: UUID, pool: str, questions: Questions | None = None
) -> KnownTopics:
    """With those of the questions that were found in another pool, before the tenant's embedder was changed."""
    theirs = set(questions.topics) - {None} if questions else set[UUID]()
    mine = select(Topic).where(Topic.tenant_id == tenant_id, Topic.state == "active")
    mine = mine.where(or_(Topic.pool == pool, Topic.id.in_(theirs)))
    return KnownTopics(
        rows=list(await session.scalars(mine.order_by(Topic.id))), run=await newest_run(session, tenant_id, pool)
    )


async def newest_run(session: AsyncSession, tenant_id: UUID, pool: str) -> TopicRun | None:
    runs = select(TopicRun).where(TopicRun.tenant_id == tenant_id, TopicRun.pool == pool)
    return await session.scalar(runs.order_by(TopicRun.id.desc()).limit(1))


async def write_found(session: AsyncSession, pool: Pool, questions: Questions, found: Found, run: TopicRun) -> None:
    """Topics, what became of others, the run, and the place of every question."""
    tenant_id = run.tenant_id
    await _write_topics(session, tenant_id, pool, questions, found)
    gone = {UUID(old): new for old, new in found.lineage.merged.items()} | dict.fromkeys(found.lineage.retired)
    for topic_id, into in gone.items():
        its = update(Topic).where(Topic.tenant_id == tenant_id, Topic.id == topic_id)
        successor = {} if into is None else {"merged_into": into}
        await session.execute(its.values(state="retired", updated_at=func.now(), **successor))
    session.add(run)
    await session.flush()
    labels, centroids = found.clustering.labels, found.clustering.centroids
    likeness = np.einsum("nd,nd->n", questions.vectors, centroids[labels])
    topics = [None if label == NONE else found.ids[label] for label in labels]
    await place(session, tenant_id, Placed(ids=questions.ids, topics=topics, likeness=likeness, spots=found.spots))


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Questions with their topics, the cosines with these, and their spots (n, 2) on the map."""

    ids: Sequence[UUID]
    topics: Sequence[UUID | None]
    likeness: Vectors
    spots: Vectors


async def place(session: AsyncSession, tenant_id: UUID, placed: Placed) -> None:
    connection = await driver(session)
    for start in range(0, len(placed.ids), _WRITTEN):
        part = slice(start, start + _WRITTEN)
        columns = (placed.likeness[part], placed.spots[part, 0], placed.spots[part, 1])
        numbers = [column.tolist() for column in columns]
        await connection.execute(_PLACE, tenant_id, list(placed.ids[part]), list(placed.topics[part]), *numbers)


def new_run(  # noqa: PLR0913 - columns
    tenant_id: UUID, pool: Pool, questions: Questions, found: Found, *, anew: bool, seconds: float
) -> TopicRun:
    return TopicRun(
        tenant_id=tenant_id,
        id=new_id(),
        pool=pool.name,
        kind="anew" if anew else "refresh",
        space=pool.space,
        by_words=pool.by_words,
        questions=len(questions.ids),
        without=int((found.clustering.labels == NONE).sum()),
        floor=found.clustering.floor,
        tree={"topics": [str(each) for each in found.ids], "merges": found.merges},
        lineage=msgspec.to_builtins(found.lineage),
        seconds=round(seconds, 3),
    )


async def _write_topics(session: AsyncSession, tenant_id: UUID, pool: Pool, questions: Questions, found: Found) -> None:
    parted = found.lineage.parted
    rows = [
        {
            "tenant_id": tenant_id,
            "id": topic_id,
            "pool": pool.name,
            "title": ", ".join(name.chips[:3]),
            "chips": list(name.chips),
            "examples": [questions.ids[at] for at in name.examples],
            "size": int(found.clustering.sizes[at]),
            "centroid": HalfVector(found.clustering.centroids[at]),
            "x": float(found.places[at, 0]),
            "y": float(found.places[at, 1]),
            "parted_from": parted.get(str(topic_id)),
        }
        for at, (topic_id, name) in enumerate(zip(found.ids, found.names, strict=True))
    ]
    if not rows:
        return
    row = insert(Topic)
    renewed = ("pool", "chips", "examples", "size", "centroid", "x", "y")
    fresh = {name: row.excluded[name] for name in renewed}
    # A pinned topic that nobody asks about at present keeps the words it had.
    title = func.coalesce(func.nullif(row.excluded.title, ""), Topic.title)
    changed = {**fresh, "title": title, "state": "active", "updated_at": func.now()}
    await session.execute(row.on_conflict_do_update(index_elements=["tenant_id", "id"], set_=changed), rows)


def _floats(vector: HalfVector) -> Vectors:
    return np.asarray(vector.to_numpy(), np.float32)
