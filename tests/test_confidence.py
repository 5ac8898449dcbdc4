"""Confidence rises with what the documents say about the question, and tells the answerable from the rest."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.ingestion.lexemes import lexemes
from asissto.retrieval.confidence import (
    LEAST_CONFIDENCE,
    MODEL_MAY_TRY,
    SURE,
    Calibration,
    Evidence,
    confidence,
    gather,
    judge,
)
from asissto.retrieval.extractive import read
from asissto.retrieval.passages import Part, Passage, Scores
from asissto.retrieval.ranking import idf
from asissto.retrieval.rewriting import follow_up_terms

SETS = Path(__file__).resolve().parents[1].parent / "shared" / "sets"

shares = st.floats(0, 1)
NOTHING = Evidence(sentence_coverage=0, passage_coverage=0, words_found=0, names_missing=1, words_missing=1, lead=0)


def passage(number: int, text: str, score: float = 1.0) -> Passage:
    return Passage(
        chunk_id=UUID(int=number),
        document_id=UUID(int=number),
        version_id=UUID(int=number),
        title="",
        heading_path=(),
        page=None,
        kind="text",
        language="ru",
        text=text,
        start=0,
        end=len(text),
        scores=Scores(lexical=score, dense=None, fused=score),
    )


def evidence(question: str, *found: Passage, cosines: list[float] | None = None) -> Evidence:
    terms = follow_up_terms(question, [])
    return gather(read(question, terms, dict.fromkeys(terms, 1.0), found), cosines, found)


@given(shares, shares, shares, shares, shares, shares, st.none() | st.tuples(shares, shares, shares), shares)
def test_more_evidence_never_lowers_confidence(
    sentence: float,
    whole: float,
    words: float,
    names: float,
    missing: float,
    lead: float,
    near: tuple[float, float, float] | None,
    more: float,
) -> None:
    """Whatever the rest is; and it stays a probability."""
    best, highest, ahead = near or (None, None, None)
    weak = Evidence(
        sentence_coverage=sentence * more,
        passage_coverage=whole * more,
        words_found=words * more,
        names_missing=names,
        words_missing=missing,
        lead=lead * more,
        best_cosine=best,
        highest_cosine=highest,
        passage_lead=ahead,
    )
    strong = msgspec.structs.replace(
        weak,
        sentence_coverage=sentence,
        passage_coverage=whole,
        words_found=words,
        names_missing=names * more,
        words_missing=missing * more,
        lead=lead,
    )
    assert 0 < confidence(weak) <= confidence(strong) < 1


def test_a_full_answer_is_trusted_and_nothing_is_not() -> None:
    """The default threshold lies between them."""
    question = "За сколько дней можно вернуть товар?"
    answered = evidence(question, passage(1, "Вернуть товар можно в течение 14 дней."), passage(2, "Парковка.", 0.1))
    beside = evidence(question, passage(1, "Парковка бесплатна."), passage(2, "Оплата картой."))
    assert confidence(NOTHING) < confidence(beside) < LEAST_CONFIDENCE < confidence(answered)


def test_what_is_gathered() -> None:
    """Shares of the question's weight in the best sentence and its passage, and how far ahead the passage is."""
    found = (
        passage(1, "Тариф Альфа стоит 990. Гарантии нет.", 4.0),
        passage(2, "Иное.", 2.0),
        passage(3, "Прочее.", 2.0),
    )
    question = "Какая гарантия на тариф Омега?"
    gathered = evidence(question, *found, cosines=[0.5, -0.1, 0.1, 0.2])
    assert {name: round(value, 6) for name, value in msgspec.structs.asdict(gathered).items()} == {
        "sentence_coverage": 0.333333,
        "passage_coverage": 0.666667,
        "words_found": 0.333333,
        "names_missing": 0.333333,
        "words_missing": 0.333333,
        "lead": 0.5,
        "best_cosine": 0.5,
        "highest_cosine": 0.5,
        "passage_lead": 0.0,
    }
    assert evidence(question, *found).lead == pytest.approx(0.75)  # by words alone: above the four after it


def test_the_lead_is_that_of_the_passage_which_is_quoted() -> None:
    """What is read may stand in another order than what was found; a joined passage is no rival of its own parts."""
    texts = ("Парковка бесплатна.", "Товар можно вернуть за 14 дней.", "Чек не нужен.", "Иное.")
    dense = (0.3, 0.8, 0.7, 0.1)
    found = [
        msgspec.structs.replace(passage(number, text), scores=Scores(lexical=1.0, dense=near, fused=1.0))
        for number, (text, near) in enumerate(zip(texts, dense, strict=True), 1)
    ]
    parts = tuple(Part(each.chunk_id, each.start, each.end) for each in found[1:3])
    joined = msgspec.structs.replace(found[1], parts=parts)
    terms = follow_up_terms("За сколько дней можно вернуть товар?", [])
    reading = read("За сколько дней можно вернуть товар?", terms, dict.fromkeys(terms, 1.0), [joined])
    gathered = gather(reading, [0.9] * len(reading.candidates), found)
    assert gathered.passage_lead == pytest.approx((0.8 - (0.3 + 0.1) / 2) / (0.8 + 0.2))


