"""Processes that are killed, stopped and started again, with the real command line and a database of their own."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import func, select, text, update

from asissto.ingestion.documents import INGEST, Upload, embedding_space, newest_version, upload
from asissto.ingestion.tables import Chunk, Collection, Document, DocumentVersion, KnowledgeBase, SpaceSwitch
from asissto.platform.entrypoints.workspace import first_workspace
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings
from asissto.platform.tables import Job
from copies import server_folder
from openai_peer import OpenAIPeer
from people import PASSWORD

LONG = "\n\n".join(
    f"# Chapter {chapter}\n\n" + " ".join(f"Bicycle {chapter}-{line} stands in hall {line}." for line in range(20))
    for chapter in range(60)
)
"""Each chapter gives two passages: seconds of embedding."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as folder:
        yield folder


@asynccontextmanager
async def running(folder: Path, command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of the command line, which does not outlive the block."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ASISSTO_", "OPENAI_"))}
    settings = {"HOME": str(folder), "ASISSTO_DATA_DIR": str(folder / "data"), **environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asissto.platform.entrypoints.cli", command),
        env=inherited | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 30)


async def wait_for(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        await asyncio.sleep(0.02)


async def send(services: Services, content: str) -> tuple[UUID, UUID]:
    """Tenant and document."""
    tenant_id = await first_workspace(services)
    async with services.database.tenant(tenant_id) as session:
        collection_id = (await session.scalars(select(Collection.id))).one()

    async def pieces() -> AsyncIterator[bytes]:
        yield content.encode()

    return tenant_id, await upload(services, tenant_id, Upload(collection_id, "long.md", "long.md", None), pieces())


async def test_a_killed_workers_document_is_finished_by_another(folder: Path) -> None:
    """Killed while it embeds: the next worker takes over when the lease is over, and publishes everything once."""
    async with open_services(Settings(data_dir=folder / "data")) as services:
        tenant_id, document_id = await send(services, LONG)

        async def state() -> str:
            async with services.database.tenant(tenant_id) as session:
                version = await newest_version(session, tenant_id, document_id)
                return "" if version is None else version.state

        async def is_embedding() -> bool:
            return await state() == "embedding"

        async def is_ready() -> bool:
            return await state() == "ready"

        async with running(folder, "work") as first:
            await wait_for(is_embedding, 60)
            first.kill()
        killed = time.monotonic()
        assert await state() == "embedding"
        async with running(folder, "work") as second:
            await wait_for(is_ready, 60)
            taken = time.monotonic() - killed
            second.terminate()
            assert await asyncio.wait_for(second.wait(), 30) == 0
        async with services.database.tenant(tenant_id) as session:
            jobs = (await session.execute(select(Job.state, Job.attempts).where(Job.kind == INGEST))).all()
            versions = (await session.execute(select(DocumentVersion.id, DocumentVersion.state))).all()
            active = (await session.scalars(select(Document.active_version_id))).all()
            kinds = (func.count(), func.count(Chunk.ord.distinct()), func.max(Chunk.ord) + 1)
            chunks = (await session.execute(select(*kinds, func.count(Chunk.heading_path.distinct())))).one()
            counted = await session.scalar(text("SELECT chunks FROM knowledge_bases"))
    assert [tuple(job) for job in jobs] == [("done", 2)]
    assert [tuple(version) for version in versions] == [(active[0], "ready")]
    assert tuple(chunks) == (counted, counted, counted, 60)
    assert taken < 45


async def test_a_worker_started_with_another_embedding_model_switches_to_it(folder: Path) -> None:
    """Killed in the middle of the switch, the next one goes on; the question is answered before and after."""
    async with OpenAIPeer() as peer, open_services(Settings(data_dir=folder / "data")) as services:
        tenant_id, _ = await send(services, LONG)
        settings = {"OPENAI_BASE_URL": peer.base_url}
        another = settings | {"ASISSTO_EMBEDDING_MODEL": "some-embedder", "ASISSTO_EMBEDDING_DIMENSIONS": "64"}
        old, switch = await embedding_space(services.database, services.embedder), select(SpaceSwitch.state)

        async def active() -> int | None:
            async with services.database.tenant(tenant_id) as session:
                return await session.scalar(select(KnowledgeBase.space_id).where(KnowledgeBase.chunks > 0))

        async def has_old() -> bool:
            return await active() == old

        async def has_new() -> bool:
            return await active() not in {old, None}

        async def is_asked() -> bool:
            return len(peer.requests) == 1

        async with running(folder, "work", **settings):
            await wait_for(has_old, 60)
        peer.fail_with("hang", times=1)
        async with running(folder, "work", **another) as killed:
            await wait_for(is_asked, 60)
            killed.kill()
        async with services.database.system() as session:  # as if its lease were over, for which the test above waits
            await session.execute(update(Job).where(Job.state == "doing").values(lease_until=func.now()))
        assert await has_old()
        async with running(folder, "work", **another):
            await wait_for(has_new, 60)
        async with services.database.tenant(tenant_id) as session:
            states = list(await session.scalars(switch))
            missing = await session.scalar(
                text(
                    "SELECT count(*) FROM chunks c WHERE NOT EXISTS (SELECT FROM chunk_embeddings e "
                    "JOIN knowledge_bases k ON k.space_id = e.space_id WHERE e.chunk_id = c.id)"
                )
            )
    assert (states, missing) == (["active"], 0)


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    """Everything that it prints up to the line with these words."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(120):
        while words not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line.decode()
    return said


async def test_up_starts_everything_and_ends_without_a_trace(folder: Path, unused_tcp_port: int) -> None:
    """It greets with its address, a link and a cited answer; after SIGTERM neither worker nor database is left."""
    address = f"http://127.0.0.1:{unused_tcp_port}"
    async with running(folder, "up", ASISSTO_PORT=str(unused_tcp_port)) as up:
        greeting = await read_until(up, "Press Ctrl+C to stop.")
        async with httpx.AsyncClient(base_url=address) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert f"Asissto is running at {address}\n" in greeting
            (token,) = re.findall(rf"{re.escape(address)}/setup#token=(\S+)", greeting)
            assert "Question: Which file types can I upload?" in greeting
            assert re.search(r"^  \[1\] .+: “.+”$", greeting, re.MULTILINE)
            body = {"token": token, "name": "Dora", "email": "dora@example.com", "password": PASSWORD}
            statuses = [(await client.post("/api/v1/auth/setup", json=body)).status_code for _ in range(2)]
            assert statuses == [201, 403]
        async with running(folder, "up", ASISSTO_PORT=str(unused_tcp_port)) as second:
            output, _ = await asyncio.wait_for(second.communicate(), 60)
        assert (second.returncode, output.decode().count("\n")) == (1, 1)
        assert "port_in_use" in output.decode()
        started = psutil.Process(up.pid).children(recursive=True)
        server = psutil.Process(int((folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0]))
        up.send_signal(signal.SIGTERM)
        await asyncio.wait_for(up.communicate(), 30)
    assert up.returncode == 0
    _, alive = psutil.wait_procs([*started, server], timeout=10)
    assert (len(started) >= 1, alive) == (True, [])
    assert not (folder / "data" / "postgres" / "postmaster.pid").exists()
