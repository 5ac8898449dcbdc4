"""Reads spreadsheets and CSV, and lays tables out as lines of cells."""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

from msgspec import Struct
from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.cell import Cell  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter, range_boundaries  # type: ignore[import-untyped]
from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]

from asissto.ingestion.archives import refuse_bomb
from asissto.ingestion.parsing import Block, Content
from asissto.ingestion.plain_text import decode
from asissto.platform.errors import DocumentCorrupt, DocumentTooComplex

_LONGEST_FIELD = 10_000_000  # characters; the standard library stops at 131,072


class Sheet(Struct):
    """Rows with something in them by their number, and the cells over several rows: first row, last row, column."""

    title: str
    rows: dict[int, list[str]]
    merged: Sequence[tuple[int, int, int]] = ()
    missing: Sequence[str] = ()


def read_spreadsheet(path: Path, name: str, suffix: str) -> Content:
    """Each sheet is a section under its name; empty rows part the tables of a sheet.

    Values are read by openpyxl itself: unstructured goes through pandas, which turned 0 into 0.0 and 33.333333333
    into 33.333333, and took 4.0 CPU-s for 90,000 cells against 0.5.
    """
    if suffix in {".csv", ".tsv"}:
        return Content(table_blocks(_csv_rows(decode(path.read_bytes(), name), name), page=None))
    if suffix == ".xls":
        from asissto.ingestion.old_spreadsheets import read_old_sheets  # loads xlrd

        return _content(read_old_sheets(path, name))
    refuse_bomb(path, name)
    try:
        with path.open("rb") as file:  # given a path, openpyxl judges it by its suffix, and stored files have none
            return _content(_read_sheets(file))
    # OSError is openpyxl's word for a zip without a workbook.
    except (BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError, EOFError, OSError) as error:
        raise DocumentCorrupt(name=name) from error


def table_blocks(rows: Iterable[Sequence[str]], *, page: int | None) -> list[Block]:
    """Lines of `cell | cell`; rows of a single cell above a table are its captions, a table of one column is text."""
    lines = [[" ".join(cell.split()) for cell in row] for row in rows]
    used = sorted({column for line in lines for column, cell in enumerate(line) if cell})
    lines = [[line[column] if column < len(line) else "" for column in used] for line in lines if any(line)]
    first = next((number for number, line in enumerate(lines) if sum(map(bool, line)) > 1), len(lines))
    blocks = [Block("text", "".join(line), page) for line in lines[:first]]
    if lines[first:]:
        blocks.append(Block("table", "\n".join(map(" | ".join, lines[first:])), page))
    return blocks


def _content(sheets: Sequence[Sheet]) -> Content:
    missing = [f"{sheet.title}!{cell}" for sheet in sheets for cell in sheet.missing]
    shown = ", ".join(missing[:_MISSING_SHOWN]) + ("…" if len(missing) > _MISSING_SHOWN else "")
    filled = [sheet for sheet in sheets if sheet.rows]
    return Content(list(_blocks(filled)), warnings=(f"formulas_without_values: {shown}",) if missing else ())


_MISSING_SHOWN = 5


def _blocks(sheets: Sequence[Sheet]) -> Iterator[Block]:
    """The name of an only sheet ("Sheet1") says nothing and is left out."""
    for number, sheet in enumerate(sheets, 1):
        if len(sheets) > 1:
            yield Block("title", sheet.title, number)
        _repeat_merged(sheet)
        for table in _tables(sheet.rows):
            yield from table_blocks(table, page=number)


def _repeat_merged(sheet: Sheet) -> None:
    """A short cell over several rows is repeated in each, so that each row can be read alone."""
    for first, last, column in sheet.merged:
        text = (sheet.rows.get(first) or [])[column : column + 1]
        for row in range(first + 1, min(last, max(sheet.rows)) + 1):
            cells = sheet.rows.get(row)
            if cells and text and len(text[0]) <= _LONGEST_REPEATED:
                cells += [""] * (column + 1 - len(cells))
                cells[column] = cells[column] or text[0]


_LONGEST_REPEATED = 100


def _tables(rows: Mapping[int, list[str]]) -> Iterator[list[list[str]]]:
    table: list[list[str]] = []
    before = 0
    for number, cells in rows.items():
        if table and number > before + 1:
            yield table
            table = []
        table.append(cells)
        before = number
    if table:
        yield table


def _read_sheets(file: BinaryIO) -> list[Sheet]:
    workbook = load_workbook(file, read_only=True, data_only=True)
    formulas: Any = None
    sheets = []
    for number, page in enumerate(workbook.worksheets):
        page.reset_dimensions()  # a file may claim a million rows of 16,384 cells, and openpyxl would fill them up
        sheet = Sheet(page.title, {at: cells for at, cells in _rows(page) if any(cells)})
        sheet.merged, has_formulas = _marks(page)
        if has_formulas:
            formulas = formulas or load_workbook(file, read_only=True)
            sheet.missing = list(_without_values(sheet.rows, formulas.worksheets[number]))
        sheets.append(sheet)
    return sheets


def _rows(page: Any) -> Iterator[tuple[int, list[str]]]:
    return ((number, [_cell_text(cell) for cell in row]) for number, row in enumerate(page.iter_rows(), 1))


def _marks(page: Any) -> tuple[list[tuple[int, int, int]], bool]:
    """Cells merged over several rows, and whether there are formulas; openpyxl skips both where it streams."""
    merged = []
    has_formulas = False
    with page._get_source() as source:  # noqa: SLF001
        rest = b""
        while piece := source.read(1 << 20):
            piece = rest + piece
            has_formulas |= _FORMULA.search(piece) is not None
            merged += [_vertical(match[1].decode("ascii")) for match in _MERGED.finditer(piece)]
            cut = piece.rfind(b"<")
            rest = piece[cut:] if cut > len(piece) - 200 else b""
    return [each for each in merged if each[1] > each[0]], has_formulas


_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>]")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*ref=\"([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})\"")


def _vertical(reference: str) -> tuple[int, int, int]:
    column, first, _, last = range_boundaries(reference)
    return first, last, column - 1


def _without_values(rows: Mapping[int, list[str]], page: Any) -> Iterator[str]:
    """The cells whose program left the value out, as programs that only write spreadsheets do."""
    page.reset_dimensions()
    for number, row in enumerate(page.iter_rows(), 1):
        values = rows.get(number, [])
        for column, cell in enumerate(row):
            if cell.data_type == "f" and not (column < len(values) and values[column]):
                yield f"{get_column_letter(column + 1)}{number}"


def _cell_text(cell: Cell) -> str:
    value = cell.value
    if isinstance(value, float) and "%" in (cell.number_format or ""):
        return f"{value * 100:.10g}%"
    return value_text(value)


def value_text(value: object) -> str:
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    if isinstance(value, float):
        return f"{value:.15g}"
    return "" if value is None else str(value)


def _csv_rows(text: str, name: str) -> list[list[str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    except csv.Error as error:
        raise DocumentTooComplex(name=name) from error


def _delimiter(text: str) -> str:
    """What most of the first lines have; the comma comes last, because it stands in prices and sentences too."""
    lines = text[:_SAMPLE].strip().splitlines()[:20]
    return max("\t;|,", key=lambda mark: sum(mark in line for line in lines))


_SAMPLE = 20_000
