"""Word pieces of a question are looked for in sentences, where the embedder knows the language of both."""

import numpy as np
import pytest
from msgspec.structs import replace

from asissto.platform.services import Services
from asissto.platform.word_pieces import agreement, pack
from asissto.retrieval.dense import Dense
from asissto.retrieval.extractive import Reading, read
from asissto.retrieval.passages import Passage
from asissto.retrieval.rewriting import follow_up_terms
from asissto.retrieval.scopes import whole_workspace
from people import Person
from test_extractive import passage

QUESTION = "When does a refund reach my bank card?"


def test_agreement_is_the_mean_of_the_best_cosines() -> None:
    """Whatever the lengths of the rows; nothing agrees with no pieces at all."""
    asked = pack(np.array([[1, 0], [0, 5], [3, 4]], np.float32))
    said = pack(np.array([[10, 0], [-1, 0]], np.float32))
    assert agreement(asked, said) == pytest.approx((1 + 0 + 0.6) / 3, abs=0.005)
    assert agreement(said, asked) == pytest.approx((1 + 0) / 2, abs=0.005)
    nothing = np.empty((0, 2), np.int8)
    assert agreement(asked, nothing) == agreement(nothing, said) == 0.0


def test_a_row_of_zeros_agrees_with_nothing() -> None:
    """And does not make the mean a number that is none."""
    zeros = pack(np.zeros((1, 2), np.float32))
    assert agreement(zeros, pack(np.ones((1, 2), np.float32))) == 0.0


def reading_of(*languages: str) -> Reading:
    terms = follow_up_terms(QUESTION, [])
    texts = ("A refund reaches the card within three working days.", "Возврат на карту занимает три дня.")
    found: list[Passage] = [
        replace(passage(number, texts[language == "ru"]), language=language)
        for number, language in enumerate(languages)
    ]
    return read(QUESTION, terms, dict.fromkeys(terms, 1.0), found)


async def test_pieces_of_another_language_are_not_compared(services: Services, alice: Person) -> None:
    """Beside a Russian passage an English question is compared as a whole, as it was before there were pieces."""
    scope = await whole_workspace(services, alice.tenant_id)
    dense = Dense(services, alice.tenant_id, scope.space, [])
    assert await dense.vector(QUESTION) is not None
    compared = [await dense.likeness(reading_of(*languages)) for languages in (("en", "und"), ("en", "ru"))]
    assert all(each is not None and len(each.cosines) >= 1 for each in compared)
    assert [each is not None and each.agreements is None for each in compared] == [False, True]
