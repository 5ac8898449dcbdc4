"""The playground: any state of an assistant asked anything, with everything told and nothing kept."""

import json
from typing import Any

import asyncpg
import pytest

from asissto.retrieval.evaluation import Loaded
from asissto.retrieval.generation import NO_ANSWER
from openai_peer import OpenAIPeer
from people import Person
from test_answers import ask, assistant_of, library, receipt_of, set_up
from test_assistant_settings import REFUND, UNKNOWN, customer, peer
from test_drafts import done, edit

assert library
assert customer
assert peer
STORED = ("conversations", "messages", "citations", "receipts", "audit_log", "jobs")


async def play(person: Person, question: str, **more: Any) -> Any:
    address = f"/api/v1/assistants/{await assistant_of(person)}/playground"
    response = await person.client.post(address, json={"question": question, **more})
    assert response.status_code == 200, response.text
    return response.json()


async def stored(superuser: asyncpg.Connection) -> dict[str, int]:
    return {table: await superuser.fetchval(f"SELECT count(*) FROM {table}") for table in STORED}


async def test_a_played_answer_is_the_one_that_customers_get_and_leaves_nothing(
    library: Loaded, alice: Person, superuser: asyncpg.Connection
) -> None:
    """With all that was found, word for word and with scores, the evidence, and the time of each stage."""
    told = await ask(alice, REFUND)
    receipt = await receipt_of(alice, told)
    before = await stored(superuser)
    played = await play(alice, REFUND)
    assert await stored(superuser) == before
    same = ("answered", "mode", "text", "language", "confidence")
    assert {name: played[name] for name in same} == {name: told[name] for name in same}
    assert [each["quote"] for each in played["citations"]] == [each["quote"] for each in told["citations"]]
    ids = [passage["chunk_id"] for passage in played["passages"]]
    assert ids[: len(receipt["passages"])] == [passage["chunk_id"] for passage in receipt["passages"]]
    assert played["passages"][0]["text"].startswith("A refund reaches the customer's bank card")
    assert played["passages"][0]["scores"] == receipt["passages"][0]["scores"]
    assert played["details"]["confidence"]["evidence"].keys() >= {"sentence_coverage", "names_missing", "best_cosine"}
    assert {"pair", "embed", "search", "read", "total"} <= played["timings"].keys()
    assert (played["version"], played["draft_revision"], played["messages"]) == (1, None, [])
    assert receipt["details"]["assistant"] == {"version": 1}


async def test_drafts_versions_and_settings_can_be_tried(library: Loaded, alice: Person) -> None:
    """What is published does not change by it, and a wrong override is named by its path."""
    await set_up(alice, unknown_text="Second.")
    await edit(alice, settings={"unknown_text": "Draft."})
    said = {
        which: (await play(alice, UNKNOWN, version=which))["text"] for which in ("published", "draft")
    }  # fmt: skip
    assert said == {"published": "Second.", "draft": "Draft."}
    assert "did not find" in (await play(alice, UNKNOWN, version=1))["text"]
    tried = await play(alice, UNKNOWN, version="draft", overrides={"unknown_text": "Tried."})
    revision = (await done(alice, "GET", "/draft"))["revision"]
    assert (tried["text"], tried["version"], tried["draft_revision"]) == ("Tried.", None, revision)
    assert not (await play(alice, REFUND, overrides={"least_confidence": 1}))["answered"]
    assert (await ask(alice, UNKNOWN))["text"] == "Second."
    address = f"/api/v1/assistants/{await assistant_of(alice)}/playground"
    for body, code, field in (
        ({"overrides": {"passages": 0}}, "invalid_input", "overrides.passages"),
        ({"overrides": {"unknown_text": "{{x}}"}}, "unknown_variable", "settings.unknown_text"),
        ({"version": 99}, "not_found", None),
        ({"version": "newest"}, "invalid_input", "version"),
    ):
        problem = (await alice.client.post(address, json={"question": UNKNOWN, **body})).json()
        assert (problem["code"], problem.get("field")) == (code, field)


async def test_a_played_question_may_follow_others(library: Loaded, alice: Person) -> None:
    """As in a conversation."""
    history = [
        {"role": "user", "text": "Сколько занимает доставка по Казани?"},
        {"role": "assistant", "text": "Два дня."},
    ]
    assert "неделю" in (await play(alice, "А в другие города?", history=history))["text"]


