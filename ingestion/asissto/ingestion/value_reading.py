"""Reads values out of Russian and English text: prices, shares, durations, dates, hours, amounts, telephones."""

import re
from collections.abc import Callable, Iterator

from asissto.ingestion.lexemes import lexemes
from asissto.ingestion.value_words import (
    BOUNDS,
    CURRENCIES,
    DURATIONS,
    EVERY_DAY,
    MEASURES,
    MONTHS,
    MULTIPLES,
    NUMBER_WORDS,
    WEEKDAY_GROUPS,
    WEEKDAY_NAMES,
    WORKING,
)
from asissto.ingestion.values import Value, fold


def values_in(text: str) -> list[Value]:
    """In the order of the text; none overlaps another."""
    rest = fold(text)
    found: list[Value] = []
    for pattern, read in _READERS:
        for match in pattern.finditer(rest):
            value = read(match)
            if value is not None:
                found.append(value)
                rest = rest[: value.start] + "\x00" * (value.end - value.start) + rest[value.end :]
    return sorted(found)


_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))

_NUMBER = rf"(?:\d{{1,3}}(?:[ ,]\d{{3}})+(?!\d)(?:[.,]\d{{1,2}}(?!\d))?|\d+(?:[.,]\d+)?|\b(?:{_WORDS})\b)"

_BOUND = "|".join(re.escape(word) for word in sorted(BOUNDS, key=len, reverse=True))

BOUND_BEFORE = re.compile(rf"\b(?:{_BOUND})\s+$")

_AMOUNT = re.compile(
    rf"(?<![\w.,/№#-])(?:(?P<bound>{_BOUND}|с|со|between)\s+)?(?P<sign>[$€£₽])?\s?(?P<low>{_NUMBER})"
    rf"(?:\s?(?:[-–—]|\.\.\.|\bдо\b|\bto\b|\band\b|\bпо\b|\bor\b|\bили\b)\s?(?P<second>[$€£])?(?P<high>{_NUMBER}))?"
    rf"(?:\s?(?P<multiple>{'|'.join(map(re.escape, MULTIPLES))})(?![a-zа-я])\.?)?"
    r"(?:[\s-]{0,2}(?P<working>рабочи[хй]|банковски[хй]|календарны[хй]|business|working|calendar))?"
    r"(?:[\s-]{0,2}(?P<unit>%|₽|€|£|\$|[a-zа-я]+(?:[²³])?))?"
)

_LABEL = re.compile(
    r"\b(?:шаг\w{0,2}|этап\w?|пункт\w{0,2}|раздел\w?|глав\w|рис|таблиц\w|верси\w|номер|том|статья|статьи|кабинет|комната"
    r"|step|stage|section|chapter|figure|table|version|page|line|room|class|level|grade|no)\.?\s?"
    r"(?:\d+\s?(?:,|и|and|-|–)\s?)*$"
)
"""Before a number that names one of several instead of counting them."""

_PHONE = re.compile(r"(?<![\w.])(?:\+\d{1,3}|8)?[ -]?\(?\d{3,5}\)?(?:[ -]?\d{2,3}){1,3}[ -]\d{2,4}(?!\w)(?! ?[₽$€£%])")

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\b[\w-]+\.(?:ru|com|org|net|рф)\b(?:/\S*)?")

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))

_DATE = re.compile(
    rf"\b(?P<d1>\d{{1,2}})\.(?P<m1>\d{{1,2}})\.(?P<y1>\d{{4}}|\d\d)\b|\b(?P<y2>\d{{4}})-(?P<m2>\d\d)-(?P<d2>\d\d)\b"
    rf"|\b(?P<d3>\d{{1,2}})(?:st|nd|rd|th|-?го|-?е)?\s(?:of\s)?(?P<m3>{_MONTH})[a-zа-я]*\.?(?:,?\s(?P<y3>\d{{4}}))?"
    rf"|\b(?P<m4>{_MONTH})[a-zа-я]*\.?\s(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s(?P<y4>\d{{4}}))?"
)

