"""Answers that are paid for: counted once, charged once whatever is killed, and what happens when nothing is left."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec import structs
from sqlalchemy import event

from asissto.channels.contract import Destination, Part, Sent
from asissto.channels.delivering import Courier
from asissto.channels.outbox import Claimed
from asissto.channels.outcomes import Errand
from asissto.channels.twilio_sms import TwilioSms
from asissto.platform.entrypoints.web import build_app
from asissto.platform.events import CHANNEL, Change
from asissto.platform.ledger import release_expired, transfer
from asissto.platform.metering import allowance, count_answer
from asissto.platform.plans import Terms, put_plan
from asissto.platform.services import Services
from asissto.platform.subscriptions import TOPIC, change_plan, find_subscription
from asissto.platform.tables import new_id
from asissto.retrieval.evaluation import SetPassage, load_passages
from people import Person, bearer, make_client
from test_bursts import (
    ABOUT_DEPOSIT,
    ABOUT_REFUND,
    DEPOSIT,
    REFUND,
    Gated,
    ask,
    begin,
    question_of,
)

PLAN = Terms(
    code="small", name="Small", price=0, answers=2, documents=1, channels=1, seats=2, storage_mb=1, overage_price=5
)


HANDED = "quota: handed_over"


@pytest.fixture
async def paying(services: Services, alice: Person) -> Services:
    """Where answers are paid for: alice's plan includes two, and each more costs five."""
    passages = [SetPassage(id=text, doc=text, title="Terms", text=text) for text in (REFUND, DEPOSIT)]
    await load_passages(services, alice.tenant_id, passages, lambda *_: None)
    await choose(services, alice.tenant_id, PLAN)
    return structs.replace(services, settings=structs.replace(services.settings, billing=True))


@pytest.fixture
async def customer(paying: Services, alice: Person) -> AsyncIterator[Person]:
    """Alice, who asks there."""
    async with make_client(build_app(paying), authorization=bearer(paying, alice)) as client:
        yield replace(alice, client=client)


async def choose(services: Services, tenant_id: UUID, terms: Terms) -> None:
    async with services.database.system() as session:
        await put_plan(session, terms, "active")
    async with services.database.tenant(tenant_id) as session:
        await change_plan(session, tenant_id, terms.code, datetime.now(UTC))


async def top_up(services: Services, tenant_id: UUID, amount: int) -> None:
    sides: dict[str, Any] = {"kind": "top_up", "debit": "cash:manual", "credit": "wallet"}
    async with services.database.tenant(tenant_id) as session:
        await transfer(session, tenant_id, **sides, amount=amount, key=f"payment:{new_id()}")


async def at_zero(services: Services, tenant_id: UUID, wish: str, text: str | None = None) -> None:
    async with services.database.tenant(tenant_id) as session:
        subscription = await find_subscription(session, tenant_id, locks=True)
        subscription.at_zero, subscription.zero_text = wish, text


def became(answer: dict[str, Any]) -> str:
    """`answered`, or why it went to whom."""
    proposed = answer["hand_over"]
    return "answered" if proposed is None else f"{proposed['reason']}: {proposed['action']}"


async def books(superuser: asyncpg.Connection) -> dict[str, int]:
    """Without the cash that came in."""
    rows = await superuser.fetch("SELECT name, balance FROM ledger_accounts WHERE name <> 'cash:manual'")
    return {row["name"]: row["balance"] for row in rows}


async def counted(superuser: asyncpg.Connection, name: str = "answers") -> int:
    return int(await superuser.fetchval("SELECT sum(quantity) FROM usage_totals WHERE name = $1", name) or 0)


async def warnings(superuser: asyncpg.Connection) -> list[tuple[str, int]]:
    rows = await superuser.fetch("SELECT name, percent FROM quota_warnings ORDER BY name, percent")
    return [(row["name"], row["percent"]) for row in rows]


async def test_included_answers_come_first_and_then_the_wallet(
    paying: Services, customer: Person, superuser: asyncpg.Connection
) -> None:
    """Two are free, two are paid, and for the fifth there is nothing left: a person is asked for."""
    await top_up(paying, customer.tenant_id, 12)
    texts = [(await ask(customer, ABOUT_REFUND))["text"] for _ in range(4)]
    last = await ask(customer, ABOUT_REFUND)
    assert all(REFUND in text for text in texts)
    assert became(last) == HANDED
    assert REFUND not in last["text"]
    assert await books(superuser) == {"wallet": 2, "held": 0, "revenue": 10}
    assert await counted(superuser) == 4
    reason = "SELECT handed_over_reason FROM conversations WHERE status = 'pending'"
    assert await superuser.fetchval(reason) == "quota"


