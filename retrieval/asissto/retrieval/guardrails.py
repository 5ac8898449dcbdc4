"""The rules of a business as a list: told to the model, and kept on every answer whether the model cares or not."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from asissto.ingestion.lexemes import lexemes
from asissto.platform.texts import Language
from asissto.retrieval.extractive import CELL_EDGE, Quote
from asissto.retrieval.phrases import stands_in

Class = Literal["prices", "phone_numbers", "emails", "links", "percentages", "dates"]
Phrase = Annotated[str, Meta(min_length=1, max_length=200)]
Phrases = Annotated[list[Phrase], Meta(max_length=100)]
Sentence = Annotated[str, Meta(min_length=1, max_length=1_000)]


class NeverMention(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="never_mention"
):
    """Sentences that mention it are left out of generated and quoted answers; words count in all their forms."""

    classes: Annotated[list[Class], Meta(max_length=6)] = []
    words: Phrases = []
    action: Literal["drop", "abstain"] = "drop"
    """`drop` leaves the sentence out, `abstain` gives no answer at all."""

    def __post_init__(self) -> None:
        if not self.classes and not self.words:
            raise ValueError("name `classes` or `words` that are never mentioned")


class RefuseTopic(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="refuse_topic"
):
    """Questions with one of these words, in any form, get `text`, or our own words for it, and no answer."""

    words: Annotated[list[Phrase], Meta(min_length=1, max_length=100)]
    text: Annotated[str, Meta(max_length=1_000)] = ""
    action: Literal["refuse", "hand_over"] = "refuse"


class SayAlways(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="say_always"
):
    """A sentence below every generated or quoted answer; with a language, below answers in that one."""

    text: Sentence
    language: Language | None = None


class Instruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="instruct"):
    """A rule of style that the model is told; nothing checks it."""

    text: Sentence


Rule = NeverMention | RefuseTopic | SayAlways | Instruct

_NUMERAL = (
    r"(?:\d[\d\s.,]*|один|одна|два|две|три|четыре|пять|шесть|семь|восемь|девять|десять|сто|двести|триста|пятьсот|тысяч\w*"
    r"|миллион\w*|one|two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|forty|fifty|hundred|thousand|million)"
)
_CURRENCY = (
    r"(?:₽|\$|€|£|₸|руб\w*\.?|р\.|коп\w*\.?|тенге|доллар\w*|евро|фунт\w*|rub|rur|usd|eur|gbp|kzt|roubles?|rubles?|dollars?|euros?"
    r"|pounds?|cents?|kopecks?|kopeks?|bucks)"
)
_PRICE_WORD = re.compile(
    r"\b(?:цен\w+|стоимост\w+|стоит|стоят|обойд\w+|тариф\w*|плат[аеуы]\b|оплат\w+|залог\w*|взнос\w*|комисси\w+|price\w*"
    r"|costs?|fees?|rates?|charges?|deposits?|rent|tariffs?)\b",
    re.IGNORECASE,
)
_CLASSES: dict[Class, re.Pattern[str]] = {
    "prices": re.compile(
        rf"(?<![\w]){_NUMERAL}[\s-]*(?:тыс\w*\.?\s*|млн\.?\s*|k\s*)?{_CURRENCY}(?!\w)|[$€£₽₸]\s?\d", re.IGNORECASE
    ),
    "phone_numbers": re.compile(
        r"(?<![\w.,])(?:\+\d[\d\s().-]{8,}\d|8[\s(-]?\d{3}[\d\s().-]{6,}\d|\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{2}[\s.-]?\d{2})"
    ),
    "emails": re.compile(r"[\w.+-]+\s?(?:@|\(at\)|\[at\]|\(собака\))\s?[\w-]+(?:\.[\w-]+)+", re.IGNORECASE),
    "links": re.compile(
        r"https?://\S+|\bwww\.\S+|\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|ru|рф|su|info|app|dev)\b", re.IGNORECASE
    ),
    "percentages": re.compile(rf"{_NUMERAL}\s*(?:%|percent|per cent|процент\w*)", re.IGNORECASE),
    "dates": re.compile(
        r"\b\d{1,2}\.\d{1,2}(?:\.\d{2,4})?\b|\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b"
        r"|\b\d{1,2}(?:st|nd|rd|th)?\s(?:of\s)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*"
        r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*\s\d{1,2}\b"
        r"|\b\d{1,2}(?:-?го)?\s(?:январ|феврал|март|апрел|ма[яе]|июн|июл|август|сентябр|октябр|ноябр|декабр)\w*"
        r"|\b(?:19|20)\d{2}\s?(?:г\b|год)",
        re.IGNORECASE,
    ),
}
_NAMES: dict[Class, str] = {
    "prices": "prices or amounts of money",
    "phone_numbers": "telephone numbers",
    "emails": "e-mail addresses",
    "links": "links or web addresses",
    "percentages": "percentages",
    "dates": "dates",
}


def orders(rules: Sequence[Rule]) -> list[str]:
    """What the model is told of them."""
    told = []
    for rule in rules:
        if isinstance(rule, NeverMention):
            what = [_NAMES[each] for each in rule.classes] + [f'"{word}"' for word in rule.words]
            told.append(f"Never mention {', '.join(what)}, also where the sources do.")
        elif isinstance(rule, RefuseTopic):
            words = ", ".join(f'"{word}"' for word in rule.words)
            told.append(f"Do not answer questions about {words}.")
        elif isinstance(rule, Instruct):
            told.append(rule.text)
    return told


def refusal(rules: Sequence[Rule], question: str) -> tuple[int, RefuseTopic] | None:
    """The first rule that refuses the question, and its place in the list."""
    asked = lexemes(question)
    for at, rule in enumerate(rules):
        if isinstance(rule, RefuseTopic) and any(stands_in(lexemes(word), asked) for word in rule.words):
            return at, rule
    return None


def broken(rules: Sequence[Rule], sentence: str, context: str = "") -> list[int]:
    """Places of the rules that the sentence breaks; `context` are the heads that tell what the cells of its row are."""
    said = lexemes(sentence)
    return [
        at
        for at, rule in enumerate(rules)
        if isinstance(rule, NeverMention)
        and (
            any(_mentions(name, sentence, context) for name in rule.classes)
            or any(stands_in(lexemes(word), said) for word in rule.words)
        )
    ]


def keep_allowed(rules: Sequence[Rule], quotes: Sequence[Quote]) -> tuple[list[Quote], list[int]]:
    """The quotes that break no rule, and the places of the rules that the others break."""
    rows = " ".join(quote.text for quote in quotes if CELL_EDGE in quote.text)
    found = [broken(rules, quote.text, rows if CELL_EDGE in quote.text else "") for quote in quotes]
    places = sorted({place for each in found for place in each})
    if stops_all(rules, places):
        return [], places
    return [quote for quote, each in zip(quotes, found, strict=True) if not each], places


def stops_all(rules: Sequence[Rule], places: Sequence[int]) -> bool:
    """Whether one of the broken rules wants no answer rather than a shorter one."""
    return any(isinstance(rule := rules[at], NeverMention) and rule.action == "abstain" for at in places)


def with_endings(rules: Sequence[Rule], text: str, language: Language) -> str:
    """The answer and what is always said."""
    return "\n\n".join([text, *_endings(rules, language)])


def _endings(rules: Sequence[Rule], language: Language) -> Iterator[str]:
    for rule in rules:
        if isinstance(rule, SayAlways) and rule.language in {None, language}:
            yield rule.text


def _mentions(name: Class, sentence: str, context: str) -> bool:
    if _CLASSES[name].search(sentence):
        return True
    priced = _PRICE_WORD.search(sentence) or _PRICE_WORD.search(context) or re.search(_CURRENCY, context, re.IGNORECASE)
    return name == "prices" and priced is not None and any(letter.isdigit() for letter in sentence)
