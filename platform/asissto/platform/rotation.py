"""Seals every secret with the newest key of the ring, so that the older keys can be dropped."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Table, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.keys import KeyRing
from asissto.platform.model_tables import ModelProvider
from asissto.platform.tables import Base

AT_ONCE = 200
"""Rows in one transaction."""


class Sealed(msgspec.Struct, frozen=True):
    """A column of secrets: bytes, or an object of them in base64 by their names. Its rows have tenant_id and id."""

    table: type[Base]
    column: str


class Resealed(msgspec.Struct, frozen=True):
    """`unreadable` are rows that no key of the ring opens: their secrets have to be entered anew."""

    place: str
    sealed_anew: int
    unreadable: int


PLACES = (Sealed(ModelProvider, "api_key"), Sealed(ModelProvider, "headers"))


async def rotate(database: Database, keys: KeyRing, places: Sequence[Sealed]) -> AsyncIterator[Resealed]:
    """May be stopped at any moment: what has the newest key already is left alone the next time."""
    for place in places:
        name = f"{place.table.__tablename__}.{place.column}"
        last, changed, unreadable = (UUID(int=0), UUID(int=0)), 0, 0
        while True:
            async with database.system() as session:
                rows = await _next_rows(session, place, last)
                for tenant_id, row_id, value in rows:
                    about = f"{tenant_id}|{place.table.__tablename__}|{row_id}|{place.column}"
                    try:
                        fresh = _resealed(keys, value, about)
                    except (InvalidTag, KeyError):
                        unreadable += 1
                        continue
                    if fresh != value:
                        await _store(session, place, (tenant_id, row_id), fresh)
                        changed += 1
            if len(rows) < AT_ONCE:
                break
            last = rows[-1][0], rows[-1][1]
        yield Resealed(name, changed, unreadable)


async def _next_rows(session: AsyncSession, place: Sealed, after: tuple[UUID, UUID]) -> list[tuple[UUID, UUID, Any]]:
    """Locked: whoever changes a secret meanwhile waits, and is not overwritten."""
    table: Table = place.table.metadata.tables[place.table.__tablename__]
    key, value = (table.c.tenant_id, table.c.id), table.c[place.column]
    beyond = tuple_(*key) > tuple_(*after)
    found = select(*key, value).where(beyond, value.is_not(None)).order_by(*key).limit(AT_ONCE).with_for_update()
    return [(tenant_id, row_id, secret) for tenant_id, row_id, secret in await session.execute(found)]


async def _store(session: AsyncSession, place: Sealed, key: tuple[UUID, UUID], value: Any) -> None:
    table: Table = place.table.metadata.tables[place.table.__tablename__]
    mine = (table.c.tenant_id == key[0], table.c.id == key[1])
    await session.execute(update(table).where(*mine).values({place.column: value}))


def _resealed(keys: KeyRing, value: Any, about: str) -> Any:
    """The same where it has the newest key; raises InvalidTag and KeyError."""
    if isinstance(value, bytes):
        return keys.reseal(value, about=about)
    fresh = {name: keys.reseal(base64.b64decode(each), about=f"{about}.{name}") for name, each in value.items()}
    return {name: base64.b64encode(each).decode() for name, each in fresh.items()}
