"""Copies of a database, and services and people on them: what the fixtures are made of."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path

import asyncpg
from litestar import Litestar
from msgspec import structs

from asissto.platform.database import Addresses, Database
from asissto.platform.embedding import Embedder
from asissto.platform.keys import parse_key_ring
from asissto.platform.local_files import LocalFiles
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from people import Member, Person, bearer, make_client

KEYS = parse_key_ring("test:" + "A" * 43 + "=")
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 1 << 30
"""Bytes; the server takes 80 MB, and those that tests start for themselves take as much."""

_copies = count()


@contextmanager
def server_folder() -> Iterator[Path]:
    """A new one for an embedded server, which does not run as root: every account can enter it."""
    with tempfile.TemporaryDirectory(prefix="asissto-test-", dir=MEMORY if _fits_into_memory() else None) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _fits_into_memory() -> bool:
    """On ext4 a copy of a database takes 200 ms instead of 13: before it makes one of the 530 files, it looks through
    all those that were deleted within the last minute.

    The server's programs may have to run from the folder, which Docker forbids in its memory.
    """
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED
    return has_room and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC


@asynccontextmanager
async def copied(server: EmbeddedPostgres, of: Addresses, name: str = "") -> AsyncIterator[Addresses]:
    """A copy of the database, which nobody may be connected to meanwhile."""
    name = name or f"copy_{next(_copies)}"
    await run_as_admin(server, f"CREATE DATABASE {name} TEMPLATE {of.owner.database} OWNER asissto_owner")
    owner, app, sys = (address.set(database=name) for address in structs.astuple(of))
    yield Addresses(owner, app, sys)
    await run_as_admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def open_at(addresses: Addresses, folder: Path, embedder: Embedder) -> AsyncIterator[Services]:
    settings = Settings(data_dir=folder)
    database = Database(addresses, pool_size=2)
    files = LocalFiles(folder / "files")
    yield Services(settings=settings, keys=KEYS, database=database, files=files, embedder=embedder, chat=None)
    await database.close()


@asynccontextmanager
async def signed_in(app: Litestar, services: Services, member: Member) -> AsyncIterator[Person]:
    async with make_client(app, authorization=bearer(services, member)) as client:
        yield Person(**asdict(member), client=client)


async def run_as_admin(server: EmbeddedPostgres, *statements: str) -> None:
    connection = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database="postgres")
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
