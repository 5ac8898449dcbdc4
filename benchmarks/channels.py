"""How many messages a server and a worker answer: from the hook to the provider's door, with a stub model."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import labelled
import msgspec
import numpy as np
import psutil
import workload
from aiohttp import web
from arena import console, open_folder
from ours import Ours
from pipeline import Served, fill, register, serving, settings_of, stub_model
from rich.console import Console
from rich.table import Table

from asissto.platform.credentials import read_access_token
from asissto.platform.services import open_services
from asissto.platform.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"a benchmark is no secret").decode()
_WARM = 5


class Sizes(msgspec.Struct, frozen=True):
    passages: int
    conversations: int
    turns: int
    pause: float
    workers: int


class Row(msgspec.Struct, frozen=True):
    """Milliseconds from the moment when the message was due to the moment when the provider had the answer."""

    label: str
    answers_a_second: float
    p50: float
    p95: float
    server_cpu: float
    database_cpu: float
    worker_cpu: float


class Receiver:
    """The provider's door: remembers when the answer to a conversation came."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def expect(self, conversation: str) -> asyncio.Future[float]:
        self._waiting[conversation] = asyncio.get_running_loop().create_future()
        return self._waiting[conversation]

    async def take(self, request: web.Request) -> web.Response:
        came = time.perf_counter()
        waiting = self._waiting.pop((await request.json())["conversation"], None)
        if waiting is not None:
            waiting.set_result(came)
        return web.Response()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/answers", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/answers"
        await runner.cleanup()


