"""Tells how likely it is that the documents answer a question, from what the best sentences cover of it."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from asissto.retrieval.extractive import Reading, final_scores
from asissto.retrieval.passages import Passage

MODEL_MAY_TRY = 0.2
"""Below it not even a model is asked: nothing in the documents speaks for an answer.

It lies above .07 (mtragun_en) to .00 (squad2_en) of the answerable questions.
"""

LEAST_CONFIDENCE = 0.5
"""Below it the assistant says that it does not know; a default, until the assistant is calibrated.

The budget: at most a fifth of the unanswerable questions are answered, as the mean over the dev sets of people's
questions; it is .19. Answered of the answerable, and of the unanswerable: xquad_ru .83, .21; xquad_en .93, .22;
mtragun_en .79, .09; b24_support_ru .54, .22. Questions made to be unanswerable from a text that is close (squad2_en:
.88, .59) need a model that reads.
"""

SURE = 0.75
"""From here on quotes are the answer, below they "may help"; the budget is a twentieth, it is .03.

xquad_ru .59, .03; xquad_en .79, .07; mtragun_en .51, .04; b24_support_ru .16, .00; squad2_en .60, .40.
"""

# Logistic regressions on xquad_ru, xquad_en, squad2_en, mtragun_en and b24_support_ru, and on the same questions with
# their passages taken out; sets and classes of equal weight, scaled to read as probabilities. AUROC on each set when
# it is left out, and in the end: without cosines xquad_ru .898, .902; b24_support_ru .749, .764; with them xquad_en
# .941, .948; squad2_en .602, .642; mtragun_en .901, .907.
_LEXICAL = (-2.2, 1.4, 2.0, 1.2, -3.1, -0.7, 1.0)
_DENSE = (-5.1, 0.4, 1.7, 0.4, -4.4, -1.0, 2.3, 2.0, 4.0, 3.2)
_RIVALS = 4
_LITTLE_MEANING = 0.2  # of a cosine: the lead of a passage that is near to nothing is no lead

Zone = Literal["none", "low", "middle", "high"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for an answer, all in [0, 1]; the last three are None where no embedder knows the language.

    `sentence_coverage` counts what the best sentence has with its header and the sentence before, `words_missing` what
    none of the passages says. `lead` tells how far the best passage stands above the four after it by its words, or,
    where an embedder knows the language, above the next one by words and meaning together; `passage_lead` how far the
    quoted one stands above its four best rivals by its meaning.
    """

    sentence_coverage: float
    passage_coverage: float
    words_found: float
    names_missing: float
    words_missing: float
    lead: float
    best_cosine: float | None = None
    highest_cosine: float | None = None
    passage_lead: float | None = None


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What labelled questions have taught about the confidence of one assistant; `asissto calibrate` makes it.

    Confidence becomes `1 / (1 + exp(-(slope * log(raw / (1 - raw)) + intercept)))`. At `least_confidence`, of the
    `unanswerable` ones among the `questions` at most the share `upper_bound` is answered, with 95 % certainty, as far
    as customers ask like them; `own_documents` is False where the questions were put to passages of a set.
    """

    slope: Annotated[float, Meta(ge=0, le=100)]
    intercept: Annotated[float, Meta(ge=-100, le=100)]
    least_confidence: Annotated[float, Meta(ge=0, le=1)]
    budget: Annotated[float, Meta(gt=0, lt=1)]
    upper_bound: Annotated[float, Meta(ge=0, le=1)]
    questions: Annotated[int, Meta(ge=1)]
    unanswerable: Annotated[int, Meta(ge=0)]
    own_documents: bool = True
    fitted_at: datetime

    def confidence(self, raw: float) -> float:
        return _sigmoid(self.slope * log_odds(raw) + self.intercept)


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """How sure an answer is: in the zone `high` it is quoted plainly, in `middle` as something that may help.

    In `low` only a model may try, in `none` nobody does. `raw` is what the evidence says, `confidence` the same by the
    assistant's calibration, where it has one.
    """

    evidence: Evidence
    raw: float
    confidence: float
    threshold: float
    zone: Zone
    calibration: str

    @property
    def quotable(self) -> bool:
        return self.zone in ("middle", "high")

    def told(self) -> dict[str, Any]:
        """Plain values for the receipt."""
        kept = {name: value for name, value in msgspec.structs.asdict(self.evidence).items() if value is not None}
        numbers = {"raw": self.raw, "confidence": self.confidence, "threshold": self.threshold}
        return {
            "evidence": {name: round(value, 4) for name, value in kept.items()},
            **{name: round(value, 4) for name, value in numbers.items()},
            "zone": self.zone,
            "calibration": self.calibration,
        }


def judge(evidence: Evidence, calibration: Calibration | None, least: float | None) -> Judgement:
    """`least` is what somebody has set for the assistant; it goes before what the calibration chose."""
    raw = confidence(evidence)
    sure = raw if calibration is None else calibration.confidence(raw)
    if least is None:
        least = LEAST_CONFIDENCE if calibration is None else calibration.least_confidence
    return Judgement(
        evidence=evidence,
        raw=raw,
        confidence=sure,
        threshold=least,
        zone=_zone(raw, sure, least),
        calibration="default" if calibration is None else calibration.fitted_at.isoformat(),
    )


def confidence(evidence: Evidence) -> float:
    """A probability, if as many questions are answerable as not."""
    features = [1.0, *(value for value in msgspec.structs.astuple(evidence) if value is not None)]
    weights = _LEXICAL if evidence.best_cosine is None else _DENSE
    return _sigmoid(sum(weight * feature for weight, feature in zip(weights, features, strict=True)))


def gather(reading: Reading, cosines: Sequence[float] | None, found: Sequence[Passage]) -> Evidence:
    """Weighs the sentence that would be quoted first; `cosines` belong to `reading.candidates`."""
    if not reading.candidates:
        return Evidence(
            sentence_coverage=0, passage_coverage=0, words_found=0, names_missing=1, words_missing=1, lead=0
        )
    index = int(final_scores(reading, cosines).argmax())
    best, weights = reading.candidates[index], reading.asked.weights
    covered = reading.passage_matches[best.passage]
    return Evidence(
        sentence_coverage=best.coverage,
        passage_coverage=float(weights @ covered),
        words_found=float(best.matches.mean()) if best.matches.size else 0.0,
        names_missing=float(weights @ ((1 - covered) * reading.asked.names)),
        words_missing=float(weights @ (1 - reading.passage_matches.max(axis=0))),
        lead=_lead([passage.scores.lexical for passage in found], _RIVALS)
        if cosines is None
        else _lead([passage.scores.fused for passage in found], 1),
        best_cosine=None if cosines is None else max(0.0, cosines[index]),
        highest_cosine=None if cosines is None else max(0.0, *cosines),
        passage_lead=None if cosines is None else _passage_lead(found, reading.passages[best.passage]),
    )


def log_odds(probability: float) -> float:
    kept = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(kept / (1 - kept))


def _zone(raw: float, sure: float, least: float) -> Zone:
    if sure >= least:
        return "high" if sure >= SURE else "middle"
    return "low" if raw >= MODEL_MAY_TRY else "none"


def _lead(scores: Sequence[float], rivals: int) -> float:
    """How far the best score stands above the mean of so many after it."""
    first, *others = [*sorted(scores, reverse=True), *[0.0] * (rivals + 1)][: rivals + 1]
    return 1 - sum(others) / rivals / first if first > 0 else 0.0


def _passage_lead(found: Sequence[Passage], best: Passage) -> float:
    """How far the passage quoted first stands above its four best rivals by cosine; 0 where it does not."""
    mine, own = best.scores.dense or 0.0, {best.chunk_id, *(part.chunk_id for part in best.parts)}
    others = sorted((each.scores.dense or 0.0 for each in found if each.chunk_id not in own), reverse=True)[:_RIVALS]
    rivals = max(0.0, float(np.mean(others))) if others else 0.0
    return max(0.0, mine - rivals) / (mine + _LITTLE_MEANING) if others and mine > 0 else 0.0


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
