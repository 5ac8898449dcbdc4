"""What every file store says of a file, and how each counts and hashes one that comes in."""

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

import msgspec

from asissto.platform.errors import DocumentTooLarge
from asissto.platform.tables import new_id


class StoredFile(msgspec.Struct, frozen=True):
    """`sha` is SHA-256 of the content; `key` finds it again."""

    key: str
    sha: bytes
    bytes: int


class FoundFile(msgspec.Struct, frozen=True):
    """What a store has, also where no row of the database knows of it."""

    key: str
    saved_at: datetime


def new_key(tenant_id: UUID) -> str:
    return f"{tenant_id}/{new_id()}"


class Measure:
    """Counts and hashes what passes through it."""

    def __init__(self, name: str, limit_mb: int) -> None:
        self._name = name
        self._limit_mb = limit_mb
        self._digest = hashlib.sha256()
        self._bytes = 0

    async def through(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Raises DocumentTooLarge at the first byte too many."""
        async for piece in pieces:
            self._bytes += len(piece)
            if self._bytes > self._limit_mb << 20:
                raise DocumentTooLarge(name=self._name, limit_mb=self._limit_mb)
            self._digest.update(piece)
            yield piece

    def stored(self, key: str) -> StoredFile:
        return StoredFile(key, self._digest.digest(), self._bytes)
