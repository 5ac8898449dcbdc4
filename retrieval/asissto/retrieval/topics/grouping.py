"""Which topics are shown as one: at a granularity, and with what analysts and runs have merged."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import NotFound
from asissto.retrieval.topics.tables import Topic, TopicRun

USUAL = 50
"""Per cent of the topics that there are at most."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Topics of a tenant and their newest runs; `lead` says for each topic which one stands for it."""

    topics: dict[UUID, Topic]
    runs: Sequence[TopicRun]
    lead: dict[UUID, UUID]

    def members(self, topic_id: UUID) -> list[UUID]:
        """Those that are shown as the same. Raises NotFound."""
        if topic_id not in self.topics:
            raise NotFound(kind="topic")
        mine = self.lead[topic_id]
        return [each for each, lead in self.lead.items() if lead == mine]


async def read_shape(session: AsyncSession, tenant_id: UUID, granularity: int) -> Shape:
    """`granularity` in per cent: 100 shows every topic, 1 the widest groups."""
    rows = await session.scalars(select(Topic).where(Topic.tenant_id == tenant_id))
    topics = {row.id: row for row in rows}
    newest = select(TopicRun).where(TopicRun.tenant_id == tenant_id).ext(distinct_on(TopicRun.pool))
    runs = list(await session.scalars(newest.order_by(TopicRun.pool, TopicRun.id.desc())))
    return Shape(topics=topics, runs=runs, lead=leads(list(topics.values()), runs, granularity))


def leads(topics: Sequence[Topic], runs: Sequence[TopicRun], granularity: int) -> dict[UUID, UUID]:
    """The largest of those that are joined stands for them; never one that was merged away or has retired."""
    parent = {topic.id: topic.id for topic in topics}
    for topic in topics:
        if topic.merged_into in parent:
            _join(parent, topic.id, topic.merged_into)
    for run in runs:
        for one, other in _joined(run, granularity):
            if one in parent and other in parent:
                _join(parent, one, other)
    groups: dict[UUID, list[Topic]] = {}
    for topic in topics:
        groups.setdefault(_root(parent, topic.id), []).append(topic)
    return {topic.id: _lead(group).id for group in groups.values() for topic in group}


def _joined(run: TopicRun, granularity: int) -> Iterable[tuple[UUID, UUID]]:
    ids = [UUID(each) for each in run.tree["topics"]]
    wanted = max(1, round(len(ids) * granularity / 100))
    return ((ids[kept], ids[gone]) for kept, gone in run.tree["merges"][: len(ids) - wanted])


def _lead(group: Sequence[Topic]) -> Topic:
    def worth(topic: Topic) -> tuple[bool, bool, int, UUID]:
        return topic.state == "active", topic.merged_into is None, topic.size, topic.id

    return max(group, key=worth)


def _join(parent: dict[UUID, UUID], one: UUID, other: UUID) -> None:
    parent[_root(parent, one)] = _root(parent, other)


def _root(parent: dict[UUID, UUID], topic: UUID) -> UUID:
    while parent[topic] != topic:
        parent[topic] = parent[parent[topic]]
        topic = parent[topic]
    return topic
