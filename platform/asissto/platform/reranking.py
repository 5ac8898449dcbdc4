"""Second opinions on what search has found: an endpoint of Cohere's shape, or a cross-encoder in this process."""

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

import msgspec
from msgspec import Struct

from asissto.platform.endpoint import Connection, Endpoint, provider_errors
from asissto.platform.errors import BadSetting, ProviderError, RerankerMissing
from asissto.platform.settings import Settings

SECONDS = 1.5
"""Somebody waits, and the order of the search itself is a good one."""

Scorer = Callable[[str, Sequence[str]], list[float]]


class Reranker(Protocol):
    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        """A score for each text, in their order, higher is better; raises ProviderError after SECONDS at the latest."""
        ...


def make_reranker(settings: Settings) -> "EndpointReranker | LocalReranker | None":
    """None where the settings ask for none; raises BadSetting, and RerankerMissing where a package is not there."""
    if settings.rerank_model is None:
        if settings.rerank_url is not None:
            raise BadSetting(name="ASISSTO_RERANK_MODEL", detail="is needed with ASISSTO_RERANK_URL")
        return None
    if settings.rerank_url is not None:
        return EndpointReranker(settings)
    return LocalReranker(settings.rerank_model)


class EndpointReranker:
    """`POST {url}/rerank`, as Cohere has it, and Jina, vLLM and most gateways after it."""

    def __init__(self, settings: Settings) -> None:
        self._model = settings.rerank_model
        there = Connection(base_url=settings.rerank_url, api_key=settings.rerank_key)
        self._endpoint = Endpoint(there, seconds=SECONDS)

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        client = await self._endpoint.client()
        import httpx2

        body = {"model": self._model, "query": question, "documents": list(texts), "top_n": len(texts)}
        with provider_errors():
            async with asyncio.timeout(SECONDS):
                response = await client.post("/rerank", cast_to=httpx2.Response, body=body)
            reply = msgspec.json.decode(response.content, type=_Reply)
        scores = {result.index: result.relevance_score for result in reply.results}
        if sorted(scores) != list(range(len(texts))):
            raise ProviderError(permanent=False, reason="server_error")
        return [scores[index] for index in range(len(texts))]

    async def close(self) -> None:
        await self._endpoint.close()


class LocalReranker:
    """A cross-encoder of fastembed or sentence-transformers, whichever is installed; it loads at the first question."""

    def __init__(self, model: str) -> None:
        packages = [package for package in _LOADERS if find_spec(package) is not None]
        if not packages:
            raise RerankerMissing(model=model)
        self._load = partial(_LOADERS[packages[0]], model)
        self._scorer: Scorer | None = None
        self._working = asyncio.Lock()

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        try:
            async with asyncio.timeout(SECONDS), self._working:
                scores = await asyncio.to_thread(self._score, question, texts)
        except TimeoutError:
            raise ProviderError(permanent=False, reason="timeout") from None
        if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
            raise ProviderError(permanent=False, reason="server_error")
        return scores

    async def close(self) -> None:
        self._scorer = None

    def _score(self, question: str, texts: Sequence[str]) -> list[float]:
        self._scorer = self._scorer or self._load()
        return self._scorer(question, texts)


def _load_fastembed(model: str) -> Scorer:
    encoder = import_module("fastembed.rerank.cross_encoder").TextCrossEncoder(model_name=model)
    return lambda question, texts: [float(score) for score in encoder.rerank(question, list(texts))]


def _load_sentence_transformers(model: str) -> Scorer:
    encoder = import_module("sentence_transformers").CrossEncoder(model)
    return lambda question, texts: [float(score) for score in encoder.predict([(question, text) for text in texts])]


_LOADERS: dict[str, Callable[[str], Scorer]] = {
    "fastembed": _load_fastembed,
    "sentence_transformers": _load_sentence_transformers,
}


class _Result(Struct):
    index: int
    relevance_score: float


class _Reply(Struct):
    results: list[_Result]
