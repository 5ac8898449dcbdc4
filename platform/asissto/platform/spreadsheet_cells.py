"""Rows for a program of tables, which must not take anybody's words for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def harmless(cell: str) -> str:
    """With an apostrophe before it where it looks like a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def cell_of(value: object) -> str:
    """Numbers and moments as they are, words harmless."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):  # moments are dates too
        return value.isoformat()
    if isinstance(value, int | float):
        return str(value)
    return harmless(msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value))
