"""The routes of topics: what is asked, the map, the questions behind every count, edits and runs."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform.audit import record
from asissto.platform.errors import InvalidInput, NotFound
from asissto.platform.given import Caller, Reader, Session
from asissto.platform.jobs import bring_forward, enqueue
from asissto.platform.moments import in_utc
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.texts import Phrase
from asissto.retrieval.topics.counting import Asked, last_days, questions_of
from asissto.retrieval.topics.editing import TopicMergeIn, TopicPatch, change_topic, merge_topic, undo_edit
from asissto.retrieval.topics.grouping import USUAL, read_shape
from asissto.retrieval.topics.map_bytes import MEDIA_TYPE, map_bytes
from asissto.retrieval.topics.placing import NOW, REFRESH
from asissto.retrieval.topics.shown_topics import (
    QuestionOut,
    TopicEditOut,
    TopicOut,
    TopicRunOut,
    TopicsOut,
    Wanted,
    show_topics,
)
from asissto.retrieval.topics.tables import AskedQuestion, TopicEdit, TopicRun

Since = Annotated[datetime | None, QueryParameter(description="From this moment on; usually the last 30 days.")]
Until = Annotated[datetime | None, QueryParameter(description="Before this moment.")]
Granularity = Annotated[
    int, QueryParameter(ge=1, le=100, description="Per cent of the topics there are: 100 shows all, 1 the widest.")
]
MOST_DAYS = 366
Outcome = Literal["answered", "abstained", "handed_over", "weak", "disliked"]
Hidden = Annotated[bool, QueryParameter(description="With those that an analyst has hidden.")]


class TopicRunIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`anew`: without regard to the topics that are known; their ids then follow their questions."""

    anew: bool = False


class Wish(msgspec.Struct, frozen=True):
    """A run will begin as soon as a worker is free."""

    anew: bool


def provide_asked(
    since: Since = None,
    until: Until = None,
    assistant_id: FromQuery[UUID | None] = None,
    channel_id: FromQuery[UUID | None] = None,
    asked_in: FromQuery[Literal["ru", "en"] | None] = None,
) -> Asked:
    """Raises InvalidInput."""
    first, last = last_days()
    end = last if until is None else in_utc(until, "until")
    begin = (first if until is None else end - (last - first)) if since is None else in_utc(since, "since")
    if not timedelta(0) < end - begin <= timedelta(days=MOST_DAYS):
        raise InvalidInput(field="until", detail=Phrase("invalid.period", MOST_DAYS))
    return Asked(since=begin, until=end, assistant_id=assistant_id, channel_id=channel_id, language=asked_in)


_ASKED = {"asked": Provide(provide_asked, sync_to_thread=False)}


