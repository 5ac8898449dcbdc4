"""The quoted sentences answer the question, and each is cut out of the stored text."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from asissto.ingestion.lexemes import lexemes
from asissto.retrieval.extractive import Likeness, Quote, quote_answer, read
from asissto.retrieval.passages import Passage, Scores
from asissto.retrieval.ranking import idf
from asissto.retrieval.rewriting import follow_up_terms

SETS = Path(__file__).resolve().parents[1].parent / "shared" / "sets"

RETURNS = (
    "Наш магазин работает с 2009 года. Вернуть товар можно в течение 14 дней после покупки. "
    "Для этого заполните заявление на кассе. Деньги придут на карту. Парковка бесплатна."
)


def passage(number: int, text: str, *, start: int = 0, fused: float = 1.0, headings: tuple[str, ...] = ()) -> Passage:
    """A passage of document `number` that begins at `start`."""
    return Passage(
        chunk_id=UUID(int=number * 1000 + start),
        document_id=UUID(int=number),
        version_id=UUID(int=number),
        title="Справка",
        heading_path=headings,
        page=None,
        kind="text",
        language="ru",
        text=text,
        start=start,
        end=start + len(text),
        scores=Scores(lexical=fused, dense=None, fused=fused),
    )


def quotes_for(question: str, *found: Passage, cosines: dict[str, float] | None = None) -> tuple[Quote, ...]:
    terms = follow_up_terms(question, [])
    reading = read(question, terms, dict.fromkeys(terms, 1.0), found)
    near = None if cosines is None else [cosines.get(candidate.text, 0.0) for candidate in reading.candidates]
    return quote_answer(reading, None if near is None else Likeness(near))


def test_the_sentence_that_covers_the_question_comes_first() -> None:
    """Its neighbours follow, what has nothing to do with it does not; spans count in the stored text."""
    quotes = quotes_for("За сколько дней можно вернуть товар?", passage(1, RETURNS, start=500))
    assert [quote.text for quote in quotes] == [
        "Вернуть товар можно в течение 14 дней после покупки.",
        "Для этого заполните заявление на кассе.",
    ]
    assert [RETURNS[quote.start - 500 : quote.end - 500] for quote in quotes] == [quote.text for quote in quotes]


def test_an_inflected_or_misspelt_word_is_understood() -> None:
    """Near lexemes count for less than the word itself, but they count."""
    quotes = quotes_for("возвращение тавара, парковочка", passage(1, RETURNS))
    assert quotes[0].text == "Парковка бесплатна."


def test_cosines_decide_where_words_do_not() -> None:
    """An embedder knows that money on a card is a refund."""
    refund = "Деньги придут на карту."
    quotes = quotes_for("Куда поступит компенсация?", passage(1, RETURNS), cosines={refund: 0.8})
    assert quotes[0].text == refund


def test_word_pieces_go_before_the_meaning_of_the_whole() -> None:
    """Of two sentences with the same words the one whose pieces agree comes first, and the other is no part of it."""
    question, terms = "Which bank opened here?", follow_up_terms("Which bank opened here?", [])
    text = "The bank here was green and steep. A bank opened the first branch here. Ducks slept on the bank."
    reading = read(question, terms, dict.fromkeys(terms, 1.0), [passage(1, text)])
    river = [0.5 if "green" in candidate.text else 0.0 for candidate in reading.candidates]
    opened = [0.9 if "opened" in candidate.text else 0.4 for candidate in reading.candidates]
    assert quote_answer(reading, Likeness(river, opened))[0].text == "A bank opened the first branch here."
    assert "green" in quote_answer(reading, Likeness([2 * each for each in river], None))[0].text


def test_what_overlapping_passages_and_copies_repeat_is_quoted_once() -> None:
    """Passages overlap by a sentence, and the same rules stand in two documents."""
    sentence = "Вернуть товар можно в течение 14 дней после покупки."
    found = passage(1, sentence), passage(1, sentence, start=60), passage(2, f"{sentence} Чек обязателен.")
    texts = [quote.text for quote in quotes_for("Как вернуть товар после покупки?", *found)]
    assert texts.count(sentence) == 1


def test_a_table_row_answers_and_its_head_does_not() -> None:
    """The head passes its words on to nobody: it names the columns of all rows."""
    table = "Тариф | Цена. В месяц | Запросов\nБазовый | 990 | 50\nЭнтерпрайз | 4990. Без НДС | 250"
    quotes = quotes_for("Цена тарифа Энтерпрайз?", passage(1, f"Все тарифы перечислены ниже.\n{table}"))
    assert quotes[0].text == "Энтерпрайз | 4990. Без НДС | 250"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Сколько стоит доставка?", "Доставка стоит 300 рублей."),
        ("Когда бывает доставка?", "Доставка бывает с 10 до 18 часов."),
        ("По какому телефону узнать про доставку?", "Доставка отвечает на звонки: 8 800 555-35-35."),
        ("Почему доставка задерживается?", "Доставка задерживается из-за метели."),
    ],
)
def test_what_is_asked_for_decides_between_sentences_about_the_same(question: str, answer: str) -> None:
    """A price, a time, a telephone, a reason: the sentence that holds one goes before those that do not."""
    text = (
        "Доставка работает для всех. Доставка стоит 300 рублей. Доставка бывает с 10 до 18 часов. "
        "Доставка задерживается из-за метели. Доставка отвечает на звонки: 8 800 555-35-35."
    )
    assert quotes_for(question, passage(1, text))[0].text == answer


def test_what_only_repeats_the_question_is_no_answer() -> None:
    """Lines such as a name alone match best of all and say nothing."""
    text = "Галактика Плюс\nГенеральный директор Галактики Плюс: Иванова Анна."
    assert quotes_for("Кто директор Галактики Плюс?", passage(1, text))[0].text.endswith("Иванова Анна.")


def test_a_line_above_an_empty_one_is_a_heading() -> None:
    """It says what the text below is about, so the text below answers."""
    text = "Возврат денег за отменённый заказ\n\nСредства поступят на карту за три дня. Чек не нужен."
    quotes = quotes_for("Возврат денег за отменённый заказ", passage(1, text))
    assert quotes[0].text == "Средства поступят на карту за три дня."


def test_neither_a_heading_nor_a_question_is_an_answer() -> None:
    """In a list of questions and answers the answer is what stands after the question."""
    text = "Возврат товара\nКак вернуть товар? Отнесите его на кассу. Там заполнят бланк."
    quotes = quotes_for("Как вернуть товар?", passage(1, text, headings=("Возврат товара",)))
    assert quotes[0].text == "Отнесите его на кассу."


@pytest.mark.parametrize("text", ["", " \n", "А?"])
def test_nothing_to_quote_is_no_error(text: str) -> None:
    """Passages may be empty, and a question may have no words."""
    assert [quote.text for quote in quotes_for("?", passage(1, text))] == ([text] if text.strip() else [])
    assert quotes_for("Сколько стоит?") == ()


class SetAnswer(msgspec.Struct):
    text: str


class SetQuestion(msgspec.Struct):
    question: str
    gold_passages: list[str]
    answers: list[SetAnswer]


class SetPassage(msgspec.Struct):
    id: str
    doc: str
    text: str


@pytest.mark.parametrize(("name", "first", "three"), [("xquad_ru", 0.74, 0.91), ("xquad_en", 0.76, 0.92)])
def test_answers_of_real_questions_are_quoted(name: str, first: float, three: float) -> None:
    """By words alone, from the five paragraphs of the right article: the floor of quote mode."""
    folder = SETS / name
    if not folder.exists():
        pytest.skip(f"no evaluation sets at {SETS}")
    passages = [
        msgspec.json.decode(line, type=SetPassage) for line in (folder / "passages.jsonl").read_bytes().splitlines()
    ]
    counts = Counter(lexeme for each in passages for lexeme in set(lexemes(each.text)))
    hits = []
    for line in (folder / "questions.jsonl").read_bytes().splitlines():
        question = msgspec.json.decode(line, type=SetQuestion)
        doc = next(each.doc for each in passages if each.id in question.gold_passages)
        found = [passage(number, each.text) for number, each in enumerate(passages) if each.doc == doc]
        terms = follow_up_terms(question.question, [])
        known = {term: idf(counts[term], len(passages)) for term in terms}
        quotes = quote_answer(read(question.question, terms, known, found), None)
        hits.append([any(answer.text in quote.text for answer in question.answers) for quote in quotes])
    assert sum(hit[0] for hit in hits) / len(hits) >= first
    assert sum(any(hit) for hit in hits) / len(hits) >= three
