"""What is at odds between passages: planted contradictions are found, and look-alikes are left alone."""

import importlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from uuid import UUID, uuid5

import pytest

from asissto.ingestion.claims import Passage
from asissto.ingestion.findings import Found, Quote, find_all
from asissto.ingestion.value_reading import values_in
from asissto.ingestion.values import Value
from asissto.platform.languages import language_of

TODAY = date(2026, 11, 25)
SPACE = UUID(int=7)
PLANTED = Path(__file__).resolve().parent / "planted"


def passage(text: str, title: str = "Guide", heading: str = "", *, version: int = 1) -> Passage:
    """A document of one passage; later versions are newer."""
    document_id = uuid5(SPACE, f"{title} {version}")
    return Passage(
        id=uuid5(document_id, text),
        document_id=document_id,
        version_id=document_id,
        title=title,
        heading_path=[heading] if heading else [],
        language=language_of(text),
        header="",
        text=text,
        start=0,
        published_at=datetime(2026, version, 1, tzinfo=UTC),
    )


def odds(first: str, second: str, titles: tuple[str, str] = ("Guide", "FAQ")) -> list[tuple[str, str]]:
    """Values of the contradictions between two documents."""
    found = find_all([passage(first, titles[0]), passage(second, titles[1])], TODAY)
    return [(each.first.quote.value, each.second.quote.value) for each in found if each.second]


@dataclass(frozen=True)
class Said:
    text: str
    values: list[tuple[str, str, float, float, str]]


@pytest.mark.parametrize(
    "said",
    [
        Said("Стоит 1 000 ₽", [("money", "RUB", 1000, 1000, "")]),
        Said("от 1,5 тыс. рублей", [("money", "RUB", 1500, 1500, "min")]),
        Said("It costs $1,200.50", [("money", "USD", 1200.5, 1200.5, "")]),
        Said("скидка 10–15 %", [("percent", "", 10, 15, "")]),
        Said("в течение двух недель", [("duration", "calendar", 20160, 20160, "")]),
        Said("within 3 business days", [("duration", "working", 4320, 4320, "")]),
        Said("с 9 до 18", [("time", "", 540, 1080, "")]),
        Said("9 am - 5:30 pm", [("time", "", 540, 1050, "")]),
        Said("не более 20 кг", [("count", "m:g", 20000, 20000, "max")]),
        Said("12 столов", [("count", "стол", 12, 12, "")]),
        Said("Доставка бесплатная", [("money", "", 0, 0, "")]),
        Said("Шаг 2 описан в разделе 3", []),
        Said("в 2024 году", []),
    ],
    ids=lambda said: said.text,
)
def test_values_are_read_in_their_units(said: Said) -> None:
    """Grouped numbers, words, ranges and bounds, in both languages; numbers that only name something are none."""
    found = [(v.kind, v.unit, round(v.low, 6), round(v.high, 6), v.bound) for v in values_in(said.text)]
    assert found == said.values


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("12 марта 2026", ["2026-03-12"]),
        ("12.03.2026", ["2026-03-12"]),
        ("March 12, 2026", ["2026-03-12"]),
        ("8 (495) 120-40-40", ["4951204040"]),
        ("+7 495 120-40-40", ["4951204040"]),
        ("Info@Shop.example", ["info@shop.example"]),
        ("с понедельника по пятницу", ["01234"]),
        ("on weekdays", ["01234"]),
        ("работает с 2009 года", ["2009"]),
    ],
)
def test_values_that_are_no_amounts_have_a_key(text: str, keys: list[str]) -> None:
    """The same date or telephone has the same key in whatever spelling."""
    assert [value.key for value in values_in(text)] == keys


def test_a_value_knows_where_it_stands() -> None:
    """To the character, so that it can be shown."""
    text = "Доставка стоит 300 ₽."
    assert values_in(text) == [Value(15, 20, "money", "RUB", 300, 300)]
    assert text[15:20] == "300 ₽"


