"""Answers made of quotes can be read: in order, whole, introduced where needed, and every quote is the stored text."""

from uuid import UUID

import msgspec
import pytest

from asissto.platform.texts import Language
from asissto.retrieval.excerpts import MOST_CHARACTERS
from asissto.retrieval.extractive import Quote
from asissto.retrieval.passages import Citation, Passage, Scores
from asissto.retrieval.quoting import Manner, compose

SCORES = Scores(lexical=1.0, dense=None, fused=1.0)


def passage(text: str, *, number: int = 1, language: str = "ru", title: str = "Справка", start: int = 40) -> Passage:
    """A passage of document `number` that stands at `start` of its text."""
    return Passage(
        chunk_id=UUID(int=number),
        document_id=UUID(int=number),
        version_id=UUID(int=number),
        title=title,
        heading_path=(),
        page=None,
        kind="text",
        language=language,
        text=text,
        start=start,
        end=start + len(text),
        scores=SCORES,
    )


def quote(source: Passage, words: str, score: float = 1.0) -> Quote:
    start = source.start + source.text.index(words)
    return Quote(
        chunk_id=source.chunk_id,
        version_id=source.version_id,
        start=start,
        end=start + len(words),
        text=words,
        score=score,
    )


def said(
    *quotes: tuple[Passage, str], question: str = "?", language: Language = "ru", unsure: bool = False
) -> tuple[str, tuple[Citation, ...]]:
    """The answer; whatever it looks like, each of its quotes is cut out of the stored text."""
    sources = {source.chunk_id: source for source, _ in quotes}
    manner = Manner(language=language, question=question, unsure=unsure)
    answer, citations = compose([quote(*each) for each in quotes], list(sources.values()), manner)
    for citation in citations:
        source = citation.passage
        assert citation.quote == source.text[citation.start - source.start : citation.end - source.start]
        assert f"[{citation.number}]" in answer
    return answer, citations


def test_sentences_stand_in_the_order_of_the_document_and_neighbours_are_one() -> None:
    """The best one comes first only when it stands first; what lies side by side needs one mark."""
    rules = passage(
        "Вернуть товар можно за 14 дней. Нужен чек. " + "Магазин работает без выходных. " * 5 + "Деньги идут три дня."
    )
    answer, citations = said(
        (rules, "Деньги идут три дня."), (rules, "Нужен чек."), (rules, "Вернуть товар можно за 14 дней.")
    )
    assert answer == "Вернуть товар можно за 14 дней. Нужен чек. [1] Деньги идут три дня. [2]"
    assert [citation.number for citation in citations] == [1, 2]


@pytest.mark.parametrize(
    ("text", "best", "answer"),
    [
        ("Оплатите заказ. Он придёт за два дня.", "Он придёт за два дня.", "Оплатите заказ. Он придёт за два дня. [1]"),
        (
            "The plan costs 12 euros. It includes support. However, it can be cancelled. Call us.",
            "However, it can be cancelled.",
            "The plan costs 12 euros. It includes support. However, it can be cancelled. [1]",
        ),
        (
            "Можно ли вернуть? Это можно сделать на кассе.",
            "Это можно сделать на кассе.",
            "Это можно сделать на кассе. [1]",
        ),
    ],
)
def test_a_sentence_that_leans_on_the_one_before_is_not_left_alone(text: str, best: str, answer: str) -> None:
    """Two sentences back at most, and never to a question."""
    assert said((passage(text), best))[0] == answer


def test_a_second_sentence_that_leans_on_a_missing_one_is_left_out() -> None:
    """With no room for its antecedent it would point to the wrong thing."""
    long = "Доставка " + "очень " * 80 + "быстрая."
    far = passage(f"Тариф стоит 900. {long} Она бесплатна.")
    assert said((far, "Тариф стоит 900."), (far, "Она бесплатна."))[0] == "Тариф стоит 900. [1]"


STEPS = (
    "Сброс пароля\n\nЧтобы сменить пароль, сделайте так:\n1. Откройте профиль.\n2. Нажмите «Сменить пароль».\n"
    "3. Введите новый пароль.\n\nПароль хранится зашифрованным."
)


def test_steps_that_are_asked_for_come_whole() -> None:
    """From the line that introduces them to the last one."""
    answer, citations = said((passage(STEPS), "2. Нажмите «Сменить пароль»."), question="Как сменить пароль?")
    assert answer == (
        "Чтобы сменить пароль, сделайте так:\n1. Откройте профиль.\n2. Нажмите «Сменить пароль».\n"
        "3. Введите новый пароль. [1]"
    )
    assert len(citations) == 1


def test_one_step_answers_a_question_about_one_thing() -> None:
    """Who asks for a fact gets the line that holds it."""
    assert said((passage(STEPS), "3. Введите новый пароль."), question="Когда вводить новый пароль?")[0] == (
        "3. Введите новый пароль. [1]"
    )


def test_a_colon_is_followed_by_what_it_promises() -> None:
    """The list under it, whoever asks."""
    answer, _ = said((passage(STEPS), "Чтобы сменить пароль, сделайте так:"), question="Смена пароля")
    assert answer.endswith("3. Введите новый пароль. [1]")


TABLE = "Тариф | Цена в месяц | Запросов\nБазовый | 990 | 50\nДля команды | 4 990 | 250\nДля завода | | 900"


