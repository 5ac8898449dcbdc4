"""What an answer claims is found in its sources or refused."""

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.ingestion.sentences import sentence_spans
from asissto.retrieval.citations import Support, locate, support

SETS = Path(__file__).resolve().parents[1].parent / "shared" / "sets"
SOURCE = "Возврат товара возможен в течение четырнадцати дней с 15.03.2024, доставка стоит 10 000 рублей."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("Вернуть «Ёлку» — можно", "вернуть “елку” -\u00a0можно"),
        ('"и\u0306од  или\nбром…"', "йод или бром..."),
        ("Пэнтерс", "Пэн\u00adтерс"),
        ("вернуть деньги", None),
        (" «» ", None),
    ],
)
def test_a_quote_is_located_word_for_word(quote: str, found: str | None) -> None:
    """Typography, case and white space may differ, words may not; the span counts in the source."""
    source = "Как вернуть “елку” -\u00a0можно узнать. Есть йод или бром... Пэн\u00adтерс."
    span = locate(quote, source)
    assert (None if span is None else source[slice(*span)]) == found


@given(st.text(st.sampled_from("аёЁ й«»—… \u00a0\n\u00adB")), st.data())
def test_whatever_stands_in_the_source_is_located(source: str, data: st.DataObject) -> None:
    """Every cut of a source that has a letter is found, and is the same text there."""
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(source)), st.integers(0, len(source)))))
    quote = source[start:end].strip(" \n\u00a0\u00ad«»")
    span = locate(quote, source)
    if quote:
        assert span is not None
        assert locate(source[slice(*span)], quote) is not None


def test_a_sentence_is_weighed_by_what_its_sources_say() -> None:
    """Inflected words and numbers written otherwise hold; function words do not count."""
    said = "По источникам, товары возвращаются в течение 14 дней: 15.03.2024, 10000 рублей."
    assert support(said, [SOURCE], "", {}).bad_numbers == ()
    assert support("Доставка стоит 10 000 рублей.", [SOURCE], "", {}) == Support(1.0, ())
    assert support(
        "Возврат доставки запрещён.", [SOURCE], "", {"запрещ": 2.0, "возврат": 1.0, "доставк": 1.0}
    ) == Support(0.5, ())
    assert support("Да.", [SOURCE], "", {}).holds
    assert not support("Парковка бесплатна по выходным.", [SOURCE], "", {}).holds


def test_a_number_must_stand_in_a_source_or_the_question() -> None:
    """A wrong one refuses the sentence, whatever its words are; the number of a list item is none."""
    assert support("Доставка стоит 12 000 рублей.", [SOURCE], "", {}) == Support(1.0, ("12000",))
    assert support("2. Доставка стоит 12 000,50 рублей.", [SOURCE], "Есть 12000.5?", {}).holds
    assert not support("Доставка стоит 12 000 рублей.", [SOURCE], "", {}).holds


@pytest.mark.parametrize("name", ["xquad_ru", "xquad_en"])
def test_one_changed_digit_is_caught(name: str) -> None:
    """In at least 95 of 100 sentences, and never where nothing was changed."""
    folder = SETS / name
    if not folder.exists():
        pytest.skip(f"no evaluation sets at {SETS}")
    choose = random.Random(1)
    caught = []
    for line in (folder / "passages.jsonl").read_bytes().splitlines():
        text = msgspec.json.decode(line)["text"]
        for start, end in sentence_spans(text):
            said = text[start:end]
            assert round(support(said, [text], "", {}).score, 6) == 1
            assert support(said, [text], "", {}).bad_numbers == ()
            digits = [at for at, letter in enumerate(said) if letter in "0123456789"]
            if digits:
                at = choose.choice(digits)
                wrong = (
                    said[:at] + choose.choice([digit for digit in "0123456789" if digit != said[at]]) + said[at + 1 :]
                )
                caught.append(bool(support(wrong, [text], "", {}).bad_numbers))
    assert sum(caught) / len(caught) >= 0.95
