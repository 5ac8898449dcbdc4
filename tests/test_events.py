"""Live events over a real socket: what happens in a workspace, told to those who may know it, and to nobody else."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from asissto.platform import event_routes
from asissto.platform.entrypoints.serving import WebServer, make_server
from asissto.platform.events import MOST_WAITING, Change, Hub, Watcher, announce
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from people import Member, Person, bearer
from test_ingestion import GUIDE, CountingEmbedder, publish, send, wait_until, work

ORDER = ("queued", "parsing", "chunking", "embedding", "publishing", "ready")
Event = tuple[str, Any]


@dataclass(frozen=True)
class Api:
    """The API on a real socket."""

    services: Services
    address: str
    server: WebServer

    @property
    def hub(self) -> Hub:
        return self.server._hub

    @asynccontextmanager
    async def watched(
        self, member: Member, language: str = "en", topics: str = "documents"
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The events as they come, without heartbeats; the first `reset` is taken already."""
        headers = {"authorization": bearer(self.services, member), "accept-language": language}
        async with (
            httpx.AsyncClient(base_url=self.address, headers=headers, timeout=30) as client,
            client.stream("GET", "/api/v1/events", params={"topics": topics}) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream")
            events = read(response)
            assert await anext(events) == ("reset", {})
            yield events
            await events.aclose()


async def read(response: httpx.Response) -> AsyncGenerator[Event]:
    name = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        if field == "data":
            yield name, msgspec.json.decode(value)


@pytest.fixture
async def api(services: Services, unused_tcp_port: int) -> AsyncIterator[Api]:
    server = make_server(structs.replace(services, settings=structs.replace(services.settings, port=unused_tcp_port)))
    serving = asyncio.create_task(server.serve())
    await server.wait_until_started()
    yield Api(services, f"http://127.0.0.1:{unused_tcp_port}", server)
    server.stop()
    await asyncio.wait_for(serving, 4)


async def until(events: AsyncIterator[Event], state: str) -> list[dict[str, Any]]:
    """The documents told, up to the one in this state."""
    told: list[dict[str, Any]] = []
    async for name, data in events:
        assert name == "document"
        told.append(data)
        if data["state"] == state:
            return told
    pytest.fail(f"the stream ended before {state}: {told}")


class Waiting(CountingEmbedder):
    """Embeds when it is told to."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.embedder)
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.begun.set()
        await self.go.wait()
        return await super().embed(texts)


async def test_the_life_of_a_document_is_told_in_order(api: Api, services: Services, alice: Person) -> None:
    """From its upload to its end, each time as the API shows it."""
    waiting = Waiting(services)
    async with api.watched(alice) as events:
        document = (await send(alice, "guide.md", GUIDE)).json()
        assert await anext(events) == ("document", document)
        working = asyncio.create_task(work(structs.replace(services, embedder=waiting)))
        told = await until(events, "embedding")
        assert (told[-1]["done"], told[-1]["total"]) == (0, 2)
        waiting.go.set()
        told += await until(events, "ready")
        await working
        assert told[-1] == (await alice.client.get(f"/api/v1/documents/{document['id']}")).json()
        (await alice.client.delete(f"/api/v1/documents/{document['id']}")).raise_for_status()
        assert await anext(events) == ("document", {"id": document["id"], "state": "deleted"})
    states = [ORDER.index(each["state"]) for each in told]
    assert states == sorted(states)
    assert {each["id"] for each in told} == {document["id"]}


async def test_a_failure_is_told_in_the_readers_language(api: Api, services: Services, alice: Person) -> None:
    """With its reason; each of two readers has its own stream."""
    async with api.watched(alice) as english, api.watched(alice, "ru") as russian:
        await publish(services, alice, "blank.md", "\n \n")
        failed = [(await until(events, "failed"))[-1] for events in (english, russian)]
    assert [each["reason"] for each in failed] == ["document_empty"] * 2
    assert "holds no text" in failed[0]["detail"]
    assert "нет текста" in failed[1]["detail"]


async def test_a_job_that_is_given_up_is_told(
    api: Api, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Also an end that the worker writes and not the pipeline."""
    await send(alice, "guide.md", GUIDE)
    await superuser.execute("UPDATE jobs SET attempts = 5 WHERE kind = 'documents.ingest'")
    async with api.watched(alice) as events:
        await work(services)
        assert (await until(events, "failed"))[-1]["reason"] == "internal"


async def test_other_workspaces_hear_nothing(api: Api, services: Services, alice: Person, charlie: Person) -> None:
    """The first thing that charlie hears is his own, although alice's came before."""
    async with api.watched(charlie) as his, api.watched(alice) as hers:
        await publish(services, alice, "guide.md", GUIDE)
        await until(hers, "ready")
        own = (await send(charlie, "own.md", GUIDE)).json()
        assert await anext(his) == ("document", own)


async def test_an_announcement_under_a_false_name_tells_nothing(api: Api, alice: Person, charlie: Person) -> None:
    """The row is read with the rights of the reader: of a stranger's document it hears no more than that it is gone."""
    document = (await send(alice, "guide.md", GUIDE)).json()
    async with api.watched(charlie) as his:
        async with api.services.database.tenant(charlie.tenant_id) as session:
            await announce(session, charlie.tenant_id, "documents", UUID(document["id"]))
        assert await anext(his) == ("document", {"id": document["id"], "state": "deleted"})


async def test_what_was_rolled_back_is_not_told(api: Api, alice: Person) -> None:
    """An announcement is part of its transaction."""

    async def failing() -> None:
        async with api.services.database.tenant(alice.tenant_id) as session:
            await announce(session, alice.tenant_id, "documents", new_id())
            raise ZeroDivisionError

    async with api.watched(alice) as events:
        with pytest.raises(ZeroDivisionError):
            await failing()
        document = (await send(alice, "guide.md", GUIDE)).json()
        assert await anext(events) == ("document", document)


REFUSED = {
    "nobody": ("", {"topics": "documents"}, 401, "not_signed_in"),
    "no topic": ("alice", {}, 400, "invalid_input"),
    "an unknown topic": ("alice", {"topics": "secrets"}, 400, "invalid_input"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_stream_is_refused_before_it_begins(case: str, alice: Person, client: httpx.AsyncClient) -> None:
    """With a status, like everything else."""
    who, params, status, code = REFUSED[case]
    answer = await (alice.client if who else client).get("/api/v1/events", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_topic_asks_for_its_permission(api: Api, alice: Person) -> None:
    """A role that may not read the objects does not hear of them."""
    documents = api.hub.topics["documents"]
    api.hub.topics = {"documents": structs.replace(documents, permission="nothing")}
    async with httpx.AsyncClient(headers={"authorization": bearer(api.services, alice)}) as client:
        answer = await client.get(f"{api.address}/api/v1/events", params={"topics": "documents"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_many_readers_share_one_connection(api: Api, alice: Person, superuser: asyncpg.Connection) -> None:
    """It is there as long as one of them is, and each that leaves frees what it held."""
    listening = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%events%'"
    )
    async with api.watched(alice):
        async with api.watched(alice), api.watched(alice):
            assert (len(api.hub._watchers), await superuser.fetchval(listening)) == (3, 1)
        await wait_until(lambda: len(api.hub._watchers) == 1)
    await wait_until(lambda: not api.hub._watchers)
    await wait_until(lambda: api.hub._listening is None)
    for _ in range(100):  # the server notices a closed connection on its own time
        if not await superuser.fetchval(listening):
            break
    assert await superuser.fetchval(listening) == 0


async def test_a_lost_connection_comes_back_with_a_reset(
    api: Api, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The reader reads everything anew, since something may have been missed, and hears again."""
    killing = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%events%'"
    async with api.watched(alice) as events:
        assert await superuser.fetchval(f"{killing} AND datname = current_database()") == 1
        assert await anext(events) == ("reset", {})
        document = (await send(alice, "guide.md", GUIDE)).json()
        assert await anext(events) == ("document", document)


async def test_an_open_stream_does_not_hold_up_a_stop(api: Api, alice: Person) -> None:
    """It ends well, so that the reader comes back to the next server; the fixture waits for the stop."""
    async with api.watched(alice) as events:
        api.server.stop()
        assert [event async for event in events] == []


async def test_a_stream_beats_and_ends_with_the_session(
    api: Api, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies see a comment now and then; whoever has signed out hears nothing more."""
    monkeypatch.setattr(event_routes, "HEARTBEAT_SECONDS", 0.05)
    headers = {"authorization": bearer(api.services, alice)}
    async with (
        httpx.AsyncClient(headers=headers) as client,
        client.stream("GET", f"{api.address}/api/v1/events", params={"topics": "documents"}) as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        while await anext(lines) != ": ":
            pass
        (await alice.client.post("/api/v1/auth/sign-out")).raise_for_status()
        rest = [line async for line in lines]
    assert set(rest) <= {"", ": "}


class Large(msgspec.Struct):
    """A few of them are more than the buffers on the way take."""

    id: UUID
    text: str = "x" * (6 << 20)


async def render_large(_session: object, _tenant_id: UUID, ids: Sequence[UUID], _language: str) -> list[Large]:
    return [Large(each) for each in ids]


@asynccontextmanager
async def stalled(api: Api, member: Member) -> AsyncIterator[None]:
    """A reader that asks for the stream and reads nothing of it."""
    head = f"GET /api/v1/events?topics=documents HTTP/1.1\r\nhost: x\r\nauthorization: {bearer(api.services, member)}"
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.address.rpartition(":")[2]), limit=1)
    writer.write(f"{head}\r\n\r\n".encode())
    await wait_until(lambda: len(api.hub._watchers) == 1)
    try:
        yield
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_a_reader_that_does_not_read_holds_up_nobody(api: Api, alice: Person) -> None:
    """Its connection is full and its news wait; the other one hears of every document."""
    documents = api.hub.topics["documents"]
    api.hub.topics = {"documents": structs.replace(documents, render=render_large)}
    async with stalled(api, alice):
        (slow,) = api.hub._watchers
        async with api.watched(alice) as events:
            for number in range(4):
                document = (await send(alice, f"{number}.md", GUIDE)).json()
                assert (await anext(events))[1]["id"] == document["id"]
        assert len(slow._changes) >= 1
    await wait_until(lambda: not api.hub._watchers)


async def test_a_document_is_told_four_times_a_second_at_most(api: Api, alice: Person) -> None:
    """However often it changes; the last word is never left out."""
    document = (await send(alice, "guide.md", GUIDE)).json()
    async with api.watched(alice) as events:
        began, told = time.monotonic(), 0
        for _ in range(100):
            async with api.services.database.tenant(alice.tenant_id) as session:
                await announce(session, alice.tenant_id, "documents", UUID(document["id"]))
        last = (await send(alice, "last.md", GUIDE)).json()
        while await anext(events) != ("document", last):
            told += 1
        assert 1 <= told <= (time.monotonic() - began) * 4 + 1


async def test_a_reader_that_falls_behind_begins_anew() -> None:
    """What waits for it is bounded; and a document that changes often waits once."""
    tenant, document = new_id(), new_id()
    watcher = Watcher(tenant, ["documents"])
    for _ in range(5):
        watcher.hear(Change(tenant, "documents", document))
    watcher.hear(Change(new_id(), "documents", new_id()))
    watcher.hear(Change(tenant, "others", new_id()))
    assert watcher.take() == (False, {"documents": [document]})
    for _ in range(MOST_WAITING + 1):
        watcher.hear(Change(tenant, "documents", new_id()))
    assert watcher.take() == (True, {})
    assert watcher.take() == (False, {})