async def test_courtesies_cost_nothing(customer: Person, superuser: asyncpg.Connection) -> None:
    """And leave nothing set aside."""
    for _ in range(4):
        await ask(customer, "Hello!")
    assert await counted(superuser) == 0
    assert await superuser.fetchval("SELECT count(*) FROM ledger_holds WHERE state = 'open'") == 0


async def test_the_workspace_says_what_its_customers_are_told(paying: Services, customer: Person) -> None:
    """In its own words, with the conversation going to a person."""
    await at_zero(paying, customer.tenant_id, "hand_over", "We are back on Monday.")
    for _ in range(2):
        await ask(customer, ABOUT_REFUND)
    assert (await ask(customer, ABOUT_REFUND))["text"] == "We are back on Monday."


async def test_paused_messages_wait_for_the_money(
    paying: Services, customer: Person, superuser: asyncpg.Connection
) -> None:
    """Nothing is lost: the next answer is to them too."""
    await at_zero(paying, customer.tenant_id, "pause")
    conversation_id = await begin(customer)
    for _ in range(2):
        await ask(customer, ABOUT_REFUND)
    (assistant,) = (await customer.client.get("/api/v1/assistants")).json()["items"]
    body = {"question": ABOUT_REFUND, "conversation_id": conversation_id}
    refused = await customer.client.post(f"/api/v1/assistants/{assistant['id']}/ask", json=body)
    assert (refused.status_code, refused.json()["code"]) == (402, "answers_paused")
    await top_up(paying, customer.tenant_id, 5)
    answer = await ask(customer, ABOUT_DEPOSIT, conversation_id)
    assert REFUND in answer["text"]
    assert DEPOSIT in answer["text"]
    assert (await books(superuser))["wallet"] == 0


async def test_an_overdraft_is_used_where_the_workspace_wants_it(
    paying: Services, customer: Person, superuser: asyncpg.Connection
) -> None:
    """As far as the platform allows, and not by who has not asked for it."""
    await top_up(paying, customer.tenant_id, 1)
    await superuser.execute("UPDATE ledger_accounts SET overdraft = 8 WHERE name = 'wallet'")
    outcomes = []
    for wish in ("hand_over", "hand_over", "hand_over", "overdraft", "overdraft"):
        await at_zero(paying, customer.tenant_id, wish)
        outcomes.append(became(await ask(customer, ABOUT_REFUND)))
    assert outcomes == ["answered", "answered", HANDED, "answered", HANDED]
    assert await books(superuser) == {"wallet": -4, "held": 0, "revenue": 5}


async def test_warnings_come_once_a_period(paying: Services, customer: Person, superuser: asyncpg.Connection) -> None:
    """At four and five of five answers, stored and announced."""
    await choose(paying, customer.tenant_id, structs.replace(PLAN, code="five", answers=5))
    heard: list[str] = []
    await superuser.add_listener(CHANNEL, lambda *told: heard.append(str(told[-1])))
    seen = []
    for _ in range(7):
        await ask(customer, ABOUT_REFUND)
        seen.append(len(await warnings(superuser)))
    await superuser.fetchval("SELECT 1")  # what was announced has arrived before the answer
    assert seen == [0, 0, 0, 1, 2, 2, 2]
    assert await warnings(superuser) == [("answers", 80), ("answers", 100)]
    told = [change for each in heard if (change := msgspec.json.decode(each, type=Change)).topic == TOPIC]
    assert told == [Change(customer.tenant_id, TOPIC, customer.tenant_id)] * 2


