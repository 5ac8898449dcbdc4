"""Measures how much of a question a text covers: the arithmetic under quotes, confidence and citations."""

import re
from collections.abc import Collection, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from asissto.ingestion.lexemes import lexemes
from asissto.retrieval.ranking import likeness
from asissto.retrieval.wanted import Wanted, wanted

_NAME = re.compile(r"(?<=[\w,;:»\"'’)] )[\"«(]?([A-ZА-ЯЁ][\w-]+)|(\d[\w-]*)")


class Ask(Struct, frozen=True, eq=False):
    """What a question asks for: `weights`, `spellings` and `names` have an element for each of its terms.

    The weights add up to 1, spellings are the words that stand for a term and what they count for.
    """

    weights: NDArray[np.float64]
    spellings: tuple[Mapping[str, float], ...]
    names: NDArray[np.bool_]
    wanted: Wanted


def ask(question: str, terms: Mapping[str, float], idf: Mapping[str, float], vocabulary: Collection[str]) -> Ask:
    """`terms` come from `rewriting.follow_up_terms`, `vocabulary` holds all lexemes of the texts to be measured."""
    raw = np.array([weight * idf.get(term, 0.0) for term, weight in terms.items()])
    named = {lexeme for match in _NAME.finditer(question) for lexeme in lexemes(match[1] or match[2])}
    return Ask(
        weights=raw / (raw.sum() or 1.0),
        spellings=tuple(_spellings(term, vocabulary) for term in terms),
        names=np.array([term in named for term in terms], dtype=bool),
        wanted=wanted(question),
    )


def matches(asked: Ask, words: Collection[str]) -> NDArray[np.float64]:
    """For each term of the question how well the words stand for it: 1 for the term itself, less for one like it."""
    found = [max((like for word, like in near.items() if word in words), default=0.0) for near in asked.spellings]
    return np.array(found, dtype=np.float64)


def _spellings(term: str, vocabulary: Collection[str]) -> dict[str, float]:
    start = term[:4]  # no `near_prefix` is shorter
    return {word: like for word in vocabulary if word[:4] == start and (like := likeness(term, word)) > 0}
