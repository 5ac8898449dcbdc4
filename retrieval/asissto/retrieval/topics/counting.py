"""TopicCounts of topics over a period: what was asked, what came of it, and whether it has changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.retrieval.topics.tables import AskedQuestion
from asissto.retrieval.topics.trends import LEAST_ASKED, change_p, discoveries

USUAL_PERIOD = timedelta(days=30)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which questions are looked at: from `since` on and before `until`, the rest where it is named."""

    since: datetime
    until: datetime
    assistant_id: UUID | None = None
    channel_id: UUID | None = None
    language: str | None = None

    def those(self, tenant_id: UUID, *, since: datetime | None = None) -> ColumnElement[bool]:
        named = {"assistant_id": self.assistant_id, "channel_id": self.channel_id, "language": self.language}
        equal = [getattr(AskedQuestion, name) == value for name, value in named.items() if value is not None]
        period = (AskedQuestion.asked_at >= (since or self.since), AskedQuestion.asked_at < self.until)
        return and_(AskedQuestion.tenant_id == tenant_id, *period, *equal)

    @property
    def before(self) -> datetime:
        """Where the period before begins, which is as long."""
        return self.since - (self.until - self.since)


class TopicCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one period, and `before` of the one before it; `asked` is the sum of the three outcomes."""

    asked: int = 0
    answered: int = 0
    abstained: int = 0
    handed_over: int = 0
    weak: int = 0
    disliked: int = 0
    before: int = 0

    def __add__(self, other: "TopicCounts") -> "TopicCounts":
        names = self.__struct_fields__
        return TopicCounts(**{name: getattr(self, name) + getattr(other, name) for name in names})


class TopicChange(msgspec.Struct, frozen=True, kw_only=True):
    """Against the period before: `ratio` of the shares of all questions, None where there was nothing to compare with.

    `p_value` is that of a change by chance, two-sided; `is_significant` holds when at most 5 % of all changes that are
    called so are chance.
    """

    before: int
    ratio: float | None
    p_value: float
    is_significant: bool


class TopicDay(msgspec.Struct, frozen=True):
    day: date
    asked: int
    answered: int


async def count_by_topic(session: AsyncSession, tenant_id: UUID, asked: Asked) -> dict[UUID | None, TopicCounts]:
    """None: without a topic."""
    its = AskedQuestion
    is_now = its.asked_at >= asked.since
    columns = {
        "asked": is_now,
        **{outcome: is_now & (its.outcome == outcome) for outcome in ("answered", "abstained", "handed_over")},
        "weak": is_now & its.is_weak,
        "disliked": is_now & its.is_disliked,
        "before": ~is_now,
    }
    counted = [func.count().filter(condition).label(name) for name, condition in columns.items()]
    those = asked.those(tenant_id, since=asked.before)
    rows = await session.execute(select(its.topic_id, *counted).where(those).group_by(its.topic_id))
    return {row[0]: TopicCounts(**dict(zip(columns, row[1:], strict=True))) for row in rows}


async def count_days(
    session: AsyncSession, tenant_id: UUID, asked: Asked, topics: Sequence[UUID] | None = None
) -> dict[UUID | None, list[TopicDay]]:
    """By topic, the days (UTC) on which anything was asked, in their order; of these topics or all."""
    its = AskedQuestion
    day = func.date(func.timezone("UTC", its.asked_at)).label("day")
    counted = (func.count(), func.count().filter(its.outcome == "answered"))
    mine = select(its.topic_id, day, *counted).where(asked.those(tenant_id)).group_by(its.topic_id, day).order_by(day)
    if topics is not None:
        mine = mine.where(its.topic_id.in_(topics))
    found: dict[UUID | None, list[TopicDay]] = {}
    for topic_id, when, count, answered in await session.execute(mine):
        found.setdefault(topic_id, []).append(TopicDay(when, count, answered))
    return found


def join_days(series: Iterable[Sequence[TopicDay]]) -> list[TopicDay]:
    """Of several topics."""
    joined: dict[date, TopicDay] = {}
    for each in (day for days in series for day in days):
        had = joined.get(each.day, TopicDay(each.day, 0, 0))
        joined[each.day] = TopicDay(each.day, had.asked + each.asked, had.answered + each.answered)
    return [joined[day] for day in sorted(joined)]


def changes(counts: Mapping[UUID, TopicCounts], overall: TopicCounts) -> dict[UUID, TopicChange]:
    """Of every topic, judged together; what was asked too seldom to tell takes no part in that."""
    both = overall.asked + overall.before
    share = overall.asked / both if both else 0.0
    p_values = {topic: change_p(each.asked, each.before, share) for topic, each in counts.items()}
    tested = [topic for topic, each in counts.items() if each.asked + each.before >= LEAST_ASKED and 0 < share < 1]
    believed = dict(zip(tested, discoveries([p_values[topic] for topic in tested]), strict=True))
    return {
        topic: TopicChange(
            before=each.before,
            ratio=_ratio(each, overall),
            p_value=round(p_values[topic], 6),
            is_significant=believed.get(topic, False),
        )
        for topic, each in counts.items()
    }


def questions_of(
    tenant_id: UUID, asked: Asked, topics: Sequence[UUID] | None, outcome: str | None
) -> Select[AskedQuestion]:
    """The rows behind a count; None: those without a topic."""
    belongs = AskedQuestion.topic_id.is_(None) if topics is None else AskedQuestion.topic_id.in_(topics)
    those = select(AskedQuestion).where(asked.those(tenant_id), belongs)
    return those if outcome is None else those.where(came_of_it(outcome))


def came_of_it(outcome: str) -> ColumnElement[bool]:
    flags: dict[str, Any] = {"weak": AskedQuestion.is_weak, "disliked": AskedQuestion.is_disliked}
    return or_(flags.get(outcome, AskedQuestion.outcome == outcome), false())


def last_days(now: datetime | None = None) -> tuple[datetime, datetime]:
    until = now or datetime.now(UTC)
    return until - USUAL_PERIOD, until


def _ratio(counts: TopicCounts, overall: TopicCounts) -> float | None:
    if not counts.before or not overall.asked:
        return None
    return round((counts.asked / overall.asked) / (counts.before / overall.before), 3)
