"""Topics of a workspace: noted with answers, found by the worker, counted, changed by analysts, shown on a map."""

from collections.abc import Sequence
from datetime import datetime
from struct import unpack_from
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs

from asissto.channels.channels import api_channel
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.assistants import first_assistant
from asissto.retrieval.conversations import Asked, Turned, open_conversation, store_answer, store_message
from asissto.retrieval.topics import asked
from asissto.retrieval.topics.asked import PLACE
from asissto.retrieval.topics.placing import REFRESH, next_night
from people import Person
from test_answers import ask, library
from words_embedder import WordsEmbedder

assert library
TOPICS = "/api/v1/topics"
SUBJECTS = {
    "refund": [
        "refund money card please",
        "money refund to my card",
        "want refund card money back",
        "card refund money",
    ],
    "delivery": [
        "delivery time courier city",
        "courier delivery time",
        "when courier delivery city",
        "city delivery time",
    ],
    "password": [
        "password reset login email",
        "reset my password login",
        "login password reset",
        "email password reset",
    ],
}


def phrased(subject: str, count: int) -> list[str]:
    wordings = SUBJECTS[subject]
    return [f"{wordings[number % len(wordings)]} {number}" for number in range(count)]


@pytest.fixture
def wordy(services: Services) -> Services:
    """With an embedder that is cheap and knows every language."""
    return structs.replace(services, embedder=WordsEmbedder())


async def store(services: Services, tenant_id: UUID, questions: Sequence[str], **turned: Any) -> list[UUID]:
    """Answers to these questions, as turns leave them behind; the ids of their messages."""
    plain = {"outcome": "answered", "mode": "quoted", "details": {}} | turned
    stored = []
    async with services.database.tenant(tenant_id) as session:
        assistant_id = (await first_assistant(session, tenant_id)).id
        channel = await api_channel(session, tenant_id)
        for question in questions:
            what = Asked(tenant_id=tenant_id, assistant_id=assistant_id, channel_id=channel, question=question)
            conversation = await open_conversation(session, what)
            await store_message(session, what, conversation)
            answer = Turned(
                text="So it is.", notes=[], confidence=0.9, citations=(), passages=[], timings={}, usage=[], **plain
            )
            stored.append(await store_answer(session, conversation, question, answer))
    return stored


async def run_jobs(services: Services, *kinds: str) -> None:
    worker = make_worker(services)
    while await worker.run_one(list(kinds)):
        pass


async def refresh(services: Services, person: Person, *, anew: bool = False) -> None:
    (await person.client.post(f"{TOPICS}/runs", json={"anew": anew})).raise_for_status()
    await run_jobs(services, REFRESH)


async def topics(person: Person, **query: Any) -> dict[str, Any]:
    shown: dict[str, Any] = (await person.client.get(TOPICS, params=query)).raise_for_status().json()
    return shown