@pytest.mark.parametrize(("role", "shown"), [("editor", True), ("operator", False)])
async def test_the_prompt_is_shown_to_those_who_may_change_it(
    role: str, shown: bool, customer: Person, peer: OpenAIPeer, bob: Person, superuser: asyncpg.Connection
) -> None:
    """Word for word as the model got it; an operator may play, but not read the instructions."""
    await superuser.execute("UPDATE memberships SET role = $1 WHERE user_id = $2", role, bob.user_id)
    customer.client.headers["authorization"] = bob.client.headers["authorization"]
    peer.reply_with(NO_ANSWER)
    played = await play(customer, REFUND)
    assert played["messages"] == (peer.requests[-1].body["messages"] if shown else None)
    assert played["usage"][0]["model"] == "qwen3"


async def test_a_played_answer_may_come_in_pieces(customer: Person, peer: OpenAIPeer) -> None:
    """The words as the model says them, then the same as at once; what is wrong with the question is a status."""
    said = "A refund reaches the customer's bank card within three working days [1]."
    peer.reply_with(said)
    whole = await play(customer, REFUND)
    assert whole["mode"] == "generated"
    address = f"/api/v1/assistants/{await assistant_of(customer)}/playground"
    customer.client.headers["accept"] = "text/event-stream"
    response = await customer.client.post(address, json={"question": REFUND})
    blocks = [block.splitlines() for block in response.text.split("\r\n\r\n") if block]
    names = [name.removeprefix("event: ") for name, _ in blocks]
    data = [json.loads(line.removeprefix("data: ")) for _, line in blocks]
    assert names == ["delta"] * (len(names) - 1) + ["final"]
    assert "".join(each["text"] for each in data[:-1]) == said.replace("[1]", "")
    for each in (whole, data[-1]):
        assert [call["purpose"] for call in each["details"].pop("calls")] == ["answer"]
    same = ("text", "mode", "citations", "passages", "usage", "details")
    assert {name: data[-1][name] for name in same} == {name: whole[name] for name in same}
    wrong = await customer.client.post(address, json={"question": " "})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "question_empty")


async def test_a_question_is_replayed_on_another_version(library: Loaded, alice: Person) -> None:
    """After the same history, with both receipts, and without a trace in the conversation."""
    first = await ask(alice, "Сколько занимает доставка по Казани?")
    told = await ask(alice, "А в другие города?", conversation_id=first["conversation_id"])
    await ask(alice, "Спасибо, а гарантия?", conversation_id=first["conversation_id"])
    await edit(alice, settings={"least_confidence": 1, "unknown_text": "Draft."})
    place = f"/api/v1/conversations/{first['conversation_id']}/messages"
    before = (await alice.client.get(place)).json()
    address = f"{place}/{told['message_id']}/replay"
    replayed = (await alice.client.post(address, json={"version": "draft"})).raise_for_status().json()
    assert replayed["question"] == "А в другие города?"
    assert [(said["role"], said["text"]) for said in replayed["history"]] == [
        ("user", "Сколько занимает доставка по Казани?"),
        ("assistant", first["text"]),
    ]
    receipt = await receipt_of(alice, told)
    old, new = replayed["before"], replayed["after"]
    assert (old["text"], new["text"]) == (told["text"], "Draft.")
    assert {name: old[name] for name in receipt if name in old} == {
        name: receipt[name] for name in receipt if name in old
    }
    same = (await alice.client.post(address, json={})).raise_for_status().json()["after"]
    assert (same["text"], same["version"]) == (told["text"], 1)
    assert (await alice.client.get(place)).json() == before
    assert (await alice.client.post(f"{place}/{before['items'][0]['id']}/replay", json={})).status_code == 404


async def test_every_answer_of_an_assistant_has_a_receipt(
    library: Loaded, alice: Person, customer: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Quoted, generated, approved or none, over the API or as a stream; and nothing else has one."""
    for question in (REFUND, UNKNOWN, "Сколько занимает доставка по Казани?"):
        await ask(alice, question)
    await ask(customer, REFUND)
    peer.fail_with(500)
    await ask(customer, REFUND)
    address = f"/api/v1/assistants/{await assistant_of(alice)}/ask"
    await alice.client.post(address, json={"question": REFUND}, headers={"accept": "text/event-stream"})
    rows = await superuser.fetch("""
        SELECT m.sender_kind, r.message_id IS NOT NULL AS told, count(*) FROM messages m
        LEFT JOIN receipts r ON r.tenant_id = m.tenant_id AND r.message_id = m.id GROUP BY 1, 2 ORDER BY 1
    """)
    assert [tuple(row) for row in rows] == [("assistant", True, 6), ("user", False, 6)]
