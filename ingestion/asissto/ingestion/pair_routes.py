"""The routes of question/answer pairs, one by one and as tables."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.document_list import Tag, Words
from asissto.ingestion.documents import delete_document
from asissto.ingestion.import_reports import ImportOut, audited, takes
from asissto.ingestion.labels import fold
from asissto.ingestion.pair_csv import read_table
from asissto.ingestion.pair_import import carry_out, export_pairs, plan_import
from asissto.ingestion.pairs import PairIn, PairPatch, change_pair, create_pair, find_pair
from asissto.ingestion.tables import Document, Pair
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import Language

LARGEST_TABLE = 5_000_000
"""Bytes."""

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]
Open = SkipValidation[NamedDependency[Services]]
DryRun = Annotated[bool, QueryParameter(description="Only tell what would become of the rows.")]


class PairOut(msgspec.Struct, frozen=True, kw_only=True):
    """`searchable` tells whether any wording of it answers now; tags and audience stand on its document."""

    id: UUID
    collection_id: UUID
    document_id: UUID
    source_document_id: UUID | None
    question: str
    answer: str
    variants: list[str]
    tags: list[str]
    searchable: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, pair: Pair, document: Document) -> Self:
        same = (name for name in cls.__struct_fields__ if name not in ("tags", "searchable"))
        return cls(
            **{name: getattr(pair, name) for name in same},
            tags=document.tags,
            searchable=document.active_version_id is not None,
        )


class PairController(Controller):
    path = "/api/v1/pairs"
    tags = ("pairs",)

    @get(operation_id="pairs.list", guards=[need("documents.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        collection_id: FromQuery[UUID | None] = None,
        tag: Tag = None,
        q: Words = None,
    ) -> Page[PairOut]:
        """`q` is looked for in questions and answers."""
        mine = select(Pair).join(Document, _carries(principal.tenant_id)).where(Pair.tenant_id == principal.tenant_id)
        if collection_id is not None:
            mine = mine.where(Pair.collection_id == collection_id)
        if tag:
            mine = mine.where(Document.tags.bool_op("&&")(fold([tag])))
        if q:
            said = (column.icontains(q, autoescape=True) for column in (Pair.question, Pair.answer))
            mine = mine.where(or_(*said))
        found = await page(session, mine, Pair.id, limit, after)
        carried = {pair.document_id for pair in found.items}
        rows = select(Document).where(Document.tenant_id == principal.tenant_id, Document.id.in_(carried))
        documents = {row.id: row for row in await session.scalars(rows)}
        return found.map(lambda pair: PairOut.of(pair, documents[pair.document_id]))

    @post(operation_id="pairs.create", guards=[need("documents.write")])
    async def create(self, data: JSONBody[PairIn], principal: Caller, session: Session) -> PairOut:
        """It answers as soon as it is published, within a second or two."""
        pair = await create_pair(session, principal.tenant_id, data, principal.user_id)
        await record(session, principal, "pairs.create", "pair", pair.id, question=pair.question)
        return await _show(session, pair)

    @get("/{pair_id:uuid}", operation_id="pairs.read", guards=[need("documents.read")])
    async def read(self, pair_id: FromPath[UUID], principal: Caller, session: Session) -> PairOut:
        return await _show(session, await find_pair(session, principal.tenant_id, pair_id))

    @patch("/{pair_id:uuid}", operation_id="pairs.update", guards=[need("documents.write")])
    async def update(
        self, pair_id: FromPath[UUID], data: JSONBody[PairPatch], principal: Caller, session: Session
    ) -> PairOut:
        """The wording before answers until the new one is published; what has cited it still shows its words."""
        pair = await change_pair(session, principal.tenant_id, pair_id, data)
        await record(session, principal, "pairs.update", "pair", pair.id, fields=sorted(msgspec.to_builtins(data)))
        return await _show(session, pair)

    @delete("/{pair_id:uuid}", operation_id="pairs.delete", guards=[need("documents.write")])
    async def remove(self, pair_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        """From the moment of the answer on, nothing of the pair is found."""
        pair = await find_pair(session, principal.tenant_id, pair_id)
        await delete_document(session, principal.tenant_id, pair.document_id)
        await record(session, principal, "pairs.delete", "pair", pair.id, question=pair.question)


class PairTableController(Controller):
    path = "/api/v1/collections/{collection_id:uuid}/pairs"
    tags = ("pairs",)

    @post(
        "/import",
        operation_id="pairs.import",
        status_code=200,
        guards=[need("documents.write")],
        request_max_body_size=LARGEST_TABLE,
        operation_class=takes("text/csv"),
    )
    async def take(
        self,
        collection_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        principal: Caller,
        session: Session,
        language: NamedDependency[Language],
        dry_run: DryRun = False,
    ) -> ImportOut:
        """The body is CSV with the columns question and answer, and perhaps tags and variants.

        A question that is there already gets the new answer. All good rows come in together; bad ones are told.
        """
        rows = await asyncio.to_thread(read_table, await request.body())
        plan = await plan_import(session, principal.tenant_id, collection_id, rows)
        if not dry_run:
            await carry_out(session, plan, principal.user_id)
            await record(session, principal, "pairs.import", "collection", collection_id, **audited(plan))
        return ImportOut.of(plan, language)

    @get("/export", operation_id="pairs.export", guards=[need("documents.read")], media_type="text/csv")
    async def give(self, collection_id: FromPath[UUID], principal: Caller, session: Session) -> Response[str]:
        """The same table that an import takes."""
        table = await export_pairs(session, principal.tenant_id, collection_id)
        # Excel takes CSV for UTF-8 only with a mark in front.
        headers = {"content-disposition": 'attachment; filename="pairs.csv"'}
        return Response(f"\ufeff{table}", media_type="text/csv", headers=headers)


HANDLERS: list[ControllerRouterHandler] = [PairController, PairTableController]


def _carries(tenant_id: UUID) -> Any:
    return (Document.tenant_id == tenant_id) & (Document.id == Pair.document_id)


async def _show(session: AsyncSession, pair: Pair) -> PairOut:
    await session.flush()
    await session.refresh(pair)
    return PairOut.of(pair, await session.get_one(Document, (pair.tenant_id, pair.document_id)))
