"""Rows for a program of tables, which must not take anybody's words for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def harmless(cell: str) -> str:
    """With an apostrophe before it where it looks like a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
