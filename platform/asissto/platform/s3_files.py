"""The file store in a bucket of an S3-compatible server: sent in parts, and seen by nobody before it is whole."""

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from asissto.platform.errors import AsisstoError, OriginalMissing, StorageFull, StorageUnavailable
from asissto.platform.local_files import AT_ONCE, disk
from asissto.platform.stored_files import FoundFile, Measure, StoredFile, new_key
from asissto.platform.tables import new_id

if TYPE_CHECKING:
    from obstore import Bytes
    from obstore.store import S3Store

PART = 5 << 20
"""Bytes of a part, the least that S3 takes; it takes 10,000 of them, so that 50 GB is the largest file."""

_PARTS_AT_ONCE = 2
_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL = ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull")
_MISSING_BUCKET = "NoSuchBucket"


class BrokenOff(Exception):
    """Ends an upload from inside: only then does the library abort its parts, and not where it is cancelled."""


class S3Files:
    def __init__(self, store: "S3Store", place: str) -> None:
        self._store = store
        self._place = place

    async def save(self, tenant_id: UUID, name: str, pieces: AsyncIterator[bytes], *, limit_mb: int) -> StoredFile:
        key, measure = new_key(tenant_id), Measure(name, limit_mb)
        feed = _Feed()
        sending = asyncio.create_task(self._store.put_async(key, feed, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE))
        try:
            async for piece in measure.through(pieces):
                await feed.give(piece, sending)
            await feed.give(None, sending)
            with _translated():
                await asyncio.shield(sending)
        except BaseException:
            await asyncio.shield(self._withdraw(key, feed, sending))
            raise
        return measure.stored(key)

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[Path]:
        with tempfile.TemporaryDirectory(prefix="asissto-") as folder:
            path = Path(folder) / "original"
            with path.open("wb") as file:
                async for piece in self.read(key):
                    with disk():
                        await asyncio.to_thread(file.write, piece)
            yield path

    async def read(self, key: str) -> AsyncIterator[bytes]:
        with _translated():
            found = await self._store.get_async(key)
            async for piece in found.stream():
                yield bytes(piece)

    async def delete(self, key: str) -> None:
        with _translated(), suppress(FileNotFoundError):
            await self._store.delete_async(key)

    async def delete_tenant(self, tenant_id: UUID) -> None:
        async for batch in self.find(tenant_id):
            for file in batch:
                await self.delete(file.key)

    async def find(self, tenant_id: UUID) -> AsyncIterator[list[FoundFile]]:
        with _translated():
            async for batch in self._store.list(str(tenant_id), chunk_size=AT_ONCE):
                yield [FoundFile(each["path"], each["last_modified"]) for each in batch]

    async def check(self) -> str:
        started = time.perf_counter()
        with _translated():
            await self._store.put_async(key := f"check-{new_id()}", b"asissto")
        await self.delete(key)
        return f"{self._place}, {(time.perf_counter() - started) * 1000:.0f} ms to write and delete"

    async def _withdraw(self, key: str, feed: "_Feed", sending: "asyncio.Task[object]") -> None:
        feed.break_off()
        await asyncio.wait([sending])
        if not sending.cancelled() and sending.exception() is None:  # it was whole already
            await self.delete(key)


class _Feed:
    """What the library reads from: pieces as they come in, until the end or a break."""

    def __init__(self) -> None:
        self._pieces = asyncio.Queue[bytes | BrokenOff | None](1)

    def __aiter__(self) -> AsyncIterator["Bytes | bytes"]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._pieces.get()
        if piece is None:
            raise StopAsyncIteration
        if isinstance(piece, BrokenOff):
            raise piece
        return piece

    async def give(self, piece: bytes | None, sending: "asyncio.Task[object]") -> None:
        """None is the end. Raises what ended `sending`, since nobody takes pieces any more then."""
        giving = asyncio.create_task(self._pieces.put(piece))
        try:
            await asyncio.wait([giving, sending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()
        if sending.done():
            with _translated():
                sending.result()

    def break_off(self) -> None:
        with suppress(asyncio.QueueEmpty):
            self._pieces.get_nowait()
        self._pieces.put_nowait(BrokenOff())


@contextmanager
def _translated() -> Iterator[None]:
    """Around every call of the library, whose errors tell their kind in prose."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise _meaning(error) from error


def _meaning(error: Exception) -> AsisstoError:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    prose = str(error)
    code = found[1] if (found := _CODE.search(prose)) else ""
    if code in _FULL:
        return StorageFull()
    if isinstance(error, FileNotFoundError) and code != _MISSING_BUCKET:
        return OriginalMissing()
    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError) or " 403 " in prose
    reason = code or prose.splitlines()[0].rpartition(" - ")[2]
    return StorageUnavailable(permanent=denied or code == _MISSING_BUCKET, reason=reason)
