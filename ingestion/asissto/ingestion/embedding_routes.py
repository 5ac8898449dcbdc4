"""The routes of a workspace's embedding model: which it is, which it shall be, and how far the switch has come."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import embedding_space
from asissto.ingestion.spaces import Space, WantedModel, check_model, no_space_yet
from asissto.ingestion.switching import cancel_switch, choose_space, explain_switch, newest_switch
from asissto.ingestion.tables import EmbeddingSpace, KnowledgeBase, SpaceSwitch
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.platform.texts import Language

Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]
Reader = NamedDependency[Language]


class EmbeddingIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`local` is the built-in model, null that of the server's settings; others need their dimensions too.

    `provider_id` is one of the workspace's own providers; null: the endpoint of the server's settings.
    """

    model: Annotated[str, Meta(min_length=1, max_length=200, pattern="^(?!provider:)")] | None
    dimensions: Annotated[int, Meta(ge=8, le=4000)] | None = None
    provider_id: UUID | None = None


class ModelOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """`provider_id` only where it is one of the workspace's own providers."""

    model: str
    dimensions: int
    provider_id: UUID | None = None

    @classmethod
    def of(cls, space: Space) -> Self:
        return cls(space.name, space.dimensions, space.provider_id)


class SwitchOut(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is building, active, failed or cancelled; `reason` and `detail` say why it failed or waits."""

    to: ModelOut
    state: str
    done: int
    total: int
    reason: str | None
    detail: str | None
    retry_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class EmbeddingOut(msgspec.Struct, frozen=True, kw_only=True):
    """`active` is what search uses now, `wanted` what it is to use, `chosen` whether the workspace decided that."""

    active: ModelOut
    wanted: ModelOut
    chosen: bool
    switch: SwitchOut | None


class EmbeddingController(Controller):
    path = "/api/v1/knowledge/embedding"
    tags = ("knowledge",)

    @get(operation_id="knowledge.embedding.read", guards=[need("documents.read")])
    async def read(self, services: Open, principal: Caller, language: Reader) -> EmbeddingOut:
        return await _show(services, principal, language)

    @put(operation_id="knowledge.embedding.choose", guards=[need("tenant.write")])
    async def choose(
        self, data: JSONBody[EmbeddingIn], services: Open, principal: Caller, language: Reader
    ) -> EmbeddingOut:
        """Tries the model first; then begins the switch, or begins it anew. Search goes on with the active model."""
        space_id = None
        if data.model is not None:
            wanted = WantedModel(data.model, data.dimensions, data.provider_id)
            model = await check_model(services, principal.tenant_id, wanted)
            space_id = await embedding_space(services.database, model)
        following = await embedding_space(services.database, services.embedder)
        async with services.database.tenant(principal.tenant_id) as session:
            await choose_space(session, principal.tenant_id, space_id, following=following)
            told = {"model": data.model, "dimensions": data.dimensions}
            told |= {} if data.provider_id is None else {"provider_id": str(data.provider_id)}
            await record(
                session, principal, "knowledge.embedding.choose", "knowledge base", principal.tenant_id, **told
            )
        return await _show(services, principal, language)

    @post("/cancel", operation_id="knowledge.embedding.cancel", status_code=200, guards=[need("tenant.write")])
    async def cancel(self, services: Open, principal: Caller, language: Reader) -> EmbeddingOut:
        """The workspace stays with the active model, also when the server's settings name another."""
        async with services.database.tenant(principal.tenant_id) as session:
            await cancel_switch(session, principal.tenant_id)
            await record(session, principal, "knowledge.embedding.cancel", "knowledge base", principal.tenant_id)
        return await _show(services, principal, language)


HANDLERS: list[ControllerRouterHandler] = [EmbeddingController]


async def _show(services: Services, principal: Principal, language: Language) -> EmbeddingOut:
    following = ModelOut.of(no_space_yet(services))
    async with services.database.tenant(principal.tenant_id) as session:
        base = await session.get_one(KnowledgeBase, principal.tenant_id)
        switch = await newest_switch(session, principal.tenant_id)
        return EmbeddingOut(
            active=await _model(session, base.space_id) or following,
            wanted=await _model(session, base.chosen_space_id) or following,
            chosen=base.chosen_space_id is not None,
            switch=None if switch is None else await _switch(session, switch, language),
        )


async def _switch(session: AsyncSession, switch: SpaceSwitch, language: Language) -> SwitchOut:
    to = await _model(session, switch.to_space_id)
    assert to is not None
    same = ("state", "done", "total", "reason", "retry_at", "created_at", "finished_at")
    values = {name: getattr(switch, name) for name in same}
    return SwitchOut(to=to, detail=explain_switch(switch, language), **values)


async def _model(session: AsyncSession, space_id: int | None) -> ModelOut | None:
    return None if space_id is None else ModelOut.of(Space.of(await session.get_one(EmbeddingSpace, space_id)))
