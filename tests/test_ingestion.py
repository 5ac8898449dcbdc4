"""From an uploaded file to passages that are found: with real files, through the API and a real worker."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from asissto.platform.embedding import Embedder
from asissto.platform.entrypoints.serving import make_server
from asissto.platform.entrypoints.web import build_app
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.retrieval.answering import answer_question
from asissto.retrieval.scopes import whole_workspace
from people import Person, bearer, make_client

SETS = Path(__file__).resolve().parents[2] / "shared" / "sets"

GUIDE = """# Bicycle rental

Renting a bicycle for a day costs 12 euros.

## Deposit

The deposit of 100 euros comes back within three working days after the return.

## Прокат зимой

Зимой велосипеды хранятся на тёплом складе, а ключи выдаёт дежурный администратор.
"""


class CountingEmbedder:
    """The real one, with a journal of the texts that it was given."""

    def __init__(self, embedder: Embedder) -> None:
        self.model, self.dimensions, self.languages = embedder.model, embedder.dimensions, embedder.languages
        self.texts: list[str] = []
        self._embedder = embedder

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return await self._embedder.embed(texts)


async def collection_of(person: Person) -> str:
    response = await person.client.get("/api/v1/collections")
    return str(response.raise_for_status().json()["items"][0]["id"])


async def send(person: Person, name: str, content: str | bytes) -> httpx.Response:
    data = content.encode() if isinstance(content, str) else content
    address = f"/api/v1/collections/{await collection_of(person)}/documents"
    return await person.client.post(address, params={"name": name}, content=data)


async def work(services: Services) -> None:
    """Everything that is due."""
    worker = make_worker(services)
    while await worker.run_one():
        pass


async def publish(services: Services, person: Person, name: str, content: str | bytes) -> dict[str, Any]:
    """The document as the API shows it after the worker is done."""
    document = (await send(person, name, content)).raise_for_status().json()
    await work(services)
    return await shown(person, document["id"])


async def shown(person: Person, document_id: str, language: str = "en") -> dict[str, Any]:
    response = await person.client.get(f"/api/v1/documents/{document_id}", headers={"accept-language": language})
    document: dict[str, Any] = response.raise_for_status().json()
    return document


async def found(services: Services, tenant_id: UUID, question: str) -> list[str]:
    scope = await whole_workspace(services, tenant_id)
    return [passage.text for passage in (await answer_question(services, scope, question, [])).found]


async def counts(connection: asyncpg.Connection) -> dict[str, int]:
    """How many rows of each kind there are, over all tenants."""
    tables = ("documents", "document_versions", "chunks", "chunk_lexemes", "chunk_embeddings", "lexeme_counts")
    rows = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
    sums = await connection.fetchrow(
        "SELECT sum(chunks)::int AS known, sum(lexemes)::int AS words FROM knowledge_bases"
    )
    return rows | dict(sums)


NOTHING = {
    "documents": 0,
    "document_versions": 0,
    "chunks": 0,
    "chunk_lexemes": 0,
    "chunk_embeddings": 0,
    "lexeme_counts": 0,
    "known": 0,
    "words": 0,
}


async def check_consistency(connection: asyncpg.Connection) -> None:
    """What is counted is what is there, and each passage is the text of its active version."""
    wrong_text = """
        SELECT count(*) FROM chunks c LEFT JOIN documents d ON d.active_version_id = c.version_id
        LEFT JOIN document_versions v ON v.id = d.active_version_id
        WHERE c.text IS DISTINCT FROM substr(v.text, c.start_offset + 1, c.end_offset - c.start_offset)
    """
    counted = """
        SELECT t.id, substr(u.lexeme, length(to_hex(t.number)) + 2) AS lexeme, count(*)::int AS chunks
        FROM chunk_lexemes l JOIN tenants t ON t.id = l.tenant_id, unnest(l.lexemes) u GROUP BY 1, 2 ORDER BY 1, 2
    """
    stored = "SELECT tenant_id, lexeme, chunks FROM lexeme_counts ORDER BY 1, 2"
    lengths = "SELECT count(*), coalesce(sum(length), 0) FROM chunk_lexemes"
    bases = "SELECT sum(chunks), sum(lexemes) FROM knowledge_bases"
    assert await connection.fetchval(wrong_text) == 0
    assert list(map(tuple, await connection.fetch(counted))) == list(map(tuple, await connection.fetch(stored)))
    assert tuple(await connection.fetchrow(lengths)) == tuple(await connection.fetchrow(bases))


def stored_files(services: Services) -> list[Path]:
    return [path for path in (services.settings.data_dir / "files").rglob("*") if path.is_file()]


async def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        await asyncio.sleep(0.01)


FILES: dict[str, str | bytes] = {
    "guide.md": GUIDE,
    "guide.txt": GUIDE.replace("#", "").encode("utf-16"),
    "README": GUIDE.replace("#", ""),
    "guide.html": f"<html><title>Rental</title><body><h1>Prices</h1><p>{GUIDE[18:62]}</p></body></html>",
}


@pytest.mark.parametrize("name", FILES)
async def test_an_uploaded_file_is_found(
    name: str, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It waits, a worker reads it, and then its passages are found at their places in its text."""
    received = await send(alice, name, FILES[name])
    assert received.status_code == 202
    assert {key: received.json()[key] for key in ("file_name", "state", "stage", "searchable", "attempts")} == {
        "file_name": name,
        "state": "queued",
        "stage": "queued",
        "searchable": False,
        "attempts": 0,
    }
    assert await found(services, alice.tenant_id, "What does renting a bicycle cost?") == []
    await work(services)
    document = await shown(alice, received.json()["id"])
    assert {key: document[key] for key in ("state", "stage", "searchable", "attempts", "reason", "detail")} == {
        "state": "ready",
        "stage": "ready",
        "searchable": True,
        "attempts": 1,
        "reason": None,
        "detail": None,
    }
    best = (await found(services, alice.tenant_id, "What does renting a bicycle cost?"))[0]
    assert "Renting a bicycle for a day costs 12 euros." in best
    await check_consistency(superuser)


