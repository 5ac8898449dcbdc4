"""Tells how likely it is that the documents answer a question, from what the best sentences cover of it."""

import math
from collections.abc import Sequence

import msgspec

from asissto.retrieval.extractive import Reading, final_scores
from asissto.retrieval.passages import Passage

LEAST_CONFIDENCE = 0.5
"""Below it the assistant says that it does not know.

Answered of the answerable, and of the unanswerable: xquad_ru .86, .26; xquad_en .90, .15; mtragun_en .84, .13;
b24_support_ru .43, .22; at .65 they are .77, .12; .84, .08; .74, .09; .30, .17. Questions made to be unanswerable from
a text that is close (squad2_en: .89, .65) need a model that reads.
"""

# Logistic regression on xquad_ru, xquad_en, squad2_en, mtragun_en and b24_support_ru, sets and classes of equal weight.
# AUROC without cosines .906, .943, .537, .816, .784 in that order, with them .951 (xquad_en), .569, .892. Fitted on the
# other sets alone it is up to .01 lower, for xquad_en and squad2_en with cosines up to .02.
_LEXICAL = (-3.8, 2.1, 3.0, 2.0, -2.1, 1.8)
_DENSE = (-7.6, 1.9, 2.6, 1.0, -2.2, 1.8, 3.7, 3.8)
_RIVALS = 4


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for an answer, all in [0, 1]; the two cosines are None where no embedder knows the language."""

    sentence_coverage: float
    passage_coverage: float
    words_found: float
    names_missing: float
    lead: float
    best_cosine: float | None = None
    highest_cosine: float | None = None


def confidence(evidence: Evidence) -> float:
    """A probability, if as many questions are answerable as not."""
    features = [1.0, *(value for value in msgspec.structs.astuple(evidence) if value is not None)]
    weights = _LEXICAL if evidence.best_cosine is None else _DENSE
    total = sum(weight * feature for weight, feature in zip(weights, features, strict=True))
    return 1 / (1 + math.exp(-total))


def gather(reading: Reading, cosines: Sequence[float] | None, found: Sequence[Passage]) -> Evidence:
    """Weighs the sentence that would be quoted first; `cosines` belong to `reading.candidates`."""
    if not reading.candidates:
        return Evidence(sentence_coverage=0, passage_coverage=0, words_found=0, names_missing=1, lead=0)
    index = int(final_scores(reading, cosines).argmax())
    best, weights = reading.candidates[index], reading.asked.weights
    covered = reading.passage_matches[best.passage]
    return Evidence(
        sentence_coverage=float(weights @ best.matches),
        passage_coverage=float(weights @ covered),
        words_found=float(best.matches.mean()) if best.matches.size else 0.0,
        names_missing=float(weights @ ((1 - covered) * reading.asked.names)),
        lead=_lead(found),
        best_cosine=None if cosines is None else max(0.0, cosines[index]),
        highest_cosine=None if cosines is None else max(0.0, *cosines),
    )


def _lead(found: Sequence[Passage]) -> float:
    """How far the best lexical score stands above the four after it."""
    scores = sorted((passage.scores.lexical for passage in found), reverse=True)
    return 1 - sum(scores[1 : _RIVALS + 1]) / _RIVALS / scores[0] if scores and scores[0] > 0 else 0.0