async def test_a_message_is_charged_once(paying: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """However often somebody says that it was answered, and at the same moment."""
    await top_up(paying, alice.tenant_id, 50)
    messages = [new_id() for _ in range(4)]

    async def answered(message_id: UUID) -> bool:
        async with paying.database.tenant(alice.tenant_id) as session:
            assert (await allowance(session, alice.tenant_id, message_id)).granted
        async with paying.database.tenant(alice.tenant_id) as session:
            return await count_answer(session, alice.tenant_id, message_id, ())

    done = await asyncio.gather(*(answered(each) for each in messages * 3))
    assert sorted(done) == [False] * 8 + [True] * 4
    assert await books(superuser) == {"wallet": 40, "held": 0, "revenue": 10}
    assert await counted(superuser) == 4


async def test_the_last_answer_is_not_given_twice(
    paying: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """While a model works on it, its place is taken."""
    model = Gated()
    app = build_app(structs.replace(paying, chat=model))
    async with make_client(app, authorization=bearer(paying, alice)) as client:
        person = replace(alice, client=client)
        both = asyncio.Event()
        model.on_enter = lambda: both.set() if len(model.asked) == 2 else None
        waiting = [asyncio.create_task(ask(person, ABOUT_REFUND)) for _ in range(2)]
        await asyncio.wait_for(both.wait(), 30)
        refused = await ask(person, ABOUT_REFUND)
        model.open.set()
        outcomes = [became(await each) for each in waiting]
    assert (outcomes, became(refused)) == (["answered", "answered"], HANDED)
    assert len(model.asked) == 2
    assert (await counted(superuser), await counted(superuser, "prompt_tokens")) == (2, 0)


@pytest.mark.parametrize("stage", ["asked", "charged"])
async def test_a_killed_process_neither_loses_nor_doubles_a_charge(
    paying: Services, customer: Person, superuser: asyncpg.Connection, stage: str
) -> None:
    """Killed with its money set aside, or between the charge and the answer: the next turn pays once for both."""
    await top_up(paying, customer.tenant_id, 50)
    for _ in range(2):
        await ask(customer, ABOUT_REFUND)
    asked = await question_of(paying, customer, ABOUT_REFUND)
    urls = [url.render_as_string(hide_password=False) for url in structs.astuple(paying.database.addresses)]
    arguments = (stage, msgspec.json.encode(asked).decode(), str(paying.settings.data_dir), *urls)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import paying_victim; paying_victim.main()", *arguments),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == f"{stage}\n".encode()
    conversation_id = await superuser.fetchval("SELECT id FROM conversations WHERE claimed_by IS NOT NULL")
    process.kill()
    await process.communicate()
    assert await books(superuser) == {"wallet": 45, "held": 5}
    await superuser.execute("UPDATE conversations SET claimed_until = now()")
    answer = await ask(customer, ABOUT_DEPOSIT, str(conversation_id))
    assert REFUND in answer["text"]
    assert await books(superuser) == {"wallet": 45, "held": 0, "revenue": 5}
    assert await counted(superuser) == 3
    assert await superuser.fetchval("SELECT count(*) FROM messages WHERE waits") == 0


async def test_an_answer_that_comes_after_its_hold_has_expired_is_charged(
    paying: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Out of the wallet; where that is empty, it is given all the same."""
    await top_up(paying, alice.tenant_id, 7)
    for number in range(4):
        message_id = new_id()
        async with paying.database.tenant(alice.tenant_id) as session:
            await allowance(session, alice.tenant_id, message_id)
        if number >= 2:
            await superuser.execute("UPDATE ledger_holds SET expires_at = '2026-01-01' WHERE state = 'open'")
            await release_expired(paying.database)
        async with paying.database.tenant(alice.tenant_id) as session:
            assert await count_answer(session, alice.tenant_id, message_id, ())
    assert await books(superuser) == {"wallet": 2, "held": 0, "revenue": 5}
    assert await counted(superuser) == 4


async def test_whoever_comes_back_after_the_hold_has_expired_is_asked_again(
    paying: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """What was set aside for a turn that was killed may be spent by then; where it is not, it is set aside anew."""
    await choose(paying, alice.tenant_id, structs.replace(PLAN, code="none", answers=0))
    await top_up(paying, alice.tenant_id, 5)
    first, second = new_id(), new_id()

    async def may(message_id: UUID) -> bool:
        async with paying.database.tenant(alice.tenant_id) as session:
            return (await allowance(session, alice.tenant_id, message_id)).granted

    assert [await may(first), await may(second)] == [True, False]
    await superuser.execute("UPDATE ledger_holds SET expires_at = '2026-01-01' WHERE state = 'open'")
    assert [await may(second), await may(first)] == [False, True]  # not given back yet, and renewed by its owner
    await superuser.execute("UPDATE ledger_holds SET expires_at = '2026-01-01' WHERE state = 'open'")
    await release_expired(paying.database)
    assert [await may(second), await may(first)] == [True, False]
    async with paying.database.tenant(alice.tenant_id) as session:
        assert await count_answer(session, alice.tenant_id, second, ())
    assert await books(superuser) == {"wallet": 0, "held": 0, "revenue": 5}


async def test_without_billing_nothing_is_asked_of_the_database(services: Services, alice: Person) -> None:
    """Not one statement of an answer, a member or a channel is about money."""
    statements: list[str] = []

    @event.listens_for(services.database._app.sync_engine, "before_cursor_execute")
    def note(*told: Any) -> None:
        statements.append(told[2])

    await ask(alice, "How long does a refund take?")
    body = {"name": "Ours", "type": "http", "settings": {"callback_url": "https://example.com/hook"}}
    secret = {"secrets": {"secret": "whsec_" + "A" * 32}}
    (await alice.client.post("/api/v1/channels", json=body | secret)).raise_for_status()
    (
        await alice.client.post("/api/v1/members", json={"email": "charlie@example.com", "role": "editor"})
    ).raise_for_status()
    about_money = [each for each in statements if any(name in each for name in ("subscription", "ledger", "usage_t"))]
    assert about_money == []
    assert len(statements) > 10


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("members", {"email": "charlie@example.com", "role": "editor"}, "seats"),
        ("invitations", {"email": "dora@example.com", "role": "editor"}, "seats"),
    ],
)
async def test_a_plan_has_so_many_members(
    paying: Services, customer: Person, superuser: asyncpg.Connection, path: str, body: dict[str, str], what: str
) -> None:
    """Alice and bob are two; one more has no room until the plan is larger."""
    before = await superuser.fetchval("SELECT count(*) FROM audit_log")
    refused = await customer.client.post(f"/api/v1/{path}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (402, "plan_limit")
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == before
    await choose(paying, customer.tenant_id, structs.replace(PLAN, code="larger", seats=3))
    assert (await customer.client.post(f"/api/v1/{path}", json=body)).status_code == 201
    assert (what, 100) in await warnings(superuser)


async def test_a_plan_has_so_many_channels(customer: Person) -> None:
    """The one of the API is not counted."""
    settings = {"settings": {"callback_url": "https://example.com/hook"}, "secrets": {"secret": "whsec_" + "A" * 32}}
    channels = [
        (await customer.client.post("/api/v1/channels", json={"name": name, "type": "http", **settings})).status_code
        for name in ("First", "Second")
    ]
    assert channels == [201, 402]


async def test_a_plan_has_so_many_documents(paying: Services, customer: Person, superuser: asyncpg.Connection) -> None:
    """Two that come at once do not both find the last place; a new version of what is there needs none."""
    await superuser.execute("UPDATE subscriptions SET terms = terms || '{\"documents\": 4}'")
    (collection, *_) = (await customer.client.get("/api/v1/collections")).json()["items"]
    address = f"/api/v1/collections/{collection['id']}/documents"

    async def upload(name: str, content: str) -> int:
        return (await customer.client.post(address, params={"name": name}, content=content)).status_code

    before = await superuser.fetchval("SELECT count(*) FROM documents")
    assert before < 4
    room = 4 - before
    answers = await asyncio.gather(*(upload(f"{number}.txt", f"Text {number}.") for number in range(room + 2)))
    assert sorted(answers) == [202] * room + [402] * 2
    kept = await superuser.fetchval("SELECT source_key FROM documents WHERE source_key LIKE '%.txt' LIMIT 1")
    assert await upload(kept, "A new version.") == 202


async def test_segments_are_counted_once_for_each_part(
    paying: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Also where a courier says twice that a part was sent."""
    part, now = new_id(), datetime.now(UTC)
    claimed = Claimed(alice.tenant_id, part, new_id(), new_id(), {}, 1, 1, False, new_id(), now, now, "t", {}, 1)
    sent = Errand(
        claimed=claimed, to=Destination("t", {}), content=Part(text="t"), is_stale=False, must_look=False, revision=1
    )
    courier = Courier(paying)
    for _ in range(2):
        await courier._finish(sent, TwilioSms, Sent("SM1", 3))  # type: ignore[arg-type]
    assert await counted(superuser, "sms_segments") == 3
