"""Uploaded files given back: byte for byte, as downloads under their own names."""

import os
import time
from collections.abc import AsyncIterator
from urllib.parse import unquote

import asyncpg
import httpx
import pytest

from asissto.ingestion.documents import SWEEP_FILES
from asissto.ingestion.names import clean_name
from asissto.ingestion.original_routes import attachment
from asissto.platform.local_files import LocalFiles
from asissto.platform.services import Services
from people import Person
from test_ingestion import GUIDE, listening, publish, send, stored_files, work

NAMES = {
    "guide.md": 'attachment; filename="guide.md"; ',
    "прайс лист.md": 'attachment; filename="_____ ____.md"; ',
    'a "quoted" 100%.md': 'attachment; filename="a _quoted_ 100_.md"; ',
    "two\r\nx-injected: lines.md": 'attachment; filename="two x-injected: lines.md"; ',
}


@pytest.mark.parametrize("name", NAMES)
async def test_an_original_comes_back_under_its_name(name: str, alice: Person) -> None:
    """With the type of its ending, its length, and the name in the way that every browser reads."""
    document = (await send(alice, name, GUIDE)).raise_for_status().json()
    answer = await alice.client.get(f"/api/v1/documents/{document['id']}/original")
    assert (answer.status_code, answer.content) == (200, GUIDE.encode())
    disposition = answer.headers["content-disposition"]
    plain, _, encoded = disposition.partition("filename*=UTF-8''")
    assert (plain, unquote(encoded)) == (NAMES[name], clean_name(name))
    shown = {key: answer.headers.get(key) for key in ("content-length", "content-encoding", "x-content-type-options")}
    assert shown == {
        "content-length": str(len(GUIDE.encode())),
        "content-encoding": None,
        "x-content-type-options": "nosniff",
    }
    assert answer.headers["content-type"].startswith("text/markdown")


async def test_a_page_is_never_shown_as_one_of_ours(alice: Person) -> None:
    """A browser saves it instead of running what stands in it."""
    document = (await send(alice, "page.html", "<script>alert(1)</script>")).json()
    answer = await alice.client.get(f"/api/v1/documents/{document['id']}/original")
    assert answer.headers["content-disposition"].startswith("attachment; ")


async def test_the_newest_version_comes_back(services: Services, alice: Person) -> None:
    """Also while the one before is still the one that answers."""
    await publish(services, alice, "guide.md", GUIDE)
    document = (await send(alice, "guide.md", "newer")).json()
    answer = await alice.client.get(f"/api/v1/documents/{document['id']}/original")
    assert (document["searchable"], answer.content) == (True, b"newer")


async def test_a_large_original_streams_over_a_socket(services: Services, alice: Person, unused_tcp_port: int) -> None:
    """Its length is announced, and the connection stays good."""
    content = os.urandom(7 << 20)
    document = (await send(alice, "large.txt", content)).json()
    headers = {"authorization": alice.client.headers["authorization"]}
    async with (
        listening(services, unused_tcp_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", headers=headers) as client,
    ):
        for _ in range(2):
            answer = await client.get(f"/api/v1/documents/{document['id']}/original")
            assert answer.content == content


async def test_a_missing_original_is_an_error_and_no_empty_file(services: Services, alice: Person) -> None:
    """The status says so, because it is sent after the first piece is there."""
    document = (await send(alice, "guide.md", GUIDE)).json()
    stored_files(services)[0].unlink()
    answer = await alice.client.get(f"/api/v1/documents/{document['id']}/original")
    assert (answer.status_code, answer.json()["code"]) == (410, "original_missing")


def test_no_control_character_reaches_the_header() -> None:
    """Whatever name a source gives."""
    assert all(" " <= letter <= "~" for letter in attachment("".join(map(chr, range(300)))))


def kept(services: Services) -> set[str]:
    """Keys of the files that are there."""
    return {str(path.relative_to(services.settings.data_dir / "files")) for path in stored_files(services)}


async def orphan(services: Services, person: Person, *, hours: int) -> str:
    """A file without a row, saved that long ago."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"nobody knows of it"

    stored = await services.files.save(person.tenant_id, "orphan.txt", pieces(), limit_mb=1)
    assert isinstance(services.files, LocalFiles)
    at = time.time() - hours * 3600
    os.utime(services.files.path(stored.key), (at, at))
    return stored.key


async def test_files_of_no_document_are_swept(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """A day after an upload; those of documents stay, and so do those of other workspaces."""
    await publish(services, alice, "guide.md", GUIDE)
    known = await superuser.fetchval("SELECT storage_key FROM document_versions")
    await orphan(services, alice, hours=25)
    others = await orphan(services, charlie, hours=25)
    assert isinstance(services.files, LocalFiles)
    at = time.time() - 100 * 3600
    os.utime(services.files.path(known), (at, at))
    due = await superuser.fetch(
        "SELECT state, run_at - created_at > '23:59' AS later FROM jobs WHERE kind = $1", SWEEP_FILES
    )
    assert [tuple(row) for row in due] == [("todo", True)]
    await superuser.execute("UPDATE jobs SET run_at = now() WHERE kind = $1", SWEEP_FILES)
    await work(services)
    assert kept(services) == {known, others}
    states = await superuser.fetch("SELECT DISTINCT state FROM jobs WHERE run_at <= now()")
    assert [row[0] for row in states] == ["done"]


async def test_a_young_file_is_looked_at_again(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Its row may be on its way: it stays, and another sweep follows a day later."""
    await publish(services, alice, "guide.md", GUIDE)
    young = await orphan(services, alice, hours=23)
    await superuser.execute("UPDATE jobs SET run_at = now() WHERE kind = $1", SWEEP_FILES)
    await work(services)
    assert young in kept(services)
    jobs = await superuser.fetch("SELECT state FROM jobs WHERE kind = $1 ORDER BY state", SWEEP_FILES)
    assert [row[0] for row in jobs] == ["done", "todo"]
