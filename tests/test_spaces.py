"""A workspace changes its embedding model: search works at every moment, and nothing is lost, doubled or paid twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import numpy as np
import pytest
from alembic import command
from msgspec import structs
from numpy.typing import NDArray

from asissto.ingestion import reembedding
from asissto.ingestion.documents import embedding_space
from asissto.ingestion.switching import begin_wanted_switches, choose_space
from asissto.platform import embedding
from asissto.platform.embedding import make_outside_embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.migrate import alembic_config, migrate
from asissto.platform.model_clients import ModelClients
from asissto.platform.services import Services
from asissto.retrieval import dense
from asissto.retrieval.answering import answer_question
from asissto.retrieval.answers import Answer
from asissto.retrieval.scopes import whole_workspace
from openai_peer import Fault, OpenAIPeer
from people import Person, bearer, make_client
from test_ingestion import CountingEmbedder, check_consistency, publish, send, wait_until, work
from test_migrations import run
from test_passages import about, edit

ROOMS = 210
ADDRESS = "/api/v1/knowledge/embedding"
OUTSIDE = {"model": "some-embedder", "dimensions": 64}
LOCAL = {"model": "local", "dimensions": 384}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no endpoint that is slow."""
    monkeypatch.setattr(dense, "EMBED_SECONDS", 60.0)


@pytest.fixture
async def services(services: Services, peer: OpenAIPeer) -> AsyncIterator[Services]:
    """The settings name the endpoint and the built-in model."""
    settings = structs.replace(services.settings, openai_api_key="sk-secret", openai_base_url=peer.base_url)
    connected = structs.replace(services, settings=settings)
    yield connected
    await connected.close_embedders()


@pytest.fixture
def one_batch_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reembedding, "BATCHES_AT_ONCE", 1)


def handbook(first: int = 0, last: int = ROOMS) -> str:
    """One passage a room."""
    rooms = [
        f"## Room {room}\n\nThe door of room {room} opens with the code {code(room)}." for room in range(first, last)
    ]
    return "# Handbook\n\n" + "\n\n".join(rooms)


def code(room: int) -> int:
    return 70_000 + 37 * room


async def ask(services: Services, person: Person, room: int) -> Answer:
    scope = await whole_workspace(services, person.tenant_id)
    return await answer_question(services, scope, f"Which code opens the door of room {room}?", [])


async def check_answer(services: Services, person: Person, room: int) -> None:
    """The right passage comes first, by words and by meaning: every passage that was found has been compared."""
    answer = await ask(services, person, room)
    assert answer.notes == ()
    assert f"the code {code(room)}" in answer.found[0].text
    assert [passage.text for passage in answer.found if passage.scores.dense is None] == []


async def choose(person: Person, **body: object) -> dict[str, Any]:
    return dict((await person.client.put(ADDRESS, json=body)).raise_for_status().json())


async def shown(person: Person, language: str = "en") -> dict[str, Any]:
    response = await person.client.get(ADDRESS, headers={"accept-language": language})
    return dict(response.raise_for_status().json())


async def state(person: Person) -> tuple[str, int, int]:
    switch = (await shown(person))["switch"]
    return switch["state"], switch["done"], switch["total"]


async def bring_forward(superuser: asyncpg.Connection) -> None:
    """As if the pauses were over, that of a day included."""
    await superuser.execute("UPDATE jobs SET run_at = now() WHERE state = 'todo'")


async def finish(services: Services, superuser: asyncpg.Connection) -> None:
    """The switch, and what is tidied up a day later."""
    await work(services)
    await bring_forward(superuser)
    await work(services)


async def vectors(superuser: asyncpg.Connection, person: Person) -> dict[str, int]:
    """How many vectors of each model the workspace has."""
    rows = await superuser.fetch(
        "SELECT s.model, count(*) FROM chunk_embeddings e JOIN embedding_spaces s ON s.id = e.space_id "
        "WHERE e.tenant_id = $1 GROUP BY 1",
        person.tenant_id,
    )
    return dict(map(tuple, rows))


