"""A message from the webhook to the provider's door: once in, once answered, once out, in its order."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.evaluation import SetPassage, load_passages
from channels_at_work import Json, bring, everything_at_work, make_gateway, until
from gateway_peer import Gateway
from people import Person, make_client
from test_answers import LIBRARY, ignore, set_up

ABOUT_REFUND = "How long does a refund take?"


@pytest.fixture
async def channel(private: Services, alice: Person, gateway: Gateway) -> Json:
    await set_up(alice, burst_seconds=0.2)
    return await make_gateway(alice, gateway)


async def count(superuser: asyncpg.Connection, query: str) -> int:
    return int(await superuser.fetchval(f"SELECT count(*) FROM {query}"))


async def test_a_question_is_answered_with_its_sources(
    private: Services, alice: Person, channel: Json, web: httpx.AsyncClient, gateway: Gateway
) -> None:
    """From the signed request to the signed answer."""
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(private, alice.tenant_id, passages, ignore)
    async with everything_at_work(private):
        asked = await bring(web, channel, alice.tenant_id, "m1", {"conversation": "ann", "text": ABOUT_REFUND})
        assert (asked.status_code, asked.json()) == (200, {"ok": True})
        [answer] = await gateway.wait_for(1)
    assert answer["conversation"] == "ann"
    assert "within three working days." in answer["text"]
    assert answer["text"].endswith("Sources:\n[1] Refunds")
    assert [cited["quote"] for cited in answer["citations"]] == [LIBRARY["Refunds"]]
    assert gateway.unsigned == 0


async def test_five_hundred_copies_are_one_message(
    private: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
) -> None:
    """All at once, repeated where the database is too busy, and again later."""
    body = {"conversation": "ann", "text": "Hello!"}

    async def bring_in() -> None:
        while (status := (await bring(web, channel, alice.tenant_id, "m1", body)).status_code) != 200:
            assert status == 503

    async with everything_at_work(private):
        await asyncio.gather(*(bring_in() for _ in range(500)))
        await gateway.wait_for(1)
        await bring(web, channel, alice.tenant_id, "m1", body)
        await asyncio.sleep(0.6)
    assert gateway.said("ann") == [text("answer.greeting", "en")]
    assert await count(superuser, "inbound_events") == 1
    assert await count(superuser, "messages WHERE sender_kind = 'contact'") == 1
    assert await count(superuser, "jobs WHERE kind = 'channels.answer'") == 0


async def test_two_messages_within_a_moment_get_one_answer(
    private: Services, alice: Person, channel: Json, web: httpx.AsyncClient, gateway: Gateway
) -> None:
    """The greeting goes under in the question."""
    async with everything_at_work(private):
        for number, words in enumerate(("Hello!", "Thank you")):
            await bring(web, channel, alice.tenant_id, f"m{number}", {"conversation": "ann", "text": words})
        await gateway.wait_for(1)
        await asyncio.sleep(0.6)
    assert len(gateway.said("ann")) == 1


async def test_what_a_database_cannot_keep_stops_no_channel(
    private: Services, alice: Person, channel: Json, web: httpx.AsyncClient, gateway: Gateway
) -> None:
    """A NUL in the words, and a key that fits into no index."""
    body = {"conversation": "c" * 400, "message_id": "m" * 500, "text": "Hel\0lo!"}
    async with everything_at_work(private):
        taken = await bring(web, channel, alice.tenant_id, "k" * 5_000, body)
        assert taken.status_code == 200
        await gateway.wait_for(1)
    assert gateway.said("c" * 400) == [text("answer.greeting", "en")]


FAULTS: list[tuple[Any, dict[str, str]]] = [(500, {}), ("drop", {}), ("reset", {}), (429, {"retry-after": "1"})]


@pytest.mark.parametrize(("fault", "headers"), FAULTS, ids=["500", "drop", "reset", "429"])
async def test_a_fault_of_the_provider_loses_and_doubles_nothing(
    fault: Any,
    headers: dict[str, str],
    private: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
) -> None:
    """The same id again; other conversations go on meanwhile."""
    gateway.fail("ann", fault, headers)
    async with everything_at_work(private):
        await bring(web, channel, alice.tenant_id, "m1", {"conversation": "ann", "text": "Hello!"})
        await bring(web, channel, alice.tenant_id, "m2", {"conversation": "bea", "text": "Hello!"})
        await gateway.wait_for(2)
        await until(lambda: all_are_sent(superuser, 2))
    assert gateway.said("ann") == gateway.said("bea") == [text("answer.greeting", "en")]


async def test_a_refused_request_leaves_nothing(
    alice: Person, channel: Json, web: httpx.AsyncClient, superuser: asyncpg.Connection
) -> None:
    """A wrong secret, and one that is another channel's."""
    body = {"conversation": "ann", "text": "Hello!"}
    refused = await bring(web, channel, alice.tenant_id, "m1", body, secret="whsec_" + "B" * 32)
    assert (refused.status_code, refused.json()["code"]) == (403, "hook_refused")
    assert await count(superuser, "inbound_events") == 0


