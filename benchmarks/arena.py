"""The ground of a benchmark: one throw-away server, a database for each side, both sides running on the same data."""

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec
import workload
from contest import Side
from rich.console import Console

from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.minilm import quantised_graph
from asissto.platform.postgres import EmbeddedPostgres

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEER_ENVIRONMENT = ROOT / ".venv-bench"
PEER_LOCK = HERE / "requirements-peer.lock"
OURS, PEER = "ours", "peer"  # databases

console = Console(stderr=True)


@dataclass(frozen=True)
class Arena:
    ours: Side
    peer: Side
    socket_dir: Path
    folder: Path

    async def run_as_superuser(self, database: str, *statements: str) -> None:
        connection = await asyncpg.connect(host=str(self.socket_dir), user="postgres", database=database)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def settle(self) -> None:
        """What autovacuum would do in the middle of a measurement."""
        for database in (OURS, PEER):
            await self.run_as_superuser(database, "VACUUM ANALYZE", "CHECKPOINT")


@asynccontextmanager
async def open_arena(
    work: workload.Workload, ours_script: str = "ours.py", peer_script: str = "peer.py"
) -> AsyncIterator[Arena]:
    python = peer_python()
    with open_folder() as folder, EmbeddedPostgres(folder / "data") as server:
        workload.save(work, folder)
        quantised_graph(folder / "models")
        addresses = await embedded_addresses(server, OURS)
        await migrate(addresses)
        urls = [url.render_as_string(hide_password=False) for url in msgspec.structs.astuple(addresses)]
        peer_url = f"postgresql+psycopg2://postgres@/{PEER}?host={server.socket_dir}"
        with (
            closing(Side(Path(sys.executable), HERE / ours_script, str(folder), *urls)) as ours,
            closing(Side(python, HERE / peer_script, str(folder), peer_url, path=str(ROOT / "platform"))) as peer,
        ):
            arena = Arena(ours, peer, server.socket_dir, folder)
            await arena.run_as_superuser("postgres", f"CREATE DATABASE {PEER}")
            await arena.run_as_superuser(PEER, "CREATE EXTENSION vector")
            yield arena


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter, because the server does not run as root."""
    with tempfile.TemporaryDirectory(prefix="asissto-bench-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def peer_python() -> Path:
    """The peer's interpreter; its environment is made at the first use and after a change of its lock."""
    python, made = PEER_ENVIRONMENT / "bin" / "python", PEER_ENVIRONMENT / ".installed"
    if not made.exists() or made.stat().st_mtime < PEER_LOCK.stat().st_mtime:
        console.print("Making the environment of LlamaIndex in .venv-bench")
        uv = [str(Path(sys.executable).parent / "uv")]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, PEER_ENVIRONMENT], check=True)
        options = ["--quiet", "--require-hashes", "--link-mode", "copy", "--python", str(python)]
        subprocess.run([*uv, "pip", "sync", *options, PEER_LOCK], check=True, cwd=ROOT)
        made.touch()
    return python


def parts(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """Rows `first` to `last`, cut into documents of at most `size`."""
    return [(start, min(start + size, last)) for start in range(first, last, size)]
