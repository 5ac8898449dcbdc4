"""The file store in a folder of its own: one file per key, below a folder per tenant."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedWriter
from pathlib import Path
from uuid import UUID

from asissto.platform.errors import OriginalMissing, StorageFull, StorageUnavailable
from asissto.platform.stored_files import FoundFile, Measure, StoredFile, new_key
from asissto.platform.tables import new_id

AT_ONCE = 1000
_PIECE = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def save(self, tenant_id: UUID, name: str, pieces: AsyncIterator[bytes], *, limit_mb: int) -> StoredFile:
        key, measure = new_key(tenant_id), Measure(name, limit_mb)
        path = self.path(key)
        with disk():
            file = _create(path)
        try:
            async for piece in measure.through(pieces):
                with disk():
                    await asyncio.to_thread(file.write, piece)
            with disk():
                await asyncio.to_thread(_sync, file, path.parent)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            with suppress(OSError):  # after a failure the rest of its buffer fails once more
                file.close()
        return measure.stored(key)

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[Path]:
        yield self._existing(key)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        with disk(), self._existing(key).open("rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece

    async def delete(self, key: str) -> None:
        with disk():
            self.path(key).unlink(missing_ok=True)

    async def delete_tenant(self, tenant_id: UUID) -> None:
        with disk(), suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, self._folder / str(tenant_id))

    async def find(self, tenant_id: UUID) -> AsyncIterator[list[FoundFile]]:
        with disk():
            found = await asyncio.to_thread(_list, self._folder / str(tenant_id))
        for start in range(0, len(found), AT_ONCE):
            yield [FoundFile(f"{tenant_id}/{name}", at) for name, at in found[start : start + AT_ONCE]]

    async def check(self) -> str:
        path = self._folder / f"check-{new_id()}"
        with disk():
            try:
                _create(path).close()
            finally:
                path.unlink(missing_ok=True)
            free = shutil.disk_usage(self._folder).free
        return f"{self._folder}, {free / 2**30:.1f} GB free"

    def path(self, key: str) -> Path:
        return self._folder / key

    def _existing(self, key: str) -> Path:
        path = self.path(key)
        if path.is_file():
            return path
        if not path.parent.is_dir():  # the key was written below it once: the volume is not mounted
            raise StorageUnavailable(permanent=False, reason=os.strerror(errno.ENOENT))
        raise OriginalMissing


@contextmanager
def disk() -> Iterator[None]:
    """Around what writes or reads a file: says in our words what the system says in its own."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise StorageUnavailable(permanent=False, reason=error.strerror or str(error)) from error


def _create(path: Path) -> BufferedWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _sync(file: BufferedWriter, folder: Path) -> None:
    """The content first, then the name under which it is found."""
    file.flush()
    os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list(folder: Path) -> list[tuple[str, datetime]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [(entry.name, datetime.fromtimestamp(entry.stat().st_mtime, UTC)) for entry in entries]
