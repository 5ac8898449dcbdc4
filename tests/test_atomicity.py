"""Nothing half-done is ever seen: deletion, new versions and uploads at once, with real concurrency on the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from asissto.ingestion import pipeline
from asissto.ingestion.lexemes import lexemes
from asissto.ingestion.parsing import parse
from asissto.platform.services import Services
from asissto.retrieval.scopes import whole_workspace
from asissto.retrieval.search import Query, search
from people import Person
from test_ingestion import NOTHING, check_consistency, counts, send, shown, stored_files, work
from words_embedder import WordsEmbedder

Json = dict[str, Any]

JOBS = "(SELECT * FROM jobs WHERE kind IN ('documents.ingest', 'files.delete')) job"
"""Without those that are planned for later."""


@pytest.fixture
def services(services: Services) -> Services:
    """With cheap vectors for everything, so that hundreds of trials fit into seconds."""
    return structs.replace(services, embedder=WordsEmbedder())


@pytest.fixture
def parse_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each of hundreds of small files would be most of the time."""

    async def here(path: Any, name: str, **_limits: int) -> Any:
        return await asyncio.to_thread(parse, path, name)

    monkeypatch.setattr(pipeline, "parse_apart", here)


async def ask(person: Person, assistant_id: str, question: str) -> Json:
    response = await person.client.post(f"/api/v1/assistants/{assistant_id}/ask", json={"question": question})
    answer: Json = response.raise_for_status().json()
    return answer


async def first_assistant(person: Person) -> str:
    return str((await person.client.get("/api/v1/assistants")).json()["items"][0]["id"])


@asynccontextmanager
async def at_work(services: Services, workers: int = 2) -> AsyncIterator[None]:
    """Workers that look for work all the time."""

    async def run() -> None:
        while True:
            await work(services)
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(run()) for _ in range(workers)]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


CLUBS = 100


async def test_no_answer_begun_after_a_deletion_knows_the_document(
    services: Services, alice: Person, superuser: asyncpg.Connection, parse_in_process: None
) -> None:
    """100 documents, a fact each; asks and deletions race. Those begun before may know it or not, and never fail."""
    assistant_id = await first_assistant(alice)
    facts = {club: f"Zebra{club:03}" for club in range(CLUBS)}
    texts = {club: f"The password of club number {club} is {word}.\n" for club, word in facts.items()}
    documents = {club: (await send(alice, f"club{club}.txt", text)).json()["id"] for club, text in texts.items()}
    await asyncio.gather(work(services), work(services))
    deleted: set[str] = set()
    known_before: dict[str, frozenset[str]] = {}
    seen = 0

    async def asked(club: int) -> Json:
        gone = frozenset(deleted)
        answer = await ask(alice, assistant_id, f"What is the password of club number {club}?")
        known_before[answer["message_id"]] = gone
        return answer

    async def trial(club: int) -> None:
        nonlocal seen
        before = asyncio.create_task(asked(club))
        for _ in range(club % 10 * 10):  # not always at the same point of the answer
            await asyncio.sleep(0)
        response = await alice.client.delete(f"/api/v1/documents/{documents[club]}")
        assert response.status_code == 204
        deleted.add(documents[club])
        after = await asked(club)
        assert facts[club] not in str(after)
        seen += facts[club] in (await before)["text"]

    trials = iter(range(CLUBS))

    async def one_after_the_other() -> None:
        for club in trials:
            await trial(club)

    await asyncio.gather(*(one_after_the_other() for _ in range(5)))
    stood_on = """
        SELECT message_id::text, passage->>'document_id' FROM receipts, jsonb_array_elements(passages) passage
        UNION ALL SELECT message_id::text, document_id::text FROM citations
    """
    rows = list(map(tuple, await superuser.fetch(stood_on)))
    assert [row for row in rows if row[1] in known_before[row[0]]] == []
    assert (len(known_before), seen > 0, len(rows) > CLUBS) == (2 * CLUBS, True, True)
    await work(services)
    assert (await counts(superuser), stored_files(services)) == (NOTHING, [])


EDITIONS, SEARCHES = 50, 200


def edition(number: int) -> str:
    """Each passage carries the number; how many there are depends on it."""
    return "\n".join(f"# Rule {rule}\n\nBicycle rule {rule} of edition {number}.\n" for rule in range(rules(number)))


def rules(number: int) -> int:
    return 4 + number % 3


