"""The routes of collections."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import ChunkSizes
from asissto.ingestion.documents import delete_collection, find_collection, reprocess_collection
from asissto.ingestion.tables import Collection
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import NameTaken
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.tables import new_id

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Session = NamedDependency[AsyncSession]


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Budgets of passages in tokens; they hold for documents that are uploaded from now on."""

    tokens: Annotated[int, Meta(ge=50, le=1000)] = ChunkSizes().tokens
    overlap: Annotated[int, Meta(ge=0, le=200)] = ChunkSizes().overlap
    section_tokens: Annotated[int, Meta(ge=50, le=4000)] = ChunkSizes().section_tokens


class CollectionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: Annotated[str, Meta(max_length=2000)] = ""
    chunks: Sizes = Sizes()


class CollectionPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    chunks: Sizes | UnsetType = UNSET


class CollectionOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    description: str
    chunks: Sizes
    created_at: datetime

    @classmethod
    def of(cls, row: Collection) -> Self:
        sizes = msgspec.convert(row.settings.get("chunks", {}), Sizes)
        return cls(id=row.id, name=row.name, description=row.description, chunks=sizes, created_at=row.created_at)


class Reprocessed(msgspec.Struct, frozen=True):
    """The documents that are read anew."""

    documents: list[UUID]


class CollectionController(Controller):
    path = "/api/v1/collections"
    tags = ("collections",)

    @get(operation_id="collections.list", guards=[need("documents.read")])
    async def list(
        self, principal: NamedDependency[Principal], session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[CollectionOut]:
        mine = select(Collection).where(Collection.tenant_id == principal.tenant_id)
        return (await page(session, mine, Collection.id, limit, after)).map(CollectionOut.of)

    @post(operation_id="collections.create", guards=[need("documents.write")])
    async def create(
        self, data: JSONBody[CollectionIn], principal: NamedDependency[Principal], session: Session
    ) -> CollectionOut:
        await _check_name(session, principal.tenant_id, data.name)
        settings = {"chunks": msgspec.to_builtins(data.chunks)}
        row = Collection(
            tenant_id=principal.tenant_id, id=new_id(), name=data.name, description=data.description, settings=settings
        )
        session.add(row)
        await session.flush()
        await record(session, principal, "collections.create", "collection", row.id, name=data.name)
        return CollectionOut.of(row)

    @get("/{collection_id:uuid}", operation_id="collections.read", guards=[need("documents.read")])
    async def read(
        self, collection_id: FromPath[UUID], principal: NamedDependency[Principal], session: Session
    ) -> CollectionOut:
        return CollectionOut.of(await find_collection(session, principal.tenant_id, collection_id))

    @patch("/{collection_id:uuid}", operation_id="collections.update", guards=[need("documents.write")])
    async def update(
        self,
        collection_id: FromPath[UUID],
        data: JSONBody[CollectionPatch],
        principal: NamedDependency[Principal],
        session: Session,
    ) -> CollectionOut:
        row = await find_collection(session, principal.tenant_id, collection_id)
        if data.name is not UNSET and data.name != row.name:
            await _check_name(session, principal.tenant_id, data.name)
            row.name = data.name
        if data.description is not UNSET:
            row.description = data.description
        if data.chunks is not UNSET:
            row.settings = {**row.settings, "chunks": msgspec.to_builtins(data.chunks)}
        changes = {name: value for name, value in msgspec.to_builtins(data).items() if value is not UNSET}
        await record(session, principal, "collections.update", "collection", row.id, **changes)
        return CollectionOut.of(row)

    @delete("/{collection_id:uuid}", operation_id="collections.delete", guards=[need("documents.write")])
    async def remove(
        self, collection_id: FromPath[UUID], principal: NamedDependency[Principal], session: Session
    ) -> None:
        row = await delete_collection(session, principal.tenant_id, collection_id)
        await record(session, principal, "collections.delete", "collection", row.id, name=row.name)

    @post(
        "/{collection_id:uuid}/reprocess",
        operation_id="collections.reprocess",
        status_code=202,
        guards=[need("documents.write")],
    )
    async def reprocess(
        self,
        collection_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: Session,
    ) -> Reprocessed:
        """Reads anew what failed, and what was cut before the collection's sizes were changed."""
        due = await reprocess_collection(session, principal.tenant_id, collection_id)
        await record(session, principal, "collections.reprocess", "collection", collection_id, documents=len(due))
        return Reprocessed(due)


HANDLERS: list[ControllerRouterHandler] = [CollectionController]


async def _check_name(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    same = select(func.count()).where(Collection.tenant_id == tenant_id, Collection.name == name)
    if await session.scalar(same):
        raise NameTaken(name=name, field="name")