async def test_a_broken_channel_keeps_its_answers_until_it_is_repaired(
    private: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
) -> None:
    """The owner sees why, mends it, and nothing is lost or doubled."""
    gateway.fail("ann", 401, times=100)
    async with everything_at_work(private):
        await bring(web, channel, alice.tenant_id, "m1", {"conversation": "ann", "text": "Hello!"})
        await until(lambda: is_broken(alice, channel))
        assert (await status_of(alice, channel))["problem"] == "HTTP 401"
        assert gateway.said("ann") == []
        gateway.forget_faults()
        async with make_client(build_app(private), **dict(alice.client.headers)) as owner:
            tried = (await owner.post(f"/api/v1/channels/{channel['id']}/check")).json()
        assert (tried["ok"], tried["account"]) == (True, gateway.url)
        await gateway.wait_for(1)
    assert gateway.said("ann") == [text("answer.greeting", "en")]
    assert (await status_of(alice, channel))["status"] == "active"


async def all_are_sent(superuser: asyncpg.Connection, parts: int) -> bool:
    return await count(superuser, "outbox WHERE state = 'sent'") == parts


async def is_broken(person: Person, channel: Json) -> bool:
    return bool((await status_of(person, channel))["status"] == "broken")


async def status_of(person: Person, channel: Json) -> Json:
    shown: Json = (await person.client.get(f"/api/v1/channels/{channel['id']}")).json()
    return shown


async def test_a_suspended_tenant_answers_nobody_until_it_is_resumed(
    private: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
) -> None:
    """What customers write meanwhile is kept, and what was about to be sent waits with it."""
    suspended = "UPDATE tenants SET status = 'suspended' WHERE id = $1"
    await superuser.execute(suspended, alice.tenant_id)
    async with everything_at_work(private):
        brought = await bring(web, channel, alice.tenant_id, "m1", {"conversation": "ann", "text": "Hello!"})
        await asyncio.sleep(1.0)
        assert (brought.status_code, await count(superuser, "jobs WHERE kind = 'channels.answer'")) == (200, 1)
        await superuser.execute("UPDATE channels SET paused_until = now() + interval '1 hour'")
        await superuser.execute(suspended.replace("suspended", "active"), alice.tenant_id)
        await until(lambda: holds(superuser, "outbox WHERE state = 'pending'", 1))
        await superuser.execute(suspended, alice.tenant_id)
        await superuser.execute("UPDATE channels SET paused_until = NULL")
        await asyncio.sleep(1.0)
        assert gateway.said("ann") == []
        await superuser.execute(suspended.replace("suspended", "active"), alice.tenant_id)
        await gateway.wait_for(1)
    assert gateway.said("ann") == [text("answer.greeting", "en")]


async def holds(superuser: asyncpg.Connection, query: str, wanted: int) -> bool:
    return await count(superuser, query) == wanted