@pytest.mark.parametrize(
    ("first", "second", "values"),
    [
        ("Доставка по городу стоит 300 ₽.", "Стоимость доставки по городу — 350 рублей.", ("300 ₽", "350 рублей")),
        ("Гарантия 1 год.", "Гарантия — 24 месяца.", ("1 год", "24 месяца")),
        ("Мы работаем с 9:00 до 18:00.", "Часы работы: 10:00–20:00.", ("с 9:00 до 18:00", "10:00–20:00")),
        ("У нас 5 филиалов.", "Сеть насчитывает 7 филиалов.", ("5 филиалов", "7 филиалов")),
        ("Животные в номерах не допускаются.", "Можно проживать в номерах с животными.", ("", "")),
        ("The trial lasts 14 days.", "The trial runs for one month.", ("14 days", "one month")),
        ("Shipping costs $5.", "Delivery is free.", ("$5", "free")),
        ("Pets are allowed in the rooms.", "Pets are not allowed in the rooms.", ("", "")),
        ("Call support at +1 415 555 0134.", "Support: +1 415 555 0199.", ("+1 415 555 0134", "+1 415 555 0199")),
    ],
)
def test_the_same_thing_with_two_values_is_at_odds(first: str, second: str, values: tuple[str, str]) -> None:
    """In other words and other units, and where one says yes and the other no."""
    assert odds(first, second) == [values]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Возврат возможен в течение двух недель.", "Возврат возможен в течение 14 дней."),
        ("Доставка занимает 3–5 дней.", "Доставка занимает 4 дня."),
        ("Диван стоит 30 000 ₽.", "Кровать стоит 40 000 ₽."),
        ("Билет для взрослых стоит 500 ₽.", "Билет для детей стоит 300 ₽."),
        ("Доставка 300 ₽.", "Доставка бесплатна при заказе от 3 000 ₽."),
        ("Доставка в пределах города — 300 ₽.", "Доставка за город — 500 ₽."),
        ("Мы работаем с 9 до 18.", "В субботу мы работаем с 10 до 16."),
        ("iPhone 12 costs $500.", "iPhone 13 costs $700."),
        ("In 2022 revenue was 5 million dollars.", "In 2023 revenue was 7 million dollars."),
        ("Support answers within 24 hours.", "Support answers within one day."),
        ("Check-in starts at 14:00.", "Check-out is until 11:00."),
    ],
)
def test_other_things_cases_and_spellings_are_not_at_odds(first: str, second: str) -> None:
    """Another product, city, year or condition, and the same value in other words."""
    assert odds(first, second) == []


def test_pages_of_the_same_form_are_not_at_odds() -> None:
    """Branches, plans and products say the same sentences of themselves."""
    text = "The office opens at {} and closes at {}."
    assert (
        odds(text.format("8:30", "19:00"), text.format("9:00", "18:00"), ("Office in Leeds", "Office in London")) == []
    )


def test_table_rows_are_compared_by_their_keys() -> None:
    """A cell says what its row and column say; a bare number has the unit of its column."""
    table = "Услуга | Цена, ₽\nСтрижка мужская | 1 500\nСтрижка женская | 2 200"
    assert odds(table, "Мужская стрижка стоит 1 800 ₽.") == [("1 500", "1 800 ₽")]
    assert odds(table, "Женская стрижка стоит 2 200 ₽.") == []


def test_a_contradiction_is_told_with_both_quotes_and_their_places() -> None:
    """Offsets are those of the version's text."""
    first, second = passage("Hello. The trial lasts 14 days.", "Plans"), passage("The trial lasts 30 days.", "FAQ")
    (found,) = find_all([first, second], TODAY)
    assert found.second is not None
    assert (found.kind, found.value_kind, found.score, found.passages) == ("contradiction", "duration", 1.0, 1)
    assert found.first.quote == Quote(7, 31, "The trial lasts 14 days.", "14 days", 23, 30)
    assert found.second.quote == Quote(0, 24, "The trial lasts 30 days.", "30 days", 16, 23)


