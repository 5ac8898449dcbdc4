"""What customers on a channel get when nothing is left of a plan: with a worker at work, over sockets."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.channels.inbox import ANSWER
from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from asissto.retrieval.evaluation import SetPassage, load_passages
from channels_at_work import Json, bring, everything_at_work, make_gateway, until
from gateway_peer import Gateway
from people import Person, bearer, make_client
from test_answers import ignore, set_up
from test_bursts import ABOUT_DEPOSIT, ABOUT_REFUND, DEPOSIT, REFUND
from test_metering import PLAN, at_zero, books, choose, counted, top_up

EMPTY = structs.replace(PLAN, code="empty", answers=0)


@pytest.fixture
async def paying(private: Services, alice: Person) -> Services:
    """Alice's plan includes no answer, and each costs five."""
    passages = [SetPassage(id=text, doc=text, title="Terms", text=text) for text in (REFUND, DEPOSIT)]
    await load_passages(private, alice.tenant_id, passages, ignore)
    await choose(private, alice.tenant_id, EMPTY)
    return structs.replace(private, settings=structs.replace(private.settings, billing=True))


@pytest.fixture
async def channel(paying: Services, alice: Person, gateway: Gateway) -> Json:
    await set_up(alice, burst_seconds=0.2)
    return await make_gateway(alice, gateway)


async def write(web: httpx.AsyncClient, channel: Json, person: Person, key: str, customer: str, words: str) -> None:
    brought = await bring(web, channel, person.tenant_id, key, {"conversation": customer, "text": words})
    assert brought.status_code == 200


async def rest(superuser: asyncpg.Connection, number: int) -> bool:
    """Whether so many conversations wait for money."""
    resting = "SELECT count(*) FROM jobs WHERE state = 'todo' AND error = 'answers_paused'"
    return bool(await superuser.fetchval(resting) == number)


@pytest.mark.parametrize("relief", ["top_up", "period", "hand_over"])
async def test_paused_messages_are_answered_when_the_pause_ends(
    paying: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
    relief: str,
) -> None:
    """At once, each customer with one answer to all that was written meanwhile, in its order; nothing before."""
    await at_zero(paying, alice.tenant_id, "pause")
    async with everything_at_work(paying):
        await write(web, channel, alice, "m1", "ann", ABOUT_REFUND)
        await write(web, channel, alice, "m2", "bea", ABOUT_REFUND)
        await until(lambda: rest(superuser, 2))
        await write(web, channel, alice, "m3", "ann", ABOUT_DEPOSIT)
        assert gateway.taken == []
        await relieve(paying, alice, relief)
        await gateway.wait_for(2, 20)
        await asyncio.sleep(0.5)
    [[to_ann], [to_bea]] = [gateway.said(customer) for customer in ("ann", "bea")]
    if relief == "hand_over":
        assert (to_ann, to_bea) == ("Later.", "Later.")
    else:
        assert to_ann.index(REFUND) < to_ann.index(DEPOSIT)
        assert REFUND in to_bea
    assert await counted(superuser) == (0 if relief == "hand_over" else 2)
    assert await superuser.fetchval("SELECT count(*) FROM messages WHERE waits") == 0
    if relief == "top_up":
        assert await books(superuser) == {"wallet": 0, "held": 0, "revenue": 10}


async def relieve(services: Services, alice: Person, how: str) -> None:
    if how == "top_up":
        await top_up(services, alice.tenant_id, 10)
    elif how == "period":
        await choose(services, alice.tenant_id, structs.replace(PLAN, code="next", answers=5))
    else:
        async with make_client(build_app(services), authorization=bearer(services, alice)) as owner:
            body = {"at_zero": "hand_over", "zero_text": "Later."}
            (await owner.patch("/api/v1/billing", json=body)).raise_for_status()


async def test_money_for_one_answer_is_given_to_whoever_wrote_first(
    paying: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
) -> None:
    """The other one goes on waiting, and no balance goes below zero."""
    await at_zero(paying, alice.tenant_id, "pause")
    async with everything_at_work(paying):
        for key, customer in (("m1", "ann"), ("m2", "bea")):
            await write(web, channel, alice, key, customer, ABOUT_REFUND)
        await until(lambda: rest(superuser, 2))
        await top_up(paying, alice.tenant_id, 9)
        await gateway.wait_for(1, 20)
        await until(lambda: rest(superuser, 1))
    assert len(gateway.taken) == 1
    assert await books(superuser) == {"wallet": 4, "held": 0, "revenue": 5}


async def test_an_overdraft_answers_and_then_hands_over(
    paying: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
) -> None:
    """As far as it goes; the customer is told the workspace's own words then, and a person has the conversation."""
    await at_zero(paying, alice.tenant_id, "overdraft", "We are back on Monday.")
    await top_up(paying, alice.tenant_id, 1)
    await superuser.execute("UPDATE ledger_accounts SET overdraft = 8 WHERE name = 'wallet'")
    async with everything_at_work(paying):
        await write(web, channel, alice, "m1", "ann", ABOUT_REFUND)
        await gateway.wait_for(1)
        await write(web, channel, alice, "m2", "bea", ABOUT_REFUND)
        await gateway.wait_for(2)
    assert REFUND in gateway.said("ann")[0]
    assert gateway.said("bea") == ["We are back on Monday."]
    assert await books(superuser) == {"wallet": -4, "held": 0, "revenue": 5}
    reasons = "SELECT handed_over_reason FROM conversations WHERE status = 'pending'"
    assert await superuser.fetch(reasons) == [("quota",)]


async def test_a_worker_that_is_killed_after_the_charge_answers_once(
    paying: Services,
    alice: Person,
    channel: Json,
    web: httpx.AsyncClient,
    gateway: Gateway,
    superuser: asyncpg.Connection,
) -> None:
    """Killed with -9 before it commits: the next worker charges and answers, and nobody does twice."""
    await top_up(paying, alice.tenant_id, 50)
    await write(web, channel, alice, "m1", "ann", ABOUT_REFUND)
    urls = [url.render_as_string(hide_password=False) for url in structs.astuple(paying.database.addresses)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import paying_victim; paying_victim.main()"),
        *("job", ANSWER, str(paying.settings.data_dir), *urls),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"charged\n"
    process.kill()
    await process.communicate()
    assert await books(superuser) == {"wallet": 45, "held": 5}
    await superuser.execute("UPDATE conversations SET claimed_until = now()")
    await superuser.execute("UPDATE jobs SET lease_until = now() WHERE state = 'doing'")
    async with everything_at_work(paying):
        await gateway.wait_for(1)
        await asyncio.sleep(0.5)
    assert len(gateway.said("ann")) == 1
    assert await books(superuser) == {"wallet": 45, "held": 0, "revenue": 5}
    assert await counted(superuser) == 1
