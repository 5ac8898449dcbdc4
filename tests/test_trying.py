"""Answers that somebody tries cost what those of customers cost, are told apart, and end where the money does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from openai_peer import OpenAIPeer
from people import Person, bearer, make_client
from test_answers import assistant_of
from test_bursts import ABOUT_DEPOSIT, ABOUT_REFUND, REFUND, ask
from test_ingestion import work
from test_metering import books, counted, paying, top_up
from test_question_sets import new_set
from test_set_runs import results_of, run_of, start

assert paying


@pytest.fixture
def modelled(paying: Services, chatting: Services, peer: OpenAIPeer) -> Services:
    """Two answers are included, each more costs five, and a model makes them."""
    peer.reply_with(f"{REFUND} [1]")
    return structs.replace(paying, chat=chatting.chat)


@pytest.fixture
async def owner(modelled: Services, alice: Person) -> AsyncIterator[Person]:
    async with make_client(build_app(modelled), authorization=bearer(modelled, alice)) as client:
        yield replace(alice, client=client)


async def play(person: Person, **more: Any) -> httpx.Response:
    address = f"/api/v1/assistants/{await assistant_of(person)}/playground"
    return await person.client.post(address, json={"question": ABOUT_REFUND}, **more)


async def test_the_playground_is_paid_for_and_ends_at_zero(
    owner: Person, modelled: Services, superuser: asyncpg.Connection
) -> None:
    """Its answers are among those of the plan, and counted by themselves besides; streams are no way around."""
    await top_up(modelled, owner.tenant_id, 5)
    await ask(owner, ABOUT_REFUND)
    stream = {"headers": {"accept": "text/event-stream"}}
    answers = [await play(owner), await play(owner, **stream), await play(owner), await play(owner, **stream)]
    assert [each.status_code for each in answers] == [200, 200, 402, 402]
    assert [each.json()["code"] for each in answers[2:]] == ["answers_used_up"] * 2
    assert await counted(superuser) == 3
    assert await counted(superuser, "playground_answers") == 2
    assert await counted(superuser, "prompt_tokens") > 0
    assert await books(superuser) == {"wallet": 0, "held": 0, "revenue": 5}


async def test_what_no_model_was_asked_for_is_tried_for_nothing(
    owner: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Courtesies, and where the model fails."""
    address = f"/api/v1/assistants/{await assistant_of(owner)}/playground"
    assert (await owner.client.post(address, json={"question": "Hello!"})).status_code == 200
    peer.fail_with(401)
    assert (await play(owner)).json()["mode"] == "quoted"
    assert await counted(superuser) == 0
    assert await superuser.fetchval("SELECT count(*) FROM ledger_holds WHERE state = 'open'") == 0


async def test_a_run_of_questions_stops_where_the_money_does(
    owner: Person, modelled: Services, superuser: asyncpg.Connection
) -> None:
    """What it has found stays and is paid for once, also where the run is begun again."""
    questions = [{"question": f"{ABOUT_REFUND} {number}"} for number in range(3)]
    run_id = await start(owner, await new_set(owner, *questions, {"question": ABOUT_DEPOSIT}))
    await work(modelled)
    run = await run_of(owner, run_id)
    assert (run["state"], run["reason"], run["done"]) == ("failed", "answers_used_up", 2)
    assert len(await results_of(owner, run_id)) == 2
    assert (await counted(superuser), await counted(superuser, "test_answers")) == (2, 2)
    await top_up(modelled, owner.tenant_id, 50)
    await superuser.execute("UPDATE set_runs SET state = 'queued'")
    await superuser.execute("DELETE FROM set_results WHERE case_id = (SELECT case_id FROM set_results LIMIT 1)")
    await superuser.execute("UPDATE jobs SET state = 'todo', run_at = now() WHERE kind = 'run_set'")
    await work(modelled)
    assert (await run_of(owner, run_id))["state"] == "done"
    assert (await counted(superuser), await counted(superuser, "test_answers")) == (4, 4)
    assert await books(superuser) == {"wallet": 40, "held": 0, "revenue": 10}