LONG = "The key to the store room hangs behind the door of the kitchen, and only the porter may take it at night."


def kinds(*passages: Passage) -> list[tuple[str, float, int]]:
    return [(found.kind, found.score, found.passages) for found in find_all(passages, TODAY)]


def test_the_same_text_in_two_documents_is_a_duplicate() -> None:
    """Whatever its case and white space; what stands in many documents is told once."""
    copies = [passage(LONG.replace(" ", "  ", number).upper(), f"Copy {number}") for number in range(5)]
    assert kinds(*copies) == [("duplicate", 1.0, 1)]


def test_what_a_document_repeats_itself_is_no_duplicate() -> None:
    """Passages overlap."""
    one = passage(LONG)
    assert kinds(one, one) == []


def test_nearly_the_same_text_names_the_older_first() -> None:
    """So that the older one can go."""
    newer = passage(f"{LONG} Ask at the desk.", "New", version=2)
    (found,) = find_all([newer, passage(LONG, "Old")], TODAY)
    assert found.second is not None
    assert (found.kind, found.first.passage.title, found.second.passage.title) == ("near_duplicate", "Old", "New")
    assert 0.75 <= found.score < 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Акция действует до 31 декабря 2025 года.", "31 декабря 2025"),
        ("Промокод действителен по 01.03.2026 включительно.", "01.03.2026"),
        ("Цены на 2024 год", "2024"),
        ("The offer is valid until March 1, 2026.", "March 1, 2026"),
        ("The discount applies until the end of 2025.", "2025"),
    ],
)
def test_what_says_that_its_time_is_over_is_expired(text: str, value: str) -> None:
    """With the date by which it is."""
    (found,) = find_all([passage(text)], TODAY)
    assert (found.kind, found.second, found.first.quote.text, found.first.quote.value) == ("expired", None, text, value)


@pytest.mark.parametrize(
    "text",
    [
        "Акция действует до 31 декабря 2026 года.",
        "Акция действовала до 31 декабря 2025 года.",
        "Магазин открылся 1 марта 2024 года.",
        "Предложение действует до 31 декабря.",
        "The offer is valid until March 1, 2027.",
        "The contract was signed on March 1, 2020.",
    ],
)
def test_other_dates_are_not_expired(text: str) -> None:
    """Those to come, those of history, and those without a year."""
    assert find_all([passage(text)], TODAY) == []


def test_a_fingerprint_changes_with_the_texts() -> None:
    """And with nothing else: not with the order, nor with the place."""

    def fingerprints(*passages: Passage) -> list[bytes]:
        return [found.fingerprint for found in find_all(passages, TODAY)]

    plans, faq = passage("The trial lasts 14 days.", "Plans"), passage("The trial lasts 30 days.", "FAQ")
    moved = passage("Hello there. The trial lasts 30 days.", "FAQ")
    changed = passage("The trial lasts 31 days.", "FAQ")
    assert fingerprints(plans, faq) == fingerprints(faq, plans) == fingerprints(plans, moved)
    assert fingerprints(plans, faq) != fingerprints(plans, changed)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PLANTED.parents[1] / "benchmarks"))
    return importlib.import_module("findings")


@pytest.mark.parametrize("folder", sorted(path.name for path in PLANTED.iterdir()))
def test_planted_contradictions_are_found_and_little_else(benchmark: ModuleType, folder: str) -> None:
    """24 of 30, with at most 10 false ones: of each half the half."""
    pairs = benchmark.planted_pairs(PLANTED / folder)
    row, false = benchmark.judge(folder, benchmark.planted_passages(PLANTED / folder), pairs)
    assert (len(pairs), row.found >= 12) == (15, True)
    assert len(false) <= 5, [told(found) for found in false]


def told(found: Found) -> list[str]:
    return [place.quote.text for place in (found.first, found.second) if place is not None]
