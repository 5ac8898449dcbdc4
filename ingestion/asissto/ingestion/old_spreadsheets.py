"""Reads spreadsheets of Excel 5 to 2003."""

import struct
from pathlib import Path
from typing import Any

import xlrd  # type: ignore[import-untyped]
from xlrd.compdoc import CompDocError  # type: ignore[import-untyped]

from asissto.ingestion.spreadsheets import Sheet, value_text
from asissto.platform.errors import DocumentCorrupt, DocumentEncrypted

_BROKEN = (xlrd.XLRDError, CompDocError, struct.error, IndexError, KeyError, ValueError, AssertionError, TypeError)


def read_old_sheets(path: Path, name: str) -> list[Sheet]:
    try:
        # xlrd prints what it finds odd.
        with Path("/dev/null").open("w", encoding="utf-8") as silent:
            book = xlrd.open_workbook(path, formatting_info=True, logfile=silent)
    except _BROKEN as error:
        if "encrypted" in str(error):
            raise DocumentEncrypted(name=name) from error
        raise DocumentCorrupt(name=name) from error
    return [_sheet(book, page) for page in book.sheets()]


def _sheet(book: Any, page: Any) -> Sheet:
    rows = {number: [_cell_text(book, cell) for cell in page.row(number)] for number in range(page.nrows)}
    merged = [(first, last - 1, column) for first, last, column, _ in page.merged_cells]
    filled = {number: cells for number, cells in rows.items() if any(cells)}
    return Sheet(page.name, filled, [each for each in merged if each[1] > each[0]])


def _cell_text(book: Any, cell: Any) -> str:
    if cell.ctype == xlrd.XL_CELL_DATE:
        return value_text(xlrd.xldate_as_datetime(cell.value, book.datemode))
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, ""))
    if cell.ctype == xlrd.XL_CELL_NUMBER and "%" in _format(book, cell):
        return f"{cell.value * 100:.10g}%"
    return value_text(cell.value)


def _format(book: Any, cell: Any) -> str:
    return str(book.format_map[book.xf_list[cell.xf_index].format_key].format_str)
