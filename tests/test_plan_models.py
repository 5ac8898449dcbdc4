"""The models of a plan: refused where one is chosen, and stood in for where one is asked."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.plans import Terms
from asissto.platform.services import Services
from openai_peer import OpenAIPeer
from people import Person, bearer, make_client
from test_answers import assistant_of
from test_bursts import ABOUT_REFUND, REFUND, ask
from test_metering import PLAN, choose, paying

assert paying
SMALL = structs.replace(PLAN, code="models", answers=100, models=("qwen3-mini", "qwen3-tiny"))
OWN = {"name": "Ours", "base_url": "https://models.example.com/v1", "api_key": "sk-ours"}
EXCLUDED = (402, "model_not_included")


@pytest.fixture
async def owner(paying: Services, chatting: Services, alice: Person) -> AsyncIterator[Person]:
    """Alice, whose plan includes two small models of the server."""
    await choose(paying, alice.tenant_id, SMALL)
    with_model = structs.replace(paying, chat=chatting.chat)
    async with make_client(build_app(with_model), authorization=bearer(paying, alice)) as client:
        yield replace(alice, client=client)


async def limited(services: Services, person: Person, *models: str) -> None:
    terms: Terms = structs.replace(SMALL, code=f"with-{len(models)}", models=models)
    await choose(services, person.tenant_id, terms)


async def notes(superuser: asyncpg.Connection, answer: dict[str, Any]) -> str:
    found = "SELECT metadata->>'notes' FROM messages WHERE id = $1"
    return str(await superuser.fetchval(found, UUID(answer["message_id"])))


def outcome(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


async def test_a_model_beyond_the_plan_is_refused_wherever_it_is_chosen(
    owner: Person, superuser: asyncpg.Connection
) -> None:
    """Nothing of the attempt is left; models of a provider of one's own are nobody else's affair."""
    address = f"/api/v1/assistants/{await assistant_of(owner)}"
    big = {"models": [{"model": "gpt-big"}]}
    before = await superuser.fetchval("SELECT count(*) FROM audit_log")
    refused = [
        await owner.client.post("/api/v1/assistants", json={"name": "New", "model": "gpt-big"}),
        await owner.client.patch(address, json={"model": "gpt-big"}),
        await owner.client.patch(address, json={"settings": {"channels": {"sms": big}}}),
        await owner.client.patch(f"{address}/draft", json={"settings": big, "revision": 1}),
        await owner.client.post(f"{address}/playground", json={"question": ABOUT_REFUND, "overrides": big}),
    ]
    assert [outcome(each) for each in refused] == [EXCLUDED] * 5
    problem = refused[2].json()
    assert problem["field"] == "settings.channels.sms.models"
    assert "«Small»" in problem["detail"]
    assert "qwen3-mini, qwen3-tiny" in problem["detail"]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == before
    provider = (await owner.client.post("/api/v1/model-providers", json=OWN)).raise_for_status().json()
    chosen = {"models": [{"model": "gpt-big", "provider_id": provider["id"]}, {"model": "qwen3-tiny"}]}
    assert (await owner.client.patch(address, json={"settings": chosen})).status_code == 200


async def test_the_plan_answers_with_what_it_includes(
    paying: Services, owner: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """An assistant that was made on a larger plan is answered for by the first model of the plan, and it is told."""
    address = f"/api/v1/assistants/{await assistant_of(owner)}"
    await limited(paying, owner)
    (await owner.client.patch(address, json={"settings": {"models": [{"model": "gpt-big"}]}})).raise_for_status()
    peer.reply_with(f"{REFUND} [1]")
    assert (await ask(owner, ABOUT_REFUND))["mode"] == "generated"
    await limited(paying, owner, "qwen3-mini")
    answer = await ask(owner, ABOUT_REFUND)
    assert [request.body["model"] for request in peer.requests] == ["gpt-big", "qwen3-mini"]
    assert "model_not_included" in await notes(superuser, answer)
    details = await superuser.fetchval(
        "SELECT details->>'not_included' FROM receipts WHERE message_id = $1", UUID(answer["message_id"])
    )
    assert details == '["gpt-big"]'
    seen = (await owner.client.get("/api/v1/billing")).json()
    assert [(each["assistant"], each["model"]) for each in seen["left_out"]] == [("Assistant", "gpt-big")]


async def test_an_assistant_without_a_model_of_its_own_gets_the_first_of_the_plan(
    owner: Person, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Where the server's usual one is not included; nobody has asked for that one, so nothing is told."""
    peer.reply_with(f"{REFUND} [1]")
    answer = await ask(owner, ABOUT_REFUND)
    assert [request.body["model"] for request in peer.requests] == ["qwen3-mini"]
    assert "model_not_included" not in await notes(superuser, answer)


async def test_what_would_be_over_is_told_before_a_smaller_plan_is_chosen(
    paying: Services, owner: Person, superuser: asyncpg.Connection
) -> None:
    """Everything stays, nothing is added to what is over, and what fits is still taken."""
    address = f"/api/v1/assistants/{await assistant_of(owner)}"
    (await owner.client.patch(address, json={"model": "qwen3-tiny"})).raise_for_status()
    await limited(paying, owner)
    tiny = structs.replace(
        PLAN, code="tiny", name="Tiny", documents=1, seats=1, models=("qwen3-mini",), storage_mb=None
    )
    await choose(paying, owner.tenant_id, tiny)
    await limited(paying, owner, "qwen3-tiny", "qwen3-mini", "qwen3")
    told: dict[str, Any] = (await owner.client.get("/api/v1/billing/plan/tiny")).raise_for_status().json()
    documents = await superuser.fetchval("SELECT count(*) FROM documents")
    assert told["over"] == [
        {"name": "documents", "used": documents, "limit": 1},
        {"name": "seats", "used": 2, "limit": 1},
    ]
    assert [(each["assistant"], each["model"]) for each in told["models"]] == [("Assistant", "qwen3-tiny")]
    assert (told["plan"]["code"], told["price"], told["credit"], told["is_trial"]) == ("tiny", 0, 0, False)
    (await owner.client.post("/api/v1/billing/plan", json={"plan": "tiny"})).raise_for_status()
    seen = (await owner.client.get("/api/v1/billing")).json()
    assert (seen["over"], seen["usage"]["documents"]) == (told["over"], documents)
    body = {"email": "charlie@example.com", "role": "editor"}
    refused = await owner.client.post("/api/v1/members", json=body)
    assert outcome(refused) == (402, "plan_limit")
    assert "«Tiny»" in refused.json()["detail"]
    assert await superuser.fetchval("SELECT count(*) FROM documents") == documents
    assert (await owner.client.get("/api/v1/billing/plan/nothing")).status_code == 404
