"""Finds what says of itself that its time is over."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date

from msgspec import Struct

from asissto.ingestion.sentences import sentence_spans
from asissto.ingestion.value_reading import values_in
from asissto.ingestion.value_words import MONTHS
from asissto.ingestion.values import fold


class Expired(Struct, frozen=True):
    """The sentence `start:end` speaks of `until`, which is past."""

    start: int
    end: int
    value_start: int
    value_end: int
    until: date


def expired_in(text: str, today: date) -> Iterator[Expired]:
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        ends = max(_ends(sentence), default=None)
        if ends is not None and ends[0] < today:
            yield Expired(start, end, ends[1], ends[2], ends[0])


_OVER = re.compile(
    r"\b(?:действу[ею]т|действительн\w*|действия|годен|годна|годны|акци\w+|скидк\w+|предложени\w+|промокод\w*"
    r"|распродаж\w+|купон\w*|сертификат\w*|принима\w+ заявк\w+|прием заявок|регистраци\w+|истека\w+|заканчива\w+"
    r"|заверша\w+|запис\w+ открыт\w*"
    r"|valid|expires?|expiring|offer|sale|discount|promo\w*|coupon|voucher|deal|ends?|effective|apply|applications"
    r"|register|registration|in force)\b"
)
_PAST = re.compile(
    r"\b(?:действовал\w*|закончил\w+|завершил\w+|истек\w*|прошл\w+|was valid|were valid|ended|expired|has expired)\b"
)
_END_OF = r"(?:конца\s+|the end of\s+|end of\s+|включительно\s+)?"
_UNTIL = re.compile(
    r"\b(?:до|по|истекает|истечет|заканчивается|завершается"
    rf"|until|till|through|thru|by|before|expires?(?: on)?|ends?(?: on)?)\s+{_END_OF}$"
)
_MONTH = "|".join(MONTHS)
_LONG = re.compile(
    rf"\b(?:до|по|until|till|through|by)\s+{_END_OF}(?P<at>(?:(?P<month>{_MONTH})[a-zа-я]*\s+)?(?P<year>20\d\d))\b"
)
_EDITION = re.compile(
    r"\b(?:прайс\w*|прейскурант|цены|тарифы|расписание|график работы|price list|prices|rates|fees|schedule|timetable)\b"
    r"[^.\d]{0,25}?\b(?:на|for|of)?\s?(?P<at>(?P<year>20\d\d))\b(?!\s?[-–—/]\s?20\d\d)"
)


def _ends(sentence: str) -> Iterator[tuple[date, int, int]]:
    folded = fold(sentence)
    if _PAST.search(folded):
        return
    if _OVER.search(folded):
        for value in values_in(sentence):
            if value.kind == "date" and value.key[0].isdigit() and _UNTIL.search(folded[: value.start]):
                year, month, day = map(int, value.key.split("-"))
                yield date(year, month, min(day, monthrange(year, month)[1])), value.start, value.end
        for match in _LONG.finditer(folded):
            yield _last_day(match), match.start("at"), match.end("at")
    for match in _EDITION.finditer(folded):
        yield date(int(match["year"]), 12, 31), match.start("at"), match.end("at")


def _last_day(match: re.Match[str]) -> date:
    year, month = int(match["year"]), MONTHS[match["month"]] if match["month"] else 12
    return date(year, month, monthrange(year, month)[1])