_CLOCK = r"(\d{1,2})(?:[:.](\d\d))?\s?(am|pm|a\.m\.?|p\.m\.?|утра|вечера|дня|ночи)?"

_HOURS = re.compile(
    rf"(?<![\w.,:])(?:(?:с|со|from|between)\s)?{_CLOCK}\s?(?:[-–—]|до|to|till|until|and|по)\s?{_CLOCK}(?![\w%₽]|[.,:]\d)"
    r"(?:\sчас(?:ов|а)?\b)?"
)

_TIME = re.compile(
    rf"(?<![\w.,])(?:(?P<bound>{_BOUND}|с|since)\s)?(?P<h>\d{{1,2}})(?::(?P<m>\d\d)(?::\d\d)?\s?(?P<half>[ap]\.?m\b\.?)?"
    r"|\s?(?P<half2>[ap]\.?m\b\.?|утра\b|вечера\b|ночи\b))(?![\w:])"
)

_YEAR = re.compile(
    r"\b(?:основан\w*|работа\w+|существу\w+|создан\w*|открыл\w*|founded|established|since|opened|operating)"
    r"[^.\d]{0,30}?\b(?P<year>(?:19|20)\d\d)\b"
)

_DAY = "|".join(sorted([*WEEKDAY_NAMES, *WEEKDAY_GROUPS], key=len, reverse=True))

_DAYS = re.compile(
    rf"\b(?:{_DAY})\b(?:(?:\s?[-–—,]\s?|,?\s(?:по|to|through|till|until|and|и)\s)(?:{_DAY})\b)*|\b(?:{EVERY_DAY})\b"
)

_FREE = re.compile(
    r"\b(?:бесплатн\w+|free of charge|for free|at no (?:extra |additional )?(?:cost|charge)"
    r"|free(?! (?:trial|plan|time|hours?)))\b"
)


def _amount(match: re.Match[str]) -> Value | None:
    low, high = _number(match["low"]), _number(match["high"] or match["low"])
    times = MULTIPLES.get(match["multiple"] or "", 1)
    kind, unit, scale = _unit(match)
    if not kind or high < low or (kind == "count" and _names_one(match, low, unit)):
        return None
    if kind == "duration" and 1900 <= low <= 2100 and not match["multiple"]:  # `2024 года`
        return None
    bound = BOUNDS.get(match["bound"] or "", "") if not match["high"] else ""
    if match["bound"] == "с" and match["unit"] in {"лет", "года"}:
        bound = "min"
    start = match.start("sign") if match["sign"] else match.start("low")
    return Value(start, match.end(), kind, unit, low * times * scale, high * times * scale, bound)


def _names_one(match: re.Match[str], low: float, unit: str) -> bool:
    """`шаг 2` and `один из` count nothing."""
    return bool(_LABEL.search(match.string[: match.start()])) or (
        low == 1 and match["low"].isalpha() and unit[:2] != "m:"
    )


def _unit(match: re.Match[str]) -> tuple[str, str, float]:
    word = match["unit"] or ""
    sign = match["sign"] or match["second"] or ""
    for name in (sign, word):
        if name in CURRENCIES:
            return "money", CURRENCIES[name], 1
    if word == "%" or word.startswith(("процент", "percent")):
        return "percent", "", 1
    if word in DURATIONS:
        return "duration", "working" if (match["working"] or "")[:4] in WORKING else "calendar", DURATIONS[word]
    if word in MEASURES:
        name, scale = MEASURES[word]
        return "count", f"m:{name}", scale
    stems = lexemes(word) if len(word) > 2 else []
    return ("count", stems[0], 1) if stems and not match["multiple"] else ("", "", 1)


def _number(text: str) -> float:
    if text in NUMBER_WORDS:
        return NUMBER_WORDS[text]
    digits = text.replace(" ", "")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        return float(digits.replace(",", ""))
    return float(digits.replace(",", "."))


def _phone(match: re.Match[str]) -> Value | None:
    digits = re.sub(r"\D", "", match[0])
    if not 7 <= len(digits) <= 13 or (len(digits) < 10 and "-" not in match[0]):
        return None
    digits = digits[1:] if len(digits) == 11 and digits[0] in "78" else digits
    return Value(match.start() + len(match[0]) - len(match[0].lstrip()), match.end(), "phone", key=digits)


