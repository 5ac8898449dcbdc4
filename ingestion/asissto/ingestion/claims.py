"""Cuts passages into claims: sentences, clauses and table cells, with what they are about and the values they give."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from msgspec import Struct, structs

from asissto.ingestion.claim_words import CAN, CASES, CONDITIONS, NEGATIVE, NEUTRAL, PERMISSION, PERMISSION_WORDS, key
from asissto.ingestion.lexemes import is_stop, lexemes
from asissto.ingestion.sentences import sentence_spans
from asissto.ingestion.values import BOUND_BEFORE, Value, fold, values_in


class Passage(Struct, frozen=True):
    """A published passage as the review reads it; offsets of its text begin at `start` of the version's text."""

    id: UUID
    document_id: UUID
    version_id: UUID
    title: str
    heading_path: Sequence[str]
    language: str
    header: str
    text: str
    start: int
    published_at: datetime


class Claim(Struct, frozen=True, eq=False):
    """`subject` and `around` are keys of words: of the claim itself, and of the headings and words around it.

    `names` are keys of what has a name or a number of its own, `cases` those that a condition makes; `denied` and
    `affirmed` hold what is said not to be and to be. Values have offsets in the passage; `beside` are all values of the
    sentence; `pairs` are words that follow each other. What `leans` says nothing without what stands before it.
    """

    passage: Passage
    start: int
    end: int
    subject: frozenset[str]
    around: frozenset[str]
    names: frozenset[str]
    cases: frozenset[str]
    order: tuple[str, ...]
    pairs: frozenset[tuple[str, str]]
    values: tuple[Value, ...]
    denied: frozenset[str]
    affirmed: frozenset[str]
    beside: tuple[Value, ...] = ()
    leans: bool = False

    @property
    def headings(self) -> list[frozenset[str]]:
        """Their keys; a question says again what its answer is about."""
        names = (self.passage.title, *self.passage.heading_path)
        return [frozenset(keys(name)) for name in names if name[-1:] != "?"]

    @property
    def place_names(self) -> frozenset[str]:
        """Keys of names, numbers and cases in the headings; English ones write every word with a capital.

        A name in the title is often the firm's own, and a question may ask for any case.
        """
        names = [name for name in self.passage.heading_path if name != self.passage.title and name[-1:] != "?"]
        capital = (_LATIN, _NAME) if self.passage.language == "ru" else ()
        named = [found for name in names for pattern in (_CODE, *capital) for found in pattern.findall(name)]
        cases = frozenset(keys("\n".join(names))) & CASES
        return cases | frozenset(each for name in named for each in keys(name))

    @property
    def quote(self) -> str:
        return self.passage.text[self.start : self.end]


def claims_in(passage: Passage) -> Iterator[Claim]:
    """Questions and headings claim nothing, but what follows them is about what they say."""
    headings = (passage.title, *passage.heading_path)
    table: list[str] = _head_row(passage.header)
    before = ""
    for start, end in sentence_spans(passage.text):
        sentence = passage.text[start:end]
        if _CELLS.search(sentence):
            cells = [cell.strip() for cell in sentence.split(" | ")]
            if not table or len(table) != len(cells):
                table = cells
                continue
            yield from _row(passage, (start, end), table, cells, headings)
        else:
            table = []
            if sentence.rstrip().endswith("?"):
                before = sentence
            elif sentence not in headings:
                yield from _sentence(passage, start, end, before, headings)
                before = ""


_CELLS = re.compile(r"\S \| ")
_CLAUSE = re.compile(r"[;,]\s(?:(?:а|и|но|and|but|while)\s)?|\s(?:а|но|and|but|while|once)\s")
_CONDITION = re.compile(r"(?:при|если|для|кроме|только|по|в|if|when|for|with|except|unless|on|in)\b", re.IGNORECASE)
_IF = re.compile(r"(?:если|кроме|if|unless|except)\b", re.IGNORECASE)
_LACKING = re.compile(r"\b(?:без|without|за пределами|за|вне|outside|beyond|outside of)\s(\w{4,})")
_NAME = re.compile(r"(?<=[^\s.!?:])[ \n(«“\"]+([A-ZА-ЯЁ][\w-]+)")
_PARTICLE = re.compile(r"\b(check|log|sign|opt|pick|drop)[\s-](in|out|up|off)\b", re.IGNORECASE)
_PART = re.compile(r"\s{3,}|\n|[,;:()]")
_EXTREME = re.compile(r"\b(?:(?P<max>максимальн|maximum)|минимальн|minimum)", re.IGNORECASE)
_LATIN = re.compile(r"[A-Za-z][\w-]+")
_QUOTED = re.compile(r"[«“\"]([^»”\"]{2,40})[»”\"]")
_CODE = re.compile(r"\b(?=\w*\d)[\w/×x.-]+\b")


