"""Tries a provider out: one short answer or one vector, and what went wrong, at which field."""

import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from asissto.platform.chat import ChatMessage
from asissto.platform.completing import complete
from asissto.platform.embedding import impatient, recorded
from asissto.platform.endpoint import Connection, provider_errors
from asissto.platform.errors import ProviderError, WrongDimensions
from asissto.platform.model_calls import ModelCall
from asissto.platform.model_clients import ModelClients
from asissto.platform.texts import Language, text

PROBE_SECONDS = 20.0
MOST_MODELS = 1000
ANY_DIMENSIONS = 8

_FIELDS = {
    "bad_api_key": "api_key",
    "key_unreadable": "api_key",
    "unknown_model": "model",
    "unreachable": "base_url",
    "private_address": "base_url",
}


class TrialIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    kind: Literal["chat", "embedding"] = "chat"


class TrialOut(Struct, frozen=True, kw_only=True):
    """`field` is the one that is at fault, where that can be told; `dimensions` those of the embedding model."""

    ok: bool
    latency_ms: float
    reason: str | None = None
    detail: str | None = None
    field: str | None = None
    dimensions: int | None = None


async def try_provider(
    models: ModelClients, connection: Connection, what: TrialIn, language: Language, calls: list[ModelCall]
) -> TrialOut:
    started, dimensions = time.perf_counter(), None
    try:
        if what.kind == "chat":
            chat = await models.chat(connection, what.model)
            asked = [ChatMessage("user", "Reply with the word ok.")]
            await complete(chat, asked, max_tokens=16, purpose="test", calls=calls)
        else:
            dimensions = await _width(models, connection, what.model, calls)
    except ProviderError as error:
        return failed(error, language, _since(started))
    return TrialOut(ok=True, latency_ms=_since(started), dimensions=dimensions)


def failed(error: ProviderError, language: Language, latency_ms: float) -> TrialOut:
    return TrialOut(
        ok=False,
        latency_ms=latency_ms,
        reason=error.reason,
        detail=text(f"provider.{error.reason}", language),
        field=_FIELDS.get(error.reason),
    )


async def list_models(models: ModelClients, connection: Connection) -> list[str]:
    """Names as the provider has them, sorted; raises ProviderError."""
    client = await (await models.endpoint(connection)).client()
    with provider_errors():
        response = await client.with_options(timeout=PROBE_SECONDS).models.with_raw_response.list()
        listed = msgspec.json.decode(response.content, type=_Models)
    return sorted({model.id for model in listed.data if len(model.id) <= 200})[:MOST_MODELS]


async def _width(models: ModelClients, connection: Connection, model: str, calls: list[ModelCall]) -> int:
    """Asked for a length that no model has, so that the refusal tells the right one."""
    embedder = await models.embedder(connection, model, ANY_DIMENSIONS, space=model)
    try:
        await recorded(impatient(embedder, PROBE_SECONDS), calls, "test").embed(["ok"])
    except WrongDimensions as error:
        return error.given
    return ANY_DIMENSIONS


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


class _Model(Struct):
    id: str


class _Models(Struct):
    data: list[_Model]
