"""Words that mean the same become the same lexeme, numbers and codes stay what they are."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.ingestion.lexemes import _of_text, is_stop, lexemes, question_terms

SAME = [
    ("Ёлочные игрушки", "елочная ИГРУШКА"),
    ("returned deliveries", "Return the delivery"),
    ("ｗｉｄｅ", "wide"),
    ("за́мок", "замок"),
    ("Пэн\u00adтерс", "пэнтерс"),
    ("café", "cafe"),
    ("10 000 рублей", "10\u00a0000 рублей"),
    ("$1,000,000", "1000000"),
    ("3,5 %", "3.5"),
    ("А123ВС", "A123BC"),  # Cyrillic and Latin
    ("1С", "1C"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_the_same_fall_together(one: str, other: str) -> None:
    """Case, width, accents, ё, inflection, grouping of digits and look-alike letters."""
    assert lexemes(one)[:1] == lexemes(other)[:1] != []


def test_codes_give_themselves_and_their_parts() -> None:
    """So that both the exact article number and a piece of it are found."""
    assert lexemes("Артикул AB-123/4") == ["артикул", "ab-123/4", "ab", "123", "4"]
    assert lexemes("QUERY_LIMIT_EXCEEDED") == ["query_limit_exceeded", "queri", "limit", "exceed"]
    assert lexemes("crm.deal.add") == ["crm.deal.add", "crm", "deal", "add"]
    assert lexemes("info@site.ru") == ["info@site.ru", "info", "site", "ru"]
    assert lexemes("счёт-фактура и/или") == ["счет", "фактур", "ил"]


@pytest.mark.parametrize("written", ["+7 (495) 123-45-67", "8 495 123 45 67", "8(495)123-45-67", "+74951234567"])
def test_a_telephone_number_is_one_lexeme(written: str) -> None:
    """However it is grouped, and with 8 for +7."""
    assert lexemes(f"тел. {written}")[1] == "74951234567"


def test_a_list_of_years_is_no_telephone_number() -> None:
    """Only what begins as one and has as many digits."""
    assert lexemes("2015 2016 2017 2018") == ["2015", "2016", "2017", "2018"]


def test_function_words_are_left_out() -> None:
    """Words that stand in every text are not indexed; the order of the others is kept, and repetitions are."""
    assert lexemes("The delivery of the order and a delivery") == ["deliveri", "order", "deliveri"]
    assert is_stop("котор") is True
    assert is_stop("достав") is False


def test_question_words_are_no_terms_unless_nothing_else_is_there() -> None:
    """«Кто вы?» still has to search for something."""
    assert question_terms("Скажите, пожалуйста, сколько стоит доставка и доставка куда?") == ["сто", "доставк"]
    assert question_terms("How much does it cost?") == ["cost"]
    assert question_terms("Кто вы?") == ["кто", "вы"]


@given(st.text())
def test_lexemes_are_fit_for_an_index(text: str) -> None:
    """Never empty, folded, and the same for either Unicode form of the text."""
    found = lexemes(text)
    assert all(found)
    assert all(lexeme == lexeme.casefold() for lexeme in found)
    assert lexemes(unicodedata.normalize("NFD", text)) == lexemes(unicodedata.normalize("NFC", text))


@given(st.text(st.sampled_from("ab 01\u00a0\n.,-+()/\u00ad\u200bё№７8"), max_size=40))
def test_words_one_by_one_give_what_the_whole_text_gives(text: str) -> None:
    """The short way is taken only where no number reaches across a space."""
    assert lexemes(text) == list(_of_text(text))
