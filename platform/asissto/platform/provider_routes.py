"""The routes of a workspace's model providers: kept, tried out, and asked which models they have."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from sqlalchemy import select

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.endpoint import Connection
from asissto.platform.errors import ProviderError
from asissto.platform.given import Caller, Open, Reader, Session
from asissto.platform.model_calls import ModelCall, store_calls
from asissto.platform.model_tables import ModelProvider
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.permissions import need
from asissto.platform.provider_testing import TrialIn, TrialOut, failed, list_models, try_provider
from asissto.platform.providers import (
    ProviderIn,
    ProviderPatch,
    Sealing,
    change_provider,
    connection_of,
    create_provider,
    find_provider,
)
from asissto.platform.services import Services


class ProviderOut(msgspec.Struct, frozen=True, kw_only=True):
    """Without the secrets: whether there is a key, and which headers are sent."""

    id: UUID
    name: str
    base_url: str
    has_key: bool
    headers: list[str]
    first_token_seconds: int
    answer_seconds: int
    enabled: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ModelProvider) -> Self:
        hidden: dict[str, Any] = {"has_key": row.api_key is not None, "headers": sorted(row.headers)}
        shown = {name: getattr(row, name) for name in cls.__struct_fields__ if name not in hidden}
        return cls(**shown, **hidden)


class ModelsOut(msgspec.Struct, frozen=True, kw_only=True):
    """`reason`, `detail` and `field` tell why there are none, as those of a trial do."""

    models: list[str]
    reason: str | None = None
    detail: str | None = None
    field: str | None = None


class ProviderController(Controller):
    path = "/api/v1/model-providers"
    tags = ("models",)

    @get(operation_id="model_providers.list", guards=[need("models.read")])
    async def list(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[ProviderOut]:
        mine = select(ModelProvider).where(ModelProvider.tenant_id == principal.tenant_id)
        return (await page(session, mine, ModelProvider.id, limit, after)).map(ProviderOut.of)

    @post(operation_id="model_providers.create", guards=[need("models.write")])
    async def create(
        self, data: JSONBody[ProviderIn], services: Open, principal: Caller, session: Session
    ) -> ProviderOut:
        row = await create_provider(session, _sealing(services), principal.tenant_id, data)
        told = {
            name: value for name, value in _told(data).items() if name in {"name", "base_url", "api_key", "headers"}
        }
        await record(session, principal, "model_providers.create", "provider", row.id, **told)
        return ProviderOut.of(row)

    @get("/{provider_id:uuid}", operation_id="model_providers.read", guards=[need("models.read")])
    async def read(self, provider_id: FromPath[UUID], principal: Caller, session: Session) -> ProviderOut:
        return ProviderOut.of(await find_provider(session, principal.tenant_id, provider_id))

    @patch("/{provider_id:uuid}", operation_id="model_providers.update", guards=[need("models.write")])
    async def update(
        self,
        provider_id: FromPath[UUID],
        data: JSONBody[ProviderPatch],
        services: Open,
        principal: Caller,
        session: Session,
    ) -> ProviderOut:
        row = await find_provider(session, principal.tenant_id, provider_id)
        row = await change_provider(session, _sealing(services), row, data)
        await session.refresh(row)
        await record(session, principal, "model_providers.update", "provider", row.id, **_told(data))
        return ProviderOut.of(row)

    @delete("/{provider_id:uuid}", operation_id="model_providers.delete", guards=[need("models.write")])
    async def remove(self, provider_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        """Its prices go with it; what was called stays in the list of calls."""
        row = await find_provider(session, principal.tenant_id, provider_id)
        await session.delete(row)
        await record(session, principal, "model_providers.delete", "provider", row.id, name=row.name)

    @post(
        "/{provider_id:uuid}/test",
        operation_id="model_providers.test",
        status_code=200,
        guards=[need("models.write")],
    )
    async def test(
        self,
        provider_id: FromPath[UUID],
        data: JSONBody[TrialIn],
        services: Open,
        principal: Caller,
        language: Reader,
    ) -> TrialOut:
        """Asks for an answer of a few tokens, or for one vector. What fails is told, not raised."""
        calls: list[ModelCall] = []
        try:
            connection = await _connection(services, principal, provider_id)
        except ProviderError as error:
            return failed(error, language, 0.0)
        trial = await try_provider(services.models, connection, data, language, calls)
        async with services.database.tenant(principal.tenant_id) as session:
            await store_calls(session, principal.tenant_id, calls, None)
            told = {"model": data.model, "kind": data.kind, "ok": trial.ok, "reason": trial.reason}
            await record(session, principal, "model_providers.test", "provider", provider_id, **told)
        return trial

    @get("/{provider_id:uuid}/models", operation_id="model_providers.models", guards=[need("models.write")])
    async def models(
        self, provider_id: FromPath[UUID], services: Open, principal: Caller, language: Reader
    ) -> ModelsOut:
        """As the provider itself lists them. What fails is told, not raised."""
        try:
            connection = await _connection(services, principal, provider_id)
            return ModelsOut(models=await list_models(services.models, connection))
        except ProviderError as error:
            told = failed(error, language, 0.0)
            return ModelsOut(models=[], reason=told.reason, detail=told.detail, field=told.field)


HANDLERS: list[ControllerRouterHandler] = [ProviderController]


def _sealing(services: Services) -> Sealing:
    return Sealing(services.keys, services.settings.provider_private_addresses)


async def _connection(services: Services, principal: Principal, provider_id: UUID) -> Connection:
    """Read before the provider is called, so that no transaction waits for it. Raises NotFound, ProviderError."""
    async with services.database.tenant(principal.tenant_id) as session:
        row = await find_provider(session, principal.tenant_id, provider_id)
        return connection_of(services.keys, services.settings, row)


def _told(data: ProviderIn | ProviderPatch) -> dict[str, Any]:
    """For the audit trail: what was set, but of secrets only that they were."""
    values: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if "api_key" in values:
        values["api_key"] = "set" if values["api_key"] else "none"
    if "headers" in values:
        values["headers"] = sorted(values["headers"])
    return values
