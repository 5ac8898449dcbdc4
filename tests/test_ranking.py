"""What is searched for, and what each word weighs."""

import math

import pytest

from asissto.retrieval.ranking import idf, likeness, near_prefix


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