async def check_vectors(superuser: asyncpg.Connection) -> None:
    """Each published passage has one vector of what it says, in its workspace's active space and in no other."""
    wrong = """
        SELECT c.text FROM chunks c JOIN knowledge_bases k USING (tenant_id)
        LEFT JOIN chunk_embeddings e ON e.tenant_id = c.tenant_id AND e.chunk_id = c.id
        WHERE e.space_id IS DISTINCT FROM k.space_id
           OR e.input_sha <> sha256(
               convert_to(CASE c.header WHEN '' THEN '' ELSE c.header || chr(10) END || c.text, 'UTF8'))
           OR vector_dims(e.embedding) <> (SELECT dimensions FROM embedding_spaces s WHERE s.id = k.space_id)
    """
    assert [row[0] for row in await superuser.fetch(wrong)] == []
    assert await superuser.fetchval("SELECT count(*) FROM chunks") == await superuser.fetchval(
        "SELECT count(*) FROM chunk_embeddings"
    )


def embedded(peer: OpenAIPeer) -> Counter[str]:
    """How often each passage went to the endpoint; the questions and the sentences of answers are left out."""
    texts = (text for request in peer.requests for text in request.body["input"])
    return Counter(text for text in texts if "\n" in text)


async def test_search_works_at_every_moment_of_a_switch(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection, one_batch_a_job: None
) -> None:
    """Before, between and during the batches, and after: the right passage first, each passage compared by meaning."""
    await publish(services, alice, "handbook.md", handbook())
    begun = await choose(alice, **OUTSIDE)
    assert (begun["active"], begun["wanted"], begun["chosen"]) == (LOCAL, OUTSIDE, True)
    asked, worker, switched = 0, make_worker(services), False

    async def keep_asking() -> None:
        nonlocal asked
        while not switched:
            await check_answer(services, alice, asked * 31 % ROOMS)
            asked += 1

    asking = asyncio.create_task(keep_asking())
    seen = []
    while await worker.run_one():
        seen.append(await state(alice))
        await check_answer(services, alice, len(seen))
    await check_answer(services, alice, 7)
    switched = True
    await asking
    assert seen == [("building", 64, 210), ("building", 128, 210), ("building", 192, 210), ("building", 210, 210),
                    ("active", 210, 210)]  # fmt: skip
    assert asked > 5
    assert (await shown(alice))["active"] == OUTSIDE
    assert await vectors(superuser, alice) == {"all-MiniLM-L6-v2-int8": 210, "some-embedder": 210}
    await finish(services, superuser)
    await check_vectors(superuser)
    assert set(embedded(peer).values()) == {1}
    assert len(embedded(peer)) == ROOMS


async def test_what_changes_during_a_switch_is_right_afterwards(
    services: Services, alice: Person, superuser: asyncpg.Connection, one_batch_a_job: None
) -> None:
    """A new document, a new version and a deleted one, each between two batches."""
    doomed = await publish(services, alice, "doomed.md", handbook(0, 70))
    await publish(services, alice, "changed.md", handbook(70, 140))
    await choose(alice, **OUTSIDE)
    worker = make_worker(services)
    await worker.run_one()
    (await alice.client.delete(f"/api/v1/documents/{doomed['id']}")).raise_for_status()
    await worker.run_one()
    await send(alice, "changed.md", handbook(71, 142))
    await worker.run_one()
    await send(alice, "new.md", handbook(142, 210))
    await worker.run_one()
    await finish(services, superuser)
    assert (await state(alice))[0] == "active"
    assert await superuser.fetchval("SELECT count(*) FROM chunks") == 210 - 71
    await check_vectors(superuser)
    for room in (71, 141, 142, 209):
        await check_answer(services, alice, room)
    assert f"{code(3)}" not in (await ask(services, alice, 3)).found[0].text


async def test_a_passage_that_changes_behind_the_job_is_not_missed(
    services: Services, alice: Person, superuser: asyncpg.Connection, one_batch_a_job: None
) -> None:
    """Its vector was there already and is of what it said before."""
    await publish(services, alice, "handbook.md", handbook(0, 100))
    await choose(alice, **OUTSIDE)
    await make_worker(services).run_one()
    made = "SELECT input_sha FROM chunk_embeddings e JOIN chunks c ON c.id = e.chunk_id WHERE text LIKE '%room 3 %'"
    assert len(await superuser.fetch(made)) == 2
    await superuser.execute("UPDATE chunks SET text = 'Room 3 has no door.' WHERE text LIKE '%room 3 %'")
    await work(services)
    assert (await state(alice))[0] == "active"
    await superuser.execute("DELETE FROM chunk_embeddings e USING knowledge_bases k WHERE e.space_id <> k.space_id")
    await check_vectors(superuser)


