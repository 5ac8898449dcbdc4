"""A worker in a process of its own that says which stage of a document it has reached, and then waits for kill -9.

Run as `python -c "import victim; victim.main()" STAGE FOLDER OWNER APP SYS`: the addresses are those of the database.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from asissto.ingestion import parse_process, pipeline
from asissto.ingestion.store import add_passages
from asissto.platform.database import Addresses, Database
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.keys import parse_key_ring
from asissto.platform.local_files import LocalFiles
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from words_embedder import WordsEmbedder


def main() -> None:
    stage, folder, *addresses = sys.argv[1:]
    parse_process._FORKS.set_forkserver_preload([])  # plain text needs none of the parsers
    asyncio.run(run(stage, Path(folder), Addresses(*map(make_url, addresses))))


async def run(stage: str, folder: Path, addresses: Addresses) -> None:
    embedder = WordsEmbedder()

    def say() -> None:
        print(stage, flush=True)  # noqa: T201 - its parent reads it

    async def hang(*_arguments: Any, **_limits: Any) -> None:
        say()
        await asyncio.sleep(600)

    def hang_in_thread(*_arguments: Any) -> None:
        say()
        time.sleep(600)

    async def add_and_hang(*arguments: Any) -> None:
        """The passages are in the tables, and the transaction is open."""
        await add_passages(*arguments)
        await hang()

    steps: dict[str, tuple[Any, str, Any]] = {
        "parsing": (pipeline, "parse_apart", hang),
        "chunking": (pipeline, "chunk", hang_in_thread),
        "embedding": (embedder, "embed", hang),
        "publishing": (pipeline, "add_passages", add_and_hang),
    }
    setattr(*steps[stage])
    services = Services(
        settings=Settings(data_dir=folder),
        keys=parse_key_ring("test:" + "A" * 43 + "="),
        database=Database(addresses, pool_size=2),
        files=LocalFiles(folder / "files"),
        embedder=embedder,
        chat=None,
    )
    await make_worker(services).run_one()
