"""The routes of gaps of knowledge: what is not answered, what could answer it, and what approving that has changed."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform.audit import record
from asissto.platform.given import Caller, Session
from asissto.platform.jobs import enqueue
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.retrieval.topics.approving import ApproveIn, approve, dismiss
from asissto.retrieval.topics.drafting import PairDraft
from asissto.retrieval.topics.gaps import FIND_GAPS, find_gap
from asissto.retrieval.topics.placing import NOW
from asissto.retrieval.topics.shown_topics import QuestionOut
from asissto.retrieval.topics.tables import AskedQuestion, QuestionGap

State = Literal["open", "approved", "dismissed"]
MOST = 200


class GapOut(msgspec.Struct, frozen=True, kw_only=True):
    """`replay` tells of the questions asked again since a pair was approved; `lost` must be 0."""

    id: UUID
    pool: str
    state: str
    title: str
    chips: list[str]
    size: int
    cohesion: float
    draft: PairDraft
    pair_id: UUID | None
    set_id: UUID | None
    replay: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: QuestionGap) -> Self:
        same = (name for name in cls.__struct_fields__ if name != "draft")
        return cls(**{name: getattr(row, name) for name in same}, draft=msgspec.convert(row.draft, PairDraft))


class GapList(msgspec.Struct, frozen=True):
    """By size times cohesion: what is worth most comes first."""

    items: list[GapOut]


class Searching(msgspec.Struct, frozen=True):
    """Gaps will be looked for as soon as a worker is free."""

    state: Literal["queued"] = "queued"


class GapController(Controller):
    path = "/api/v1/gaps"
    tags = ("gaps",)

    @get(operation_id="gaps.list", guards=[need("analytics.read")])
    async def list(self, principal: Caller, session: Session, status: FromQuery[State] = "open") -> GapList:
        """Questions of the last 180 days that were not answered, answered weakly, disliked or handed over."""
        mine = select(QuestionGap).where(QuestionGap.tenant_id == principal.tenant_id, QuestionGap.state == status)
        worth = QuestionGap.size * QuestionGap.cohesion
        rows = await session.scalars(mine.order_by(worth.desc(), QuestionGap.id).limit(MOST))
        return GapList([GapOut.of(row) for row in rows])

    @post("/search", operation_id="gaps.search", status_code=202, guards=[need("topics.write")])
    async def search(self, principal: Caller, session: Session) -> Searching:
        """Looks for gaps now instead of at night."""
        await enqueue(session, principal.tenant_id, FIND_GAPS, NOW, {})
        await record(session, principal, "gaps.search", "question_gap", None)
        return Searching()

    @get("/{gap_id:uuid}", operation_id="gaps.read", guards=[need("analytics.read")])
    async def read(self, gap_id: FromPath[UUID], principal: Caller, session: Session) -> GapOut:
        return GapOut.of(await find_gap(session, principal.tenant_id, gap_id))

    @get("/{gap_id:uuid}/questions", operation_id="gaps.questions", guards=[need("analytics.read")])
    async def questions(
        self,
        gap_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[QuestionOut]:
        """As many as its size says, newest first."""
        await find_gap(session, principal.tenant_id, gap_id)
        mine = select(AskedQuestion).where(AskedQuestion.tenant_id == principal.tenant_id)
        those = mine.where(AskedQuestion.gap_id == gap_id)
        return (await newest_first(session, those, AskedQuestion.message_id, limit, after)).map(QuestionOut.of)

    @post("/{gap_id:uuid}/approve", operation_id="gaps.approve", status_code=200, guards=[need("documents.write")])
    async def approve(
        self, gap_id: FromPath[UUID], data: JSONBody[ApproveIn], principal: Caller, session: Session
    ) -> GapOut:
        """Makes the pair, lets the questions join the set, and asks them again once the pair answers."""
        gap = await approve(session, principal.tenant_id, gap_id, data, principal.user_id)
        await record(session, principal, "gaps.approve", "question_gap", gap.id, pair=gap.pair_id, set=gap.set_id)
        return GapOut.of(gap)

    @post("/{gap_id:uuid}/dismiss", operation_id="gaps.dismiss", status_code=200, guards=[need("topics.write")])
    async def dismiss(self, gap_id: FromPath[UUID], principal: Caller, session: Session) -> GapOut:
        """Its questions are left out from now on."""
        gap = await dismiss(session, principal.tenant_id, gap_id)
        await record(session, principal, "gaps.dismiss", "question_gap", gap.id)
        return GapOut.of(gap)


HANDLERS: list[ControllerRouterHandler] = [GapController]
