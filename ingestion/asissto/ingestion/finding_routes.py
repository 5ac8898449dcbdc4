"""The routes of findings: what in the knowledge a person should look at."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.findings import Kind, Quote
from asissto.ingestion.review import find_finding, review_now
from asissto.ingestion.tables import Document, Finding
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.texts import Language, text

Session = NamedDependency[AsyncSession]
InState = Annotated[Literal["open", "dismissed", "resolved"] | None, QueryParameter(name="state")]


class FindingPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether it is to be dealt with; what is resolved, the next review sees by itself."""

    state: Literal["open", "dismissed"]


class PlaceOut(msgspec.Struct, frozen=True, kw_only=True):
    """Where it stands; `start`, `end` and those of the value count characters of the version's text."""

    document_id: UUID
    version_id: UUID
    title: str
    quote: str
    start: int
    end: int
    value: str
    value_start: int
    value_end: int


class FindingOut(msgspec.Struct, frozen=True, kw_only=True):
    """`sentence` says in words what is at odds; of repeats, `first` is in the older document."""

    id: UUID
    kind: str
    state: str
    sentence: str
    value_kind: str
    score: float
    passages: int
    first: PlaceOut
    second: PlaceOut | None
    found_at: datetime
    seen_at: datetime


class ReviewOut(msgspec.Struct, frozen=True, kw_only=True):
    state: Literal["queued"] = "queued"


class FindingController(Controller):
    path = "/api/v1/knowledge"
    tags = ("knowledge",)

    @get("/findings", operation_id="findings.list", guards=[need("documents.read")])
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        kind: FromQuery[Kind | None] = None,
        in_state: InState = None,
        collection_id: FromQuery[UUID | None] = None,
        document_id: FromQuery[UUID | None] = None,
    ) -> Page[FindingOut]:
        """Of a collection: those with at least one of the two passages in it."""
        mine = select(Finding).where(Finding.tenant_id == principal.tenant_id)
        if kind is not None:
            mine = mine.where(Finding.kind == kind)
        if in_state is not None:
            mine = mine.where(Finding.state == in_state)
        if collection_id is not None:
            within = (Document.tenant_id == principal.tenant_id, Document.collection_id == collection_id)
            inside = select(Document.id).where(*within)
            mine = mine.where(or_(Finding.first_document_id.in_(inside), Finding.second_document_id.in_(inside)))
        if document_id is not None:
            either = (Finding.first_document_id == document_id, Finding.second_document_id == document_id)
            mine = mine.where(or_(*either))
        found = await page(session, mine, Finding.id, limit, after)
        titles = await _titles(session, principal.tenant_id, found.items)
        return found.map(lambda row: _shown(row, titles, language))

    @patch("/findings/{finding_id:uuid}", operation_id="findings.update", guards=[need("documents.write")])
    async def update(
        self,
        finding_id: FromPath[UUID],
        data: JSONBody[FindingPatch],
        principal: NamedDependency[Principal],
        session: Session,
        language: NamedDependency[Language],
    ) -> FindingOut:
        row = await find_finding(session, principal.tenant_id, finding_id)
        row.state = data.state
        row.decided_by = principal.user_id
        await record(session, principal, "findings.update", "finding", row.id, state=data.state)
        return _shown(row, await _titles(session, principal.tenant_id, [row]), language)

    @post("/review", operation_id="knowledge.review", status_code=202, guards=[need("documents.write")])
    async def review(self, principal: NamedDependency[Principal], session: Session) -> ReviewOut:
        """Looks through the knowledge now; it also happens by itself a minute after each change."""
        await review_now(session, principal.tenant_id)
        await record(session, principal, "knowledge.review", "tenant", principal.tenant_id)
        return ReviewOut()


HANDLERS: list[ControllerRouterHandler] = [FindingController]


async def _titles(session: AsyncSession, tenant_id: UUID, rows: "list[Finding]") -> dict[UUID, str]:
    ids = {each for row in rows for each in (row.first_document_id, row.second_document_id) if each}
    query = select(Document.id, Document.title).where(Document.tenant_id == tenant_id, Document.id.in_(ids))
    return {row.id: row.title for row in await session.execute(query)}


def _shown(row: Finding, titles: dict[UUID, str], language: Language) -> FindingOut:
    same = ("id", "kind", "state", "value_kind", "score", "passages", "found_at", "seen_at")
    first = _place(row.first_document_id, row.first_version_id, row.first, titles)
    second = None
    if row.second is not None:
        second = _place(row.second_document_id, row.second_version_id, row.second, titles)
    return FindingOut(
        **{name: getattr(row, name) for name in same},
        sentence=_sentence(row, first, second or first, language),
        first=first,
        second=second,
    )


def _place(document_id: UUID | None, version_id: UUID | None, said: object, titles: dict[UUID, str]) -> PlaceOut:
    assert document_id is not None, "a quote has a document"
    assert version_id is not None, "a quote has a version"
    quote = msgspec.convert(said, Quote)
    same = {name: getattr(quote, name) for name in ("start", "end", "value", "value_start", "value_end")}
    return PlaceOut(document_id=document_id, version_id=version_id, title=titles[document_id], quote=quote.text, **same)


def _sentence(row: Finding, first: PlaceOut, second: PlaceOut, language: Language) -> str:
    places = {"first": _short(first.quote), "second": _short(second.quote), "a": first.title, "b": second.title}
    if row.kind == "contradiction":
        return text("finding.contradiction", language, **places)
    if row.kind == "expired":
        return text("finding.expired", language, **places, value=first.value)
    return text(f"finding.{row.kind}", language, **places, passages=row.passages)


def _short(quote: str) -> str:
    words = " ".join(quote.split())
    return words if len(words) <= LONGEST_QUOTE else f"{words[:LONGEST_QUOTE].rsplit(' ', 1)[0]}…"


LONGEST_QUOTE = 200
