"""Confidence rises with what the documents say about the question, and tells the answerable from the rest."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.ingestion.lexemes import lexemes
from asissto.retrieval.confidence import LEAST_CONFIDENCE, Evidence, confidence, gather
from asissto.retrieval.extractive import read
from asissto.retrieval.passages import Passage, Scores
from asissto.retrieval.ranking import idf
from asissto.retrieval.rewriting import follow_up_terms

SETS = Path(__file__).resolve().parents[1].parent / "shared" / "sets"

shares = st.floats(0, 1)
NOTHING = Evidence(sentence_coverage=0, passage_coverage=0, words_found=0, names_missing=1, lead=0)


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


@given(shares, shares, shares, shares, shares, st.none() | st.tuples(shares, shares), shares)
def test_more_evidence_never_lowers_confidence(
    sentence: float,
    whole: float,
    words: float,
    names: float,
    lead: float,
    near: tuple[float, float] | None,
    more: float,
) -> None:
    """Whatever the rest is; and it stays a probability."""
    best, highest = near or (None, None)
    weak = Evidence(
        sentence_coverage=sentence * more,
        passage_coverage=whole * more,
        words_found=words * more,
        names_missing=names,
        lead=lead * more,
        best_cosine=best,
        highest_cosine=highest,
    )
    strong = msgspec.structs.replace(
        weak,
        sentence_coverage=sentence,
        passage_coverage=whole,
        words_found=words,
        names_missing=names * more,
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
    gathered = evidence("Какая гарантия на тариф Омега?", *found, cosines=[0.5, -0.1, 0.1, 0.2])
    assert {name: round(value, 6) for name, value in msgspec.structs.asdict(gathered).items()} == {
        "sentence_coverage": 0.333333,
        "passage_coverage": 0.666667,
        "words_found": 0.333333,
        "names_missing": 0.333333,
        "lead": 0.75,
        "best_cosine": 0.5,
        "highest_cosine": 0.5,
    }


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
