"""Where uploaded originals lie: a folder of their own, one file per key."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import msgspec

from asissto.platform.errors import DocumentTooLarge
from asissto.platform.tables import new_id


class StoredFile(msgspec.Struct, frozen=True):
    """`sha` is SHA-256 of the content; `key` finds it again."""

    key: str
    sha: bytes
    bytes: int


class FileStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def save(self, tenant_id: UUID, name: str, pieces: AsyncIterator[bytes], *, limit_mb: int) -> StoredFile:
        """Streams to disk and is durable when it returns; raises DocumentTooLarge and then leaves nothing behind."""
        key = f"{tenant_id}/{new_id()}"
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("xb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > limit_mb << 20:
                        raise DocumentTooLarge(name=name, limit_mb=limit_mb)
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return StoredFile(key, digest.digest(), size)

    def path(self, key: str) -> Path:
        return self._folder / key

    def delete(self, key: str) -> None:
        """Deleting what is gone already is fine: the job that asks for it may run twice."""
        self.path(key).unlink(missing_ok=True)
