"""Seals every secret with the newest key of the ring, so that the older keys can be dropped."""

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Table, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.keys import KeyRing
from asissto.platform.mail import SEALED, about_letter
from asissto.platform.model_tables import ModelProvider
from asissto.platform.people_tables import SecondFactor
from asissto.platform.second_factor import about_secret
from asissto.platform.tables import Base, Job

AT_ONCE = 200
"""Rows in one transaction."""

Key = tuple[UUID, ...]


class Sealed(msgspec.Struct, frozen=True):
    """A column of secrets: bytes, or an object of them in base64 by their names.

    `about` says, by the key of its row, what they are bound to: tenant, table, row and field, unless it is given; of an
    object the names follow, or of its sealed `field` alone nothing does.
    """

    table: type[Base]
    column: str
    about: Callable[[Key], str] | None = None
    field: str | None = None

    @property
    def name(self) -> str:
        return ".".join(filter(None, (self.table.__tablename__, self.column, self.field)))

    def bound_to(self, key: Key) -> str:
        tenant_id, *rest = key
        named = f"{tenant_id}|{self.table.__tablename__}|{'|'.join(map(str, rest))}|{self.column}"
        return named if self.about is None else self.about(key)


class Resealed(msgspec.Struct, frozen=True):
    """`unreadable` are rows that no key of the ring opens: their secrets have to be entered anew."""

    place: str
    sealed_anew: int
    unreadable: int


PLACES = (
    Sealed(ModelProvider, "api_key"),
    Sealed(ModelProvider, "headers"),
    Sealed(SecondFactor, "secret", lambda key: about_secret(key[0])),
    Sealed(Job, "payload", lambda key: about_letter(key[0]), SEALED),
)


async def rotate(database: Database, keys: KeyRing, places: Sequence[Sealed]) -> AsyncIterator[Resealed]:
    """May be stopped at any moment: what has the newest key already is left alone the next time."""
    for place in places:
        last, changed, unreadable = None, 0, 0
        while True:
            async with database.system() as session:
                rows = await _next_rows(session, place, last)
                for key, value in rows:
                    try:
                        fresh = _resealed(keys, place, key, value)
                    except (InvalidTag, KeyError):
                        unreadable += 1
                        continue
                    if fresh != value:
                        await _store(session, place, key, fresh)
                        changed += 1
            if len(rows) < AT_ONCE:
                break
            last = rows[-1][0]
        yield Resealed(place.name, changed, unreadable)


async def _next_rows(session: AsyncSession, place: Sealed, after: Key | None) -> list[tuple[Key, Any]]:
    """Locked: whoever changes a secret meanwhile waits, and is not overwritten."""
    table = cast("Table", place.table.__table__)
    key, value = tuple(table.primary_key), table.c[place.column]
    found = select(*key, value).where(value.is_not(None)).order_by(*key).limit(AT_ONCE).with_for_update()
    if after is not None:
        found = found.where(tuple_(*key) > tuple_(*after))
    if place.field is not None:
        found = found.where(value.has_key(place.field))
    return [((*row[:-1],), row[-1]) for row in await session.execute(found)]


async def _store(session: AsyncSession, place: Sealed, key: Key, value: Any) -> None:
    table = cast("Table", place.table.__table__)
    mine = (column == part for column, part in zip(table.primary_key, key, strict=True))
    await session.execute(update(table).where(*mine).values({place.column: value}))


def _resealed(keys: KeyRing, place: Sealed, key: Key, value: Any) -> Any:
    """The same where it has the newest key; raises InvalidTag and KeyError."""
    about = place.bound_to(key)
    if isinstance(value, bytes):
        return keys.reseal(value, about=about)
    if place.field is not None:
        return {**value, place.field: _in_base64(keys, value[place.field], about)}
    return {name: _in_base64(keys, each, f"{about}.{name}") for name, each in value.items()}


def _in_base64(keys: KeyRing, value: str, about: str) -> str:
    return base64.b64encode(keys.reseal(base64.b64decode(value), about=about)).decode()
