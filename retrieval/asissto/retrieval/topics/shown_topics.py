"""Topics as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.texts import Language, text
from asissto.retrieval.topics.counting import (
    Asked,
    TopicChange,
    TopicCounts,
    TopicDay,
    changes,
    count_by_topic,
    count_days,
    join_days,
)
from asissto.retrieval.topics.grouping import Shape
from asissto.retrieval.topics.tables import AskedQuestion, Topic, TopicEdit, TopicRun


class QuestionOut(msgspec.Struct, frozen=True, kw_only=True):
    """`message_id` is that of the answer; `likeness` the cosine with the middle of its topic."""

    message_id: UUID
    conversation_id: UUID
    assistant_id: UUID
    channel_id: UUID
    topic_id: UUID | None
    question: str
    language: str
    outcome: str
    is_weak: bool
    is_disliked: bool
    likeness: float | None
    asked_at: datetime

    @classmethod
    def of(cls, row: AskedQuestion) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class TopicOut(msgspec.Struct, frozen=True, kw_only=True):
    """`members` are the topics that are shown as this one, itself included; `examples` are customers' questions.

    `title` is the analyst's where there is one, else the question in the middle; `x` and `y` its place on the map.
    """

    id: UUID
    title: str
    found_title: str
    chips: list[str]
    examples: list[str]
    pool: str
    state: str
    pinned: bool
    hidden: bool
    members: list[UUID]
    x: float
    y: float
    counts: TopicCounts
    answered_percent: float | None
    change: TopicChange
    days: list[TopicDay]


class PoolOut(msgspec.Struct, frozen=True, kw_only=True):
    """Questions that are compared with each other, as they were at the newest run; `notice` says what to mind."""

    name: str
    space: str
    topics: int
    questions: int
    without: int
    run_at: datetime
    notice: str | None


class TopicsOut(msgspec.Struct, frozen=True, kw_only=True):
    """`items` by how often they were asked; with `without` and `hidden` they make up `total`."""

    since: datetime
    until: datetime
    granularity: int
    total: TopicCounts
    without: TopicCounts
    hidden: TopicCounts
    pools: list[PoolOut]
    items: list[TopicOut]


class TopicRunOut(msgspec.Struct, frozen=True, kw_only=True):
    """`lineage`: how many topics were kept, and which appeared, were parted, merged or retired."""

    id: UUID
    pool: str
    kind: str
    space: str
    by_words: bool
    questions: int
    without: int
    topics: int
    floor: float
    seconds: float
    lineage: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: TopicRun) -> Self:
        same = (name for name in cls.__struct_fields__ if name != "topics")
        return cls(**{name: getattr(row, name) for name in same}, topics=len(row.tree["topics"]))


class TopicEditOut(msgspec.Struct, frozen=True, kw_only=True):
    """The fields before and after; they can be taken back as long as nothing was changed on top of them."""

    id: UUID
    topic_id: UUID
    before: dict[str, Any]
    after: dict[str, Any]
    made_by: UUID | None
    undone_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: TopicEdit) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How topics are to be shown."""

    asked: Asked
    granularity: int
    language: Language
    with_hidden: bool = False


async def show_topics(session: AsyncSession, tenant_id: UUID, shape: Shape, wanted: Wanted) -> TopicsOut:
    counts = await count_by_topic(session, tenant_id, wanted.asked)
    days = await count_days(session, tenant_id, wanted.asked)
    total = sum(counts.values(), TopicCounts())
    grouped = _grouped(shape, counts)
    change = changes(grouped, total)
    asked = sorted(grouped, key=lambda each: (-grouped[each].asked, -grouped[each].before, each))
    hidden = [each for each in asked if shape.topics[each].is_hidden]
    shown = asked if wanted.with_hidden else [each for each in asked if each not in set(hidden)]
    examples = await _examples(session, tenant_id, [shape.topics[each] for each in shown])
    return TopicsOut(
        since=wanted.asked.since,
        until=wanted.asked.until,
        granularity=wanted.granularity,
        total=total,
        without=counts.get(None, TopicCounts()),
        hidden=TopicCounts() if wanted.with_hidden else sum((grouped[each] for each in hidden), TopicCounts()),
        pools=[_pool(run, wanted.language) for run in shape.runs],
        items=[
            _topic(shape, each, grouped[each], change[each], join_days(days.get(one, []) for one in members), examples)
            for each in shown
            for members in [shape.members(each)]
        ],
    )


def _grouped(shape: Shape, counts: dict[UUID | None, TopicCounts]) -> dict[UUID, TopicCounts]:
    """By the topics that stand for others; active ones also where nobody asked."""
    grouped = {lead: TopicCounts() for lead in shape.lead.values() if shape.topics[lead].state == "active"}
    for topic_id, count in counts.items():
        if topic_id is not None:
            lead = shape.lead[topic_id]
            grouped[lead] = grouped.get(lead, TopicCounts()) + count
    return grouped


async def _examples(session: AsyncSession, tenant_id: UUID, topics: Sequence[Topic]) -> dict[UUID, str]:
    wanted = {message for topic in topics for message in topic.examples}
    its = AskedQuestion
    mine = select(its.message_id, its.question).where(its.tenant_id == tenant_id, its.message_id.in_(wanted))
    return {row.message_id: row.question for row in await session.execute(mine)}


def _topic(  # noqa: PLR0913, PLR0917 - what a topic is shown with
    shape: Shape,
    topic_id: UUID,
    counts: TopicCounts,
    change: TopicChange,
    days: list[TopicDay],
    examples: dict[UUID, str],
) -> TopicOut:
    row = shape.topics[topic_id]
    said = [examples[each] for each in row.examples if each in examples]
    middle = said[0] if said else row.title  # a question that was erased is gone from here at once
    return TopicOut(
        id=row.id,
        title=row.own_title or middle,
        found_title=middle,
        chips=row.chips,
        examples=said,
        pool=row.pool,
        state=row.state,
        pinned=row.is_pinned,
        hidden=row.is_hidden,
        members=shape.members(topic_id),
        x=row.x,
        y=row.y,
        counts=counts,
        answered_percent=round(100 * counts.answered / counts.asked, 1) if counts.asked else None,
        change=change,
        days=days,
    )


def _pool(run: TopicRun, language: Language) -> PoolOut:
    return PoolOut(
        name=run.pool,
        space=run.space,
        topics=len(run.tree["topics"]),
        questions=run.questions,
        without=run.without,
        run_at=run.created_at,
        notice=text("topics.by_words", language) if run.by_words else None,
    )
