"""What kind of answer a question wants - a number, a date, a name, a reason - and whether a text holds one."""

import re
from collections.abc import Callable

from msgspec import Struct

from asissto.ingestion.lexemes import lexemes

_NUMERAL = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|billion|half"
    r"|twice|first|second|third|fourth|fifth|\w+teenth|twentieth|quarter|both|перв(?:ый|ого|ом|ая|ой|ые|ых)|дв(?:а|е|ух|ум|умя|ое)|тр(?:и|ех|ём|ем|емя|ое)"
    r"|треть\w*|четыр\w+|четверт\w+|пят(?:ь|и|ью|ого|ый)|шест(?:ь|и|ью|ого|ой)|семь|семи|восемь|восьми|девят\w+"
    r"|десят\w+|двенадцат\w+|сто|ста|сотн\w+|тысяч\w*|миллион\w*|миллиард\w*|половин\w*|оба|обе|полтора"
)
_MONTH = (
    r"january|february|march|april|may|june|july|august|september|october|november|december|январ\w+|феврал\w+"
    r"|март\w*|апрел\w+|ма[яей]|июн\w+|июл\w+|август\w*|сентябр\w+|октябр\w+|ноябр\w+|декабр\w+"
)
_TIME = (
    rf"\d|\b(?:{_NUMERAL}|{_MONTH}|century|centuries|decade\w*|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|daily"
    r"|weekly|monthly|annually|immediately|today|tomorrow|midnight|noon|век\w*|столети\w+|понедельник\w*|вторник\w*"
    r"|сред[уы]|четверг\w*|пятниц\w+|суббот\w+|воскресень\w+|ежедневно|ежемесячно|сразу|немедленно|сегодня|завтра"
    r"|после|before|after|until|during)\b"
)
_REASON = (
    r"\b(?:because|due to|owing to|since|so that|in order to|as a result|thanks to|caused?|reasons?|therefore|to avoid"
    r"|потому|поскольку|так как|из-за|чтобы|благодаря|в связи с|вследствие|по причине|причин\w+|поэтому|для того"
    r"|во избежание|иначе|за то)\b"
)
_PLACE_WORD = (
    r"\b(?:section|menu|tab|page|settings|screen|folder|street|avenue|road|office|раздел\w*|меню|вкладк\w+|страниц\w+"
    r"|настройк\w+|экран\w*|папк\w+|ул|улиц\w+|офис\w*|адрес\w*|кабинет\w*|карточк\w+|чат\w*)\b"
)
_MONEY = (
    r"[$€£¥₽]|\d[\d\s.,]*(?:k|m|bn)?\s*(?:usd|eur|gbp|rub|dollars?|euros?|pounds?|cents?|руб|₽|р\.|долл|евро|коп)"
    r"|\b(?:dollars?|euros?|pounds?|cents?|рубл\w+|доллар\w*|евро|копе\w+|free|бесплатн\w+)\b"
)
_NAME = re.compile(r"(?<=[\w,;:»\"'’)–—-] )[\"«(“]?[A-ZА-ЯЁ][\w’'-]+|\"[^\"]{2,60}\"|«[^»]{2,80}»|“[^”]{2,60}”")
_ANY_CAPITAL = re.compile(r"[\"«(“]?[A-ZА-ЯЁ][\w’'-]*|«[^»]{2,80}»")


class Kind(Struct, frozen=True):
    """`asked` finds it in a question; `find` gives the words of a text that could be the answer."""

    name: str
    asked: re.Pattern[str]
    find: Callable[[str], list[str]]


def _finder(pattern: str) -> Callable[[str], list[str]]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: [match[0] for match in compiled.finditer(text)]


def _tokens_with(pattern: str) -> Callable[[str], list[str]]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: [word for word in text.split() if compiled.search(word)]


def _names(text: str) -> list[str]:
    """Capitalised words after the first one, and what stands in quotation marks."""
    found = _NAME.findall(text)
    return found or (_ANY_CAPITAL.findall(text) if len(text) < 60 else [])


def _places(text: str) -> list[str]:
    return _names(text) + re.findall(_PLACE_WORD, text, re.IGNORECASE)


def _kind(name: str, asked: str, find: Callable[[str], list[str]]) -> Kind:
    return Kind(name, re.compile(asked, re.IGNORECASE), find)


