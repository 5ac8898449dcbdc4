"""Reads spreadsheets and CSV, and lays tables out as lines of cells."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from zipfile import BadZipFile

from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.cell import Cell  # type: ignore[import-untyped]
from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]

from asissto.ingestion.parsing import Block, Content
from asissto.ingestion.plain_text import decode
from asissto.platform.errors import DocumentCorrupt, DocumentEncrypted

_LONGEST_FIELD = 10_000_000  # characters; the standard library stops at 131,072


def read_spreadsheet(path: Path, name: str, suffix: str) -> Content:
    """Each sheet is a section under its name; empty rows part the tables of a sheet.

    Values are read by openpyxl itself: unstructured goes through pandas, which turned 0 into 0.0 and 33.333333333
    into 33.333333, and took 4.0 CPU-s for 90,000 cells against 0.5.
    """
    if suffix == ".csv":
        return Content(table_blocks(_csv_rows(decode(path.read_bytes(), name), name), page=None))
    refuse_unless_zip(path, name)
    try:
        with path.open("rb") as file:  # given a path, openpyxl judges it by its suffix, and stored files have none
            workbook = load_workbook(file, read_only=True, data_only=True)
            sheets = {page.title: [[_cell_text(cell) for cell in row] for row in page.iter_rows()] for page in workbook}
    # OSError is openpyxl's word for a zip without a workbook.
    except (BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError, EOFError, OSError) as error:
        raise DocumentCorrupt(name=name) from error
    return Content(_sheets({title: rows for title, rows in sheets.items() if any(map(any, rows))}))


def refuse_unless_zip(path: Path, name: str) -> None:
    """Raises DocumentEncrypted for an Office file under a password, which is an OLE file, else DocumentCorrupt."""
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith(b"PK"):
            return
        if start == b"\xd0\xcf\x11\xe0" and "EncryptedPackage".encode("utf-16-le") in file.read():
            raise DocumentEncrypted(name=name)
    raise DocumentCorrupt(name=name)


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


def _sheets(sheets: dict[str, list[list[str]]]) -> list[Block]:
    """The name of an only sheet ("Sheet1") says nothing and is left out."""
    blocks = []
    for number, (title, rows) in enumerate(sheets.items(), 1):
        if len(sheets) > 1:
            blocks.append(Block("title", title, number))
        for filled, table in groupby(rows, key=any):
            if filled:
                blocks += table_blocks(table, page=number)
    return blocks


def _cell_text(cell: Cell) -> str:
    value = cell.value
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    if isinstance(value, float) and "%" in (cell.number_format or ""):
        return f"{value * 100:.10g}%"
    if isinstance(value, float):
        return f"{value:.15g}"
    return "" if value is None else str(value)


def _csv_rows(text: str, name: str) -> list[list[str]]:
    delimiter = max(",;\t|", key=text.lstrip().partition("\n")[0].count)
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise DocumentCorrupt(name=name) from error