def _email(match: re.Match[str]) -> Value:
    return Value(match.start(), match.end(), "email", key=match[0].rstrip("."))


def _address(match: re.Match[str]) -> Value:
    """Taken out, so that its digits are not amounts; two addresses are never at odds."""
    return Value(match.start(), match.end(), "address", key=match[0].rstrip("."))


def _date(match: re.Match[str]) -> Value | None:
    day, month, year = (_first(match, part) for part in "dmy")
    number = int(month) if month.isdigit() else MONTHS[month]
    if not (1 <= int(day) <= 31 and 1 <= number <= 12):
        return None
    year = f"20{year}" if len(year) == 2 else year or "----"
    return Value(match.start(), match.end(), "date", key=f"{year}-{number:02}-{int(day):02}")


def _first(match: re.Match[str], part: str) -> str:
    """The group of that name in whichever spelling has matched."""
    groups = match.groupdict()
    return next((groups[part + n] for n in "1234" if groups.get(part + n)), "")


def _hours(match: re.Match[str]) -> Value | None:
    h1, m1, half1, h2, m2, half2 = match.groups()
    told = bool(m1 or m2 or half1 or half2) or match[0].startswith(("с ", "со ", "from ", "between "))
    if not told or int(h1) > 24 or int(h2) > 24 or int(m1 or 0) > 59 or int(m2 or 0) > 59:
        return None
    if not (m1 or m2 or half1 or half2) and re.match(r"\s?[a-zа-я%₽$€£]", match.string[match.end() :]):
        return None
    low, high = _minutes(h1, m1, half1 or ""), _minutes(h2, m2, half2 or "")
    return Value(match.start(), match.end(), "time", low=low, high=high)


def _time(match: re.Match[str]) -> Value | None:
    if int(match["h"]) > 24 or int(match["m"] or 0) > 59:
        return None
    at = _minutes(match["h"], match["m"], match["half"] or match["half2"] or "")
    bound = BOUNDS.get(match["bound"] or "", "min" if match["bound"] else "")
    return Value(match.start("h"), match.end(), "time", low=at, high=at, bound=bound)


def _minutes(hour: str, minute: str | None, half: str) -> float:
    number = int(hour) % 12 if half[:1] in {"a", "p"} else int(hour)
    later = half[:1] == "p" or (half in {"вечера", "дня"} and number < 12)
    return (number + 12 * later) * 60 + int(minute or 0)


def _year(match: re.Match[str]) -> Value:
    return Value(match.start("year"), match.end("year"), "year", key=match["year"])


def _days(match: re.Match[str]) -> Value | None:
    days = set(range(7)) if re.fullmatch(EVERY_DAY, match[0]) else set(_listed(match[0]))
    return Value(match.start(), match.end(), "weekdays", key="".join(map(str, sorted(days))))


def _listed(text: str) -> Iterator[int]:
    parts = list(re.finditer(rf"\b(?:{_DAY})\b", text))
    for before, part in zip([None, *parts], parts, strict=False):
        if part[0] in WEEKDAY_GROUPS:
            yield from WEEKDAY_GROUPS[part[0]]
            continue
        day = WEEKDAY_NAMES[part[0]]
        between = text[before.end() : part.start()] if before else ""
        if before and before[0] in WEEKDAY_NAMES and re.search(r"[-–—]|\b(?:по|to|through|till|until)\b", between):
            first = WEEKDAY_NAMES[before[0]]
            yield from (at % 7 for at in range(first, day + (7 if day < first else 0) + 1))
        yield day


def _free(match: re.Match[str]) -> Value:
    return Value(match.start(), match.end(), "money", unit="")


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Value | None]], ...] = (
    (_EMAIL, _email),
    (_ADDRESS, _address),
    (_PHONE, _phone),
    (_DATE, _date),
    (_YEAR, _year),
    (_HOURS, _hours),
    (_TIME, _time),
    (_DAYS, _days),
    (_FREE, _free),
    (_AMOUNT, _amount),
)
