"""Workers are killed and the database goes away, at each stage of a document: it is published once, and whole."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psutil
import pytest
from msgspec import structs
from sqlalchemy import select

from asissto.ingestion import pipeline
from asissto.ingestion.documents import Upload, upload
from asissto.ingestion.tables import Collection
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.entrypoints.workspace import first_workspace
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings
from asissto.platform.worker import Worker
from copies import server_folder
from people import Person
from test_ingestion import check_consistency, counts, found, send, work
from words_embedder import WordsEmbedder

STAGES = ("parsing", "chunking", "embedding", "publishing")


def text_about(stage: str) -> str:
    """Long enough for several passages."""
    return "\n\n".join(f"Sentence {number} tells how the {stage} of bicycles was stopped." for number in range(60))


@pytest.fixture
def services(services: Services) -> Services:
    return structs.replace(services, embedder=WordsEmbedder())


@asynccontextmanager
async def victim(stage: str, services: Services) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that has reached the stage."""
    urls = [url.render_as_string(hide_password=False) for url in structs.astuple(services.database.addresses)]
    arguments = (stage, str(services.settings.data_dir), *urls)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import victim; victim.main()", *arguments),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_it_hangs(process: asyncio.subprocess.Process, stage: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        async for line in process.stdout:  # its log comes there too
            if line.decode().strip() == stage:
                return
    pytest.fail(f"the worker ended before it reached {stage}")


async def expire_leases(connection: asyncpg.Connection) -> None:
    """As if the workers had been dead for the length of a lease."""
    await connection.execute("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE state = 'doing'")


async def test_a_worker_killed_at_any_stage_leaves_its_document_to_another(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Four workers, each killed at another stage of a document: nothing is seen of them, and another ends all four."""
    for stage in STAGES:
        (await send(alice, f"{stage}.txt", text_about(stage))).raise_for_status()
    async with (
        victim("parsing", services) as one,
        victim("chunking", services) as two,
        victim("embedding", services) as three,
        victim("publishing", services) as four,
    ):
        processes = dict(zip(STAGES, (one, two, three, four), strict=True))
        await asyncio.gather(*(until_it_hangs(process, stage) for stage, process in processes.items()))
        reached = "SELECT state FROM document_versions ORDER BY state"
        assert [row[0] for row in await superuser.fetch(reached)] == sorted(STAGES)
        for process in processes.values():
            process.kill()
            await process.wait()
    assert (await counts(superuser))["chunks"] == 0
    assert await found(services, alice.tenant_id, "How was the work on bicycles stopped?") == []
    await expire_leases(superuser)
    await work(services)
    rows = await superuser.fetch(
        "SELECT d.title, v.state, v.attempts, count(*)::int AS chunks, max(c.ord) + 1 AS last FROM documents d "
        "JOIN document_versions v ON v.document_id = d.id JOIN chunks c ON c.version_id = v.id GROUP BY 1, 2, 3"
    )
    assert sorted((row["title"], row["state"], row["attempts"]) for row in rows) == [
        (stage, "ready", 2) for stage in sorted(STAGES)
    ]
    assert [row["chunks"] for row in rows] == [row["last"] for row in rows]
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE state <> 'done' AND run_at <= now()") == 0
    await check_consistency(superuser)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with server_folder() as folder:
        yield folder / "data"


def stop_at_once(data_dir: Path) -> None:
    """As a machine does that loses its power; open transactions are lost."""
    server = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
    server.send_signal(signal.SIGQUIT)
    server.wait(30)


async def upload_text(services: Services, tenant_id: UUID, name: str) -> None:
    async with services.database.tenant(tenant_id) as session:
        collection_id = (await session.scalars(select(Collection.id))).one()

    async def pieces() -> AsyncIterator[bytes]:
        yield text_about(name).encode()

    await upload(services, tenant_id, Upload(collection_id, f"{name}.txt", name, None), pieces())


STEPS = {"parsing": "parse_apart", "embedding": "embed", "publishing": "add_passages"}


async def work_until_it_stops(worker: Worker, services: Services, stage: str) -> None:
    """One attempt, in which the database goes away at the end of the step."""
    owner = services.embedder if stage == "embedding" else pipeline
    step = getattr(owner, STEPS[stage])

    async def stop_after_it(*arguments: Any, **limits: Any) -> Any:
        done = await step(*arguments, **limits)
        await asyncio.to_thread(stop_at_once, services.settings.data_dir)
        return done

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, STEPS[stage], stop_after_it)
        await worker.run_one()


async def check_it_is_finished(worker: Worker, connection: asyncpg.Connection, name: str) -> None:
    """Nothing of it was seen, and the next worker needs one attempt."""
    passages = "SELECT count(*) FROM chunks c JOIN document_versions v ON v.id = c.version_id WHERE v.file_name = $1"
    assert await connection.fetchval(passages, name) == 0
    await expire_leases(connection)
    while await worker.run_one():
        pass
    states = await connection.fetch("SELECT state, attempts FROM document_versions WHERE file_name = $1", name)
    assert list(map(tuple, states)) == [("ready", 2)]
    assert await connection.fetchval(passages, name) > 1
    await check_consistency(connection)


async def test_a_database_that_goes_away_at_any_stage_takes_nothing_along(data_dir: Path) -> None:
    """Also in the middle of publishing: when it is back, each document becomes ready, whole and once."""
    async with open_services(Settings(data_dir=data_dir)) as opened:
        services = structs.replace(opened, embedder=WordsEmbedder())
        tenant_id, worker = await first_workspace(services), make_worker(services)
        database = services.database.addresses.owner.database
        for stage in STEPS:
            await upload_text(services, tenant_id, stage)
            await work_until_it_stops(worker, services, stage)
            with EmbeddedPostgres(data_dir) as server:
                superuser = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database=database)
                await check_it_is_finished(worker, superuser, f"{stage}.txt")
                await superuser.close()
