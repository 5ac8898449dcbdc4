"""Sentences keep their vectors from one answer to the next."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from asissto.platform.embedding import Embedder
from asissto.platform.minilm import MiniLM
from asissto.platform.services import Services
from asissto.platform.vector_cache import VectorCache
from asissto.platform.word_pieces import Embedded
from people import Person
from test_answers import ask, library  # noqa: F401 - a fixture


class CountingEmbedder:
    """Each text gets its length and the number of the call."""

    model = "counting"
    dimensions = 2
    languages: frozenset[str] | None = None

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.append(list(texts))
        return np.array([[len(each), len(self.asked)] for each in texts], np.float32)


class PieceEmbedder(CountingEmbedder):
    """Four rows of two pieces for each text."""

    async def embed_in_pieces(self, texts: Sequence[str]) -> list[Embedded]:
        return [Embedded(vector, np.ones((4, 2), np.int8)) for vector in await self.embed(texts)]


async def vectors(cache: VectorCache, embedder: Embedder, *texts: str) -> list[list[float]]:
    return [each.vector.tolist() for each in await cache.embed(embedder, texts)]


async def test_word_pieces_are_kept_within_the_same_memory() -> None:
    """16 bytes a text, of which the vector is half; an embedder without pieces gives none."""
    embedder, cache = PieceEmbedder(), VectorCache(most_bytes=40)
    for text in ("a", "bb", "ccc", "bb"):
        (embedded,) = await cache.embed(embedder, [text])
        assert embedded.nbytes == 16
    await cache.embed(embedder, ["a"])
    assert embedder.asked == [["a"], ["bb"], ["ccc"], ["a"]]
    assert (await cache.embed(CountingEmbedder(), ["d"]))[0].pieces is None


async def test_sentences_are_embedded_once() -> None:
    """In the order that was asked for, repetitions too; what was not used for longest is forgotten first."""
    embedder, cache = CountingEmbedder(), VectorCache(most_bytes=24)
    assert await vectors(cache, embedder, "a", "bb", "a") == [[1, 1], [2, 1], [1, 1]]
    assert await vectors(cache, embedder, "ccc", "a") == [[3, 2], [1, 1]]
    assert await vectors(cache, embedder, "dddd") == [[4, 3]]
    assert await vectors(cache, embedder, "bb") == [[2, 4]]
    assert embedder.asked == [["a", "bb"], ["ccc"], ["dddd"], ["bb"]]
    other = CountingEmbedder()
    other.model = "another"
    await cache.embed(other, ["bb"])
    assert other.asked == [["bb"]]


async def test_an_answer_that_was_given_before_is_given_again(
    services: Services,
    library: object,  # noqa: F811
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same to the last digit, and only the question is embedded."""
    question = "When does a refund reach my bank card?"
    first = await ask(alice, question)
    embedded: list[int] = []
    embedder = services.embedder
    assert isinstance(embedder, MiniLM)
    real = embedder.embed_in_pieces

    async def counting(texts: Sequence[str]) -> list[Embedded]:
        embedded.append(len(texts))
        return await real(texts)

    monkeypatch.setattr(embedder, "embed_in_pieces", counting)
    second = await ask(alice, question)
    same = ("text", "confidence", "citations")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert embedded == [1]
