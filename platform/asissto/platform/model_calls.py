"""Calls of models: each attempt with its tokens, its price and what became of it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import Date, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.endpoint import Connection
from asissto.platform.model_tables import ModelCallRow
from asissto.platform.own_prices import price_book
from asissto.platform.prices import WORKSPACE, Price, PriceBook, listed_price
from asissto.platform.tables import new_id

Purpose = Literal["rewrite", "answer", "regenerate", "summary", "label", "embed", "rerank", "test"]
Confidence = Literal["exact", "estimated", "unknown"]

MOST_TOKENS = 2**31
"""A provider that claims more than this for one call is not believed."""


class Tokens(Struct, frozen=True, kw_only=True):
    """`cached` is a part of `prompt`, `reasoning` a part of `completion`; `estimated` where we counted ourselves."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    estimated: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """How an attempt ended; `error` is the reason, None where it answered."""

    latency_ms: float
    first_token_ms: float | None = None
    error: str | None = None


class ModelCall(Struct, frozen=True, kw_only=True):
    """One attempt. `error` is the reason of the ProviderError, or `abandoned` where nobody waited for the end.

    `cost_micros` are millionths of `currency`, None where no price is known; `price_confidence` is exact where the
    provider counted and the price is the workspace's or the vendor's own.
    """

    purpose: Purpose
    provider_id: UUID | None
    provider: str
    model: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_micros: int | None = None
    currency: str | None = None
    price: Price | None = None
    price_confidence: Confidence = "unknown"
    latency_ms: float = 0.0
    first_token_ms: float | None = None
    error: str | None = None


class Spending(Struct, frozen=True, kw_only=True):
    """What a model cost in a day; `unpriced` calls are in none of the sums of money."""

    day: date
    provider: str
    model: str
    currency: str | None
    calls: int
    failed: int
    unpriced: int
    prompt_tokens: int
    completion_tokens: int
    cost_micros: int


def call_of(connection: Connection, model: str, purpose: Purpose, tokens: Tokens, outcome: Outcome) -> ModelCall:
    """Priced by the list that comes with us; `price_by_own` puts the workspace's prices in its place."""
    call = ModelCall(
        purpose=purpose,
        provider_id=connection.provider_id,
        provider=connection.provider,
        model=model,
        prompt_tokens=_believable(tokens.prompt),
        cached_tokens=min(_believable(tokens.cached), _believable(tokens.prompt)),
        completion_tokens=_believable(tokens.completion),
        reasoning_tokens=_believable(tokens.reasoning),
        estimated=tokens.estimated,
        latency_ms=round(outcome.latency_ms, 1),
        first_token_ms=None if outcome.first_token_ms is None else round(outcome.first_token_ms, 1),
        error=outcome.error,
    )
    price = listed_price(model)
    return call if price is None else _priced(call, price, sure=connection.is_openai)


def price_by_own(call: ModelCall, book: PriceBook) -> ModelCall:
    """With the workspace's price where it has one for the model."""
    price = book.own_price(call.provider_id, call.model, datetime.now(UTC).date())
    return call if price is None else _priced(call, price, sure=True)


async def store_calls(
    session: AsyncSession, tenant_id: UUID, calls: Sequence[ModelCall], message_id: UUID | None
) -> None:
    """In the transaction of what they were made for, at the workspace's own prices where it has them."""
    book = await price_book(session, tenant_id) if calls else PriceBook()
    for call in [price_by_own(each, book) for each in calls]:
        values = {name: getattr(call, name) for name in ModelCall.__struct_fields__ if name != "price"}
        price: Any = None if call.price is None else msgspec.to_builtins(call.price)
        row = ModelCallRow(tenant_id=tenant_id, id=new_id(), message_id=message_id, price=price, **values)
        session.add(row)


async def spending(session: AsyncSession, tenant_id: UUID, days: int) -> list[Spending]:
    """By day (UTC), provider, model and currency, newest day first."""
    row = ModelCallRow
    day = cast(func.timezone("UTC", row.created_at), Date)
    groups = (day, row.provider, row.model, row.currency)
    query = select(
        *groups,
        func.count(),
        func.count(row.error),
        func.count().filter(row.cost_micros.is_(None)),
        func.sum(row.prompt_tokens),
        func.sum(row.completion_tokens),
        func.coalesce(func.sum(row.cost_micros), 0),
    )
    since = datetime.now(UTC) - timedelta(days=days)
    query = query.where(row.tenant_id == tenant_id, row.created_at >= since).group_by(*groups)
    names = Spending.__struct_fields__
    found = await session.execute(query.order_by(day.desc(), row.provider, row.model))
    rows = [dict(zip(names, values, strict=True)) for values in found]
    return [Spending(**each | {name: int(each[name]) for name in names[4:]}) for each in rows]


def _priced(call: ModelCall, price: Price, *, sure: bool) -> ModelCall:
    cost = price.cost_micros(prompt=call.prompt_tokens, cached=call.cached_tokens, completion=call.completion_tokens)
    exact = (sure or price.source == WORKSPACE) and not call.estimated
    return msgspec.structs.replace(
        call,
        cost_micros=cost,
        currency=price.currency,
        price=price,
        price_confidence="exact" if exact else "estimated",
    )


def _believable(tokens: int) -> int:
    return max(0, min(tokens, MOST_TOKENS))
