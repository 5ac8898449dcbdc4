"""Bursts through the API: what comes together gets one answer, nothing is lost, and nobody waits for strangers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec import structs

from asissto.channels.channels import api_channel
from asissto.platform.chat import ChatDelta, ChatEnd, ChatMessage, Usage
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import NotReady
from asissto.platform.services import Services
from asissto.retrieval import bursts, turns
from asissto.retrieval.answers import Piece
from asissto.retrieval.assistants import first_assistant
from asissto.retrieval.conversations import Asked, find_conversation
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.turns import Together, Told, collect_turn, open_turn
from people import Person, bearer, make_client

REFUND = "A refund reaches the customer's bank card within three working days."
DEPOSIT = "The deposit for a bicycle is one hundred euros."
ABOUT_REFUND = "When does a refund reach my bank card?"
ABOUT_DEPOSIT = "How much is the deposit for a bicycle?"
Json = dict[str, Any]


class Gated:
    """A model that says one sentence as soon as the test lets it; `asked` are the questions it has been given."""

    name = "gated"

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered = asyncio.Event()
        self.asked: list[str] = []
        self.on_enter: Callable[[], None] = lambda: None

    async def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, **_more: object
    ) -> AsyncIterator[ChatDelta | ChatEnd]:
        self.asked.append(messages[-1].content.split("Question of the customer: ")[1].split("\n\nRemember")[0])
        self.on_enter()
        self.entered.set()
        await self.open.wait()
        yield ChatDelta(REFUND)
        yield ChatEnd(Usage(self.name, 1, 1, 0, estimated=True), "stop")

    def named(self, name: str) -> "Gated":
        return self


async def collect(
    services: Services, tenant_id: UUID, conversation_id: UUID, together: Together | None = None
) -> Told | None:
    async with services.database.tenant(tenant_id) as session:
        turn = await open_turn(session, services, await find_conversation(session, tenant_id, conversation_id))
    return await collect_turn(services, turn, together)


@pytest.fixture(autouse=True)
async def library(services: Services, alice: Person) -> None:
    passages = [SetPassage(id=text, doc=text, title="Terms", text=text) for text in (REFUND, DEPOSIT)]
    await load_passages(services, alice.tenant_id, passages, lambda *_: None)


@pytest.fixture
def model() -> Gated:
    return Gated()


@pytest.fixture
async def customer(services: Services, alice: Person, model: Gated) -> AsyncIterator[Person]:
    """Alice at an API with the gated model."""
    app = build_app(structs.replace(services, chat=model))
    async with make_client(app, authorization=bearer(services, alice)) as client:
        yield replace(alice, client=client)


async def address_of(person: Person) -> str:
    (assistant,) = (await person.client.get("/api/v1/assistants")).json()["items"]
    return f"/api/v1/assistants/{assistant['id']}"


async def ask(person: Person, question: str, conversation_id: str | None = None, **more: Any) -> Json:
    body = {"question": question, "conversation_id": conversation_id, **more}
    answer: Json = (await person.client.post(f"{await address_of(person)}/ask", json=body)).raise_for_status().json()
    return answer


async def begin(person: Person) -> str:
    return str((await ask(person, "Hello!"))["conversation_id"])


async def said_in(person: Person, conversation_id: str) -> list[tuple[str, str]]:
    """Without the greeting that it began with."""
    items = (await person.client.get(f"/api/v1/conversations/{conversation_id}/messages")).json()["items"]
    return [(item["sender_kind"], item["content"]) for item in items[2:]]


async def set_window(person: Person, seconds: float) -> None:
    body = {"settings": {"burst_seconds": seconds}}
    (await person.client.patch(await address_of(person), json=body)).raise_for_status()


async def test_two_messages_in_one_second_get_one_answer(alice: Person) -> None:
    """Both requests are given the same message, and it answers both."""
    await set_window(alice, 0.4)
    conversation_id = await begin(alice)
    first = asyncio.create_task(ask(alice, ABOUT_REFUND, conversation_id, more_may_come=True))
    await asyncio.sleep(0.2)
    second = await ask(alice, ABOUT_DEPOSIT, conversation_id, more_may_come=True)
    own = structs_without_time(await first)
    assert structs_without_time(second) == own
    assert REFUND in second["text"]
    assert DEPOSIT in second["text"]
    assert await said_in(alice, conversation_id) == [
        ("user", ABOUT_REFUND),
        ("user", ABOUT_DEPOSIT),
        ("assistant", second["text"]),
    ]
    receipt = await alice.client.get(f"/api/v1/conversations/{conversation_id}/messages/{second['message_id']}/receipt")
    assert receipt.json()["question"] == f"{ABOUT_REFUND}\n{ABOUT_DEPOSIT}"
    assert receipt.json()["details"]["turn"] == {"messages": 2, "language": "en"}


def structs_without_time(answer: Json) -> Json:
    return {name: value for name, value in answer.items() if name != "latency_ms"}


async def test_two_streams_end_with_the_same_answer(alice: Person) -> None:
    """Whoever streams is told the same in the end."""
    await set_window(alice, 0.4)
    conversation_id = await begin(alice)
    address = f"{await address_of(alice)}/ask"

    async def final(question: str) -> Json:
        body = {"question": question, "conversation_id": conversation_id, "more_may_come": True}
        response = await alice.client.post(address, json=body, headers={"accept": "text/event-stream"})
        (data,) = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
        event: Json = json.loads(data)
        return event

    first, second = await asyncio.gather(final(ABOUT_REFUND), final(ABOUT_DEPOSIT))
    assert first == second
    assert first["answered"]


async def test_a_single_question_does_not_wait(alice: Person) -> None:
    """However long the window is."""
    await set_window(alice, 10)
    conversation_id = await begin(alice)
    answer = await asyncio.wait_for(ask(alice, ABOUT_REFUND, conversation_id), 3)
    assert answer["answered"]


async def test_a_message_during_the_answer_is_answered_with_it(customer: Person, model: Gated) -> None:
    """The turn begins anew, once: the third message waits for the next turn."""
    await set_window(customer, 0.1)
    conversation_id = await begin(customer)
    first = asyncio.create_task(ask(customer, ABOUT_REFUND, conversation_id))
    await asyncio.wait_for(model.entered.wait(), 30)
    second = asyncio.create_task(ask(customer, ABOUT_DEPOSIT, conversation_id))
    await until(lambda: said_in(customer, conversation_id), 2)
    model.open.set()
    answers = [await first, await second]
    assert answers[0]["message_id"] == answers[1]["message_id"]
    assert model.asked == [ABOUT_REFUND, f"{ABOUT_REFUND}\n{ABOUT_DEPOSIT}"]
    assert [kind for kind, _ in await said_in(customer, conversation_id)] == ["user", "user", "assistant"]


async def until(read: Callable[[], Any], length: int) -> None:
    for _ in range(1_000):
        if len(await read()) == length:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never {length}")


async def test_what_was_shown_is_not_taken_back(
    services: Services, alice: Person, model: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a stream has shown a piece, the message that comes then gets an answer of its own."""
    chatting = structs.replace(services, chat=model)
    asked = await question_of(services, alice, ABOUT_REFUND)
    model.open.set()
    events = turns.ask_in_pieces(chatting, asked)
    piece = await anext(events)
    assert isinstance(piece, Piece)
    assert piece.text
    assert REFUND.startswith(piece.text)
    conversation_id = await the_conversation(services, alice)
    later = structs.replace(asked, question=ABOUT_DEPOSIT, conversation_id=conversation_id)
    second = asyncio.create_task(turns.ask(chatting, later))
    await asyncio.sleep(0.15)
    *_, told = [event async for event in events]
    assert isinstance(told, Told)
    assert (await second).message_id != told.message_id
    assert model.asked == [ABOUT_REFUND, ABOUT_DEPOSIT]


