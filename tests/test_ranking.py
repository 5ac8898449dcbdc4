"""What is searched for, and what each word weighs."""

import math

import pytest

from asissto.retrieval.ranking import follow_up_terms, idf, leans_on_history, likeness, near_prefix, search_text

HISTORY = ["Здравствуйте", "Как подключиться к ЭДО Диадок?"]


@pytest.mark.parametrize(
    "question",
    ["А это платно?", "Где взять?", "And how long does it take?", "Как его отключить?", "What about refunds?"],
)
def test_a_question_that_points_back_takes_the_subject_along(question: str) -> None:
    """The words of the message before it count for more than half, and it is embedded together with it."""
    assert leans_on_history(question)
    assert follow_up_terms(question, HISTORY)["диадок"] == 0.6
    assert search_text(question, HISTORY) == f"{HISTORY[-1]}\n{question}"


def test_a_new_subject_hardly_feels_the_old_one() -> None:
    """Words of both are asked for once, at full weight; the first message is forgotten."""
    question = "Сколько стоит сертификат для подключения Диадок?"
    assert follow_up_terms(question, HISTORY) == {
        "сто": 1.0, "сертификат": 1.0, "подключен": 1.0, "диадок": 1.0, "подключ": 0.2, "эд": 0.2,
    }  # fmt: skip
    assert search_text(question, HISTORY) == question


def test_without_history_nothing_is_added() -> None:
    """Even where the question points to something."""
    assert follow_up_terms("А это платно?", []) == {"платн": 1.0}
    assert search_text("А это платно?", []) == "А это платно?"


def test_near_words_share_their_beginning_and_most_trigrams() -> None:
    """A misspelling or a derived word counts for a part of the word, another word for nothing."""
    assert likeness("достав", "достав") == 1.0
    assert likeness("абонемент", "абонемнт") == pytest.approx(0.8 * 7 / 12)
    assert 0.3 < likeness("подключ", "подключен") < 0.8
    assert [likeness("договор", word) for word in ("договориться", "дог", "переговор")][1:] == [0.0, 0.0]
    assert [near_prefix(word) for word in ("абонемент", "тариф", "кофе", "ab-123/4")] == ["абоне", "тари", None, None]


def test_rare_words_weigh_more() -> None:
    """The IDF of BM25, also for a word that is nowhere or everywhere."""
    assert idf(0, 9) == pytest.approx(math.log(20))
    assert idf(1, 9) > idf(5, 9) > idf(9, 9) > 0
