"""A sentence with the words of its source that says otherwise is told from one that says the same."""

import pytest

from asissto.retrieval.citations import support
from asissto.retrieval.contradictions import contradictions, swapped

SAME = [
    ("You don't need them any longer.", "If you no longer need these groups, delete them."),
    ("Курить запрещено.", "Курить не разрешается."),
    ("Smoking is not allowed.", "Smoking is prohibited here."),
    ("Возврат возможен до 5 мая и после проверки.", "До 5 мая возврат возможен, после проверки товара."),
    ("The grant was 5 million dollars.", "The grant was $5 million."),
    ("Оплата картой Visa доступна.", "Можно оплатить картой (Visa, МИР)."),
    ("IBM's cloud is in Moscow.", "The cloud of IBM is in Moscow."),
    ("В Москве доставка бесплатна.", "Доставка по Москве бесплатна, за МКАД — 500 рублей."),
]
OTHERWISE = [
    ("The fee is not charged.", "The fee is charged monthly.", "not"),
    ("Товар подлежит возврату.", "Товар не подлежит возврату.", "not"),
    ("Доставка доступна.", "Доставка недоступна.", "not"),
    ("Pets are allowed.", "Pets are forbidden.", "opposite"),
    ("Парковка платная.", "Парковка бесплатная.", "opposite"),
    ("The deposit is 100 dollars.", "The deposit is 100 euros.", "unit"),
    ("Залог составляет 100 долларов.", "Залог составляет 100 рублей.", "unit"),
    ("The office is in Berlin.", "The office is in Paris.", "name"),
    ("Звоните Ивану Петрову.", "Звоните Олегу Сидорову.", "name"),
    ("Для сброса нажмите кнопку X200.", "Для сброса нажмите кнопку X100.", "name"),
]


@pytest.mark.parametrize(("claim", "source"), SAME)
def test_the_same_in_other_words_is_no_contradiction(claim: str, source: str) -> None:
    """Inflection, order, synonyms of a denial, scale and currency."""
    assert contradictions(claim, [source]) == ()


@pytest.mark.parametrize(("claim", "source", "kind"), OTHERWISE)
def test_what_is_otherwise_is_named(claim: str, source: str, kind: str) -> None:
    """Though nearly all of the words are there."""
    assert kind in {found.partition(":")[0] for found in contradictions(claim, [source])}
    assert not support(claim, [source], "", {}).holds


def test_a_copied_sentence_with_a_word_exchanged_is_told() -> None:
    """Also where the other word stands elsewhere in the source."""
    sentence = "In early 1961 Joseph Shea became deputy director, north of Miami."
    assert swapped(sentence, sentence) == ()
    for wrong in ("early|late", "north|south", "Miami|Houston", "1961|1962", "became|never became"):
        assert swapped(sentence.replace(wrong.split("|")[0], wrong.split("|")[1]), sentence), wrong
    assert swapped("Joseph Shea led the office.", sentence) == ()


def test_names_may_come_from_the_question_and_the_title() -> None:
    """The customer named it, or the heading does."""
    assert contradictions("In Berlin the office opens at nine.", ["The office opens at nine."], ["Office Berlin"]) == ()
