"""Attempts go on where the one before ended, wait while a provider is away, and can be asked for again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from asissto.ingestion import pipeline
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.errors import ProviderError
from asissto.platform.jobs import PATIENCE
from asissto.platform.services import Services
from people import Person
from test_ingestion import (
    GUIDE,
    CountingEmbedder,
    check_consistency,
    collection_of,
    counts,
    found,
    publish,
    send,
    shown,
    work,
)

LONG = "\n\n".join(f"# Hall {hall}\n\nBicycle {hall} stands in hall number {hall}." for hall in range(150))


class Outage(CountingEmbedder):
    """Answers a number of calls, and then says that it is overloaded."""

    calls = 1

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not self.calls:
            raise ProviderError(permanent=False, reason="rate_limited", retry_after=90)
        self.calls -= 1
        return await super().embed(texts)


def picked(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names}


async def bring_forward(superuser: asyncpg.Connection) -> None:
    await superuser.execute("UPDATE jobs SET run_at = now()")


async def test_a_document_waits_for_its_provider_and_says_so(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """At least as long as the provider asked for, without using up its attempts."""
    outage = structs.replace(services, embedder=Outage(services.embedder))
    before = datetime.now(UTC)
    document = await publish(outage, alice, "long.md", LONG)
    assert picked(document, "state", "stage", "done", "total", "reason", "attempts", "searchable") == {
        "state": "queued",
        "stage": "embedding",
        "done": 64,
        "total": 150,
        "reason": "provider_failed",
        "attempts": 1,
        "searchable": False,
    }
    assert before + timedelta(seconds=90) <= datetime.fromisoformat(document["retry_at"]) <= before + timedelta(hours=1)
    assert (await shown(alice, document["id"], "ru"))["detail"]
    assert await superuser.fetchrow("SELECT state, attempts FROM jobs") == ("todo", 0)


async def test_the_next_attempt_goes_on_where_the_last_one_ended(
    services: Services, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is not read again, and what was embedded is not embedded again."""
    outage = Outage(services.embedder)
    document = await publish(structs.replace(services, embedder=outage), alice, "long.md", LONG)
    assert await superuser.fetchval("SELECT count(*) FROM embedding_cache") == 64
    await bring_forward(superuser)
    monkeypatch.setattr(pipeline, "parse_apart", None)
    counting = CountingEmbedder(services.embedder)
    await work(structs.replace(services, embedder=counting))
    ready = await shown(alice, document["id"])
    assert picked(ready, "state", "reason", "retry_at", "attempts") == {
        "state": "ready",
        "reason": None,
        "retry_at": None,
        "attempts": 1,
    }
    assert (len(outage.texts), len(counting.texts), len({*outage.texts, *counting.texts})) == (64, 86, 150)
    kept = "SELECT (SELECT count(*) FROM embedding_cache), (SELECT count(parsed) FROM document_versions)"
    assert await superuser.fetchrow(kept) == (0, 0)
    assert (await counts(superuser))["chunk_embeddings"] == 150
    await check_consistency(superuser)