async def test_a_search_sees_one_version_whole(
    services: Services, alice: Person, superuser: asyncpg.Connection, parse_in_process: None
) -> None:
    """200 searches during 50 new versions: all passages of one version, and never of one before what was seen."""
    await send(alice, "rules.md", edition(0))
    await work(services)
    scope = await whole_workspace(services, alice.tenant_id)
    terms = dict.fromkeys(lexemes("bicycle rules"), 1.0)
    vector = (await services.embedder.embed(["bicycle rules"]))[0]
    query = Query(terms=terms, vector=vector, space_id=scope.space.id, collections=None, wanted=30)
    seen: list[tuple[int, int]] = []
    published, searched = 0, 0

    async def look() -> None:
        nonlocal searched
        while published < EDITIONS or searched < SEARCHES:
            searched += 1
            least = published
            async with services.database.tenant(alice.tenant_id) as session:
                passages = (await search(session, alice.tenant_id, scope.tenant_number, query)).passages
            (number,) = {int(passage.text.split()[-1].rstrip(".")) for passage in passages}
            assert number >= least
            seen.append((number, len(passages)))
            await asyncio.sleep(0.01)

    async def renew() -> None:
        nonlocal published
        for number in range(1, EDITIONS + 1):
            await send(alice, "rules.md", edition(number))
            await work(services)
            published = number

    await asyncio.gather(renew(), *(look() for _ in range(3)))
    assert [each for each in seen if each[1] != rules(each[0])] == []
    assert (len(seen) >= SEARCHES, len(set(seen)) > EDITIONS // 2) == (True, True)
    await check_consistency(superuser)


async def test_two_workers_share_thirty_uploads(
    services: Services, alice: Person, superuser: asyncpg.Connection, parse_in_process: None
) -> None:
    """Each document is read once, embedded once and published once."""
    async with at_work(services):
        texts = [f"Shelf {number} holds {number * 7} boxes." for number in range(30)]
        sent = await asyncio.gather(*(send(alice, f"shelf{at}.txt", text) for at, text in enumerate(texts)))
        await until_idle(superuser)
    assert len({each.json()["id"] for each in sent}) == 30
    versions = await superuser.fetch("SELECT state, attempts, count(*)::int FROM document_versions GROUP BY 1, 2")
    assert list(map(tuple, versions)) == [("ready", 1, 30)]
    jobs = await superuser.fetch(f"SELECT state, attempts, count(*)::int FROM {JOBS} GROUP BY 1, 2")
    assert list(map(tuple, jobs)) == [("done", 1, 30)]
    assert (await counts(superuser))["known"] == 30
    assert isinstance(services.embedder, WordsEmbedder)
    assert sorted(services.embedder.texts) == sorted(f"shelf{at}\n{text}" for at, text in enumerate(texts))
    await check_consistency(superuser)


async def until_idle(connection: asyncpg.Connection) -> None:
    due = f"SELECT count(*) FROM {JOBS} WHERE state IN ('todo', 'doing')"
    async with asyncio.timeout(60):
        while await connection.fetchval(due):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_one_file_sent_twenty_times_at_once_is_one_document(
    services: Services, alice: Person, superuser: asyncpg.Connection, parse_in_process: None
) -> None:
    """One version, one job, one stored file; the other copies leave nothing."""
    async with at_work(services):
        sent = await asyncio.gather(*(send(alice, "same.txt", "The office cat is called Murka.") for _ in range(20)))
        await until_idle(superuser)
    assert len({each.raise_for_status().json()["id"] for each in sent}) == 1
    rows = await counts(superuser)
    assert {name: rows[name] for name in ("documents", "document_versions", "chunks", "known")} == {
        "documents": 1,
        "document_versions": 1,
        "chunks": 1,
        "known": 1,
    }
    assert (await superuser.fetchval(f"SELECT count(*) FROM {JOBS}"), len(stored_files(services))) == (1, 1)
    await check_consistency(superuser)


async def test_twenty_contents_of_one_name_at_once_are_versions_of_one_document(
    services: Services, alice: Person, superuser: asyncpg.Connection, parse_in_process: None
) -> None:
    """The last one that came in is what is found, and each has its file."""
    async with at_work(services, workers=3):
        texts = [f"The cat number {number} is called Murka." for number in range(20)]
        sent = await asyncio.gather(*(send(alice, "cat.txt", text) for text in texts))
        await until_idle(superuser)
    assert len({each.raise_for_status().json()["id"] for each in sent}) == 1
    versions = await superuser.fetch("SELECT id, state FROM document_versions ORDER BY id")
    assert [row["state"] for row in versions] == ["superseded"] * 19 + ["ready"]
    (document,) = await superuser.fetch("SELECT id::text, active_version_id FROM documents")
    assert (document["active_version_id"], (await counts(superuser))["chunks"]) == (versions[-1]["id"], 1)
    assert (await shown(alice, document["id"]))["state"] == "ready"
    assert len(stored_files(services)) == 20
    await check_consistency(superuser)


STEPS = {"parsing": "parse_apart", "chunking": "chunk", "embedding": "embed", "publishing": "lock_knowledge"}


@pytest.mark.parametrize("stage", STEPS)
async def test_a_document_deleted_on_its_way_leaves_nothing(
    stage: str, services: Services, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the worker was doing, it publishes nothing and ends its job."""
    document = (await send(alice, "guide.txt", "Renting a bicycle for a day costs 12 euros.")).json()
    loop, states = asyncio.get_running_loop(), list[str]()
    owner = services.embedder if stage == "embedding" else pipeline
    step = getattr(owner, STEPS[stage])

    async def delete() -> None:
        states.append((await shown(alice, document["id"]))["state"])
        (await alice.client.delete(f"/api/v1/documents/{document['id']}")).raise_for_status()

    def delete_and_chunk(*arguments: Any) -> Any:
        asyncio.run_coroutine_threadsafe(delete(), loop).result()
        return step(*arguments)

    async def delete_and_go_on(*arguments: Any, **limits: Any) -> Any:
        await delete()
        return await step(*arguments, **limits)

    monkeypatch.setattr(owner, STEPS[stage], delete_and_chunk if stage == "chunking" else delete_and_go_on)
    await work(services)
    assert states == [stage]
    assert (await counts(superuser), stored_files(services)) == (NOTHING, [])
    assert [row[0] for row in await superuser.fetch(f"SELECT DISTINCT state FROM {JOBS}")] == ["done"]
