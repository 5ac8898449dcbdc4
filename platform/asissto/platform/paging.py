"""Lists in pages: `?limit=1..200&after=<cursor>`, where the cursor is the last id of the page before."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase

T = TypeVar("T")
Other = TypeVar("Other")

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many items a page may have.")]
After = Annotated[str | None, QueryParameter(max_length=64, description="`next` of the page before.")]
DEFAULT_LIMIT = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """`next` is the cursor of the page that follows; None on the last one."""

    items: list[T]
    next: str | None

    def map(self, show: Callable[[T], Other]) -> "Page[Other]":
        return Page([show(item) for item in self.items], self.next)


async def page(
    session: AsyncSession, query: Select[T], id_column: InstrumentedAttribute[UUID], limit: int, after: str | None
) -> Page[T]:
    """Rows of the query's first column, oldest first: ids sort by the time they were made. Raises InvalidInput."""
    if after is not None:
        query = query.where(id_column > _read_cursor(after))
    return await _cut(session, query.order_by(id_column), id_column, limit)


async def newest_first(
    session: AsyncSession, query: Select[T], id_column: InstrumentedAttribute[UUID], limit: int, after: str | None
) -> Page[T]:
    """The same from the other end."""
    if after is not None:
        query = query.where(id_column < _read_cursor(after))
    return await _cut(session, query.order_by(id_column.desc()), id_column, limit)


async def latest_first(
    session: AsyncSession,
    query: Select[T],
    by: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[UUID]],
    limit: int,
    after: str | None,
) -> Page[T]:
    """By a moment that changes, and the id, the latest first: for lists whose items move to the top."""
    at_column, id_column = by
    if after is not None:
        query = query.where(tuple_(at_column, id_column) < tuple_(*_read_moment(after)))
    ordered = query.order_by(at_column.desc(), id_column.desc()).limit(limit + 1)
    rows: list[Any] = list(await session.scalars(ordered))
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    at = None if last is None else getattr(last, at_column.key)
    return Page(rows[:limit], _moment_cursor(at, getattr(last, id_column.key)) if at is not None else None)


async def latest_rows(
    session: AsyncSession, query: Select[Any], by: tuple[ColumnElement[Any], ColumnElement[Any]], limit: int, after: Any
) -> Page[Mapping[str, Any]]:
    """The same for rows of a view, whose columns are `at` and `id`."""
    at_column, id_column = by
    if after is not None:
        query = query.where(tuple_(at_column, id_column) < tuple_(*_read_moment(after)))
    ordered = query.order_by(at_column.desc(), id_column.desc()).limit(limit + 1)
    rows = (await session.execute(ordered)).mappings().all()
    more = len(rows) > limit
    return Page(list(rows[:limit]), _moment_cursor(rows[limit - 1]["at"], rows[limit - 1]["id"]) if more else None)


async def _cut(session: AsyncSession, query: Select[T], id_column: InstrumentedAttribute[UUID], limit: int) -> Page[T]:
    """Asks for one row more than shown: its presence tells that another page follows."""
    rows: list[Any] = list(await session.scalars(query.limit(limit + 1)))
    more = len(rows) > limit
    return Page(rows[:limit], _cursor(getattr(rows[limit - 1], id_column.key)) if more else None)


def _cursor(last: UUID) -> str:
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def _moment_cursor(at: datetime, last: UUID) -> str:
    """Postgres and Python both count microseconds."""
    moment = ((at - _EPOCH) // timedelta(microseconds=1)).to_bytes(8)
    return base64.urlsafe_b64encode(moment + last.bytes).decode()


def _read_moment(cursor: str) -> tuple[datetime, UUID]:
    try:
        raw = base64.urlsafe_b64decode(cursor)
        return _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8])), UUID(bytes=raw[8:])
    except (ValueError, OverflowError):
        raise InvalidInput(field="after", detail=Phrase("invalid.cursor")) from None


def _read_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise InvalidInput(field="after", detail=Phrase("invalid.cursor")) from None
