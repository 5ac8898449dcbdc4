"""Names of topics: the question in their middle, and the words that they have and others have not."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from math import log

import msgspec
import numpy as np

from asissto.ingestion.lexemes import folded, is_stop, lexemes
from asissto.retrieval.topics.nearest import Labels, Sizes, Vectors

CHIPS = 5
EXAMPLES = 3
_MIDDLE = 50
"""Questions nearest to the centroid, of which the one that most others resemble is the title."""
_READ = 2_000
"""Questions of a topic that are read for its words."""
LEAST_TOLD = 3
SELDOM = 0.05
_LONGEST = 200
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_Stems = tuple[str, ...]


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """`title` is a customer's own question; `examples` are the numbers of the questions in the middle."""

    title: str
    chips: tuple[str, ...]
    examples: tuple[int, ...]


def name_topics(texts: Sequence[str], vectors: Vectors, labels: Labels, centroids: Vectors) -> list[Name]:
    members = [np.flatnonzero(labels == topic) for topic in range(len(centroids))]
    chips = _chips([[texts[at] for at in mine[-_READ:]] for mine in members])
    return [
        _name(texts, vectors, mine, centroid, said)
        for mine, centroid, said in zip(members, centroids, chips, strict=True)
    ]


def _name(texts: Sequence[str], vectors: Vectors, members: Sizes, centroid: Vectors, chips: tuple[str, ...]) -> Name:
    if not len(members):
        return Name(title="", chips=chips, examples=())
    nearest = members[np.argsort(-(vectors[members] @ centroid), kind="stable")[:_MIDDLE]]
    likeness = vectors[nearest] @ vectors[nearest].T
    ranked = nearest[np.argsort(-likeness.sum(1), kind="stable")]
    distinct = {folded(texts[at]): int(at) for at in reversed(ranked)}
    examples = [int(at) for at in ranked if distinct[folded(texts[at])] == at]
    return Name(title=_one_line(texts[examples[0]]), chips=chips, examples=tuple(examples[:EXAMPLES]))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"


def _chips(topics: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Class-based TF-IDF (Grootendorst 2022): tf in the topic times log(1 + A / f), over stems and pairs of stems.

    A is the mean number of terms of a topic, f how often a term occurs in all. Each is shown in its commonest form.
    """
    counts, forms = [], defaultdict[_Stems, Counter[str]](Counter)
    for texts in topics:
        count = Counter[_Stems]()
        for text in texts:
            for stems, form in dict(_terms(text)).items():
                count[stems] += 1
                forms[stems][form] += 1
        counts.append(count)
    overall = Counter[_Stems]()
    for count in counts:
        overall.update(count)
    mean = overall.total() / max(1, len(topics))
    return [
        _best(_common(count, len(texts)), overall, mean, forms) for count, texts in zip(counts, topics, strict=True)
    ]


def _common(count: Counter[_Stems], questions: int) -> Counter[_Stems]:
    """Without what one customer in twenty says, or one alone, where there are enough of them to tell."""
    least = max(min(2, questions // LEAST_TOLD), questions * SELDOM)
    return Counter({term: often for term, often in count.items() if often >= least})


def _best(
    count: Counter[_Stems], overall: Counter[_Stems], mean: float, forms: dict[_Stems, Counter[str]]
) -> tuple[str, ...]:
    scores = {term: often * log(1 + mean / overall[term]) * len(term) ** 0.5 for term, often in count.items()}
    chosen: list[_Stems] = []
    for term in sorted(scores, key=lambda each: (-scores[each], each)):
        if not any(set(term) & set(other) for other in chosen):
            chosen.append(term)
        if len(chosen) == CHIPS:
            break
    return tuple(min(forms[term].items(), key=lambda each: (-each[1], each[0]))[0] for term in chosen)


def _terms(text: str) -> list[tuple[_Stems, str]]:
    """Stems of words that say something about the subject, and of two of them that stand side by side."""
    words = [(_stem(word), folded(word)) for word in _WORD.findall(text)]
    single: list[tuple[_Stems, str]] = [((stem,), word) for stem, word in words if stem is not None]
    pairs: list[tuple[_Stems, str]] = [
        ((first, second), f"{one} {other}")
        for (first, one), (second, other) in pairwise(words)
        if first is not None and second is not None
    ]
    return single + pairs


def _stem(word: str) -> str | None:
    found = lexemes(word)
    return found[0] if len(found) == 1 and not is_stop(found[0]) and len(found[0]) > 1 else None
