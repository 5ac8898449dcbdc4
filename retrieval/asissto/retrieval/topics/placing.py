"""Puts new questions into the topics that are known: a job that one question wakes and many share."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from pgvector import HalfVector
from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert

from asissto.ingestion.spaces import embed_paid
from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.retrieval.topics.asked import WINDOW
from asissto.retrieval.topics.mapping import place_questions
from asissto.retrieval.topics.nearest import NONE, nearest
from asissto.retrieval.topics.pools import Pool, pools_of
from asissto.retrieval.topics.storing import Placed, place, read_questions, read_topics
from asissto.retrieval.topics.tables import AskedQuestion, QuestionVector

REFRESH = "topics.refresh"
"""The job that finds topics, or what became of them."""
NIGHTLY, NOW = "nightly", "now"
NIGHT = time(3, 0)
FIRST = 30
"""Questions of a pool that are enough for its first topics."""

_EMBEDDED, _PLACED = 256, 5_000


async def place_new(services: Services, job: ClaimedJob) -> None:
    """Embeds what nobody has embedded, places what is new, and sees to it that a refresh follows at night."""
    wants_first = False
    for pool in await pools_of(services, job.tenant_id):
        await embed_missing(services, job.tenant_id, pool)
        wants_first |= await _place(services, job.tenant_id, pool)
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.remove(session, job)
        if wants_first:
            await jobs.enqueue(session, job.tenant_id, REFRESH, NOW, {})
        await jobs.enqueue(session, job.tenant_id, REFRESH, NIGHTLY, {}, run_at=next_night(datetime.now(UTC)))


def next_night(now: datetime) -> datetime:
    """Three o'clock, UTC."""
    tonight = datetime.combine(now.date(), NIGHT, UTC)
    return tonight if tonight > now else tonight + timedelta(days=1)


async def embed_missing(services: Services, tenant_id: UUID, pool: Pool) -> None:
    """Gives each question of the window a vector in the pool's space; raises ProviderError."""
    here = and_(QuestionVector.tenant_id == tenant_id, QuestionVector.message_id == AskedQuestion.message_id)
    missing = (
        select(AskedQuestion.message_id, AskedQuestion.question)
        .outerjoin(QuestionVector, and_(here, QuestionVector.space == pool.space))
        .where(AskedQuestion.tenant_id == tenant_id, AskedQuestion.language.in_(pool.languages))
        .where(AskedQuestion.asked_at > func.now() - WINDOW, QuestionVector.message_id.is_(None))
        .order_by(AskedQuestion.message_id.desc())
        .limit(_EMBEDDED)
    )
    while True:
        async with services.database.tenant(tenant_id) as session:
            rows = (await session.execute(missing)).all()
        if not rows:
            return
        vectors = await embed_paid(services, tenant_id, pool.embedder, [row.question for row in rows])
        made = [
            {"tenant_id": tenant_id, "message_id": row.message_id, "space": pool.space, "vector": HalfVector(vector)}
            for row, vector in zip(rows, vectors, strict=True)
        ]
        row = insert(QuestionVector)
        fresh = {"space": row.excluded.space, "vector": row.excluded.vector}
        async with services.database.tenant(tenant_id) as session:
            renewed = row.on_conflict_do_update(index_elements=["tenant_id", "message_id"], set_=fresh)
            await session.execute(renewed, made)


async def _place(services: Services, tenant_id: UUID, pool: Pool) -> bool:
    """Whether there are enough questions for the first topics of the pool, which has none yet."""
    while True:
        async with services.database.tenant(tenant_id) as session:
            known = await read_topics(session, tenant_id, pool.name)
            questions = await read_questions(session, tenant_id, pool, most=_PLACED, only_new=True)
            if known.run is None or known.run.space != pool.space:
                return len(questions.ids) >= FIRST
            if not questions.ids:
                return False
            before = known.before(questions, pool.space)
            labels, likeness = nearest(questions.vectors, before.centroids)
            labels[likeness < known.run.floor] = NONE
            spots = place_questions(questions.vectors, labels, before.centroids, before.places)
            topics = [None if label == NONE else before.ids[label] for label in labels]
            placed = Placed(ids=questions.ids, topics=topics, likeness=likeness, spots=spots)
            await place(session, tenant_id, placed)
