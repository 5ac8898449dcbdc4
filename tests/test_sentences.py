"""Sentences end where a reader would end them, and their offsets are exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.ingestion.sentences import sentence_spans

WHOLE = [
    "А. С. Пушкин жил на ул. Ленина, д. 5, в г. Москве.",
    "Роман написан в 1831 г. в Болдине, т.е. осенью, см. рис. 3 на стр. 12.",
    "Звоните по тел. 8-800-555-35-35, доб. 12.",
    "Ноутбуки, планшеты и т. д. возвращаются в течение 14 дней.",
    "«Стой!» — сказал он и ушёл.",
    "Mr. Smith paid $3.50 to the U.S. Army, e.g. for item No. 5 of J. K. Rowling.",
    "See www.example.com/a.b?c=d. for details of version 2.0.",
    "1. First open the case.",
    "2.1. Общие положения",
]
PARTED = [
    ["Он родился в 1799 г.", "Умер в 1837 г."],
    ["Принимаем карты, наличные и т.д.", "Чеки не принимаем."],
    ['He said "Stop."', "Then he left.[1]", "Nobody followed…", "Why?", "Who knows!"],
    ["Цена 10 000 руб.", "Срок 5 дней."],
    ["They came from the U.S.", "The others did not."],
    ["В 2005.", "15 человек пришли."],
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_full_stop_inside_a_sentence_does_not_end_it(text: str) -> None:
    """Abbreviations, initials, numbers, dates and addresses stay whole."""
    assert sentence_spans(text) == [(0, len(text))]


@pytest.mark.parametrize("sentences", PARTED)
def test_sentences_are_parted(sentences: list[str]) -> None:
    """Also after an abbreviation, when the next word begins a sentence."""
    text = " ".join(sentences)
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


def test_lines_are_sentences_and_rows_stay_whole() -> None:
    """List items and headings need no full stop; a row of cells is not cut at one."""
    text = "Оплата\n - картой\n - наличными. Без сдачи.\n\nТариф | Цена. Со скидкой. | Срок\n"
    assert [text[start:end] for start, end in sentence_spans(text)] == [
        "Оплата",
        "- картой",
        "- наличными.",
        "Без сдачи.",
        "Тариф | Цена. Со скидкой. | Срок",
    ]


def test_a_wrapped_line_goes_on() -> None:
    """Mail and text files break lines in the middle of a sentence."""
    text = "The warranty covers every part of the device that\nwas not opened by the buyer.\nBatteries are\nleft out."
    assert [text[start:end] for start, end in sentence_spans(text)] == [
        "The warranty covers every part of the device that\nwas not opened by the buyer.",
        "Batteries are",
        "left out.",
    ]


@given(st.text(st.sampled_from("aЯб1 .!?…«»\"'()[]|-\n\t\r\u00a0\u2028ё")))
def test_spans_are_ordered_and_leave_out_white_space_only(text: str) -> None:
    """Nothing of the text is lost, nothing is told twice, nothing is padded."""
    spans = sentence_spans(text)
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    assert edges == sorted(edges)
    assert "".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)).strip() == ""
