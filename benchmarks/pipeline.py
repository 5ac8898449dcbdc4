"""How many conversations at once one server process answers over HTTP, without a model and with a stub of one."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import httpx
import labelled
import msgspec
import numpy as np
import psutil
import workload
from arena import HERE, console, open_folder, parts
from ours import Ours
from rich.console import Console
from rich.table import Table

from asissto.platform.credentials import read_access_token
from asissto.platform.services import open_services
from asissto.platform.settings import Settings

DOCUMENT = 500
_WARM = 5


class Row(msgspec.Struct, frozen=True):
    """Milliseconds from the moment when the question was due; seconds of the processor for one answer.

    `modes` count the answers by what wrote them, errors by their status.
    """

    label: str
    answers_a_second: float
    p50: float
    p95: float
    server_cpu: float
    database_cpu: float
    modes: dict[str, int]


@dataclass(frozen=True)
class Served:
    label: str
    client: httpx.AsyncClient
    server: psutil.Process
    database: psutil.Process

    def processor(self) -> tuple[float, float]:
        """Seconds of the server's process, and of Postgres with all its own."""
        return _seconds(self.server), sum(map(_seconds, self.database.children()))


class Figures(msgspec.Struct, frozen=True):
    passages: int
    conversations: int
    pause: float
    cores: int
    load_before: float
    rows: list[Row]


class Sizes(msgspec.Struct, frozen=True):
    passages: int
    conversations: int
    turns: int
    pause: float


@click.command(help=__doc__)
@click.option("--passages", default=10_000, show_default=True, help="Rows of the tenant that is asked.")
@click.option("--conversations", default=60, show_default=True, help="Conversations at once.")
@click.option("--turns", default=5, show_default=True, help="Questions of each.")
@click.option("--pause", default=2.0, show_default=True, help="Seconds from one question to the next.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def main(as_json: bool, **sizes: Any) -> None:
    figures = asyncio.run(measure(Sizes(**sizes)))
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        show(figures)


async def measure(sizes: Sizes) -> Figures:
    load, _, _ = os.getloadavg()
    console.print("Embedding passages, sentences and questions", style="dim")
    with tempfile.TemporaryDirectory() as models:
        enough = sizes.conversations * sizes.turns + _WARM
        asked = await labelled.make_labelled(sizes.passages, sizes.passages, enough, Path(models))
    rows: list[Row] = []
    with open_folder() as folder:
        workload.save(asked.work, folder)
        async with open_services(Settings(data_dir=folder / "data")) as services:
            token = ""
            with stub_model() as address:
                for label, model in (("without a model", {}), ("with a stub model", settings_of(address))):
                    async with serving(label, folder / "data", model) as served:
                        if not token:
                            token = await register(served.client)
                            ours = Ours(folder, services.database.addresses)
                            await fill(ours, read_access_token(services.keys, token).tid, sizes.passages)
                        served.client.headers["authorization"] = f"Bearer {token}"
                        for paced in (True, False):
                            console.print(f"Asking {label}, {'paced' if paced else 'at once'}", style="dim")
                            rows.append(await _run(served, asked.work.questions, sizes, paced=paced))
    cores = len(os.sched_getaffinity(0))
    return Figures(sizes.passages, sizes.conversations, sizes.pause, cores, load, rows)


def settings_of(address: str) -> dict[str, str]:
    return {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none"}


async def register(client: httpx.AsyncClient) -> str:
    body = {"name": "Bench", "email": "bench@example.com", "password": "correct horse battery"}
    answer = (await client.post("/api/v1/auth/register", json=body)).raise_for_status()
    return str(answer.json()["access_token"])


async def fill(ours: Ours, tenant_id: UUID, passages: int) -> None:
    console.print(f"Storing {passages} passages", style="dim")
    await ours.adopt(workload.TENANT, tenant_id)
    for start, end in parts(0, passages, DOCUMENT):
        await ours.store(workload.TENANT, start, end)


@contextmanager
def stub_model() -> Iterator[str]:
    command = (sys.executable, HERE / "stub_model.py")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate(timeout=10)


@asynccontextmanager
async def serving(label: str, data_dir: Path, model: dict[str, str]) -> AsyncIterator[Served]:
    """The product's own, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mine = {"ASISSTO_DATA_DIR": str(data_dir), "ASISSTO_PORT": str(port), "ASISSTO_LOG_LEVEL": "warning"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ASISSTO_", "OPENAI_"))}
    command = (sys.executable, "-m", "asissto.platform.entrypoints.cli", "serve")
    process = await asyncio.create_subprocess_exec(*command, env=inherited | mine | model)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=120) as client:
            await until_ready(client)
            postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            yield Served(label, client, psutil.Process(process.pid), psutil.Process(postmaster))
    finally:
        process.terminate()
        await process.wait()


async def until_ready(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await client.get("/health/ready")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    sys.exit("The server did not start.")


async def _run(served: Served, questions: list[str], sizes: Sizes, *, paced: bool) -> Row:
    assistant_id = (await served.client.get("/api/v1/assistants")).json()["items"][0]["id"]
    address = f"/api/v1/assistants/{assistant_id}/ask"
    for question in questions[:_WARM]:  # the model loads, plans are made
        await served.client.post(address, json={"question": question})
    turns = itertools.cycle(questions[_WARM:])
    latencies: list[float] = []
    modes: Counter[str] = Counter()
    begun, before = time.perf_counter(), served.processor()

    async def converse(number: int) -> None:
        conversation_id = None
        for turn in range(sizes.turns):
            due = begun + (turn + number / sizes.conversations) * sizes.pause if paced else time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            body = {"question": next(turns), "conversation_id": conversation_id}
            answer = await served.client.post(address, json=body)
            latencies.append(time.perf_counter() - due)
            told = answer.json()
            conversation_id = told.get("conversation_id", conversation_id)
            modes[told.get("mode", str(answer.status_code))] += 1

    await asyncio.gather(*(converse(number) for number in range(sizes.conversations)))
    taken, after = time.perf_counter() - begun, served.processor()
    p50, p95 = np.percentile(latencies, (50, 95)) * 1000
    cpu = [(then - now) / len(latencies) for now, then in zip(before, after, strict=True)]
    label = f"{served.label}, {f'one in {sizes.pause:g} s each' if paced else 'one after the other'}"
    return Row(label, len(latencies) / taken, float(p50), float(p95), cpu[0], cpu[1], dict(modes))


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def show(figures: Figures) -> None:
    title = f"{figures.conversations} conversations about {figures.passages:,} passages on {figures.cores} cores"
    names = ("", "answers/s", "p50, ms", "p95, ms", "server, ms/answer", "database, ms/answer", "modes")
    table = Table(*names, title=title)
    for row in figures.rows:
        modes = ", ".join(f"{mode} {count}" for mode, count in sorted(row.modes.items()))
        processor = (f"{1000 * seconds:.0f}" for seconds in (row.server_cpu, row.database_cpu))
        table.add_row(row.label, f"{row.answers_a_second:.1f}", f"{row.p50:.0f}", f"{row.p95:.0f}", *processor, modes)
    Console(width=150).print(table)
    print(f"Load of the machine before: {figures.load_before:.1f}")


if __name__ == "__main__":
    main()