async def test_only_languages_of_the_embedder_have_vectors(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A Russian passage is found by its words alone."""
    await publish(services, alice, "guide.md", GUIDE)
    rows = await superuser.fetch(
        "SELECT language, count(e.*) > 0 AS embedded FROM chunks c LEFT JOIN chunk_embeddings e ON e.chunk_id = c.id "
        "GROUP BY 1, c.id ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("en", True), ("en", True), ("ru", False)]
    best = (await found(services, alice.tenant_id, "Где хранятся велосипеды зимой?"))[0]
    assert "тёплом складе" in best


async def test_the_same_file_again_is_no_work(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """No new version, no job, and the second copy does not stay on the disk."""
    first = await publish(services, alice, "guide.md", GUIDE)
    before = await counts(superuser)
    jobs = await superuser.fetchval("SELECT count(*) FROM jobs")
    again = await send(alice, "guide.md", GUIDE)
    assert (again.status_code, again.json()) == (202, first)
    assert await counts(superuser) == before
    assert await superuser.fetchval("SELECT count(*) FROM jobs") == jobs
    assert len(stored_files(services)) == 1


async def test_the_same_content_under_another_name_is_another_document(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """What makes a document the same is its name in its collection."""
    one = await publish(services, alice, "one.md", GUIDE)
    two = await publish(services, alice, "two.md", GUIDE)
    assert one["id"] != two["id"]
    assert (await counts(superuser))["documents"] == 2
    await check_consistency(superuser)


async def test_a_changed_file_takes_the_place_of_the_old_one(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The old passages are gone, nothing is counted twice, and only the changed passage is embedded."""
    counting = CountingEmbedder(services.embedder)
    watched = structs.replace(services, embedder=counting)
    first = await publish(watched, alice, "guide.md", GUIDE)
    embedded = len(counting.texts)
    second = await publish(watched, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    assert second["id"] == first["id"]
    assert (embedded, len(counting.texts)) == (2, 3)
    assert "15 euros" in counting.texts[-1]
    texts = "\n".join(await found(services, alice.tenant_id, "What does renting a bicycle cost?"))
    assert ("15 euros" in texts, "12 euros" in texts) == (True, False)
    versions = await superuser.fetch("SELECT state FROM document_versions ORDER BY id")
    assert [row[0] for row in versions] == ["superseded", "ready"]
    assert (await counts(superuser))["chunks"] == 3
    await check_consistency(superuser)


async def test_a_failed_version_leaves_the_one_before(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The reader is told that the new file failed, and the old one still answers."""
    first = await publish(services, alice, "guide.md", GUIDE)
    before = await found(services, alice.tenant_id, "What does renting a bicycle cost?")
    second = await publish(services, alice, "guide.md", " \n\n ")
    assert {key: second[key] for key in ("id", "state", "stage", "reason", "searchable")} == {
        "id": first["id"],
        "state": "failed",
        "stage": "parsing",
        "reason": "document_empty",
        "searchable": True,
    }
    assert await found(services, alice.tenant_id, "What does renting a bicycle cost?") == before
    await check_consistency(superuser)
    third = await publish(services, alice, "guide.md", GUIDE)
    assert (third["state"], third["reason"]) == ("ready", None)


async def test_an_older_version_that_ends_last_is_not_published(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Of two uploads in a row the later one is what is found, in whichever order the workers end."""
    await send(alice, "guide.md", GUIDE)
    await superuser.execute("UPDATE jobs SET run_at = now() + interval '1 hour'")
    newer = await publish(services, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    await superuser.execute("UPDATE jobs SET run_at = now()")
    await work(services)
    assert await shown(alice, newer["id"]) == newer
    texts = "\n".join(await found(services, alice.tenant_id, "What does renting a bicycle cost?"))
    assert ("15 euros" in texts, "12 euros" in texts) == (True, False)
    versions = await superuser.fetch("SELECT state FROM document_versions ORDER BY id")
    assert [row[0] for row in versions] == ["superseded", "ready"]
    await check_consistency(superuser)


async def test_a_deleted_document_leaves_nothing(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It is not found from that moment on; its files, of all versions, go with the next job."""
    kept = await publish(services, alice, "kept.txt", "The office cat is called Murka.")
    before = await counts(superuser)
    document = await publish(services, alice, "guide.md", GUIDE)
    await publish(services, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    assert len(stored_files(services)) == 3
    assert (await alice.client.delete(f"/api/v1/documents/{document['id']}")).status_code == 204
    assert await counts(superuser) == before
    assert await found(services, alice.tenant_id, "What does renting a bicycle cost?") == [
        "The office cat is called Murka."
    ]
    assert (await alice.client.get(f"/api/v1/documents/{document['id']}")).status_code == 404
    assert len(stored_files(services)) == 3
    await work(services)
    assert len(stored_files(services)) == 1
    assert (await alice.client.delete(f"/api/v1/documents/{kept['id']}")).status_code == 204
    await work(services)
    assert (await counts(superuser), stored_files(services)) == (NOTHING, [])


async def test_a_document_deleted_on_its_way_stays_deleted(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A worker that has begun already publishes nothing."""

    class Deleting(CountingEmbedder):
        async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            (await alice.client.delete(f"/api/v1/documents/{document['id']}")).raise_for_status()
            return await super().embed(texts)

    document = (await send(alice, "guide.md", GUIDE)).raise_for_status().json()
    await work(structs.replace(services, embedder=Deleting(services.embedder)))
    assert (await counts(superuser), stored_files(services)) == (NOTHING, [])
    assert [row[0] for row in await superuser.fetch("SELECT DISTINCT state FROM jobs WHERE run_at <= now()")] == [
        "done"
    ]


async def test_a_deleted_collection_takes_its_documents(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Passages, counts and files, but nothing of other collections."""
    await publish(services, alice, "guide.md", GUIDE)
    await send(alice, "waiting.md", GUIDE)
    response = await alice.client.delete(f"/api/v1/collections/{await collection_of(alice)}")
    assert response.status_code == 204
    await work(services)
    assert (await counts(superuser), stored_files(services)) == (NOTHING, [])


async def test_tenants_count_apart(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """The same file in two workspaces is counted in each, and deleted in one."""
    mine = await publish(services, alice, "guide.md", GUIDE)
    await publish(services, charlie, "guide.md", GUIDE)
    await check_consistency(superuser)
    await alice.client.delete(f"/api/v1/documents/{mine['id']}")
    await check_consistency(superuser)
    known = "SELECT chunks FROM knowledge_bases WHERE tenant_id = $1"
    assert [await superuser.fetchval(known, each.tenant_id) for each in (alice, charlie)] == [0, 3]


REFUSED_AT_ONCE: dict[str, tuple[str, bytes, int, str]] = {
    "a type nobody reads": ("virus.exe", b"MZ", 415, "document_type_unknown"),
    "a type nobody knows": ("README.xyz", b"text", 415, "document_type_unknown"),
    "empty": ("empty.txt", b"", 400, "document_empty"),
}


@pytest.mark.parametrize("case", REFUSED_AT_ONCE)
async def test_a_file_refused_at_once_leaves_nothing(
    case: str, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The sentence names the file in the reader's language."""
    name, content, status, code = REFUSED_AT_ONCE[case]
    response = await send(alice, name, content)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert f"“{name}”" in response.json()["detail"]
    assert (await counts(superuser), stored_files(services)) == (NOTHING, [])


async def test_a_file_without_a_suffix_is_read_as_what_it_is(services: Services, alice: Person) -> None:
    """Its name tells nothing, its content does."""
    document = await publish(services, alice, "README", b"<!DOCTYPE html><title>Opening</title><p>We open at nine.")
    assert (document["state"], document["title"], document["media_type"]) == ("ready", "Opening", "text/html")
    assert await found(services, alice.tenant_id, "When do you open?") == ["We open at nine."]


REFUSED = {
    "password.pdf": ("document_encrypted", "is protected by a password", "защищён паролем"),
    "broken.docx": ("document_corrupt", "is damaged", "повреждён"),
    "blank.md": ("document_empty", "holds no text", "нет текста"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_file_that_cannot_be_read_says_why(
    name: str, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The document fails with its reason, in both languages, and is not tried again."""
    code, english, russian = REFUSED[name]
    content = b"PK\x03\x04 not a zip" if name == "broken.docx" else b"\n \n"
    if name == "password.pdf":
        if not SETS.exists():
            pytest.skip("the evaluation sets are not here")
        content = (SETS / "docs" / name).read_bytes()
    document = await publish(services, alice, name, content)
    seen = (document["state"], document["stage"], document["reason"], document["attempts"], document["searchable"])
    assert seen == ("failed", "parsing", code, 1, False)
    assert english in document["detail"]
    assert russian in (await shown(alice, document["id"], "ru"))["detail"]
    assert await superuser.fetchval("SELECT state FROM jobs WHERE kind = 'documents.ingest'") == "done"


async def test_a_file_that_is_too_large_leaves_nothing(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It is refused while it comes in, whatever length was announced."""
    small = structs.replace(services, settings=structs.replace(services.settings, max_upload_mb=1))
    address = f"/api/v1/collections/{await collection_of(alice)}/documents"

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"too much " * 7000

    async with make_client(build_app(small), authorization=bearer(small, alice)) as client:
        response = await client.post(address, params={"name": "large.txt"}, content=endless())
        assert (response.status_code, response.json()["code"]) == (413, "document_too_large")
        fits = await client.post(address, params={"name": "fits.txt"}, content=b"x" * (1 << 20))
    assert "“large.txt” is larger than 1 MB" in response.json()["detail"]
    assert fits.status_code == 202
    assert (await counts(superuser))["documents"] == 1
    assert len(stored_files(services)) == 1


@asynccontextmanager
async def listening(services: Services, port: int) -> AsyncIterator[None]:
    """The API on a real socket."""
    settings: Settings = structs.replace(services.settings, port=port)
    server = make_server(structs.replace(services, settings=settings))
    serving = asyncio.create_task(server.serve())
    await server.wait_until_started()
    yield
    server.stop()
    await serving


async def test_an_upload_that_breaks_off_leaves_nothing(
    services: Services, alice: Person, superuser: asyncpg.Connection, unused_tcp_port: int
) -> None:
    """Half a file is no document."""
    address = f"/api/v1/collections/{await collection_of(alice)}/documents?name=half.txt"
    head = f"POST {address} HTTP/1.1\r\nhost: x\r\nauthorization: {bearer(services, alice)}\r\ncontent-length: 9000\r\n"
    async with listening(services, unused_tcp_port):
        _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.write(f"{head}\r\n".encode() + b"half " * 100)
        await writer.drain()
        await wait_until(lambda: len(stored_files(services)) == 1)
        writer.close()
        await wait_until(lambda: not stored_files(services))
    assert await counts(superuser) == NOTHING


async def test_two_uploads_of_a_name_at_once_are_versions_of_one_document(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Both are read, one after the other, and one of them is found."""
    changed = GUIDE.replace("12 euros", "15 euros")
    both = await asyncio.gather(send(alice, "guide.md", GUIDE), send(alice, "guide.md", changed))
    assert len({response.raise_for_status().json()["id"] for response in both}) == 1
    await asyncio.gather(work(services), work(services))
    states = await superuser.fetch("SELECT state FROM document_versions ORDER BY state")
    assert [row[0] for row in states] == ["ready", "superseded"]
    await check_consistency(superuser)


async def test_sizes_of_a_collection_shape_its_passages(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Smaller budgets give more passages; for the same file the changed budget is new work."""
    text = " ".join(f"Sentence number {number} tells about bicycles." for number in range(80))
    address = f"/api/v1/collections/{await collection_of(alice)}"
    await publish(services, alice, "long.txt", text)
    large = await superuser.fetchval("SELECT count(*) FROM chunks")
    await alice.client.patch(address, json={"chunks": {"tokens": 50, "overlap": 0, "section_tokens": 200}})
    await publish(services, alice, "long.txt", text)
    small = await superuser.fetchrow("SELECT count(*), max(tokens) FROM chunks")
    assert small["count"] > 2 * large
    assert small["max"] <= 50
    await check_consistency(superuser)