async def test_what_was_read_otherwise_is_read_again(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """An attempt by a newer release does not go on with what an older one has read."""
    outage = Outage(services.embedder)
    outage.calls = 0
    document = await publish(structs.replace(services, embedder=outage), alice, "guide.md", GUIDE)
    await superuser.execute(r"UPDATE document_versions SET text = 'old', pipeline_sha = '\x00'")
    await bring_forward(superuser)
    await work(services)
    assert (await shown(alice, document["id"]))["state"] == "ready"
    assert "12 euros" in (await found(services, alice.tenant_id, "What does renting a bicycle cost?"))[0]
    await check_consistency(superuser)


async def test_patience_ends(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """A provider that stays away fails the document with its reason; one word starts it again."""
    outage = Outage(services.embedder)
    outage.calls = 0
    away = structs.replace(services, embedder=outage)
    document = await publish(away, alice, "guide.md", GUIDE)
    await superuser.execute("UPDATE jobs SET run_at = now(), waiting_since = now() - $1::interval", PATIENCE)
    await work(away)
    failed = await shown(alice, document["id"])
    assert picked(failed, "state", "stage", "reason") == {
        "state": "failed",
        "stage": "embedding",
        "reason": "provider_failed",
    }
    again = await alice.client.post(f"/api/v1/documents/{document['id']}/reprocess")
    assert (again.status_code, again.json()["state"], again.json()["reason"]) == (202, "queued", None)
    busy = await alice.client.post(f"/api/v1/documents/{document['id']}/reprocess")
    assert (busy.status_code, busy.json()["code"]) == (409, "document_busy")
    await work(services)
    assert (await shown(alice, document["id"]))["state"] == "ready"
    assert (await counts(superuser))["document_versions"] == 1
    await check_consistency(superuser)


async def test_a_published_document_is_read_anew(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Its stored file becomes another version, and goes only with the document."""
    document = await publish(services, alice, "guide.md", GUIDE)
    await alice.client.post(f"/api/v1/documents/{document['id']}/reprocess")
    await work(services)
    versions = await superuser.fetch("SELECT state, storage_key FROM document_versions ORDER BY id")
    assert [row["state"] for row in versions] == ["superseded", "ready"]
    assert len({row["storage_key"] for row in versions}) == 1
    assert (await counts(superuser))["chunks"] == 3
    await check_consistency(superuser)


async def test_changed_sizes_are_seen_and_applied(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A document whose passages would be cut otherwise says so, and the collection is read anew on demand."""
    text = " ".join(f"Sentence number {number} tells about bicycles." for number in range(80))
    document = await publish(services, alice, "long.txt", text)
    address = f"/api/v1/collections/{await collection_of(alice)}"
    assert (document["outdated"], (await alice.client.post(f"{address}/reprocess")).json()) == (
        False,
        {"documents": []},
    )
    await alice.client.patch(address, json={"chunks": {"tokens": 50, "overlap": 0, "section_tokens": 200}})
    assert (await shown(alice, document["id"]))["outdated"]
    due = await alice.client.post(f"{address}/reprocess")
    assert (due.status_code, due.json()) == (202, {"documents": [document["id"]]})
    large = await superuser.fetchval("SELECT count(*) FROM chunks")
    await work(services)
    assert not (await shown(alice, document["id"]))["outdated"]
    assert (await counts(superuser))["chunks"] > 2 * large
    await check_consistency(superuser)


async def test_one_worker_serves_tenants_in_turn(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """A bulk upload keeps nobody else waiting, even where one job runs at a time."""
    for number in range(3):
        await send(alice, f"bulk-{number}.txt", f"The bicycle number {number} is red.")
    await send(charlie, "only.txt", "The only boat is blue.")
    worker = make_worker(services)
    assert await worker.run_one()
    assert await worker.run_one()
    ready = "SELECT tenant_id FROM document_versions WHERE state = 'ready'"
    assert {row[0] for row in await superuser.fetch(ready)} == {alice.tenant_id, charlie.tenant_id}


async def test_a_pair_is_read_anew_from_its_own_text(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It has no file: changed sizes cut its text again. Its passage is changed in the pair only."""
    collection = await collection_of(alice)
    pair = {"collection_id": collection, "question": "When do you open?", "answer": "At nine, and at ten on Sundays."}
    (await alice.client.post("/api/v1/pairs", json=pair)).raise_for_status()
    await work(services)
    sizes = {"chunks": {"tokens": 50, "overlap": 0, "section_tokens": 200}}
    await alice.client.patch(f"/api/v1/collections/{collection}", json=sizes)
    (document_id,) = (await alice.client.post(f"/api/v1/collections/{collection}/reprocess")).json()["documents"]
    await work(services)
    texts = await superuser.fetch("SELECT state, text FROM document_versions ORDER BY id")
    assert [row["state"] for row in texts] == ["superseded", "ready"]
    assert len({row["text"] for row in texts}) == 1
    address = f"/api/v1/documents/{document_id}/passages"
    (passage,) = (await alice.client.get(address)).json()["items"]
    refused = await alice.client.patch(f"{address}/{passage['id']}", json={"text": "At eight."})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
    await check_consistency(superuser)