async def test_a_passage_switched_off_behind_the_job_stays_out_of_the_new_space(
    services: Services, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its vector is on its way when the passage is switched off, and is not stored."""
    store = reembedding._store
    document = await publish(services, alice, "handbook.md", handbook(0, 5))
    passage = await about(alice, document, "room 3 opens")

    async def switch_off_and_store(*arguments: Any) -> bool:
        await edit(alice, passage, enabled=False)
        return await store(*arguments)

    monkeypatch.setattr(reembedding, "_store", switch_off_and_store)
    await choose(alice, **OUTSIDE)
    await finish(services, superuser)
    assert (await state(alice))[0] == "active"
    mine = "SELECT count(*) FROM chunk_embeddings WHERE chunk_id = $1"
    assert await superuser.fetchval(mine, passage["id"]) == 0
    assert code(3) not in [int(found.text.split()[-1].rstrip(".")) for found in (await ask(services, alice, 3)).found]


async def test_a_passage_is_corrected_in_the_workspaces_own_model(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Also where that is another one than the settings name."""
    document = await publish(services, alice, "handbook.md", handbook(0, 3))
    await choose(alice, **OUTSIDE)
    await finish(services, superuser)
    passage = await about(alice, document, "room 2 ")
    answer = await edit(alice, passage, text="The door of room 2 opens with the code 999.")
    assert (answer["edited"], await vectors(superuser, alice)) == (True, {"some-embedder": 3})
    await check_vectors(superuser)


async def test_a_document_overtaken_by_a_switch_is_embedded_anew(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Its vectors were made for the old space; they are not published there."""

    class Overtaken(CountingEmbedder):
        async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if len(self.texts) == 0:
                await choose(alice, **as_long)
                await make_worker(services).run_one()
                assert (await shown(alice))["active"] == as_long
            return await super().embed(texts)

    as_long = {"model": "text-embedding-3-small", "dimensions": 384}
    await publish(services, alice, "first.md", handbook(0, 3))
    await send(alice, "second.md", handbook(3, 9))
    await work(structs.replace(services, embedder=Overtaken(services.embedder)))
    assert await superuser.fetchval("SELECT count(*) FROM chunks") == 9
    await finish(services, superuser)
    await check_vectors(superuser)
    await check_consistency(superuser)
    await check_answer(services, alice, 8)


async def test_a_job_killed_in_each_batch_goes_on_where_it_was(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Only the batch that was on its way is paid for again."""
    await publish(services, alice, "handbook.md", handbook())
    await choose(alice, **OUTSIDE)
    for done in (0, 64, 128, 192):
        peer.fail_with("hang", times=1)
        requests = len(peer.requests)
        running = asyncio.create_task(make_worker(services).run_one())
        await wait_until(lambda requests=requests: len(peer.requests) > requests)  # type: ignore[misc]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await state(alice))[:2] == ("building", done)
        await check_answer(services, alice, 7)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reembedding, "BATCHES_AT_ONCE", 1)
            await make_worker(services).run_one()
    await finish(services, superuser)
    await check_vectors(superuser)
    assert (len(embedded(peer)), max(embedded(peer).values())) == (ROOMS, 2)


async def test_a_job_whose_worker_died_is_taken_over(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """After the swap as well, when only its end was not written down."""
    await publish(services, alice, "handbook.md", handbook(0, 5))
    await choose(alice, **OUTSIDE)
    await work(services)
    await superuser.execute("UPDATE jobs SET state = 'todo', run_at = now() WHERE kind = 'knowledge.reembed'")
    requests = len(peer.requests)
    await finish(services, superuser)
    assert len(peer.requests) == requests
    await check_vectors(superuser)


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        (429, "The model provider did not answer as expected: its limit of requests is reached."),
        (503, "The model provider did not answer as expected: it had an error of its own."),
        ("hang", "The model provider did not answer as expected: it took too long."),
        ("half", "The model provider did not answer as expected: it had an error of its own."),
    ],
)
async def test_a_switch_outlives_an_outage(
    services: Services,
    alice: Person,
    peer: OpenAIPeer,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault | int,
    detail: str,
) -> None:
    """It says what it waits for, comes again, and loses nothing that was made."""
    monkeypatch.setattr(reembedding, "SECONDS", 0.2)
    monkeypatch.setattr(reembedding, "BATCH", 4)
    await publish(services, alice, "handbook.md", handbook(0, 10))
    await choose(alice, **OUTSIDE)
    for _ in range(8):  # more often than a job is tried that fails for another reason
        peer.fail_with(fault, times=1)
        await bring_forward(superuser)
        await work(services)
        switch = (await shown(alice))["switch"]
        assert (switch["state"], switch["reason"], switch["detail"]) == ("building", "provider_failed", detail)
        assert datetime.fromisoformat(switch["retry_at"]) > datetime.now(UTC)
        await check_answer(services, alice, 7)
    await bring_forward(superuser)
    await finish(services, superuser)
    switch = (await shown(alice))["switch"]
    assert (switch["state"], switch["done"], switch["reason"], switch["retry_at"]) == ("active", 10, None, None)
    await check_vectors(superuser)