class TopicController(Controller):
    path = "/api/v1/topics"
    tags = ("topics",)

    @get(operation_id="topics.list", guards=[need("analytics.read")], dependencies=_ASKED)
    async def list(
        self,
        principal: Caller,
        session: Session,
        language: Reader,
        asked: NamedDependency[Asked],
        granularity: Granularity = USUAL,
        with_hidden: Hidden = False,
    ) -> TopicsOut:
        """What was asked in a period, by topics; each count is that of the questions behind it."""
        shape = await read_shape(session, principal.tenant_id, granularity)
        wanted = Wanted(asked=asked, granularity=granularity, language=language, with_hidden=with_hidden)
        return await show_topics(session, principal.tenant_id, shape, wanted)

    @get("/map", operation_id="topics.map", guards=[need("analytics.read")], dependencies=_ASKED, media_type=MEDIA_TYPE)
    async def map(
        self, principal: Caller, session: Session, asked: NamedDependency[Asked], granularity: Granularity = USUAL
    ) -> Response[bytes]:
        """At most 100,000 points, little-endian: uint32 n and k, n float32 x, n float32 y, n uint16 topic, k UUIDs."""
        shape = await read_shape(session, principal.tenant_id, granularity)
        return Response(await map_bytes(session, principal.tenant_id, asked, shape.lead), media_type=MEDIA_TYPE)

    @get("/questions", operation_id="topics.without", guards=[need("analytics.read")], dependencies=_ASKED)
    async def without(
        self,
        principal: Caller,
        session: Session,
        asked: NamedDependency[Asked],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        outcome: FromQuery[Outcome | None] = None,
    ) -> Page[QuestionOut]:
        """Questions that are near to no topic, newest first."""
        those = questions_of(principal.tenant_id, asked, None, outcome)
        return (await newest_first(session, those, AskedQuestion.message_id, limit, after)).map(QuestionOut.of)

    @get("/runs", operation_id="topics.runs", guards=[need("analytics.read")])
    async def runs(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[TopicRunOut]:
        """Newest first, with what became of the topics before."""
        mine = select(TopicRun).where(TopicRun.tenant_id == principal.tenant_id)
        return (await newest_first(session, mine, TopicRun.id, limit, after)).map(TopicRunOut.of)

    @post("/runs", operation_id="topics.run", status_code=202, guards=[need("topics.write")])
    async def run(self, data: JSONBody[TopicRunIn], principal: Caller, session: Session) -> Wish:
        """Finds topics now instead of at night."""
        key = "anew" if data.anew else NOW
        await enqueue(session, principal.tenant_id, REFRESH, key, {"anew": data.anew})
        await bring_forward(session, principal.tenant_id, REFRESH, key)
        await record(session, principal, "topics.run", "topic_run", None, anew=data.anew)
        return Wish(data.anew)

    @get("/edits", operation_id="topics.edits", guards=[need("analytics.read")])
    async def edits(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        topic_id: FromQuery[UUID | None] = None,
    ) -> Page[TopicEditOut]:
        """Newest first."""
        mine = select(TopicEdit).where(TopicEdit.tenant_id == principal.tenant_id)
        if topic_id is not None:
            mine = mine.where(TopicEdit.topic_id == topic_id)
        return (await newest_first(session, mine, TopicEdit.id, limit, after)).map(TopicEditOut.of)

    @post(
        "/edits/{topic_edit_id:uuid}/undo", operation_id="topics.undo", status_code=200, guards=[need("topics.write")]
    )
    async def undo(self, topic_edit_id: FromPath[UUID], principal: Caller, session: Session) -> TopicEditOut:
        edit = await undo_edit(session, principal.tenant_id, topic_edit_id)
        await record(session, principal, "topics.undo", "topic", edit.topic_id, edit=edit.id)
        return TopicEditOut.of(edit)

    @get("/{topic_id:uuid}", operation_id="topics.read", guards=[need("analytics.read")], dependencies=_ASKED)
    async def read(
        self,
        topic_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        language: Reader,
        asked: NamedDependency[Asked],
        granularity: Granularity = USUAL,
    ) -> TopicOut:
        """The topic that stands for this one at that granularity."""
        shape = await read_shape(session, principal.tenant_id, granularity)
        lead = shape.lead[shape.members(topic_id)[0]]
        wanted = Wanted(asked=asked, granularity=granularity, language=language, with_hidden=True)
        shown = await show_topics(session, principal.tenant_id, shape, wanted)
        for topic in shown.items:
            if topic.id == lead:
                return topic
        raise NotFound(kind="topic")

    @get(
        "/{topic_id:uuid}/questions",
        operation_id="topics.questions",
        guards=[need("analytics.read")],
        dependencies=_ASKED,
    )
    async def questions(
        self,
        topic_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        asked: NamedDependency[Asked],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        granularity: Granularity = USUAL,
        outcome: FromQuery[Outcome | None] = None,
    ) -> Page[QuestionOut]:
        """The questions that a topic counts at the same granularity, newest first."""
        members = (await read_shape(session, principal.tenant_id, granularity)).members(topic_id)
        those = questions_of(principal.tenant_id, asked, members, outcome)
        return (await newest_first(session, those, AskedQuestion.message_id, limit, after)).map(QuestionOut.of)

    @patch("/{topic_id:uuid}", operation_id="topics.update", guards=[need("topics.write")])
    async def update(
        self, topic_id: FromPath[UUID], data: JSONBody[TopicPatch], principal: Caller, session: Session
    ) -> TopicEditOut:
        """Renames, pins or hides it; later runs leave that as it is."""
        edit = await change_topic(session, principal.tenant_id, topic_id, data, principal.user_id)
        await record(session, principal, "topics.update", "topic", topic_id, fields=sorted(edit.after))
        return TopicEditOut.of(edit)

    @post("/{topic_id:uuid}/merge", operation_id="topics.merge", status_code=200, guards=[need("topics.write")])
    async def merge(
        self, topic_id: FromPath[UUID], data: JSONBody[TopicMergeIn], principal: Caller, session: Session
    ) -> TopicEditOut:
        """Shows it as a part of another, also what is asked from now on."""
        edit = await merge_topic(session, principal.tenant_id, topic_id, data.into, principal.user_id)
        await record(session, principal, "topics.merge", "topic", topic_id, into=data.into)
        return TopicEditOut.of(edit)


HANDLERS: list[ControllerRouterHandler] = [TopicController]
