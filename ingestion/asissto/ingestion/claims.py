"""Cuts passages into claims: sentences, clauses and table cells, with what they are about and the values they give."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct, structs

from asissto.ingestion.claim_text import CODE, LACKING, LATIN, NAME, denied_in, keys, names_in, verbs_in, without
from asissto.ingestion.claim_words import CAN, CASES, CONDITIONS, NEUTRAL, PERMISSION, key
from asissto.ingestion.sentences import sentence_spans
from asissto.ingestion.value_reading import values_in
from asissto.ingestion.values import Value, fold


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

    `names` are keys of what has a name or a number of its own, `cases` those that a condition makes, `denied` those of
    what is said not to be. Values have offsets in the passage; `beside` are all values of the sentence, `bare` is the
    text without them. What `leans` says nothing without what stands before it.
    """

    passage: Passage
    start: int
    end: int
    subject: frozenset[str]
    around: frozenset[str]
    names: frozenset[str]
    cases: frozenset[str]
    order: tuple[str, ...]
    bare: str
    verbs: frozenset[str]
    values: tuple[Value, ...]
    denied: frozenset[str]
    beside: tuple[Value, ...] = ()
    leans: bool = False
    cell: bool = False

    @property
    def affirmed(self) -> frozenset[str]:
        """Keys of what is said to be; permission has a key of its own."""
        permission = [PERMISSION] if CAN.search(self.quote.lower()) else []
        return frozenset() if self.cell else frozenset((*self.order, *permission))

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
        capital = (LATIN, NAME) if self.passage.language == "ru" else ()
        named = [found for name in names for pattern in (CODE, *capital) for found in pattern.findall(name)]
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

_EXTREME = re.compile(r"\b(?:(?P<max>максимальн|maximum)|минимальн|minimum)", re.IGNORECASE)


def _head_row(header: str) -> list[str]:
    last = header.rpartition("\n")[2]
    return [cell.strip() for cell in last.split(" | ")] if " | " in last else []


def _sentence(passage: Passage, start: int, end: int, before: str, headings: Sequence[str]) -> Iterator[Claim]:
    """One claim, or one for each clause where each has a value of its own; clauses without one say what is around."""
    text = passage.text[start:end]
    values = values_in(text)
    rest = without(text, values)
    pieces = _clauses(text, rest)
    told = [piece for piece in pieces if _inside(values, piece)]
    told = [piece for piece in pieces if piece in told or _sets_a_case(text, piece, told)]
    groups = [[piece] for piece in told] if _listed(values, told) else [told or [(0, len(text))]]
    for group in groups:
        mine = [_moved(value, start) for piece in group for value in _inside(values, piece)]
        bare = "\n".join(rest[first:last] for first, last in group)
        near = (before or headings[-1]) if group[0] == pieces[0] else rest[: group[0][0]]
        context = "\n".join(rest[first:last] for first, last in _context(text, pieces, told, group))
        around = frozenset(keys("\n".join((*headings, before, context))))
        claim = _claim(passage, (start, end), _bounded(mine, bare), bare, (near, around))
        leans = claim.leans or (group[0] != pieces[0] and len(frozenset(claim.order) - NEUTRAL) < 2)
        yield structs.replace(claim, beside=tuple(_moved(value, start) for value in values), leans=leans)


def _context(
    text: str, pieces: Sequence[tuple[int, int]], told: Sequence[tuple[int, int]], group: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The clauses that say what a claim is about: neither those of other values, nor what a semicolon sets apart."""
    start = text.rfind(";", 0, group[0][0]) + 1
    end = text.find(";", group[-1][1])
    within = [piece for piece in pieces if piece[0] >= start and (end < 0 or piece[1] <= end)]
    return [piece for piece in within if piece in group or piece not in told]


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
        names_in(bare) | frozenset(f"-{each}" for match in LACKING.finditer(folded) for each in keys(match[1])),
        frozenset(each for match in CONDITIONS.finditer(folded) for each in keys(match[1])),
        order,
        bare,
        verbs_in(folded),
        tuple(values),
        denied_in(folded),
        leans=leans,
    )


def _bare(text: str) -> str:
    return without(text, values_in(text))


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
            names_in(about) | frozenset(CODE.findall(fold(cells[0]))),
            frozenset(),
            tuple(keys(about)),
            about,
            frozenset(),
            values,
            frozenset(),
            values,
            cell=True,
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
