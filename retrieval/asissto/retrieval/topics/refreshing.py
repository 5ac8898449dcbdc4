"""Finds topics, or what became of those that are known: every night, and when somebody asks for it."""

import asyncio
import time
from uuid import UUID

from sqlalchemy import func, update

from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.retrieval.topics.asked import note_past
from asissto.retrieval.topics.finding import Before, Found, find_topics
from asissto.retrieval.topics.gaps import FIND_GAPS
from asissto.retrieval.topics.placing import NOW, embed_missing
from asissto.retrieval.topics.pools import Pool, names, pools_of
from asissto.retrieval.topics.storing import Questions, new_run, read_questions, read_topics, write_found
from asissto.retrieval.topics.tables import Topic

LEAST_QUESTIONS = 5
"""Of a pool; with fewer there is nothing to tell apart."""


async def refresh_topics(services: Services, job: ClaimedJob) -> None:
    """`anew` in the payload: without regard to the topics that are known, whose ids then follow their questions."""
    pools = await pools_of(services, job.tenant_id)
    while True:
        async with services.database.tenant(job.tenant_id) as session:
            if not await note_past(session, job.tenant_id):
                break
    for pool in pools:
        await embed_missing(services, job.tenant_id, pool)
        await _refresh(services, job.tenant_id, pool, anew=bool(job.payload.get("anew")))
    async with services.database.tenant(job.tenant_id) as session:
        elsewhere = (Topic.tenant_id == job.tenant_id, Topic.pool.not_in(names(pools)), Topic.state == "active")
        await session.execute(update(Topic).where(*elsewhere).values(state="retired", updated_at=func.now()))
        await jobs.finish(session, job)
        await jobs.enqueue(session, job.tenant_id, FIND_GAPS, NOW, {})


async def _refresh(services: Services, tenant_id: UUID, pool: Pool, *, anew: bool) -> None:
    """No connection is held while it computes."""
    async with services.database.tenant(tenant_id) as session:
        questions = await read_questions(session, tenant_id, pool)
        known = await read_topics(session, tenant_id, pool.name, questions)
    if len(questions.ids) < LEAST_QUESTIONS:
        return
    began = time.perf_counter()
    before = known.before(questions, pool.space)
    found = await asyncio.to_thread(_find, questions, before, anew=anew)
    is_anew = anew or before.floor is None
    run = new_run(tenant_id, pool, questions, found, anew=is_anew, seconds=time.perf_counter() - began)
    async with services.database.tenant(tenant_id) as session:
        await write_found(session, pool, questions, found, run)


def _find(questions: Questions, before: Before, *, anew: bool) -> Found:
    """On one thread: customers wait for answers beside it."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return find_topics(questions.texts, questions.vectors, before, anew=anew)
