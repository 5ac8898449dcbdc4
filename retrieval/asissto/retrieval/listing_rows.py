"""The rows behind a figure, in pages or as a whole file, for people and for programs that draw their own charts."""

from collections.abc import AsyncIterator
from typing import Any, Literal, TypeVar

import msgspec
from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.errors import InvalidInput
from asissto.platform.paging import Page, latest_rows
from asissto.platform.spreadsheet_cells import cell_of, csv_text
from asissto.platform.texts import Phrase
from asissto.retrieval.figure_rows import ROWS, TABLES, View
from asissto.retrieval.figures import FIGURES
from asissto.retrieval.reckoning import Reading

Format = Literal["csv", "jsonl"]
TYPES: dict[Format, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
ROWS_AT_ONCE = 2_000
T = TypeVar("T", bound=msgspec.Struct)


def rows_of(reading: Reading, view: View, figure: str | None) -> Select[Any]:
    """All of the view, or those that the figure is made of; of a share those of its part. Raises InvalidInput."""
    columns = TABLES[view].c
    wanted = [columns[name] for name in ROWS[view].__struct_fields__]
    found = select(*wanted).where(*reading.rows_of(view))
    if figure is None:
        return found
    if figure not in FIGURES or FIGURES[figure].view != view:
        raise InvalidInput(field="figure", detail=Phrase("invalid.choice"))
    return found.where(FIGURES[figure].where(columns))


async def page_of(session: AsyncSession, row: type[T], query: Select[Any], limit: int, after: str | None) -> Page[T]:
    """Latest first."""
    columns = query.selected_columns
    found = await latest_rows(session, query, (columns.at, columns.id), limit, after)
    return found.map(lambda values: row(**values))


async def file_of(
    database: Database, reading: Reading, view: View, query: Select[Any], form: Format
) -> AsyncIterator[bytes]:
    """Oldest first, a part at a time: whoever reads slowly holds no connection meanwhile."""
    columns, names = TABLES[view].c, ROWS[view].__struct_fields__
    ordered = query.order_by(columns.at, columns.id).limit(ROWS_AT_ONCE)
    if form == "csv":
        yield csv_text([names]).encode()
    last: tuple[Any, Any] | None = None
    while True:
        further = ordered if last is None else ordered.where(tuple_(columns.at, columns.id) > tuple_(*last))
        async with database.tenant(reading.tenant_id) as session:
            rows = (await session.execute(further)).mappings().all()
        if rows and form == "csv":
            yield csv_text([[cell_of(row[name]) for name in names] for row in rows]).encode()
        elif rows:
            yield msgspec.json.Encoder().encode_lines([dict(row) for row in rows])
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1]["at"], rows[-1]["id"]
