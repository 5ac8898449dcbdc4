"""Cuts a parsed document into the passages that are embedded, indexed and cited, following its structure."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from textwrap import shorten

from msgspec import Struct

from asissto.ingestion.parsing import Element, ParsedDocument
from asissto.ingestion.sentences import sentence_spans
from asissto.platform.languages import language_of
from asissto.platform.tokens import count_tokens


class ChunkSizes(Struct, frozen=True):
    """Budgets in cl100k tokens: of a passage, of what it repeats from the one before, of the section around it.

    Russian takes a token for 2.1 characters and is counted as one for 3, so that a passage has about 600 characters: of
    612 questions (XQuAD, BM25) five passages then hold 95 % of the answers instead of 93 %, and an equal number of
    characters as many as before. Passages as long as the English ones find less in an equal number of characters.
    """

    tokens: int = 200
    overlap: int = 40
    section_tokens: int = 800


class Chunk(Struct, frozen=True):
    """A passage; its text is `document.text[start:end]`.

    `header` goes before the text for embedding and index, and is never cited: the headings, and the head row of a table
    that began in an earlier passage. `section_start:section_end` is what a reader is shown around the passage. `source`
    is the span of the words that an edit took the place of.
    """

    ord: int
    start: int
    end: int
    section_start: int
    section_end: int
    page: int | None
    heading_path: tuple[str, ...]
    kind: str
    header: str
    language: str
    tokens: int
    enabled: bool = True
    source: tuple[int, int] | None = None


class Unit(Struct, frozen=True):
    """What is never cut: a sentence, a row, a line of code, or a whole list or table that fits into one passage."""

    start: int
    end: int
    size: int
    element: Element
    table_head: str = ""


def chunk(document: ParsedDocument, sizes: ChunkSizes = ChunkSizes()) -> list[Chunk]:  # noqa: B008 - frozen
    chunks: list[Chunk] = []
    for elements in _sections(document.elements):
        units = [unit for group in _groups(elements) for unit in _units(document.text, group, sizes)]
        for part in _packed(units, sizes):
            chunks.append(_chunk(document, units, part, sizes, len(chunks)))
    return chunks


def _sections(elements: tuple[Element, ...]) -> list[list[Element]]:
    """A section is a run of titles and what follows them: a title without text of its own stays with the next one."""
    sections: list[list[Element]] = []
    for element in elements:
        if not sections or (element.kind == "title" and sections[-1][-1].kind != "title"):
            sections.append([])
        sections[-1].append(element)
    return sections


def _groups(elements: list[Element]) -> Iterator[list[Element]]:
    """List items that follow each other belong together."""
    for kind, run in groupby(elements, key=lambda element: element.kind):
        if kind == "list_item":
            yield list(run)
        else:
            yield from ([element] for element in run)


def _units(text: str, group: list[Element], sizes: ChunkSizes) -> list[Unit]:
    first, last = group[0], group[-1]
    if first.kind in {"list_item", "table"}:
        whole = Unit(first.start, last.end, _size(text[first.start : last.end]), first)
        if whole.size <= sizes.tokens:
            return [whole]
    return [unit for element in group for unit in _element_units(text, element, sizes)]


def _element_units(text: str, element: Element, sizes: ChunkSizes) -> Iterator[Unit]:
    body = text[element.start : element.end]
    head = shorten(body.partition("\n")[0], _LONGEST_HEAD, placeholder="…") if element.kind == "table" else ""
    spans = _lines(body) if element.kind in {"table", "code"} else sentence_spans(body)
    for start, end in spans:
        table_head = head if start else ""
        for a, b, size in _fitting(text, element.start + start, element.start + end, sizes.tokens):
            yield Unit(a, b, size, element, table_head)


_LONGEST_HEAD = 200  # characters, of a table's head row
_LONGEST_HEADING = 80


def _lines(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for line in text.split("\n"):
        if line.strip():
            yield position, position + len(line)
        position += len(line) + 1


def _fitting(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int, int]]:
    """Halves of halves, cut between words, until each is within the limit.

    LlamaIndex's SentenceSplitter was refused here: it finds the offsets of its pieces by searching for their text,
    which points to the wrong place where text repeats.
    """
    size = _size(text[start:end])
    if size <= limit or end - start < 2:
        yield start, end, size
        return
    middle = (start + end) // 2
    space = text.rfind(" ", start + 1, middle)
    cut = space if space > start + (end - start) // 4 else middle
    yield from _fitting(text, start, cut, limit)
    rest = cut + len(text[cut:end]) - len(text[cut:end].lstrip())
    yield from _fitting(text, rest, end, limit)


def _packed(units: list[Unit], sizes: ChunkSizes) -> list[range]:
    """Ranges of units that fill one passage each; a range begins with what it repeats from the one before."""
    parts: list[range] = []
    first = new = 0
    while new < len(units):
        last = new + 1
        total = _total(units[first:last])
        while last < len(units) and total + units[last].size <= _room(units[first:last], sizes):
            total += units[last].size
            last += 1
        if parts and last == len(units) and _is_rest(units, parts[-1], sizes):
            first = parts.pop().start
        parts.append(range(first, last))
        new, first = last, _repeated_from(units, parts[-1], sizes)
    return parts


def _total(units: list[Unit]) -> int:
    return sum(unit.size for unit in units)


def _size(text: str) -> int:
    # Long texts are only asked whether they fit, and counting the tokens of a word of 5 MB took 23 s.
    return len(text) // 3 + 1 if len(text) > 5_000 or language_of(text) == "ru" else count_tokens(text)


def _is_rest(units: list[Unit], part: range, sizes: ChunkSizes) -> bool:
    """Whether what comes after the part is too little for a passage of its own."""
    rest = _total(units[part.stop :])
    return rest < sizes.overlap and _total(units[part.start : part.stop]) + rest <= 1.5 * sizes.tokens


def _room(units: list[Unit], sizes: ChunkSizes) -> float:
    """A heading is not left alone because the sentence after it is long."""
    return 1.25 * sizes.tokens if all(unit.element.kind == "title" for unit in units) else sizes.tokens


def _repeated_from(units: list[Unit], part: range, sizes: ChunkSizes) -> int:
    """Where the last whole sentences that fit into the overlap begin; tables repeat their head instead."""
    first, repeated = part.stop, 0
    following = units[part.stop].size if part.stop < len(units) else 0
    while first - 1 > part.start and units[first - 1].element.kind != "table":
        repeated += units[first - 1].size
        if repeated > sizes.overlap or repeated + following > sizes.tokens:
            break
        first -= 1
    return first


def _chunk(document: ParsedDocument, units: list[Unit], part: range, sizes: ChunkSizes, ord_: int) -> Chunk:
    inside = units[part.start : part.stop]
    start, end = inside[0].start, inside[-1].end
    section_start, section_end = _section_around(units, part, sizes)
    path = inside[-1].element.heading_path
    return Chunk(
        ord=ord_,
        start=start,
        end=end,
        section_start=section_start,
        section_end=section_end,
        page=next((unit.element.page for unit in inside if unit.element.page), None),
        heading_path=path,
        kind=_main_kind(inside),
        header=document.header or _header(document.title, path, inside[0].table_head),
        language=language_of(document.text[start:end]),
        tokens=count_tokens(document.text[start:end]),
    )


def _section_around(units: list[Unit], part: range, sizes: ChunkSizes) -> tuple[int, int]:
    first, last = part.start, part.stop
    room = sizes.section_tokens - _total(units[first:last])
    grows = True
    while grows:
        grows = False
        if last < len(units) and units[last].size <= room:
            room -= units[last].size
            last += 1
            grows = True
        if first and units[first - 1].size <= room:
            first -= 1
            room -= units[first].size
            grows = True
    return units[first].start, units[last - 1].end


def _main_kind(units: list[Unit]) -> str:
    lengths = Counter[str]()
    for unit in units:
        lengths[unit.element.kind] += unit.end - unit.start if unit.element.kind != "title" else 0
    return lengths.most_common(1)[0][0]


def _header(title: str, path: tuple[str, ...], table_head: str) -> str:
    names = dict.fromkeys(shorten(name, _LONGEST_HEADING, placeholder="…") for name in (title, *path))
    return "\n".join(filter(None, (" › ".join(names), table_head)))
