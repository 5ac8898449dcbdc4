"""Sentences keep their vectors from one answer to the next."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from asissto.platform.services import Services
from asissto.platform.vector_cache import VectorCache
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


async def test_sentences_are_embedded_once() -> None:
    """In the order that was asked for, repetitions too; what was not used for longest is forgotten first."""
    embedder, cache = CountingEmbedder(), VectorCache(most_floats=6)
    assert (await cache.embed(embedder, ["a", "bb", "a"])).tolist() == [[1, 1], [2, 1], [1, 1]]
    assert (await cache.embed(embedder, ["ccc", "a"])).tolist() == [[3, 2], [1, 1]]
    assert (await cache.embed(embedder, ["dddd"])).tolist() == [[4, 3]]
    assert (await cache.embed(embedder, ["bb"])).tolist() == [[2, 4]]
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
    real = services.embedder.embed

    async def counting(texts: Sequence[str]) -> NDArray[np.float32]:
        embedded.append(len(texts))
        return await real(texts)

    monkeypatch.setattr(services.embedder, "embed", counting)
    second = await ask(alice, question)
    same = ("text", "confidence", "citations")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert embedded == [1]