async def test_a_switch_waits_as_long_as_the_provider_asks(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Retry-After is kept to, and nobody asks meanwhile."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    await choose(alice, **OUTSIDE)
    peer.fail_with(429, times=1, retry_after="700")
    requests = len(peer.requests)
    await work(services)
    assert len(peer.requests) == requests + 1
    retry_at = datetime.fromisoformat((await shown(alice))["switch"]["retry_at"])
    assert (retry_at - datetime.now(UTC)).total_seconds() == pytest.approx(700, abs=5)


async def test_a_switch_that_cannot_succeed_says_why_and_can_be_tried_again(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection, one_batch_a_job: None
) -> None:
    """The old model stays in use; the second attempt makes only what the first one has not."""
    await publish(services, alice, "handbook.md", handbook())
    await choose(alice, **OUTSIDE)
    await make_worker(services).run_one()
    peer.fail_with(401, times=1)
    await work(services)
    failed = await shown(alice, "ru")
    assert (failed["active"], failed["switch"]["state"], failed["switch"]["done"]) == (LOCAL, "failed", 64)
    assert failed["switch"]["detail"] == "Поставщик модели ответил не так, как ожидалось: он не принял ключ API."
    await check_answer(services, alice, 7)
    await choose(alice, **OUTSIDE)
    await finish(services, superuser)
    assert (await shown(alice))["active"] == OUTSIDE
    await check_vectors(superuser)
    assert Counter(embedded(peer).values()) == {1: ROOMS - 64, 2: 64}  # 64 were on their way when the key was refused


async def test_a_model_that_changes_the_length_of_its_vectors_is_not_switched_to(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Both numbers are named, and no such vector is stored."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    await choose(alice, **OUTSIDE)
    peer.dimensions = 32
    await work(services)
    switch = (await shown(alice))["switch"]
    assert (switch["state"], switch["detail"]) == (
        "failed",
        "The embedding model some-embedder gives vectors of 32 numbers instead of 64. Correct the dimensions.",
    )
    await check_answer(services, alice, 2)
    await check_vectors(superuser)


@pytest.mark.parametrize(
    ("fault", "body", "field", "detail"),
    [
        (404, OUTSIDE, "model", "it does not know this model"),
        (401, OUTSIDE, "model", "it refused the API key"),
        (None, {"model": "some-embedder", "dimensions": 128}, "dimensions", "the model gives vectors of 64 numbers"),
        (None, {"model": "some-embedder"}, "dimensions", "it is missing"),
        (None, {"model": "some-embedder", "dimensions": 4001}, "dimensions", "it is above 4000"),
    ],
)
async def test_a_model_that_cannot_be_used_is_refused_before_anything_changes(
    services: Services,
    alice: Person,
    peer: OpenAIPeer,
    superuser: asyncpg.Connection,
    fault: int | None,
    body: dict[str, object],
    field: str,
    detail: str,
) -> None:
    """The model is tried with one text, and the field is named that is wrong."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    before = await shown(alice)
    if fault is not None:
        peer.fail_with(fault, times=1)
    response = await alice.client.put(ADDRESS, json=body)
    problem = response.json()
    assert (response.status_code, problem["field"]) == (400, field)
    assert detail in problem["detail"]
    assert await shown(alice) == before
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE state <> 'done' AND run_at <= now()") == 0


async def test_without_an_endpoint_there_is_no_other_model(services: Services, alice: Person) -> None:
    """Nobody's passages are sent to an address that was never set."""
    lonely = structs.replace(
        services, settings=structs.replace(services.settings, openai_api_key=None, openai_base_url=None)
    )
    assert lonely.embedder_for("some-embedder", 64) is None
    assert lonely.embedder_for(services.embedder.model, 384) is services.embedder


async def test_a_switch_leaves_other_workspaces_alone(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """Each has its own model, and one table holds the vectors of both."""
    await publish(services, alice, "handbook.md", handbook(0, 5))
    await publish(services, charlie, "handbook.md", handbook(0, 5))
    await choose(alice, **OUTSIDE)
    await finish(services, superuser)
    assert await vectors(superuser, alice) == {"some-embedder": 5}
    assert await vectors(superuser, charlie) == {"all-MiniLM-L6-v2-int8": 5}
    assert await shown(charlie) == {"active": LOCAL, "wanted": LOCAL, "chosen": False, "switch": None}
    for person in (alice, charlie):
        await check_answer(services, person, 4)


@pytest.fixture
async def restarted(services: Services) -> AsyncIterator[Services]:
    """The same installation, started again with another ASISSTO_EMBEDDING_MODEL."""
    settings = structs.replace(services.settings, embedding_model="some-embedder", embedding_dimensions=64)
    embedder = make_outside_embedder(settings)
    connected = structs.replace(services, settings=settings, embedder=embedder, other_embedders={})
    yield connected
    await embedder.close()
    await connected.close_embedders()


async def test_a_restart_with_another_model_begins_the_switch(
    services: Services,
    restarted: Services,
    alice: Person,
    charlie: Person,
    superuser: asyncpg.Connection,
    one_batch_a_job: None,
) -> None:
    """For each workspace with passages, once, by whichever worker comes first; questions never notice."""
    await publish(services, alice, "handbook.md", handbook(0, 100))
    await check_answer(restarted, alice, 7)
    await asyncio.gather(*(begin_wanted_switches(restarted) for _ in range(3)))
    worker = make_worker(restarted)
    while await worker.run_one():
        await check_answer(restarted, alice, 7)
    await begin_wanted_switches(restarted)
    assert [row[0] for row in await superuser.fetch("SELECT state FROM space_switches")] == ["active"]
    await finish(restarted, superuser)
    await check_vectors(superuser)
    audit = "SELECT actor_kind, changes::text FROM audit_log WHERE action = 'knowledge.embedding.switch'"
    assert [tuple(row) for row in await superuser.fetch(audit)] == [("system", '{"model": "some-embedder"}')]
    await publish(restarted, charlie, "handbook.md", handbook(0, 3))
    assert await vectors(superuser, charlie) == {"some-embedder": 3}


async def test_a_workspace_with_its_own_model_does_not_follow_the_settings(
    services: Services, restarted: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Until it says so."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    await choose(alice, model="local")
    await work(services)
    await begin_wanted_switches(restarted)
    assert await superuser.fetchval("SELECT count(*) FROM space_switches WHERE state = 'building'") == 0
    following = await embedding_space(restarted.database, restarted.embedder)
    async with services.database.tenant(alice.tenant_id) as session:
        await choose_space(session, alice.tenant_id, None, following=following)
    await finish(restarted, superuser)
    assert await vectors(superuser, alice) == {"some-embedder": 3}


async def test_a_cancelled_switch_leaves_nothing_and_stays_cancelled(
    services: Services, restarted: Services, alice: Person, superuser: asyncpg.Connection, one_batch_a_job: None
) -> None:
    """Also for the next start, whatever the settings say."""
    await publish(services, alice, "handbook.md", handbook(0, 100))
    await begin_wanted_switches(restarted)
    await make_worker(restarted).run_one()
    assert (await vectors(superuser, alice))["some-embedder"] == 64
    cancelled = (await alice.client.post(f"{ADDRESS}/cancel")).raise_for_status().json()
    assert (cancelled["switch"]["state"], cancelled["wanted"], cancelled["chosen"]) == ("cancelled", LOCAL, True)
    await work(restarted)
    await begin_wanted_switches(restarted)
    await work(restarted)
    await check_vectors(superuser)
    await check_answer(services, alice, 7)


async def test_a_batch_that_comes_after_the_cancel_is_not_stored(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the job asks for no other."""
    real = reembedding._embed

    async def cancelling(*arguments: Any) -> Any:
        made = await real(*arguments)
        (await alice.client.post(f"{ADDRESS}/cancel")).raise_for_status()
        assert await make_worker(services).run_one(), "what was made for the cancelled one is dropped"
        return made

    monkeypatch.setattr(reembedding, "_embed", cancelling)
    await publish(services, alice, "handbook.md", handbook(0, 100))
    await choose(alice, **OUTSIDE)
    await work(services)
    assert len(embedded(peer)) == 64
    await check_vectors(superuser)


async def test_going_back_within_a_day_embeds_only_what_is_new(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The old vectors are kept that long, and removed when nobody wants them any more."""
    counting = CountingEmbedder(services.embedder)
    watched = structs.replace(services, embedder=counting)
    await publish(watched, alice, "handbook.md", handbook(0, 9))
    await choose(alice, **OUTSIDE)
    await work(watched)
    await publish(watched, alice, "new.md", handbook(9, 11))
    counting.texts.clear()
    await choose(alice, model=None)
    await work(watched)
    assert len(counting.texts) == 2
    assert (await shown(alice))["active"] == LOCAL
    await finish(watched, superuser)
    await check_vectors(superuser)


async def test_another_choice_on_the_way_takes_its_place(
    services: Services, alice: Person, superuser: asyncpg.Connection, one_batch_a_job: None
) -> None:
    """One switch is under way at a time, and the vectors of the one given up do not stay."""
    await publish(services, alice, "handbook.md", handbook(0, 100))
    await choose(alice, **OUTSIDE)
    await make_worker(services).run_one()
    await choose(alice, model="text-embedding-3-small", dimensions=16)
    await finish(services, superuser)
    assert await vectors(superuser, alice) == {"text-embedding-3-small": 100}
    states = await superuser.fetch("SELECT state FROM space_switches ORDER BY id")
    assert [row[0] for row in states] == ["cancelled", "active"]


async def test_a_workspace_without_documents_has_its_new_model_at_once(services: Services, alice: Person) -> None:
    """There is nothing to make vectors for."""
    chosen = await choose(alice, **OUTSIDE)
    assert chosen == {"active": LOCAL, "wanted": OUTSIDE, "chosen": True, "switch": None} | {"active": OUTSIDE}
    await publish(services, alice, "handbook.md", handbook(0, 3))
    await check_answer(services, alice, 2)


async def test_equal_passages_are_embedded_once(services: Services, alice: Person, peer: OpenAIPeer) -> None:
    """In one batch, and over all documents."""
    for name in ("one.md", "two.md", "three.md"):
        await publish(services, alice, name, handbook(0, 40))
    await choose(alice, **OUTSIDE)
    await work(services)
    assert (len(embedded(peer)), set(embedded(peer).values())) == (40, {1})
    assert await state(alice) == ("active", 120, 120)


async def test_passages_in_other_languages_than_the_new_models_lose_their_vectors(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Back to the built-in model, Russian is found by its words again."""
    await choose(alice, **OUTSIDE)
    await publish(
        services, alice, "guide.md", "# Guide\n\nThe deposit is 100 euros.\n\n## Зима\n\nКлючи выдаёт дежурный."
    )
    assert await vectors(superuser, alice) == {"some-embedder": 2}
    await choose(alice, model="local")
    await finish(services, superuser)
    assert await vectors(superuser, alice) == {"all-MiniLM-L6-v2-int8": 1}
    assert await state(alice) == ("active", 1, 1)


async def test_the_same_file_after_a_switch_is_no_work(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A switch makes the vectors by itself, so nobody has to upload anything again."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    await choose(alice, **OUTSIDE)
    await finish(services, superuser)
    await publish(services, alice, "handbook.md", handbook(0, 3))
    assert await superuser.fetchval("SELECT count(*) FROM document_versions") == 1


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (429, "rate_limited"),
        (500, "server_error"),
        (401, "bad_api_key"),
        ("hang", "timeout"),
        ("garbage", "server_error"),
    ],
)
async def test_a_question_is_answered_by_words_when_the_model_fails(
    services: Services, alice: Person, peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch, fault: Fault | int, note: str
) -> None:
    """At once, with a note in the receipt and no error for the customer."""
    monkeypatch.setattr(dense, "EMBED_SECONDS", 0.3)
    await choose(alice, **OUTSIDE)
    await publish(services, alice, "handbook.md", handbook(0, 9))
    peer.fail_with(fault, times=1, retry_after="30")
    requests = len(peer.requests)
    answer = await ask(services, alice, 7)
    assert len(peer.requests) == requests + 1
    assert (answer.answered, answer.notes) == (True, (f"embedding:{note}",))
    assert str(code(7)) in answer.text


async def test_sentences_are_weighed_by_words_when_the_model_fails_late(
    services: Services, alice: Person, peer: OpenAIPeer
) -> None:
    """The question had its vector, the sentences get none."""
    await choose(alice, **OUTSIDE)
    await publish(services, alice, "handbook.md", handbook(0, 9))
    real, calls = peer._embeddings, []

    def second_fails(body: dict[str, Any], fault: Fault | int | None) -> str:
        calls.append(body)
        return "{garbage" if len(calls) == 2 else real(body, fault)

    peer._embeddings = second_fails  # type: ignore[method-assign]
    answer = await ask(services, alice, 7)
    assert (answer.answered, answer.notes, len(calls)) == (True, ("embedding:server_error",), 2)


async def test_a_receipt_tells_why_only_words_were_used(services: Services, alice: Person, peer: OpenAIPeer) -> None:
    """The customer gets an answer; whoever looks into it sees what was missing."""
    await choose(alice, **OUTSIDE)
    await publish(services, alice, "handbook.md", handbook(0, 9))
    peer.fail_with(500, times=1)
    assistant_id = (await alice.client.get("/api/v1/assistants")).json()["items"][0]["id"]
    question = {"question": "What is the code of the door of room 7?"}
    answer = (await alice.client.post(f"/api/v1/assistants/{assistant_id}/ask", json=question)).json()
    address = f"/api/v1/conversations/{answer['conversation_id']}/messages/{answer['message_id']}/receipt"
    receipt = (await alice.client.get(address)).json()
    assert (answer["answered"], receipt["details"]["notes"]) == (True, ["embedding:server_error"])
    assert {passage["scores"]["dense"] for passage in receipt["passages"]} == {None}


async def test_a_model_whose_endpoint_is_gone_does_without(services: Services, alice: Person) -> None:
    """Documents are published and found by their words, also where the settings name no endpoint at all."""
    await choose(alice, **OUTSIDE)
    await publish(services, alice, "handbook.md", handbook(0, 9))
    alone = structs.replace(services.settings, openai_api_key=None, openai_base_url=None)
    lonely = structs.replace(services, settings=alone, other_embedders={})
    await publish(lonely, alice, "new.md", handbook(9, 11))
    for room in (7, 10):
        answer = await ask(lonely, alice, room)
        assert (answer.answered, answer.notes) == (True, ("embedding:no_endpoint",))
        assert str(code(room)) in answer.text
    await choose(alice, **OUTSIDE)
    await work(services)
    await check_answer(services, alice, 10)


async def test_a_document_whose_vectors_have_the_wrong_length_says_so(
    services: Services, alice: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """The version that was published before stays."""
    await choose(alice, **OUTSIDE)
    await publish(services, alice, "handbook.md", handbook(0, 3))
    peer.dimensions = 32
    failed = await publish(services, alice, "handbook.md", handbook(0, 4))
    assert (failed["state"], failed["reason"], failed["searchable"]) == ("failed", "wrong_dimensions", True)
    assert "gives vectors of 32 numbers instead of 64" in failed["detail"]
    peer.dimensions = 64
    await check_answer(services, alice, 2)
    await check_vectors(superuser)


@pytest.mark.parametrize("fault", [429, 503, "hang", "garbage", "half"])
async def test_a_document_survives_a_fault_of_the_embedding_model(
    services: Services,
    alice: Person,
    peer: OpenAIPeer,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault | int,
) -> None:
    """It is tried again, and ready in the end."""
    monkeypatch.setattr(embedding, "SECONDS", 0.3)
    monkeypatch.setattr(embedding, "RETRIES", 0)
    await choose(alice, **OUTSIDE)
    await services.close_embedders()
    peer.fail_with(fault, times=2)
    await send(alice, "handbook.md", handbook(0, 3))
    for _ in range(3):
        await bring_forward(superuser)
        await work(services)
    await check_vectors(superuser)
    await check_answer(services, alice, 2)


async def test_an_older_database_keeps_the_space_of_its_vectors(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The migration finds out in which space each workspace has been searched."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    addresses, bases = services.database.addresses, "SELECT tenant_id, space_id FROM knowledge_bases ORDER BY 1"
    before = await superuser.fetch(bases)
    await run(addresses, lambda connection: command.downgrade(alembic_config(connection), "0003"))
    await migrate(addresses)
    assert await superuser.fetch(bases) == before
    assert {row["space_id"] is None for row in before if row["tenant_id"] == alice.tenant_id} == {False}


async def test_choices_are_in_the_audit_trail(services: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """One row each."""
    await publish(services, alice, "handbook.md", handbook(0, 3))
    await superuser.execute("TRUNCATE audit_log")
    await choose(alice, **OUTSIDE)
    await alice.client.post(f"{ADDRESS}/cancel")
    rows = await superuser.fetch("SELECT action, object_id, changes::text FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("knowledge.embedding.choose", alice.tenant_id, '{"model": "some-embedder", "dimensions": 64}'),
        ("knowledge.embedding.cancel", alice.tenant_id, "{}"),
    ]


async def test_a_provider_of_the_workspace_makes_its_vectors(
    services: Services, alice: Person, superuser: asyncpg.Connection, peer: OpenAIPeer
) -> None:
    """In a space of its own, accounted for; without the provider the words do alone, and the notes say so."""
    settings = structs.replace(services.settings, openai_api_key=None, openai_base_url=None)
    settings = structs.replace(settings, provider_private_addresses=True)
    connected = structs.replace(services, settings=settings, models=ModelClients())
    async with make_client(build_app(connected), authorization=bearer(connected, alice)) as client:
        await publish(connected, alice, "handbook.md", handbook(0, 20))
        what = {"name": "Ours", "base_url": peer.base_url, "api_key": "sk-ours"}
        made = (await client.post("/api/v1/model-providers", json=what)).raise_for_status().json()
        wanted = OUTSIDE | {"provider_id": made["id"]}
        chosen = (await client.put(ADDRESS, json=wanted)).raise_for_status().json()
        assert chosen["wanted"] == wanted
        await finish(connected, superuser)
        assert (await client.get(ADDRESS)).json()["active"] == wanted
        assert list(await vectors(superuser, alice)) == [f"provider:{made['id']}/some-embedder"]
        await check_answer(connected, alice, 7)
        assert {request.body["model"] for request in peer.requests} == {"some-embedder"}
        assert {request.headers["authorization"] for request in peer.requests} == {"Bearer sk-ours"}
        calls = (await client.get("/api/v1/model-calls")).json()["items"]
        told = {(call["purpose"], call["provider_id"], call["error"]) for call in calls}
        assert told == {("test", made["id"], None), ("embed", made["id"], None)}
        assert sum(call["prompt_tokens"] for call in calls) == 21
        answer = await ask(connected, alice, 3)
        assert {call.purpose for call in answer.calls} == {"embed"}
        await client.delete(f"/api/v1/model-providers/{made['id']}")
        answer = await ask(connected, alice, 7)
        assert answer.notes == ("embedding:no_endpoint",)
        assert f"the code {code(7)}" in answer.found[0].text
    await connected.models.close()
