"""The routes of what models cost: the calls one by one, their sums, and the workspace's own prices."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy import select

from asissto.platform.audit import record
from asissto.platform.errors import NotFound
from asissto.platform.given import Caller, Session
from asissto.platform.model_calls import Spending, spending
from asissto.platform.model_tables import ModelCallRow, ModelPrice
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.providers import find_provider
from asissto.platform.tables import new_id

Days = Annotated[int, QueryParameter(ge=1, le=366, description="How many days back.")]
Micros = Annotated[int, Meta(ge=0, le=10**12)]


class CallOut(msgspec.Struct, frozen=True, kw_only=True):
    """`cost_micros` are millionths of `currency`; null where no price is known."""

    id: UUID
    message_id: UUID | None
    provider_id: UUID | None
    purpose: str
    provider: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    estimated: bool
    cost_micros: int | None
    currency: str | None
    price: dict[str, Any] | None
    price_confidence: str
    latency_ms: float
    first_token_ms: float | None
    error: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: ModelCallRow) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class TotalsOut(msgspec.Struct, frozen=True):
    items: list[Spending]


class PriceIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Millionths of the currency for a million tokens: 0.25 dollars are 250000."""

    provider_id: UUID | None = None
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    effective_from: date
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    input_micros: Micros
    cached_micros: Micros
    output_micros: Micros


class PriceOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    provider_id: UUID | None
    model: str
    effective_from: date
    currency: str
    input_micros: int
    cached_micros: int
    output_micros: int
    created_at: datetime

    @classmethod
    def of(cls, row: ModelPrice) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class CallController(Controller):
    path = "/api/v1/model-calls"
    tags = ("models",)

    @get(operation_id="model_calls.list", guards=[need("models.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        message_id: FromQuery[UUID | None] = None,
        failed: FromQuery[bool | None] = None,
    ) -> Page[CallOut]:
        """Newest first."""
        mine = select(ModelCallRow).where(ModelCallRow.tenant_id == principal.tenant_id)
        if message_id is not None:
            mine = mine.where(ModelCallRow.message_id == message_id)
        if failed is not None:
            mine = mine.where(ModelCallRow.error.is_not(None) if failed else ModelCallRow.error.is_(None))
        return (await newest_first(session, mine, ModelCallRow.id, limit, after)).map(CallOut.of)

    @get("/totals", operation_id="model_calls.totals", guards=[need("models.read")])
    async def totals(self, principal: Caller, session: Session, days: Days = 30) -> TotalsOut:
        """By day (UTC), provider, model and currency, newest day first."""
        return TotalsOut(await spending(session, principal.tenant_id, days))


class PriceController(Controller):
    path = "/api/v1/model-prices"
    tags = ("models",)

    @get(operation_id="model_prices.list", guards=[need("models.read")])
    async def list(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[PriceOut]:
        """The workspace's own, newest first."""
        mine = select(ModelPrice).where(ModelPrice.tenant_id == principal.tenant_id)
        return (await newest_first(session, mine, ModelPrice.id, limit, after)).map(PriceOut.of)

    @post(operation_id="model_prices.create", guards=[need("models.write")])
    async def create(self, data: JSONBody[PriceIn], principal: Caller, session: Session) -> PriceOut:
        """It holds for calls from that day on; what was called before keeps its price."""
        if data.provider_id is not None:
            await find_provider(session, principal.tenant_id, data.provider_id)
        row = ModelPrice(tenant_id=principal.tenant_id, id=new_id(), **msgspec.structs.asdict(data))
        session.add(row)
        await session.flush()
        await record(session, principal, "model_prices.create", "price", row.id, **msgspec.structs.asdict(data))
        return PriceOut.of(row)

    @delete("/{price_id:uuid}", operation_id="model_prices.delete", guards=[need("models.write")])
    async def remove(self, price_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        row = await session.get(ModelPrice, (principal.tenant_id, price_id))
        if row is None:
            raise NotFound(kind="price")
        await session.delete(row)
        await record(session, principal, "model_prices.delete", "price", row.id, model=row.model)


HANDLERS: list[ControllerRouterHandler] = [CallController, PriceController]
