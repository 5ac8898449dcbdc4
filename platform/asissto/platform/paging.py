"""Lists in pages: `?limit=1..200&after=<cursor>`, where the cursor is the last id of the page before."""

import base64
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from asissto.platform.errors import InvalidInput
from asissto.platform.texts import Phrase

T = TypeVar("T")
Other = TypeVar("Other")

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many items a page may have.")]
After = Annotated[str | None, QueryParameter(max_length=64, description="`next` of the page before.")]
DEFAULT_LIMIT = 50


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


async def _cut(session: AsyncSession, query: Select[T], id_column: InstrumentedAttribute[UUID], limit: int) -> Page[T]:
    """Asks for one row more than shown: its presence tells that another page follows."""
    rows: list[Any] = list(await session.scalars(query.limit(limit + 1)))
    more = len(rows) > limit
    return Page(rows[:limit], _cursor(getattr(rows[limit - 1], id_column.key)) if more else None)


def _cursor(last: UUID) -> str:
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def _read_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise InvalidInput(field="after", detail=Phrase("invalid.cursor")) from None
