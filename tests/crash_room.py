"""A whole installation whose processes are killed while customers write: what is lost, doubled, out of order, charged.

Server and workers are processes of the real command line; Postgres is the embedded one; the other side is a peer of the
channel over sockets, which lives here and remembers what it took.
"""

import asyncio
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from asissto.channels import outbox
from asissto.platform.errors import DatabaseDown
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings
from channels_at_work import bring
from gateway_peer import SECRET, Gateway
from people import PASSWORD
from telegram_peer import TOKEN as BOT_TOKEN
from telegram_peer import TelegramPeer
from twilio_peer import ACCOUNT, NUMBER, TwilioPeer
from twilio_peer import TOKEN as TWILIO_TOKEN
from vk_peer import GROUP_ID, VkPeer
from vk_peer import TOKEN as VK_TOKEN

PATIENCE = 150.0
"""Seconds after which an answer counts as lost: a killed worker's lease and a few attempts fit in."""

_MARK = re.compile(r"part (\d+-\d+-\d+)")
_LEASES = {
    "jobs": "lease_until",
    "outbox": "lease_until",
    "conversations": "claimed_until",
    "channels": "polled_until",
}
_ROWS = "SELECT state, count(*) FROM outbox GROUP BY state"
Say = Callable[[int, str, str], Awaitable[object]]
Said = Callable[[int], list[str]]


class Line(msgspec.Struct, frozen=True):
    """Of one channel; `parts` is how many messages of the provider the answers should be."""

    channel: str
    messages: int
    parts: int
    kills: int
    lost: int
    doubled: int
    out_of_order: int
    answered_twice: int
    states: dict[str, int]
    seconds: float


class Side(msgspec.Struct, frozen=True):
    """The other side: `say(customer, words, key)` until we have it, `said(customer)` what reached the customer.

    `parts` is what an answer of three long paragraphs is cut into there.
    """

    say: Say
    said: Said
    parts: int