FITTED = Calibration(
    slope=2.0,
    intercept=-1.0,
    least_confidence=0.6,
    budget=0.05,
    upper_bound=0.049,
    questions=300,
    unanswerable=120,
    fitted_at=datetime(2026, 11, 25, tzinfo=UTC),
)


def test_a_judgement_says_what_it_judged_by() -> None:
    """A default is called one; what somebody has set goes before what was learnt, and that before the default."""
    weak = Evidence(
        sentence_coverage=0.5, passage_coverage=0.6, words_found=0.5, names_missing=0, words_missing=0.3, lead=0.2
    )
    raw = confidence(weak)
    default = judge(weak, None, None)
    assert (default.confidence, default.threshold, default.calibration) == (raw, LEAST_CONFIDENCE, "default")
    fitted = judge(weak, FITTED, None)
    assert fitted.confidence == pytest.approx(1 / (1 + np.exp(-(2 * np.log(raw / (1 - raw)) - 1))))
    assert (fitted.raw, fitted.threshold, fitted.calibration) == (raw, 0.6, "2026-11-25T00:00:00+00:00")
    assert judge(weak, FITTED, 0.9).threshold == 0.9
    assert judge(weak, FITTED, None).told() == {
        "evidence": {name: value for name, value in msgspec.structs.asdict(weak).items() if value is not None},
        "raw": round(raw, 4),
        "confidence": round(fitted.confidence, 4),
        "threshold": 0.6,
        "zone": fitted.zone,
        "calibration": "2026-11-25T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("coverage", "zone", "quotable"),
    [(0.0, "none", False), (0.35, "low", False), (0.65, "middle", True), (1.0, "high", True)],
)
def test_zones_follow_one_another(coverage: float, zone: str, quotable: bool) -> None:
    """Nobody tries, a model may, it may help, it is the answer."""
    found = Evidence(
        sentence_coverage=coverage,
        passage_coverage=coverage,
        words_found=coverage,
        names_missing=0,
        words_missing=1 - coverage,
        lead=0.5,
    )
    judged = judge(found, None, None)
    assert (judged.zone, judged.quotable) == (zone, quotable)


def test_the_zones_keep_their_order() -> None:
    """Each threshold lies above the one before it."""
    assert 0 < MODEL_MAY_TRY < LEAST_CONFIDENCE < SURE < 1


def test_without_passages_or_words_there_is_no_evidence() -> None:
    """Neither an empty knowledge base nor a lone question mark is an error."""
    assert evidence("Сколько стоит?") == NOTHING
    assert evidence("?", passage(1, "Парковка.")).words_found == 0


class SetQuestion(msgspec.Struct):
    question: str
    answerable_in_abstain: bool


class SetPassage(msgspec.Struct):
    text: str
    removed_in_abstain: bool = False


@pytest.mark.parametrize(("name", "least"), [("xquad_ru", 0.88), ("xquad_en", 0.92)])
def test_questions_whose_passage_is_missing_are_told_apart(name: str, least: float) -> None:
    """By words alone; passages are ranked by their share of the question's weight, for want of a database."""
    folder = SETS / name
    if not folder.exists():
        pytest.skip(f"no evaluation sets at {SETS}")
    lines = (folder / "passages.jsonl").read_bytes().splitlines()
    texts = [each.text for line in lines if not (each := msgspec.json.decode(line, type=SetPassage)).removed_in_abstain]
    contents = [set(lexemes(text)) for text in texts]
    counts = Counter(lexeme for content in contents for lexeme in content)
    known: list[float] = []
    unknown: list[float] = []
    for line in (folder / "questions.jsonl").read_bytes().splitlines():
        question = msgspec.json.decode(line, type=SetQuestion)
        terms = follow_up_terms(question.question, [])
        weights = {term: idf(counts[term], len(texts)) for term in terms}
        scores = [sum(weights[term] for term in terms if term in content) for content in contents]
        best = sorted(range(len(texts)), key=lambda number: -scores[number])[:10]
        found = [passage(number, texts[number], scores[number]) for number in best]
        sure = confidence(gather(read(question.question, terms, weights, found), None, found))
        (known if question.answerable_in_abstain else unknown).append(sure)
    difference = np.subtract.outer(known, unknown)
    assert (difference > 0).mean() + (difference == 0).mean() / 2 >= least
