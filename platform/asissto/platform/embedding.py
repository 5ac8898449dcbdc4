"""Turns texts into vectors: by the built-in English model, or by an OpenAI-compatible endpoint."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from asissto.platform.endpoint import Endpoint, operators_connection, provider_errors
from asissto.platform.errors import ProviderError, WrongDimensions
from asissto.platform.minilm import MODEL, MiniLM
from asissto.platform.model_calls import ModelCall, Outcome, Purpose, Tokens, call_of
from asissto.platform.settings import Settings
from asissto.platform.tokens import count_tokens
from asissto.platform.word_pieces import Embedded

LOCAL = "local"
"""What settings and API call the built-in model."""

SECONDS = 30.0
RETRIES = 2
MAX_TEXTS = 128
MAX_BYTES = 300_000  # under 100,000 tokens: cl100k spends 3.8 bytes on a token of Russian prose, 4.8 on English


class Embedder(Protocol):
    """`model` names the space its vectors live in; `languages` are those in which they mean something, None: all."""

    model: str
    dimensions: int
    languages: frozenset[str] | None

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One L2-normalised row per text, in their order: (len(texts), dimensions); raises ProviderError."""
        ...


@runtime_checkable
class InPieces(Protocol):
    """What an embedder has that tells the meaning of each word piece; endpoints give vectors of whole texts alone."""

    async def embed_in_pieces(self, texts: Sequence[str]) -> list[Embedded]:
        """As `embed`."""
        ...


async def embed_in_pieces(embedder: Embedder, texts: Sequence[str]) -> list[Embedded]:
    """With word pieces where the embedder has them; raises ProviderError."""
    if isinstance(embedder, InPieces):
        return await embedder.embed_in_pieces(texts)
    return [Embedded(vector.copy()) for vector in await embedder.embed(texts)]


def make_embedder(settings: Settings) -> "MiniLM | OpenAIEmbedder":
    """The embedder of the settings; it loads or connects at the first text."""
    if settings.embedding_model in (LOCAL, MODEL):
        return MiniLM(settings.data_dir / "models")
    return make_outside_embedder(settings)


def make_outside_embedder(settings: Settings) -> "OpenAIEmbedder":
    endpoint = Endpoint(operators_connection(settings), seconds=SECONDS)
    return OpenAIEmbedder(endpoint, settings.embedding_model, settings.embedding_dimensions)


def impatient(embedder: Embedder, seconds: float) -> Embedder:
    """Asks an endpoint once and waits no longer, for those who can do without the vectors or come again later."""
    return embedder.impatient(seconds) if isinstance(embedder, OpenAIEmbedder) else embedder


def recorded(embedder: Embedder, calls: list[ModelCall], purpose: Purpose = "embed") -> Embedder:
    """Puts each request to an endpoint into `calls`; what is made on this machine costs nothing."""
    return embedder.recorded(calls, purpose) if isinstance(embedder, OpenAIEmbedder) else embedder


class OpenAIEmbedder:
    """`model` names the space; `sent_model` is its name at the endpoint, where that is another."""

    languages: frozenset[str] | None = None
    patience: float | None = None
    calls: list[ModelCall] | None = None
    purpose: Purpose = "embed"

    def __init__(self, endpoint: Endpoint, model: str, dimensions: int, *, sent_model: str | None = None) -> None:
        self.model = model
        self.dimensions = dimensions
        self._sent_model = sent_model or model
        self._endpoint = endpoint

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        parts = [await self._request(batch) for batch in _batches(texts)]
        vectors = np.concatenate([np.empty((0, self.dimensions), np.float32), *parts])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
        return vectors

    def impatient(self, seconds: float) -> "OpenAIEmbedder":
        other = copy(self)
        other.patience = seconds
        return other

    def recorded(self, calls: list[ModelCall], purpose: Purpose) -> "OpenAIEmbedder":
        other = copy(self)
        other.calls, other.purpose = calls, purpose
        return other

    async def close(self) -> None:
        await self._endpoint.close()

    async def _request(self, batch: list[str]) -> NDArray[np.float32]:
        """One call, whatever the SDK tries again within it."""
        started, error = time.perf_counter(), None
        spent: int | None = None
        try:
            reply = await self._reply(batch)
            spent = None if reply.usage is None else reply.usage.prompt_tokens
            return self._vectors(reply, len(batch))
        except ProviderError as failure:
            error = failure.reason
            raise
        finally:
            await self._record(batch, spent, error, (time.perf_counter() - started) * 1000)

    async def _reply(self, batch: list[str]) -> "_Reply":
        client = await self._endpoint.client()
        client = client.with_options(max_retries=RETRIES if self.patience is None else 0)
        from openai import omit

        # Read without the SDK's parser: it hands on an HTML page, or half a reply, as if it were vectors.
        with provider_errors():
            async with asyncio.timeout(self.patience):
                response = await client.embeddings.with_raw_response.create(
                    model=self._sent_model,
                    input=batch,
                    encoding_format="float",
                    dimensions=self.dimensions if self._sent_model.startswith("text-embedding-3") else omit,
                )
            return msgspec.json.decode(response.content, type=_Reply)

    async def _record(self, batch: list[str], spent: int | None, error: str | None, latency_ms: float) -> None:
        if self.calls is None:
            return
        if spent is None and error is None:
            count = await asyncio.to_thread(lambda: sum(map(count_tokens, batch)))
            tokens = Tokens(prompt=count, estimated=True)
        else:
            tokens = Tokens(prompt=spent or 0)
        connection = self._endpoint.connection
        call = call_of(connection, self._sent_model, self.purpose, tokens, Outcome(latency_ms=latency_ms, error=error))
        self.calls.append(call)

    def _vectors(self, reply: "_Reply", count: int) -> NDArray[np.float32]:
        rows = {item.index: item.embedding for item in reply.data}
        if sorted(rows) != list(range(count)):
            raise ProviderError(permanent=False, reason="server_error")
        for row in rows.values():
            if len(row) != self.dimensions:
                raise WrongDimensions(model=self.model, given=len(row), wanted=self.dimensions)
        return np.array([rows[index] for index in range(count)], np.float32)


class _Item(Struct):
    index: int
    embedding: list[float]


class _Spent(Struct):
    prompt_tokens: int | None = None


class _Reply(Struct):
    data: list[_Item]
    usage: _Spent | None = None


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == MAX_TEXTS or size + length > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
