"""Finds passages that stand in two documents, word by word or nearly so."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import combinations

from msgspec import Struct

from asissto.ingestion.claims import Passage
from asissto.ingestion.lexemes import lexemes
from asissto.ingestion.values import fold

SHINGLE = 4
NEARLY = 0.75
"""Common runs of four words in all that either passage has."""

LEAST_WORDS = 8
MOST_PLACES = 20


class Repeat(Struct, frozen=True):
    """`first` is the older document's; `passages` tells how many of the two documents' passages are alike."""

    first: Passage
    second: Passage
    score: float
    passages: int


def repeats(passages: Sequence[Passage]) -> list[Repeat]:
    """One for each two documents; what stands in many is one, of the first two."""
    groups: dict[tuple[str, ...], list[Passage]] = defaultdict(list)
    shingles: dict[tuple[str, ...], frozenset[int]] = {}
    for passage in sorted(passages, key=lambda each: (each.published_at, each.document_id, each.start)):
        words = tuple(fold(passage.text).split())
        if len(words) >= LEAST_WORDS:
            groups[words].append(passage)
    for words in groups:
        shingles[words] = _shingles(words)
    pairs = [*_equal(groups), *_near(groups, shingles)]
    return _by_documents(pairs)


def _equal(groups: dict[tuple[str, ...], list[Passage]]) -> Iterator[tuple[Passage, Passage, float]]:
    for places in groups.values():
        other = next((each for each in places if each.document_id != places[0].document_id), None)
        if other is not None:
            yield places[0], other, 1.0


def _near(
    groups: dict[tuple[str, ...], list[Passage]], shingles: dict[tuple[str, ...], frozenset[int]]
) -> Iterator[tuple[Passage, Passage, float]]:
    texts = list(groups)
    postings: dict[int, list[int]] = defaultdict(list)
    for at, words in enumerate(texts):
        for shingle in shingles[words]:
            postings[shingle].append(at)
    shared = dict.fromkeys(
        pair for places in postings.values() if 1 < len(places) <= MOST_PLACES for pair in combinations(places, 2)
    )
    for one, other in shared:
        a, b = shingles[texts[one]], shingles[texts[other]]
        first, second = groups[texts[one]][0], groups[texts[other]][0]
        score = len(a & b) / len(a | b)
        if score >= NEARLY and first.document_id != second.document_id:
            yield first, second, score


def _shingles(words: tuple[str, ...]) -> frozenset[int]:
    stems = lexemes(" ".join(words))
    runs = (" ".join(stems[at : at + SHINGLE]) for at in range(max(1, len(stems) - SHINGLE + 1)))
    return frozenset(int.from_bytes(blake2b(run.encode(), digest_size=8).digest()) for run in runs)


def _by_documents(pairs: list[tuple[Passage, Passage, float]]) -> list[Repeat]:
    together: dict[tuple[object, object], list[tuple[Passage, Passage, float]]] = defaultdict(list)
    for first, second, score in pairs:
        together[first.document_id, second.document_id].append((first, second, score))
    return [
        Repeat(found[0][0], found[0][1], round(sum(score for *_, score in found) / len(found), 3), len(found))
        for found in together.values()
    ]