async def question_of(services: Services, person: Person, question: str) -> Asked:
    async with services.database.tenant(person.tenant_id) as session:
        return Asked(
            tenant_id=person.tenant_id,
            assistant_id=(await first_assistant(session, person.tenant_id)).id,
            channel_id=await api_channel(session, person.tenant_id),
            question=question,
            user_id=person.user_id,
        )


async def the_conversation(services: Services, person: Person) -> UUID:
    (item,) = (await person.client.get("/api/v1/conversations")).json()["items"]
    return UUID(item["id"])


async def test_ten_conversations_do_not_block_one_another(customer: Person, model: Gated) -> None:
    """All ten are with the model at the same moment."""
    conversations = [await begin(customer) for _ in range(10)]

    def open_for_ten() -> None:
        if len(model.asked) == 10:
            model.open.set()

    model.on_enter = open_for_ten
    answers = await asyncio.wait_for(
        asyncio.gather(*(ask(customer, ABOUT_REFUND, conversation_id) for conversation_id in conversations)), 20
    )
    assert len({answer["message_id"] for answer in answers}) == 10


async def test_a_killed_turn_is_taken_up_by_the_next(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Its message is stored and its claim expires; until then nobody else answers it."""
    asked = await question_of(services, alice, ABOUT_REFUND)
    async with services.database.tenant(alice.tenant_id) as session:
        place = await bursts.arrive(session, asked, 0.1)
        killed = await bursts.look(session, place)
    assert isinstance(killed, bursts.Burst)
    async with services.database.tenant(alice.tenant_id) as session:
        assert isinstance(await bursts.look(session, place), bursts.Later)
    await superuser.execute("UPDATE conversations SET claimed_until = now() - interval '1 second'")
    answer = await ask(alice, ABOUT_DEPOSIT, str(place.conversation_id))
    assert REFUND in answer["text"]
    assert DEPOSIT in answer["text"]
    async with services.database.tenant(alice.tenant_id) as session:
        assert await bursts.hold(session, killed) is None


async def test_a_process_killed_between_message_and_answer_loses_nothing(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """While it lives nobody else answers; when it is dead, the next turn answers its message too."""
    await set_window(alice, 0.1)
    asked = await question_of(services, alice, ABOUT_REFUND)
    urls = [url.render_as_string(hide_password=False) for url in structs.astuple(services.database.addresses)]
    arguments = (msgspec.json.encode(asked).decode(), str(services.settings.data_dir), *urls)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import turn_victim; turn_victim.main()", *arguments),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"asked\n"
    conversation_id = await the_conversation(services, alice)
    next_one = asyncio.create_task(ask(alice, ABOUT_DEPOSIT, str(conversation_id)))
    await asyncio.sleep(0.5)
    process.kill()
    await process.communicate()
    assert not next_one.done()
    await superuser.execute("UPDATE conversations SET claimed_until = now()")
    answer = await next_one
    assert REFUND in answer["text"]
    assert DEPOSIT in answer["text"]


async def test_a_turn_that_fails_leaves_its_message_for_the_next(
    services: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: the claim goes with the failure."""
    conversation_id = await begin(alice)

    def fail(*_: object) -> None:
        raise NotReady

    with monkeypatch.context() as patched:
        patched.setattr(turns, "paid_answer", fail)
        body = {"question": ABOUT_REFUND, "conversation_id": conversation_id}
        assert (await alice.client.post(f"{await address_of(alice)}/ask", json=body)).status_code == 503
    await set_window(alice, 0.1)
    answer = await ask(alice, ABOUT_DEPOSIT, conversation_id)
    assert REFUND in answer["text"]
    assert DEPOSIT in answer["text"]


async def test_a_claim_is_renewed_while_the_model_works(
    services: Services, alice: Person, model: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a slow answer would be given twice."""
    monkeypatch.setattr(bursts, "LEASE", timedelta(seconds=0.3))
    chatting = structs.replace(services, chat=model)
    asked = await question_of(services, alice, ABOUT_REFUND)
    turn = asyncio.create_task(turns.ask(chatting, asked))
    await asyncio.wait_for(model.entered.wait(), 30)
    conversation_id = await the_conversation(services, alice)
    await asyncio.sleep(0.5)
    other = asyncio.create_task(collect(chatting, alice.tenant_id, conversation_id))
    await asyncio.sleep(0.3)
    model.open.set()
    assert (await turn).answer.text == f"{REFUND} [1]"
    assert await other is None
    assert model.asked == [ABOUT_REFUND]


async def test_a_greeting_before_a_question_is_not_a_part_of_it(services: Services, alice: Person) -> None:
    """Nor is a message that was sent twice."""
    asked = await question_of(services, alice, "Hello!")
    async with services.database.tenant(alice.tenant_id) as session:
        place = await bursts.arrive(session, asked, 0.0)
        for question in (ABOUT_REFUND, ABOUT_REFUND):
            more = structs.replace(asked, question=question, conversation_id=place.conversation_id)
            await bursts.arrive(session, more, 0.0)
        burst = await bursts.look(session, place)
    assert isinstance(burst, bursts.Burst)
    assert (burst.question, len(burst.message_ids)) == (ABOUT_REFUND, 3)


async def test_messages_for_other_readers_are_not_joined(services: Services, alice: Person) -> None:
    """What staff may be told is not told in an answer that a customer gets."""
    asked = structs.replace(await question_of(services, alice, ABOUT_REFUND), audience=("staff",))
    async with services.database.tenant(alice.tenant_id) as session:
        place = await bursts.arrive(session, asked, 0.0)
        later = structs.replace(asked, question=ABOUT_DEPOSIT, conversation_id=place.conversation_id, audience=())
        await bursts.arrive(session, later, 0.0)
        burst = await bursts.look(session, place)
    assert isinstance(burst, bursts.Burst)
    assert (burst.question, burst.audience) == (ABOUT_REFUND, ("staff",))


async def test_a_job_collects_what_waits_and_writes_with_the_answer(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The door for channels with an inbox; what is to be sent is written in the transaction of the answer."""
    await set_window(alice, 0.1)
    asked = await question_of(services, alice, ABOUT_REFUND)
    async with services.database.tenant(alice.tenant_id) as session:
        place = await bursts.arrive(session, asked, 0.1)
        more = structs.replace(asked, question=ABOUT_DEPOSIT, conversation_id=place.conversation_id)
        await bursts.arrive(session, more, 0.1)
    seen: list[tuple[str, int]] = []

    async def together(_session: object, told: Told) -> None:
        stored = await superuser.fetchval("SELECT count(*) FROM messages WHERE sender_kind = 'assistant'")
        seen.append((told.answer.mode, stored))

    told = await collect(services, alice.tenant_id, place.conversation_id, together)
    assert told is not None
    assert REFUND in told.answer.text
    assert DEPOSIT in told.answer.text
    assert seen == [("quoted", 0)]
    assert await collect(services, alice.tenant_id, place.conversation_id, together) is None


async def test_a_person_who_takes_over_wins(customer: Person, model: Gated) -> None:
    """The answer that was being made is not delivered, and not stored."""
    conversation_id = await begin(customer)
    turn = asyncio.create_task(ask(customer, ABOUT_REFUND, conversation_id))
    await asyncio.wait_for(model.entered.wait(), 30)
    (await customer.client.post(f"/api/v1/conversations/{conversation_id}/hand-over")).raise_for_status()
    model.open.set()
    answer = await turn
    assert (answer["mode"], answer["answered"], answer["citations"]) == ("silent", False, [])
    assert await said_in(customer, conversation_id) == [("user", ABOUT_REFUND), ("system", "")]