def test_a_row_of_a_table_is_read_out_with_its_head() -> None:
    """The citations hold the row and the head as they are; an empty cell says nothing."""
    answer, citations = said((passage(TABLE), "Для команды | 4 990 | 250"), (passage(TABLE), "Для завода | | 900"))
    assert answer == (
        "Тариф: Для команды; Цена в месяц: 4 990; Запросов: 250 [1][2]\nТариф: Для завода; Запросов: 900 [1][3]"
    )
    assert [citation.quote for citation in citations] == [
        "Тариф | Цена в месяц | Запросов",
        "Для команды | 4 990 | 250",
        "Для завода | | 900",
    ]


def test_a_row_that_does_not_fit_its_head_stays_as_it_is() -> None:
    """Guessing which cell belongs where would be an invention."""
    table = passage("Тариф | Цена\nБазовый | 990 | без НДС")
    assert said((table, "Базовый | 990 | без НДС"))[0] == "Тариф | Цена\nБазовый | 990 | без НДС [1][2]"


def test_lines_of_a_form_come_with_the_ones_beside_them() -> None:
    """A label may stand above its value, below it or in front of it."""
    form = passage("Клиент\nООО «Ромашка»\nДоговор № 17\nТелефон 8 800 555-35-35", language="ru")
    answer, _ = said((form, "Договор № 17"))
    assert answer == "ООО «Ромашка»\nДоговор № 17\nТелефон 8 800 555-35-35 [1]"


@pytest.mark.parametrize(
    ("text", "heading", "answer"),
    [
        (
            "Как вернуть товар? Отнесите его на кассу. Возьмите чек.",
            "Как вернуть товар?",
            "Отнесите его на кассу. Возьмите чек. [1]",
        ),
        (
            "Returns\n\nBring it to the desk. Take the receipt.",
            "Returns",
            "Bring it to the desk. Take the receipt. [1]",
        ),
    ],
)
def test_a_heading_or_a_question_gives_way_to_what_stands_below(text: str, heading: str, answer: str) -> None:
    """They say what is asked and not what is answered."""
    assert said((passage(text), heading))[0] == answer


def test_an_answer_of_one_word_takes_the_next_sentence_along() -> None:
    """«Да.» alone leaves open what."""
    assert said((passage("Можно ли платить картой? Да. Карты принимают все кассы."), "Да."))[0] == (
        "Да. Карты принимают все кассы. [1]"
    )


def test_an_answer_stays_short() -> None:
    """The best quote is always there; further ones as long as there is room."""
    sentences = [f"Пункт {number} говорит о доставке {'очень ' * 30}подробно." for number in range(3)]
    pages = [passage(sentence, number=number) for number, sentence in enumerate(sentences, 1)]
    answer, citations = said(*zip(pages, sentences, strict=True))
    assert [citation.quote for citation in citations] == sentences[:2]
    assert len(answer) <= MOST_CHARACTERS + 10


@pytest.mark.parametrize(
    ("language", "source", "text", "answer"),
    [
        (
            "ru",
            "en",
            "A refund takes three days.",
            "В документе «Refunds» сказано (на английском): A refund takes three days. [1]",
        ),
        (
            "en",
            "ru",
            "Деньги идут три дня.",
            "The document “Refunds” says (in Russian): Деньги идут три дня. [1]",
        ),
        ("en", "und", "INV-2024-001", "INV-2024-001 [1]"),
    ],
)
def test_a_source_in_another_language_is_introduced_in_the_customers(
    language: Language, source: str, text: str, answer: str
) -> None:
    """A quote stays in its language; what it is and where it comes from is said in the customer's."""
    foreign = passage(text, language=source, title="Refunds")
    assert said((foreign, text), language=language)[0] == answer


def test_two_languages_are_introduced_one_by_one() -> None:
    """Each part says where it comes from."""
    own = passage("Возврат занимает три дня.")
    foreign = passage("Write to us.", number=2, language="en", title="Contacts")
    assert said((own, own.text), (foreign, foreign.text))[0] == (
        "Возврат занимает три дня. [1]\nВ документе «Contacts» сказано (на английском): Write to us. [2]"
    )


@pytest.mark.parametrize(("language", "opening"), [("ru", "Возможно, поможет это:"), ("en", "This may help:")])
def test_what_is_unsure_is_said_to_be(language: Language, opening: str) -> None:
    """In the customer's language, above the quote."""
    source = passage("Café Zoé 12:00", language="und")
    assert said((source, "Café Zoé 12:00"), language=language, unsure=True)[0] == f"{opening}\nCafé Zoé 12:00 [1]"


def test_passages_that_overlap_are_quoted_once() -> None:
    """The same span of a version may stand in two passages."""
    first = passage("Нужен чек. Деньги идут три дня.")
    second = msgspec.structs.replace(first, chunk_id=UUID(int=9), text="Деньги идут три дня.", start=first.start + 11)
    assert said((first, "Деньги идут три дня."), (second, "Деньги идут три дня."))[0] == "Деньги идут три дня. [1]"


def test_a_question_that_gives_the_answer_is_one() -> None:
    """ "Did you know that …?" says it."""
    text = "Did you know that the first message was sent by Ray Tomlinson in 1971? He used the sign."
    first = text[: text.index("?") + 1]
    assert said((passage(text, language="en"), first), question="Who sent the first message?", language="en")[0] == (
        f"{first} [1]"
    )