def _head_row(header: str) -> list[str]:
    last = header.rpartition("\n")[2]
    return [cell.strip() for cell in last.split(" | ")] if " | " in last else []


def _sentence(passage: Passage, start: int, end: int, before: str, headings: Sequence[str]) -> Iterator[Claim]:
    """One claim, or one for each clause where each has a value of its own; clauses without one say what is around."""
    text = passage.text[start:end]
    values = values_in(text)
    rest = _without(text, values)
    pieces = _clauses(text, rest)
    told = [piece for piece in pieces if _inside(values, piece)]
    told = [piece for piece in pieces if piece in told or _sets_a_case(text, piece, told)]
    around = frozenset(keys("\n".join((*headings, before, rest))))
    groups = [[piece] for piece in told] if _listed(values, told) else [told or [(0, len(text))]]
    for group in groups:
        mine = [_moved(value, start) for piece in group for value in _inside(values, piece)]
        bare = "\n".join(rest[first:last] for first, last in group)
        near = (before or headings[-1]) if group[0] == pieces[0] else rest[: group[0][0]]
        claim = _claim(passage, (start, end), _bounded(mine, bare), bare, (near, around))
        leans = claim.leans or (group[0] != pieces[0] and len(frozenset(claim.order) - NEUTRAL) < 2)
        yield structs.replace(claim, beside=tuple(_moved(value, start) for value in values), leans=leans)


def _bounded(values: list[Value], bare: str) -> list[Value]:
    """`Максимальный вес: 20 кг` says what `до 20 кг` says."""
    most = _EXTREME.search(bare)
    if most is None or len(values) != 1 or values[0].bound or values[0].low != values[0].high:
        return values
    return [structs.replace(values[0], bound="max" if most["max"] else "min")]


def _clauses(text: str, rest: str) -> list[tuple[int, int]]:
    """Spans of clauses that have words of their own; `rest` is the text without its values."""
    clauses: list[tuple[int, int]] = []
    start = 0
    for cut in _CLAUSE.finditer(text):
        if rest[cut.start() : cut.end()] == cut[0] and _says_something(rest[start : cut.start()]):
            clauses.append((start, cut.start()))
            start = cut.end()
    if clauses and not _says_something(rest[start:]):
        start = clauses.pop()[0]
    return [*clauses, (start, len(text))]


def _says_something(text: str) -> bool:
    return bool(frozenset(keys(text)) - NEUTRAL)


def _sets_a_case(text: str, piece: tuple[int, int], told: Sequence[tuple[int, int]]) -> bool:
    """Before the value `при заказе мебели,` says which case is meant; after it, only an `if` does."""
    said = text[slice(*piece)]
    return bool(_CONDITION.match(said)) if not told or piece < told[0] else bool(_IF.match(said))


def _inside(values: Sequence[Value], piece: tuple[int, int]) -> list[Value]:
    return [value for value in values if piece[0] <= value.start and value.end <= piece[1]]


def _listed(values: Sequence[Value], pieces: Sequence[tuple[int, int]]) -> bool:
    """Several values of one kind, one a clause."""
    one_kind = len({value.kind for value in values}) == 1 and values[0].kind not in {"weekdays", "date"}
    return one_kind and len(values) > 1 and all(len(_inside(values, piece)) == 1 for piece in pieces)


def _moved(value: Value, by: int) -> Value:
    return structs.replace(value, start=value.start + by, end=value.end + by)


