"""A question tells what it wants, and an answer holds something of the kind that the question has not said itself."""

import pytest

from asissto.retrieval.wanted import wanted


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Сколько стоит доставка?", "money"),
        ("What is the price of the plan?", "money"),
        ("Сколько дней идёт возврат?", "date"),
        ("When does the shop open?", "date"),
        ("В каком году основана компания?", "date"),
        ("How many users may I invite?", "number"),
        ("Сколько пользователей можно пригласить?", "number"),
        ("Какой процент комиссии?", "percent"),
        ("По какому телефону звонить?", "phone"),
        ("What is your e-mail?", "email"),
        ("Почему заблокирован номер?", "reason"),
        ("Why was my e-mail returned?", "reason"),
        ("Кто утверждает отчёт, когда директор в отпуске?", "person"),
        ("Где посмотреть статистику?", "place"),
        ("Как называется тариф?", "name"),
        ("Какой номер договора?", "code"),
        ("Расскажите о гарантии", None),
    ],
)
def test_the_kind_of_an_answer_is_told_by_the_question(question: str, kind: str | None) -> None:
    """Of two kinds the one that is asked for first."""
    found = wanted(question).kind
    assert (found.name if found else None) == kind


@pytest.mark.parametrize(
    ("question", "text", "gives"),
    [
        ("Сколько стоит доставка?", "Доставка стоит 300 рублей.", True),
        ("Сколько стоит доставка?", "Доставка бесплатная.", True),
        ("Сколько стоит доставка?", "Доставка работает для всех.", False),
        ("Когда открывается склад 12?", "Склад 12 открыт для всех.", False),
        ("Когда открывается склад 12?", "Склад 12 открыт с девяти утра.", True),
        ("Who signs the report?", "The report is signed by Anna Smith.", True),
        ("Who is Anna Smith?", "We thank Anna Smith.", False),
        ("Who signs the report?", "The report is signed every month.", False),
        ("Why is it slow?", "It is slow because of the snow.", True),
        ("What is your e-mail?", "Write to help@example.com.", True),
        ("Где посмотреть статистику?", "Она в разделе «Отчёты».", True),
        ("Расскажите о гарантии", "Гарантия 12 месяцев.", False),
    ],
)
def test_only_news_of_the_kind_counts(question: str, text: str, gives: bool) -> None:
    """A number or a name that the question has named itself is no answer."""
    assert wanted(question).given_by(text) is gives
