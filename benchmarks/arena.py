"""The ground of a benchmark: one throw-away server, a database for each side, both sides running on the same data."""

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec
import workload
from asissto.platform.migrate import embedded_addresses, migrate
from asissto.platform.minilm import quantised_graph
from asissto.platform.postgres import EmbeddedPostgres
from contest import Side
from rich.console import Console

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
async def open_arena(work: workload.Workload) -> AsyncIterator[Arena]:
    """Below a folder that every account can enter: the server does not run as root."""
    python = peer_python()
    with tempfile.TemporaryDirectory(prefix="asissto-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        workload.save(work, folder)
        quantised_graph(folder / "models")
        with EmbeddedPostgres(folder / "data") as server:
            addresses = await embedded_addresses(server, OURS)
            await migrate(addresses)
            socket_dir = server.socket_dir
            urls = [url.render_as_string(hide_password=False) for url in msgspec.structs.astuple(addresses)]
            peer_url = f"postgresql+psycopg2://postgres@/{PEER}?host={socket_dir}"
            with (
                closing(Side(Path(sys.executable), HERE / "ours.py", name, *urls)) as ours,
                closing(Side(python, HERE / "peer.py", name, peer_url, path=str(ROOT / "platform"))) as peer,
            ):
                arena = Arena(ours, peer, socket_dir)
                await arena.run_as_superuser("postgres", f"CREATE DATABASE {PEER}")
                await arena.run_as_superuser(PEER, "CREATE EXTENSION vector")
                yield arena


def peer_python() -> Path:
    """The peer's interpreter; its environment is made at the first use and after a change of its lock."""
    python, made = PEER_ENVIRONMENT / "bin" / "python", PEER_ENVIRONMENT / ".installed"
    if not made.exists() or made.stat().st_mtime < PEER_LOCK.stat().st_mtime:
        console.print("Making the environment of LlamaIndex in .venv-bench")
        uv = [str(Path(sys.executable).parent / "uv")]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, PEER_ENVIRONMENT], check=True)
        options = ["--quiet", "--require-hashes", "--link-mode", "copy", "--python", python]
        subprocess.run([*uv, "pip", "sync", *options, PEER_LOCK], check=True, cwd=ROOT)
        made.touch()
    return python


def parts(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """Rows `first` to `last`, cut into documents of at most `size`."""
    return [(start, min(start + size, last)) for start in range(first, last, size)]