class Room:
    """An installation; `client` is its owner's."""

    def __init__(self, folder: Path, services: Services) -> None:
        self.services = services
        self.tenant_id = UUID(int=0)
        self.kills = 0
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self.client = httpx.AsyncClient(base_url=self.address, timeout=30)
        self._uses = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def begin(self, *, workers: int) -> None:
        self._start("serve")
        for number in range(workers):
            self._start(f"work {number}")
        await self._until_ready()
        body = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}
        session = (await self.client.post("/api/v1/auth/register", json=body)).raise_for_status().json()
        self.tenant_id = UUID(session["tenant_id"])
        self.client.headers["authorization"] = f"Bearer {session['access_token']}"
        [assistant] = (await self.client.get("/api/v1/assistants")).json()["items"]
        settings = {"settings": {"burst_seconds": 0.2}}
        (await self.client.patch(f"/api/v1/assistants/{assistant['id']}", json=settings)).raise_for_status()

    async def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        await self.client.aclose()
        self._uses.close()

    async def kill(self, name: str) -> None:
        """With -9; another one takes its place. A single worker's leases end with it, so that nobody waits for them."""
        self._processes[name].kill()
        self._processes[name].wait()
        self.kills += 1
        if name != "serve" and len(self._processes) == 2:
            await self._end_leases()
        self._start(name)

    async def kill_one(self, chance: random.Random) -> None:
        """A worker mostly, the server now and then."""
        workers = [name for name in self._processes if name != "serve"]
        await self.kill("serve" if chance.random() < 0.2 else chance.choice(workers))

    async def _end_leases(self) -> None:
        async with self.services.database.system() as session:
            for table, column in _LEASES.items():
                await session.execute(text(f"UPDATE {table} SET {column} = now() WHERE {column} > now()"))

    def restart_database(self) -> None:
        """At once, as after a crash: every connection breaks."""
        server = self._folder / "data" / "postgres" / "postmaster.pid"
        os.kill(int(server.read_text().split()[0]), 3)  # SIGQUIT: an immediate shutdown
        for _ in range(500):
            if not server.exists():
                break
            time.sleep(0.02)
        self._uses.enter_context(EmbeddedPostgres(self._folder / "data"))

    async def make_pairs(self, questions: dict[str, str]) -> None:
        [collection] = (await self.client.get("/api/v1/collections")).json()["items"]
        for question, answer in questions.items():
            body = {"collection_id": collection["id"], "question": question, "answer": answer}
            (await self.client.post("/api/v1/pairs", json=body)).raise_for_status()
        waiting = "SELECT state, count(*) FROM jobs WHERE kind = 'documents.ingest' AND state <> 'done' GROUP BY state"
        deadline = time.monotonic() + PATIENCE
        while await self.counted(waiting):
            assert time.monotonic() < deadline, await self.story()
            await asyncio.sleep(0.1)

    async def make_channel(self, kind: str, settings: dict[str, Any], secrets: dict[str, Any]) -> dict[str, Any]:
        body = {"name": kind, "type": kind, "settings": settings, "secrets": secrets}
        made: dict[str, Any] = (await self.client.post("/api/v1/channels", json=body)).raise_for_status().json()
        return made

    def hook_of(self, channel: dict[str, Any]) -> str:
        return f"{self.address}/api/v1/hooks/{self.tenant_id}/{channel['id']}"

    async def story(self) -> str:
        """What the database holds and the processes have logged: why something is missing, where something is."""
        queries = (
            "SELECT kind, state, attempts, key, error, run_at, lease_until FROM jobs WHERE state <> 'done'",
            "SELECT id, status, handed_over_reason, claimed_until FROM conversations",
            "SELECT conversation_id, created_at, sender_kind, waits, left(content, 60) FROM messages ORDER BY 1, 2",
            "SELECT conversation_id, seq, state, attempts, error_code, error FROM outbox ORDER BY 1, 2",
        )
        told: list[str] = []
        async with self.services.database.system() as session:
            for query in queries:
                told += ["", query, *map(str, (await session.execute(text(query))).all())]
        logs = (f"\n{log.name}\n{log.read_text()[-3000:]}" for log in sorted(self._folder.glob("*.log")))
        return "\n".join([*told, *logs])

    async def counted(self, query: str) -> dict[str, int]:
        """Whatever the state of the database: it may be torn down at the moment."""
        async with asyncio.timeout(60):
            while True:
                with suppress(DatabaseDown, DBAPIError):
                    async with self.services.database.system() as session:
                        return {str(row[0]): int(row[1]) for row in await session.execute(text(query))}
                await asyncio.sleep(0.2)

    def _start(self, name: str) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ASISSTO_", "OPENAI_"))}
        own = {
            "HOME": str(self._folder),
            "ASISSTO_DATA_DIR": str(self._folder / "data"),
            "ASISSTO_PORT": str(self._port),
            "ASISSTO_PUBLIC_URL": self.address,
            "ASISSTO_PROVIDER_PRIVATE_ADDRESSES": "true",
            "ASISSTO_SAMPLE": "false",
            "ASISSTO_LOG_LEVEL": "warning",
        }
        command = (sys.executable, "-m", "asissto.platform.entrypoints.cli", name.split(maxsplit=1)[0])
        with (self._folder / f"{name.replace(' ', '-')}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, env=inherited | own, stdout=log, stderr=log)

    async def _until_ready(self) -> None:
        async with asyncio.timeout(120):
            while True:
                with suppress(httpx.TransportError):
                    if (await self.client.get("/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def crash_room(folder: Path, *, workers: int = 2) -> AsyncIterator[Room]:
    async with open_services(Settings(data_dir=folder / "data")) as services:
        room = Room(folder, services)
        try:
            await room.begin(workers=workers)
            yield room
        finally:
            await room.end()


async def until_taken(bring_it: Callable[[], Awaitable[int]]) -> None:
    """As a provider does: again and again until it is told that we have it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(httpx.TransportError, OSError):
                if await bring_it() < 300:
                    return
            await asyncio.sleep(0.3)


@asynccontextmanager
async def telegram(room: Room) -> AsyncIterator[Side]:
    async with TelegramPeer() as peer:
        await room.make_channel("telegram", {"api_base": peer.base_url}, {"bot_token": BOT_TOKEN})
        peer.trouble(seed=1, too_many=0.08, server_error=0.05, drop=0.02)

        async def say(customer: int, words: str, _key: str) -> None:
            peer.say(1000 + customer, words)

        yield Side(say, lambda customer: peer.texts(1000 + customer), 3)


@asynccontextmanager
async def vk(room: Room) -> AsyncIterator[Side]:
    async with VkPeer() as peer:
        settings = {"group_id": GROUP_ID, "api_base": peer.base_url}
        channel = await room.make_channel("vk", settings, {"token": VK_TOKEN})
        (await room.client.post(f"/api/v1/channels/{channel['id']}/install")).raise_for_status()
        async with asyncio.timeout(60):  # what was written before the channel listens is not for it
            while not any(call.method == "groups.getLongPollServer" for call in peer.calls):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        peer.be_flaky(reset=0.03, e6=0.05, lost=0.05)

        async def say(customer: int, words: str, _key: str) -> None:
            await peer.write(1000 + customer, words)

        yield Side(say, lambda customer: peer.said_to(1000 + customer), 3)


@asynccontextmanager
async def sms(room: Room) -> AsyncIterator[Side]:
    async with TwilioPeer(callbacks=("queued", "sent", "delivered"), shuffled=True) as peer:
        settings = {"account_sid": ACCOUNT, "sender": NUMBER, "api_base": peer.address, "max_segments": 10}
        channel = await room.make_channel("sms", settings, {"auth_token": TWILIO_TOKEN})
        hook = room.hook_of(channel)
        chance = random.Random(1)

        async def say(customer: int, words: str, key: str) -> None:
            async def once() -> int:
                sid = f"SM{abs(hash(key)):032x}"[:34]
                return (await peer.say(hook, words, sender=_phone(customer), MessageSid=sid, SmsSid=sid)).status

            if chance.random() < 0.1:
                peer.fail_with(chance.choice(["take_and_drop", "drop", 20429]))
            await until_taken(once)

        def said(customer: int) -> list[str]:
            return [message["body"] for message in peer.messages if message["to"] == _phone(customer)]

        yield Side(say, said, 1)


def _phone(customer: int) -> str:
    return f"+1500555{1000 + customer}"


@asynccontextmanager
async def http(room: Room) -> AsyncIterator[Side]:
    async with Gateway() as gateway:
        channel = await room.make_channel("http", {"callback_url": gateway.url}, {"secret": SECRET})
        chance = random.Random(1)

        async def say(customer: int, words: str, key: str) -> None:
            async def once() -> int:
                body = {"conversation": str(customer), "text": words}
                return (await bring(room.client, channel, room.tenant_id, key, body)).status_code

            if chance.random() < 0.1:
                gateway.fail(str(customer), chance.choice([500, "drop", "reset", 429]))
            await until_taken(once)

        yield Side(say, lambda customer: gateway.said(str(customer)), 1)


SIDES = {"telegram": telegram, "vk": vk, "sms": sms, "http": http}


def answer_to(customer: int, number: int, parts: int) -> str:
    """Paragraphs that begin with a mark; where several are wanted, each fills a message of its own."""
    filler = " The goods are counted, packed and carried to the gate." * (58 if parts > 1 else 0)
    return "\n\n".join(f"This is part {customer}-{number}-{part}.{filler}" for part in range(parts))


async def hold(
    room: Room, channel: str, *, customers: int, messages: int, kill_every: float | None, most_kills: int = 1_000
) -> Line:
    """Each customer writes `messages` times, the next one when the answer is there."""
    kills_before = room.kills
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(SIDES[channel](room))
        await room.make_pairs(
            {
                _question(channel, customer, number): answer_to(customer, number, side.parts)
                for customer in range(customers)
                for number in range(messages)
            }
        )
        begun = time.monotonic()
        killer = asyncio.create_task(_kill(room, kill_every, most_kills)) if kill_every else None
        await asyncio.gather(*(_converse(side, channel, customer, messages) for customer in range(customers)))
        seconds = time.monotonic() - begun
        if killer is not None:
            killer.cancel()
        await _until_quiet(room)
        tally = _tally(side, customers, messages)
    states = await room.counted(_ROWS)
    twice = "SELECT 'twice', count(*) FROM (SELECT question FROM receipts GROUP BY question HAVING count(*) > 1) r"
    answered_twice = (await room.counted(twice))["twice"]
    return Line(
        channel=channel,
        messages=customers * messages,
        parts=customers * messages * side.parts,
        kills=room.kills - kills_before,
        **tally,
        answered_twice=answered_twice,
        states=states,
        seconds=seconds,
    )


def _question(channel: str, customer: int, number: int) -> str:
    return f"What about {channel} order {customer:03d} of batch {number:03d}?"


async def _converse(side: Side, channel: str, customer: int, messages: int) -> None:
    await asyncio.sleep(customer * 0.15)
    for number in range(messages):
        await side.say(customer, _question(channel, customer, number), f"{channel}-{customer}-{number}")
        last = f"{customer}-{number}-{side.parts - 1}"
        deadline = time.monotonic() + PATIENCE
        while last not in _marks(side.said(customer)) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _kill(room: Room, every: float, most: int) -> None:
    chance = random.Random(7)
    for _ in range(most):
        await asyncio.sleep(every * chance.uniform(0.5, 1.5))
        await room.kill_one(chance)


async def _until_quiet(room: Room) -> None:
    """Nothing is on its way any more, nor to be sent again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(outbox.LEASE.total_seconds() + 30):
            while set(await room.counted(_ROWS)) & set(outbox.IN_QUEUE):  # noqa: ASYNC110
                await asyncio.sleep(0.2)


def _marks(texts: Sequence[str]) -> list[str]:
    """The first of each message: a list of sources quotes others."""
    return [found[1] for words in texts if (found := _MARK.search(words))]


def _tally(side: Side, customers: int, messages: int) -> dict[str, int]:
    lost = doubled = out_of_order = 0
    for customer in range(customers):
        arrived = _marks(side.said(customer))
        wanted = [f"{customer}-{number}-{part}" for number in range(messages) for part in range(side.parts)]
        counts = Counter(arrived)
        lost += sum(mark not in counts for mark in wanted)
        doubled += sum(count - 1 for count in counts.values())
        first = list(dict.fromkeys(arrived))
        out_of_order += first != [mark for mark in wanted if mark in counts]
    return {"lost": lost, "doubled": doubled, "out_of_order": out_of_order}