KINDS = (
    _kind("email", r"\be-?mail\b|почт[аыу]\b|емейл|имейл", _finder(r"[\w.+-]+@[\w-]+\.[\w.]+")),
    _kind("phone", r"\bphone|\btelephone|телефон|куда (?:по)?звонить", _finder(r"\+?\(?\d[\d ()\u00a0-]{5,}\d")),
    _kind(
        "link",
        r"\b(?:url|website|web site|link)\b|\bсайт|ссылк",
        _finder(r"https?://\S+|www\.\S+|\w+\.(?:com|ru|org|net)\b"),
    ),
    _kind(
        "percent",
        r"\bpercent|\bwhat share\b|процент|какая доля|какова доля",
        _finder(r"\d[\d.,]*\s*(?:%|процент\w*|percent\w*)"),
    ),
    _kind(
        "money",
        r"\bhow much (?:does|do|did|is|was|are|money|would|will)\b|\b(?:price|cost|fee|salary|budget)\b"
        r"|сколько (?:сто[ия]\w+|нужно заплатить|денег)|\b(?:цен[аыу]|стоимост\w+|почём|почем)\b",
        _finder(_MONEY + r"|\d"),
    ),
    _kind(
        "date",
        r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time)\b|\bhow (?:long|often|soon)\b"
        r"|\bкогда\b|\bкак (?:долго|часто|скоро)\b|как(?:ой|ом|ого|ая|ую|им|ие) (?:год\w*|числ\w*|дат\w*|срок\w*|век\w*"
        r"|месяц\w*|период\w*|дн\w+|день|время)|в какое время|за какое время|сколько (?:времени|дней|лет|часов|минут)",
        _tokens_with(_TIME),
    ),
    _kind(
        "number",
        r"\bhow (?:many|much|old|far|tall|big|large|fast|high|deep|wide|heavy|hot|cold)\b|\b(?:final|current) score\b"
        r"|\b(?:what|which) (?:number|age|percent\w*|size|amount|ratio|rate|score|length|height)\b|\bnumber of\b"
        r"|скольк\w+|как(?:ой|ая|ов|ова|ово|ую|ому|ом) (?:размер\w*|числ\w*|количеств\w+|возраст\w*|высот\w+|площад\w+"
        r"|длин\w+|объ[её]м\w*|скорост\w+|температур\w+|ставк\w+|счет|счёт|населени\w+)|на скольк\w+",
        _tokens_with(rf"\d|\b(?:{_NUMERAL})\b"),
    ),
    _kind(
        "code",
        r"\b(?:policy|order|account|invoice|serial|part|model|vat|tax|registration|claim|version)\b.{0,20}\b(?:number|no|id|code)\b"
        r"|\bnumber\b|\bномер\w*|\bкод\w*\b|\bартикул\w*|\bинн\b|\bогрн\b|\bкпп\b|\bверси[яию]\b",
        _tokens_with(r"\d"),
    ),
    _kind(
        "reason",
        r"\bwhy\b|\b(?:what|for what|which) (?:reason|caus)|\bпочему\b|\bзачем\b|\bотчего\b|по какой причине|причин",
        _finder(_REASON),
    ),
    _kind("person", r"\bwho(?:m|se)?\b|\bкто\b|\bкого\b|\bкому\b|\bкем\b|\bчь[ёеяюиейм]+\b|\bчей\b", _names),
    _kind(
        "place",
        r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:country|city|town|state|place|region|continent|river|island|street"
        r"|address|location)\b"
        r"|\baddress\b|\bгде\b|\bкуда\b|\bоткуда\b|как(?:ой|ом|ая|ую|ие) (?:стран\w+|город\w*|мест\w+|регион\w*|рек\w+"
        r"|остров\w*|област\w+|район\w*|улиц\w+|раздел\w*)|\bадрес\w*",
        _places,
    ),
    _kind(
        "name",
        r"\bwhat (?:is|was|were|are) .{0,40}\b(?:named?|called|title)\b|\bwhat (?:name|title)\b"
        r"|\bwhat .{2,60}\bcalled\b|как(?:ое|ово)? (?:\w+ )?назван\w+|\bназыва\w+|\bзовут\b|\bимя\b",
        _names,
    ),
)


class Wanted(Struct, frozen=True):
    """The kind of answer that a question wants, if it can be told, and the lexemes that are no news."""

    kind: Kind | None
    known: frozenset[str]

    def given_by(self, text: str) -> bool:
        """Whether the text holds something of the kind that the question has not said itself."""
        return self.kind is not None and any(not self.known.issuperset(lexemes(word)) for word in self.kind.find(text))


def wanted(question: str) -> Wanted:
    """The kind that is asked for first; of two that begin at one word the one listed first."""
    asked = [(match.start(), number) for number, kind in enumerate(KINDS) if (match := kind.asked.search(question))]
    kind = KINDS[min(asked)[1]] if asked else None
    return Wanted(kind, frozenset(lexemes(question)))
