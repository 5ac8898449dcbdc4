"""Turns texts into vectors: by the built-in English model, or by an OpenAI-compatible endpoint."""

import asyncio
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Protocol

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from asissto.platform.endpoint import Endpoint, provider_errors
from asissto.platform.errors import ProviderError, WrongDimensions
from asissto.platform.minilm import MODEL, MiniLM
from asissto.platform.settings import Settings

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


def make_embedder(settings: Settings) -> "MiniLM | OpenAIEmbedder":
    """The embedder of the settings; it loads or connects at the first text."""
    if settings.embedding_model in (LOCAL, MODEL):
        return MiniLM(settings.data_dir / "models")
    return OpenAIEmbedder(settings)


def impatient(embedder: Embedder, seconds: float) -> Embedder:
    """Asks an endpoint once and waits no longer, for those who can do without the vectors or come again later."""
    return embedder.impatient(seconds) if isinstance(embedder, OpenAIEmbedder) else embedder


class OpenAIEmbedder:
    languages: frozenset[str] | None = None
    patience: float | None = None

    def __init__(self, settings: Settings) -> None:
        self.model = settings.embedding_model
        self.dimensions = settings.embedding_dimensions
        self._endpoint = Endpoint(settings, seconds=SECONDS, retries=RETRIES)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        parts = [await self._request(batch) for batch in _batches(texts)]
        vectors = np.concatenate([np.empty((0, self.dimensions), np.float32), *parts])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
        return vectors

    def impatient(self, seconds: float) -> "OpenAIEmbedder":
        other = copy(self)
        other.patience = seconds
        return other

    async def close(self) -> None:
        await self._endpoint.close()

    async def _request(self, batch: list[str]) -> NDArray[np.float32]:
        client = await self._endpoint.client()
        if self.patience is not None:
            client = client.with_options(max_retries=0)
        from openai import omit

        # Read without the SDK's parser: it hands on an HTML page, or half a reply, as if it were vectors.
        with provider_errors():
            async with asyncio.timeout(self.patience):
                response = await client.embeddings.with_raw_response.create(
                    model=self.model,
                    input=batch,
                    encoding_format="float",
                    dimensions=self.dimensions if self.model.startswith("text-embedding-3") else omit,
                )
            reply = msgspec.json.decode(response.content, type=_Reply)
        return self._vectors(reply, len(batch))

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


class _Reply(Struct):
    data: list[_Item]


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