async def behind(person: Person, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        params = {"limit": 7, **query} | ({} if after is None else {"after": after})
        page = (await person.client.get(f"{TOPICS}/{path}", params=params)).raise_for_status().json()
        found += page["items"]
        after = page["next"]
        if after is None:
            return found


async def test_questions_are_noted_with_their_answers(
    services: Services, library: object, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the vector they were searched with; greetings, commands and calls for a person are no questions."""
    monkeypatch.setattr(asked, "PAUSE", asked.PAUSE * 0)
    english = await ask(alice, "What does it cost to rent a bicycle for a day?")
    russian = await ask(alice, "Сколько занимает доставка по Казани?")
    for other in ("Hello!", "Спасибо большое", "/help", "I want to talk to a person", "???"):
        await ask(alice, other)
    columns = "q.message_id, language, outcome, v.space"
    joined = "asked_questions q LEFT JOIN question_vectors v USING (tenant_id, message_id)"
    query = f"SELECT {columns} FROM {joined} ORDER BY q.message_id"
    assert [tuple(row) for row in await superuser.fetch(query)] == [
        (UUID(english["message_id"]), "en", "answered", services.embedder.model),
        (UUID(russian["message_id"]), "ru", "answered", None),
    ]
    opinion = f"/api/v1/conversations/{english['conversation_id']}/messages/{english['message_id']}/feedback"
    (await alice.client.put(opinion, json={"thumb": "down"})).raise_for_status()
    assert await superuser.fetchval("SELECT count(*) FROM asked_questions WHERE is_disliked") == 1
    await run_jobs(services, PLACE)
    assert [row["space"] for row in await superuser.fetch(query)] == [services.embedder.model, "words-1"]
    jobs = await superuser.fetch("SELECT key, run_at FROM jobs WHERE kind = $1 AND state = 'todo'", REFRESH)
    assert [row["key"] for row in jobs] == ["nightly"]
    assert next_night(datetime.fromisoformat("2026-11-25T04:00:00+00:00")).isoformat() == "2026-11-26T03:00:00+00:00"
    assert next_night(datetime.fromisoformat("2026-11-25T02:00:00+00:00")).isoformat() == "2026-11-25T03:00:00+00:00"


async def test_every_count_is_that_of_the_questions_behind_it(wordy: Services, alice: Person) -> None:
    """At each granularity, for each outcome, hidden topics and questions without a topic included."""
    await store(wordy, alice.tenant_id, phrased("refund", 20))
    await store(wordy, alice.tenant_id, phrased("delivery", 14), outcome="abstained")
    await store(wordy, alice.tenant_id, phrased("password", 9), outcome="handed_over", mode="quoted")
    weak = {"confidence": {"zone": "middle"}}
    await store(wordy, alice.tenant_id, [*phrased("password", 3), "zebra"], details=weak)
    await store(wordy, alice.tenant_id, ["Hello"], mode="canned")
    await refresh(wordy, alice)
    finest = await topics(alice, granularity=100)
    hidden = finest["items"][-1]["id"]
    (await alice.client.patch(f"{TOPICS}/{hidden}", json={"hidden": True})).raise_for_status()
    for granularity in (100, 50, 10, 1):
        shown = await topics(alice, granularity=granularity)
        for name in ("asked", "answered", "abstained", "handed_over", "weak"):
            parts = [shown["without"], shown["hidden"], *(item["counts"] for item in shown["items"])]
            assert shown["total"][name] == sum(part[name] for part in parts)
        assert shown["total"] == {
            "asked": 47, "answered": 24, "abstained": 14, "handed_over": 9, "weak": 4, "disliked": 0, "before": 0
        }  # fmt: skip
        for item in shown["items"]:
            of_topic = await behind(alice, f"{item['id']}/questions", granularity=granularity)
            assert len(of_topic) == item["counts"]["asked"] == sum(day["asked"] for day in item["days"])
            for outcome in ("answered", "weak"):
                of_outcome = await behind(alice, f"{item['id']}/questions", granularity=granularity, outcome=outcome)
                assert len(of_outcome) == item["counts"][outcome]
        assert len(await behind(alice, "questions")) == shown["without"]["asked"]
    assert len((await topics(alice, granularity=1, with_hidden=True))["items"]) == 1
    assert {pool["name"]: pool["notice"] for pool in finest["pools"]} == {"all": None}


async def test_three_subjects_are_three_topics_whose_names_and_edits_stay(wordy: Services, alice: Person) -> None:
    """Renamed, pinned, merged and hidden topics stay so through refreshes and through finding everything anew."""
    for subject, count in (("refund", 12), ("delivery", 12), ("password", 12)):
        await store(wordy, alice.tenant_id, phrased(subject, count))
    await refresh(wordy, alice)
    by_subject: dict[str, list[dict[str, Any]]] = {}
    for item in (await topics(alice, granularity=100))["items"]:
        questions = {row["question"] for row in await behind(alice, f"{item['id']}/questions", granularity=100)}
        (subject,) = [each for each in SUBJECTS if questions <= set(phrased(each, 12))]
        by_subject.setdefault(subject, []).append(item)
    first, second = by_subject["refund"][0], by_subject["delivery"][0]
    patched = (
        await alice.client.patch(f"{TOPICS}/{first['id']}", json={"title": " Money  back ", "pinned": True})
    ).json()
    assert patched["after"] == {"own_title": "Money back", "is_pinned": True}
    merged = (await alice.client.post(f"{TOPICS}/{first['id']}/merge", json={"into": second["id"]})).json()
    circle = await alice.client.post(f"{TOPICS}/{second['id']}/merge", json={"into": first["id"]})
    assert (circle.status_code, circle.json()["field"]) == (400, "into")
    await store(wordy, alice.tenant_id, phrased("refund", 2))
    for anew in (False, True):
        await refresh(wordy, alice, anew=anew)
        shown = (await alice.client.get(f"{TOPICS}/{first['id']}", params={"granularity": 100})).json()
        assert first["id"] in shown["members"]
        assert second["id"] in shown["members"] or shown["id"] == second["id"]
    undone = await alice.client.post(f"{TOPICS}/edits/{merged['id']}/undo")
    assert undone.raise_for_status().json()["undone_at"] is not None
    assert (await alice.client.post(f"{TOPICS}/edits/{merged['id']}/undo")).status_code == 409
    alone = (await alice.client.get(f"{TOPICS}/{first['id']}", params={"granularity": 100})).json()
    assert (alone["id"], alone["title"], alone["pinned"]) == (first["id"], "Money back", True)
    assert second["id"] not in alone["members"]
    edits = (await alice.client.get(f"{TOPICS}/edits", params={"topic_id": first["id"]})).json()["items"]
    assert [sorted(edit["after"]) for edit in edits] == [["merged_into"], ["is_pinned", "own_title"]]


async def test_new_questions_join_the_topics_that_are_known(
    wordy: Services, alice: Person, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are near to one; the others become a topic of their own in the night."""
    monkeypatch.setattr(asked, "PAUSE", asked.PAUSE * 0)
    await store(wordy, alice.tenant_id, [*phrased("refund", 12), *phrased("delivery", 12)])
    await refresh(wordy, alice)
    known = {item["id"] for item in (await topics(alice, granularity=100))["items"]}
    fresh = await store(wordy, alice.tenant_id, [*phrased("refund", 1), *phrased("password", 8)])
    async with wordy.database.tenant(alice.tenant_id) as session:
        await asked.note_past(session, alice.tenant_id)
    await superuser.execute(
        "INSERT INTO jobs (tenant_id, id, kind, key, payload) VALUES ($1, gen_random_uuid(), $2, 'new', '{}')",
        alice.tenant_id,
        PLACE,
    )
    await run_jobs(wordy, PLACE)
    rows = await superuser.fetch("SELECT topic_id, placed_at, x FROM asked_questions WHERE message_id = ANY($1)", fresh)
    placed = [str(row["topic_id"]) in known for row in rows]
    assert (placed.count(True), {row["placed_at"] is None or row["x"] is None for row in rows}) == (1, {False})
    await refresh(wordy, alice)
    appeared = [item for item in (await topics(alice, granularity=100))["items"] if item["id"] not in known]
    joined = [
        row["question"] for item in appeared for row in await behind(alice, f"{item['id']}/questions", granularity=100)
    ]
    assert len(set(joined) & set(phrased("password", 8))) >= 6
    run = (await alice.client.get(f"{TOPICS}/runs")).json()["items"][0]
    assert (run["kind"], sorted(run["lineage"]["appeared"])) == ("refresh", sorted(item["id"] for item in appeared))


async def test_an_erased_question_is_shown_no_more(
    wordy: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Not even as the name of its topic, which then goes by the words that several customers have used."""
    await store(wordy, alice.tenant_id, phrased("refund", 12))
    await refresh(wordy, alice)
    (named,) = (await topics(alice, granularity=1))["items"]
    assert named["title"] in phrased("refund", 12)
    await superuser.execute("DELETE FROM conversations")
    (left,) = (await topics(alice, granularity=1))["items"]
    assert (left["title"], left["examples"], left["counts"]["asked"]) == (", ".join(named["chips"][:3]), [], 0)


async def test_a_change_between_periods_is_told_with_its_significance(
    wordy: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """By the share of all questions; what stays the same is no change, however many are asked."""
    await store(wordy, alice.tenant_id, [*phrased("refund", 40), *phrased("delivery", 40)])
    for word, count in (("refund", 36), ("deliver", 8)):
        await superuser.execute(
            "UPDATE receipts SET created_at = now() - interval '40 days' WHERE message_id IN "
            "(SELECT message_id FROM receipts WHERE question LIKE $1 ORDER BY message_id LIMIT $2)",
            f"%{word}%",
            count,
        )
    await refresh(wordy, alice)
    shown = await topics(alice, granularity=1)
    assert (shown["total"]["asked"], shown["total"]["before"]) == (36, 44)
    (everything,) = shown["items"]
    assert (round(everything["change"]["ratio"], 1), everything["change"]["is_significant"]) == (1.0, False)
    cuts = [(await topics(alice, granularity=part))["items"] for part in range(2, 60, 3)]
    two = next(items for items in cuts if len(items) == 2)
    fallen, risen = sorted(two, key=lambda item: item["change"]["ratio"])
    assert (fallen["change"]["is_significant"], risen["change"]["is_significant"]) == (True, True)
    assert 2 * fallen["change"]["ratio"] < 1 < risen["change"]["ratio"] / 2


async def test_the_map_is_one_binary_answer(wordy: Services, alice: Person) -> None:
    """As it is documented: counts, places, numbers of topics, topics."""
    await store(wordy, alice.tenant_id, [*phrased("refund", 9), *phrased("delivery", 9), *phrased("password", 9)])
    await refresh(wordy, alice)
    answer = await alice.client.get(f"{TOPICS}/map", params={"granularity": 100})
    assert answer.headers["content-type"] == "application/vnd.asissto.topic-map"
    points, count = unpack_from("<II", answer.content)
    assert (points, len(answer.content)) == (27, 8 + 27 * 10 + 16 * count)
    numbers = unpack_from(f"<{points}H", answer.content, 8 + 8 * points)
    ids = [str(UUID(bytes=answer.content[-16 * (count - at) :][:16])) for at in range(count)]
    shown = await topics(alice, granularity=100)
    assert {ids[number]: numbers.count(number) for number in set(numbers) - {0xFFFF}} == {
        item["id"]: item["counts"]["asked"] for item in shown["items"] if item["counts"]["asked"]
    }
    assert all(-2 < place < 2 for place in unpack_from(f"<{2 * points}f", answer.content, 8))


async def test_a_language_without_an_embedder_is_told_and_goes_by_words(services: Services, alice: Person) -> None:
    """Apart from the others, whose vectors cannot be compared with theirs."""
    russian = [
        "верните деньги за заказ",
        "верните деньги",
        "деньги за заказ верните",
        "верните мне деньги",
        "деньги назад",
    ]
    english = ["Where is my parcel?", "Where is the parcel now", "parcel not here", "my parcel is late", "late parcel"]
    await store(services, alice.tenant_id, [*russian, *english])
    await refresh(services, alice)
    shown = await topics(alice)
    assert [(pool["name"], pool["notice"]) for pool in shown["pools"]] == [
        ("en", None),
        ("ru", text("topics.by_words", "en")),
    ]
    assert {item["pool"] for item in shown["items"]} == {"en", "ru"}
    told = await alice.client.get(TOPICS, headers={"accept-language": "ru"})
    assert told.json()["pools"][1]["notice"] == text("topics.by_words", "ru")
    only = await topics(alice, asked_in="ru")
    assert (only["total"]["asked"], {item["pool"] for item in only["items"] if item["counts"]["asked"]}) == (5, {"ru"})


async def test_another_embedder_keeps_the_topics(services: Services, wordy: Services, alice: Person) -> None:
    """Their questions are embedded anew, and each topic stays where its questions are."""
    await store(wordy, alice.tenant_id, [*phrased("refund", 12), *phrased("delivery", 12)])
    await refresh(wordy, alice)
    before = {item["id"] for item in (await topics(alice, granularity=100))["items"]}
    await refresh(services, alice)
    after = await topics(alice, granularity=100)
    assert [pool["name"] for pool in after["pools"]] == ["all", "en"]
    kept = {item["id"] for item in after["items"] if item["pool"] == "en"}
    assert len(kept & before) >= len(before) / 2
    assert sum(item["counts"]["asked"] for item in after["items"]) + after["without"]["asked"] == 24