def _claim(
    passage: Passage, span: tuple[int, int], values: Sequence[Value], bare: str, context: tuple[str, frozenset[str]]
) -> Claim:
    """A claim of hardly a word, such as `300 рублей` after a question, is about what stands near it."""
    near, around = context
    folded = fold(bare)
    order = tuple(keys(bare))
    subject = frozenset(order)
    subject |= frozenset(
        key(value.unit) for value in values if value.kind == "count" and not value.unit.startswith("m:")
    )
    leans = not subject - NEUTRAL
    if leans:
        order = (*keys(near), *order)
    if len(subject - NEUTRAL) < 2:
        subject |= frozenset(keys(near))
    return Claim(
        passage,
        span[0],
        span[1],
        subject,
        subject | around,
        _names(bare) | frozenset(f"-{each}" for match in _LACKING.finditer(folded) for each in keys(match[1])),
        frozenset(each for match in CONDITIONS.finditer(folded) for each in keys(match[1])),
        order,
        _pairs(bare),
        tuple(values),
        *_yes_and_no(folded, order),
        leans=leans,
    )


def _pairs(bare: str) -> frozenset[tuple[str, str]]:
    """Not across a value or a mark."""
    parts = [keys(part) for part in _PART.split(bare)]
    return frozenset(pair for words in parts for pair in pairwise(words))


def _yes_and_no(folded: str, order: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Keys of what is denied, or of what is said where nothing is; permission has a key of its own."""
    denied = [found["after"] or found["before"] or found["cannot"] for found in NEGATIVE.finditer(folded)]
    if not denied:
        return frozenset(), frozenset((*order, PERMISSION) if CAN.search(folded) else order)
    return frozenset(each for word in denied for each in _denied(word)), frozenset()


def _denied(word: str) -> list[str]:
    permission = CAN.match(word) or ((found := NEGATIVE.match(word)) and found["cannot"])
    return [PERMISSION] if permission else [key(stem) for stem in lexemes(word)]


def _bare(text: str) -> str:
    return _without(text, values_in(text))


def _row(
    passage: Passage, span: tuple[int, int], head: Sequence[str], cells: Sequence[str], headings: Sequence[str]
) -> Iterator[Claim]:
    """A claim a cell: about what the first cell names, as the column says."""
    start, end = span
    offset = start + len(cells[0])
    for name, cell in zip(head[1:], cells[1:], strict=True):
        position = passage.text.find(cell, offset) if cell else offset
        offset = position + len(cell)
        values = _cell_values(name, cell, position)
        if not values:
            continue
        about = cells[0] if _NUMBER.fullmatch(cell) else f"{cells[0]} {_bare(cell)}"
        yield Claim(
            passage,
            start,
            end,
            frozenset(keys(f"{about} {name}")),
            frozenset(keys("\n".join((*headings, about, name)))),
            _names(about) | frozenset(_CODE.findall(fold(cells[0]))),
            frozenset(),
            tuple(keys(about)),
            _pairs(about),
            values,
            frozenset(),
            frozenset(),
            values,
        )


def _cell_values(column: str, cell: str, start: int) -> tuple[Value, ...]:
    """A bare number has the unit of its column's name, where that has one."""
    values = values_in(cell)
    if not values and _NUMBER.fullmatch(cell):
        unit = re.search(r"₽|руб|\$|€|£|%|eur|usd|rub|дн|мин|час|days|hours|minutes|кг|kg", fold(column))
        found = values_in(f"{cell} {_UNITS.get(unit[0], unit[0])}") if unit else []
        values = [Value(0, len(cell), v.kind, v.unit, v.low, v.high, v.bound, v.key) for v in found[:1]]
    return tuple(_moved(value, start) for value in values)


_NUMBER = re.compile(r"[\d\s.,–-]+")
_UNITS = {"дн": "дней"}


def keys(text: str) -> list[str]:
    """Keys of the words that say what a text is about."""
    joined = _PARTICLE.sub(r"\1\2", text)
    return [key(stem) for stem in lexemes(joined) if not is_stop(stem) and key(stem) not in PERMISSION_WORDS]


def _names(text: str) -> frozenset[str]:
    named = [match[1] for match in _NAME.finditer(text)] + [match[1] for match in _QUOTED.finditer(text)]
    codes = _CODE.findall(fold(text))
    return frozenset(each for name in named for each in keys(name)) | frozenset(codes)


def _without(text: str, values: Sequence[Value]) -> str:
    """Values and the bounds before them give way to spaces, so that offsets stay."""
    folded = fold(text)
    for each in values:
        bound = BOUND_BEFORE.search(folded, 0, each.start)
        start = bound.start() if bound else each.start
        text = text[:start] + " " * (each.end - start) + text[each.end :]
    return text