@click.command(help=__doc__)
@click.option("--passages", default=10_000, show_default=True, help="Rows of the tenant that is asked.")
@click.option("--conversations", default=60, show_default=True, help="Conversations at once.")
@click.option("--turns", default=5, show_default=True, help="Messages of each.")
@click.option("--pause", default=2.0, show_default=True, help="Seconds from one message to the next.")
@click.option("--workers", default=1, show_default=True, help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def main(as_json: bool, **sizes: Any) -> None:
    load, _, _ = os.getloadavg()
    measured = Sizes(**sizes)
    rows = asyncio.run(measure(measured))
    if as_json:
        print(msgspec.json.encode({"load_before": load, "rows": msgspec.to_builtins(rows)}).decode())
    else:
        show(measured, rows, load)


async def measure(sizes: Sizes) -> list[Row]:
    console.print("Embedding passages, sentences and questions", style="dim")
    with tempfile.TemporaryDirectory() as models:
        enough = sizes.conversations * sizes.turns + _WARM
        asked = await labelled.make_labelled(sizes.passages, sizes.passages, enough, Path(models))
    rows: list[Row] = []
    receiver = Receiver()
    with open_folder() as folder, stub_model() as address:
        workload.save(asked.work, folder)
        own = {"ASISSTO_PROVIDER_PRIVATE_ADDRESSES": "true", **settings_of(address)}
        async with (
            open_services(Settings(data_dir=folder / "data")) as services,
            receiver.serving() as door,
            serving("", folder / "data", own) as served,
            AsyncExitStack() as stack,
        ):
            started = [_worker(folder / "data", own) for _ in range(sizes.workers)]
            workers = [await stack.enter_async_context(worker) for worker in started]
            token = await register(served.client)
            tenant_id = read_access_token(services.keys, token).tid
            await fill(Ours(folder, services.database.addresses), tenant_id, sizes.passages)
            served.client.headers["authorization"] = f"Bearer {token}"
            hook = await _channel(served.client, door, tenant_id)
            for paced in (True, False):
                console.print("Writing, paced" if paced else "Writing at once", style="dim")
                run = _Run(served.client, hook, receiver, itertools.cycle(asked.work.questions))
                await run.warm()
                before = _spent(served, workers)
                latencies, taken = await run.write(sizes, paced=paced)
                after = _spent(served, workers)
                spent = [(then - now) / len(latencies) for now, then in zip(before, after, strict=True)]
                p50, p95 = np.percentile(latencies, (50, 95)) * 1000
                label = f"one in {sizes.pause:g} s each" if paced else "one after the other"
                rows.append(Row(label, len(latencies) / taken, float(p50), float(p95), *spent))
    return rows


class _Run:
    def __init__(self, client: httpx.AsyncClient, hook: str, receiver: Receiver, questions: Any) -> None:
        self._client = client
        self._hook = hook
        self._receiver = receiver
        self._questions = questions
        self._keys = itertools.count(time.time_ns())

    async def warm(self) -> None:
        """Models load, plans are made."""
        for _ in range(_WARM):
            await self._turn("warm")

    async def write(self, sizes: Sizes, *, paced: bool) -> tuple[list[float], float]:
        latencies: list[float] = []
        begun = time.perf_counter()

        async def converse(number: int) -> None:
            for turn in range(sizes.turns):
                due = begun + (turn + number / sizes.conversations) * sizes.pause if paced else time.perf_counter()
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                latencies.append(await self._turn(f"{paced}-{number}") - due)

        await asyncio.gather(*(converse(number) for number in range(sizes.conversations)))
        return latencies, time.perf_counter() - begun

    async def _turn(self, conversation: str) -> float:
        answered = self._receiver.expect(conversation)
        raw = msgspec.json.encode({"conversation": conversation, "text": next(self._questions)})
        name, now = f"m{next(self._keys)}", int(time.time())
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        signature = base64.b64encode(hmac.digest(key, f"{name}.{now}.".encode() + raw, hashlib.sha256)).decode()
        headers = {"webhook-id": name, "webhook-timestamp": str(now), "webhook-signature": f"v1,{signature}"}
        (await self._client.post(self._hook, content=raw, headers=headers)).raise_for_status()
        return await asyncio.wait_for(answered, 120)


async def _channel(client: httpx.AsyncClient, door: str, tenant_id: object) -> str:
    """Without waiting for more: what is measured is what the pipeline adds."""
    [assistant] = (await client.get("/api/v1/assistants")).json()["items"]
    settings = {"settings": {"burst_seconds": 0}}
    (await client.patch(f"/api/v1/assistants/{assistant['id']}", json=settings)).raise_for_status()
    limits = {"visitor_per_minute": 1_000, "channel_per_minute": 100_000}
    body = {
        "name": "door",
        "type": "http",
        "settings": {"callback_url": door, "limits": limits},
        "secrets": {"secret": SECRET},
    }
    made = (await client.post("/api/v1/channels", json=body)).raise_for_status().json()
    return f"/api/v1/hooks/{tenant_id}/{made['id']}"


@asynccontextmanager
async def _worker(data_dir: Path, own: dict[str, str]) -> AsyncIterator[psutil.Process]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ASISSTO_", "OPENAI_"))}
    mine = {"ASISSTO_DATA_DIR": str(data_dir), "ASISSTO_LOG_LEVEL": "warning"}
    command = (sys.executable, "-m", "asissto.platform.entrypoints.cli", "work")
    process = await asyncio.create_subprocess_exec(*command, env=inherited | mine | own)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


def _spent(served: Served, workers: Sequence[psutil.Process]) -> tuple[float, float, float]:
    """Seconds of the processor: server, database, workers."""
    return *served.processor(), sum(map(_seconds, workers))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def show(sizes: Sizes, rows: list[Row], load: float) -> None:
    title = (
        f"{sizes.conversations} conversations through a channel, {sizes.passages:,} passages, "
        f"{sizes.workers} workers, a stub model"
    )
    table = Table("", "answers/s", "p50, ms", "p95, ms", "server, ms/answer", "database", "worker", title=title)
    for row in rows:
        processor = (f"{1000 * seconds:.0f}" for seconds in (row.server_cpu, row.database_cpu, row.worker_cpu))
        table.add_row(row.label, f"{row.answers_a_second:.1f}", f"{row.p50:.0f}", f"{row.p95:.0f}", *processor)
    Console(width=150).print(table)
    print(f"Load of the machine before: {load:.1f}")
    print("The answer core alone is measured by benchmarks/answer.py, the same questions over HTTP by pipeline.py.")


if __name__ == "__main__":
    main()
