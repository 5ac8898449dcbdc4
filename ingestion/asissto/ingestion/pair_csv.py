"""Pairs as a table of a spreadsheet: read from CSV of any program, written so that every program reads it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from asissto.ingestion.plain_text import decode
from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase

MOST_ROWS = 10_000
COLUMNS = {
    "question": ("question", "вопрос"),
    "answer": ("answer", "ответ"),
    "tags": ("tags", "теги"),
    "variants": ("variants", "варианты"),
}
# Excel and its kin calculate cells that begin so, and an apostrophe before them says that they are text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A pair as it stands in a table, from line `line` on."""

    line: int
    question: str
    answer: str
    tags: list[str]
    variants: list[str]


def read_table(data: bytes) -> list[Row]:
    """Columns by the names in the first line; tags are parted by commas, variants by line breaks.

    Raises InvalidInput for what is wrong with all of it, DocumentCorrupt where it is no text.
    """
    found = records(decode(data, "CSV"))
    _, head = next(found, (1, []))
    places = _places(head)
    rows = [_row(line, cells, places) for line, cells in found if any(map(str.strip, cells))]
    if len(rows) > MOST_ROWS:
        raise InvalidInput(field="rows", detail=Phrase("invalid.too_large", MOST_ROWS))
    return rows


def write_table(pairs: Iterable[Sequence[str]]) -> str:
    """Question, answer, tags and variants of each; read again it gives the same."""
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(COLUMNS)
    table.writerows([guarded(cell) for cell in pair] for pair in pairs)
    return written.getvalue()


def _places(head: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in head]
    places = {column: names.index(name) for column, known in COLUMNS.items() for name in names if name in known}
    for needed in ("question", "answer"):
        if needed not in places:
            raise InvalidInput(field=needed, detail=Phrase("invalid.missing"))
    return places


def records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Where each record begins, and its cells; a cell may hold line breaks. Raises InvalidInput."""
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        raise InvalidInput(field=f"line {line}", detail=Phrase("invalid.form")) from None


def _row(line: int, cells: Sequence[str], places: dict[str, int]) -> Row:
    said = {name: unguarded(cells[at]) if at < len(cells) else "" for name, at in places.items()}
    return Row(
        line=line,
        question=said["question"],
        answer=said["answer"],
        tags=_parts(said.get("tags", ""), ","),
        variants=_parts(said.get("variants", ""), "\n"),
    )


def _parts(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]


def guarded(cell: str) -> str:
    """So that no program calculates it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
