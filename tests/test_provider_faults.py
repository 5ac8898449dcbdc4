"""A third party's server plays the provider that fails: the customer gets an honest answer, the owner the reason."""

import logging
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.channels.channels import api_channel
from asissto.platform import chat
from asissto.platform.chat import make_chat_model
from asissto.platform.entrypoints.web import build_app
from asissto.platform.model_clients import ModelClients
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.platform.texts import text
from asissto.retrieval.answers import Piece
from asissto.retrieval.assistants import first_assistant
from asissto.retrieval.conversations import Asked
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.scopes import Scope
from asissto.retrieval.turns import ask_in_pieces
from model_server import ModelServer, running_model_server
from people import Person, bearer, make_client

REFUND = "A refund reaches the customer's bank card within three working days."
QUESTION = "When does the refund reach my bank card?"
KEY, INTERNAL = "sk-operators-secret", "Traceback in shard-7 of model-host-3"
SAID = "A refund takes three working days [1]."


def answers(model: str, response: dict[str, Any], **how: Any) -> dict[str, Any]:
    return {"match": {"model": model}, "response": response, **how}


def fails(model: str, status: int, **more: Any) -> dict[str, Any]:
    return answers(model, {"error": {"message": f"{INTERNAL}, key {KEY}", "type": "error"}, "status": status, **more})


FIXTURES = [
    answers("good", {"content": SAID}),
    fails("refused-key", 401),
    fails("limited", 429, retryAfter=30),
    fails("limited-shortly", 429, retryAfter=1),
    fails("broken", 500),
    answers("silent", {"content": SAID}, streamingProfile={"ttft": 30_000}),
    answers("dripping", {"content": SAID * 9}, latency=400, chunkSize=8),
    answers("cut", {"content": SAID * 9}, disconnectAfterMs=120, latency=40),
    answers("gone", {"content": SAID}, chaos={"disconnectRate": 1}),
    answers("garbled", {"content": SAID}, chaos={"malformedRate": 1}),
    answers("mute", {"content": " "}),
    answers("endless", {"content": "The president founded us in 1987 in Utopia. " * 9000}, chunkSize=2000),
]

# Model, what the notes say, how many attempts were made.
FAULTS = [
    ("refused-key", "bad_api_key", 1),
    ("nobody-has-it", "unknown_model", 1),
    ("limited", "rate_limited", 1),
    ("broken", "server_error", 3),
    ("silent", "timeout", 1),
    ("dripping", "timeout", 1),
    ("cut", "broken_stream", 1),
    ("gone", "unreachable", 3),
    ("garbled", "broken_stream", 3),
    ("mute", "empty_answer", 3),
]


@pytest.fixture(scope="module")
def other_side() -> Iterator[ModelServer]:
    with running_model_server() as running:
        running.load(*FIXTURES)
        yield running


@pytest.fixture
async def connected(
    services: Services, other_side: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    monkeypatch.setattr(chat, "PAUSE_SECONDS", 0.01)
    model = make_chat_model(Settings(openai_api_key=KEY, openai_base_url=other_side.base_url), "good")
    assert model is not None
    yield structs.replace(services, chat=model, models=ModelClients())
    await model.close()


@pytest.fixture
async def scope(services: Services, alice: Person) -> Scope:
    passages = [SetPassage(id="refunds", doc="refunds", title="Refunds", text=REFUND)]
    return (await load_passages(services, alice.tenant_id, passages, lambda *_: None)).scope


class Desk:
    """A customer at an assistant, and the owner behind it."""

    def __init__(self, connected: Services, alice: Person, client: httpx.AsyncClient) -> None:
        self.client = client
        self.authorization = bearer(connected, alice)

    async def set_up(self, **what: Any) -> None:
        (assistant,) = (await self.client.get("/api/v1/assistants")).json()["items"]
        self.address = f"/api/v1/assistants/{assistant['id']}"
        (await self.client.patch(self.address, json=what)).raise_for_status()

    async def ask(self) -> dict[str, Any]:
        response = await self.client.post(f"{self.address}/ask", json={"question": QUESTION})
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer

    async def receipt(self, answer: dict[str, Any]) -> dict[str, Any]:
        place = f"/api/v1/conversations/{answer['conversation_id']}/messages/{answer['message_id']}/receipt"
        told: dict[str, Any] = (await self.client.get(place)).raise_for_status().json()
        return told

    async def calls(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        listed = await self.client.get("/api/v1/model-calls", params={"message_id": answer["message_id"]})
        rows: list[dict[str, Any]] = listed.raise_for_status().json()["items"]
        return rows[::-1]


@pytest.fixture
async def desk(connected: Services, alice: Person, scope: Scope) -> AsyncIterator[Desk]:
    async with make_client(build_app(connected), authorization=bearer(connected, alice)) as client:
        yield Desk(connected, alice, client)


def quotes(answer: dict[str, Any]) -> list[str]:
    return [citation["quote"] for citation in answer["citations"]]


async def test_a_model_that_answers_is_accounted_for(desk: Desk) -> None:
    """The other side's own count, in the receipt and among the calls."""
    await desk.set_up(model="good")
    answer = await desk.ask()
    assert (answer["mode"], answer["text"], quotes(answer)) == (
        "generated",
        "A refund takes three working days. [1]",
        [REFUND],
    )
    (call,) = await desk.calls(answer)
    (told,) = (await desk.receipt(answer))["details"]["calls"]
    assert (call["purpose"], call["provider"], call["model"], call["error"]) == ("answer", "server", "good", None)
    assert (call["completion_tokens"], call["estimated"], call["price_confidence"]) == (10, False, "unknown")
    assert {name: call[name] for name in told} == told


async def test_whatever_the_provider_does_the_customer_gets_the_quote(
    desk: Desk, connected: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With its citation; notes, receipt and calls say why no model wrote it, and nothing internal comes along."""
    caplog.set_level(logging.DEBUG)
    for model, reason, attempts in FAULTS:
        monkeypatch.setattr(chat, "FIRST_TOKEN_SECONDS", 0.7 if model == "silent" else 15)
        monkeypatch.setattr(chat, "ANSWER_SECONDS", 1.0 if model == "dripping" else 45)
        connected.models.circuits = ModelClients().circuits
        await desk.set_up(model=model)
        answer = await desk.ask()
        assert (answer["answered"], answer["mode"], quotes(answer)) == (True, "quoted", [REFUND]), model
        calls, receipt = await desk.calls(answer), await desk.receipt(answer)
        assert [(call["model"], call["error"]) for call in calls] == [(model, reason)] * attempts
        assert [call["error"] for call in receipt["details"]["calls"]] == [reason] * attempts
        place = f"/api/v1/conversations/{answer['conversation_id']}/messages"
        messages = (await desk.client.get(place)).json()["items"]
        assert messages[-1]["metadata"]["notes"] == [reason], model
        shown = f"{answer} {receipt} {calls} {messages} {caplog.text}"
        assert [secret for secret in (KEY, INTERNAL, "Traceback", "{malformed") if secret in shown] == []


async def test_an_endless_answer_is_stopped(desk: Desk) -> None:
    """Long before its 400,000 characters; none of it stands in the documents, so the documents are quoted."""
    await desk.set_up(model="endless", settings={"most_tokens": 100})
    answer = await desk.ask()
    assert (answer["mode"], quotes(answer)) == ("quoted", [REFUND])
    calls = await desk.calls(answer)
    assert [(call["purpose"], call["error"], call["estimated"]) for call in calls] == [
        ("answer", None, True),
        ("regenerate", None, True),
    ]
    assert all(100 < call["completion_tokens"] < 400 for call in calls)


async def test_what_the_documents_do_not_hold_is_not_answered_by_a_failure(desk: Desk) -> None:
    """An honest word in the customer's language, not the provider's."""
    await desk.set_up(model="broken", settings={"least_confidence": 1.0})
    answer = await desk.ask()
    assert (answer["answered"], answer["text"]) == (False, text("answer.unknown", "en"))
    assert [call["error"] for call in await desk.calls(answer)] == ["server_error"] * 3


async def test_a_stream_that_breaks_ends_with_the_quote(desk: Desk) -> None:
    """What was shown until then is replaced by the answer that counts."""
    await desk.set_up(model="cut")
    sent = {"accept": "text/event-stream"}
    response = await desk.client.post(f"{desk.address}/ask", json={"question": QUESTION}, headers=sent)
    assert response.status_code == 200
    assert "error" not in [line.removeprefix("event: ") for line in response.text.splitlines() if line[:6] == "event:"]
    assert REFUND in response.text
    assert KEY not in response.text


async def test_a_customer_who_leaves_in_the_middle_leaves_a_call(
    desk: Desk, connected: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The message goes on waiting for an answer, and what was spent on it is stored."""
    await desk.set_up(model="dripping")
    async with connected.database.tenant(alice.tenant_id) as session:
        assistant, channel = (
            await first_assistant(session, alice.tenant_id),
            await api_channel(session, alice.tenant_id),
        )
    asked = Asked(tenant_id=alice.tenant_id, assistant_id=assistant.id, channel_id=channel, question=QUESTION)
    events = ask_in_pieces(connected, asked)
    assert isinstance(await anext(events), Piece)
    await events.aclose()
    assert [tuple(row) for row in await superuser.fetch("SELECT content, waits FROM messages")] == [(QUESTION, True)]
    assert await superuser.fetchval("SELECT count(*) FROM conversations WHERE claimed_by IS NOT NULL") == 0
    (call,) = (await desk.client.get("/api/v1/model-calls")).json()["items"]
    assert (call["message_id"], call["error"], call["estimated"]) == (None, "abandoned", True)
    assert call["completion_tokens"] > 0


async def test_a_pause_that_the_provider_asks_for_is_kept(desk: Desk, other_side: ModelServer) -> None:
    """One second between two attempts, as the header says, instead of our hundredth of one."""
    await desk.set_up(model="limited-shortly")
    answer = await desk.ask()
    assert [call["error"] for call in await desk.calls(answer)] == ["rate_limited"] * 3
    at = [each["timestamp"] for each in other_side.requests() if each["body"].get("model") == "limited-shortly"]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert [1000 <= pause < 4000 for pause in pauses] == [True, True]


async def test_the_second_model_answers_where_the_first_fails(desk: Desk) -> None:
    """Until the first is left alone, and is not asked any more."""
    await desk.set_up(settings={"models": [{"model": "broken"}, {"model": "good"}]})
    made = []
    for _ in range(6):
        answer = await desk.ask()
        assert (answer["mode"], quotes(answer)) == ("generated", [REFUND])
        made.append([(call["model"], call["error"]) for call in await desk.calls(answer)])
    failed = [("broken", "server_error")] * 2
    assert made == [[*failed, ("good", None)]] * 5 + [[("good", None)]]


async def test_the_models_of_a_provider_are_listed(services: Services, alice: Person, other_side: ModelServer) -> None:
    """By the names that the provider gives them."""
    settings = structs.replace(services.settings, provider_private_addresses=True)
    private = structs.replace(services, settings=settings, models=ModelClients())
    async with make_client(build_app(private), authorization=bearer(private, alice)) as client:
        what = {"name": "Ours", "base_url": other_side.base_url}
        made = (await client.post("/api/v1/model-providers", json=what)).raise_for_status().json()
        listed = (await client.get(f"/api/v1/model-providers/{made['id']}/models")).raise_for_status().json()
    assert {fixture["match"]["model"] for fixture in FIXTURES} <= set(listed["models"])
    assert listed["models"] == sorted(listed["models"])
    await private.models.close()


async def test_what_models_cost_is_summed_up(desk: Desk) -> None:
    """At the workspace's price from now on; what came before stays without one."""
    await desk.set_up(model="good")
    await desk.ask()
    price = {"model": "good", "effective_from": "2020-01-01", "currency": "RUB"}
    amounts = {"input_micros": 0, "cached_micros": 0, "output_micros": 5_000_000}
    (await desk.client.post("/api/v1/model-prices", json=price | amounts)).raise_for_status()
    (call,) = await desk.calls(await desk.ask())
    assert (call["cost_micros"], call["currency"], call["price_confidence"]) == (50, "RUB", "exact")
    assert call["price"] == {"currency": "RUB", "source": "workspace", **amounts}
    totals = (await desk.client.get("/api/v1/model-calls/totals")).raise_for_status().json()["items"]
    shown = [(each["model"], each["currency"], each["calls"], each["unpriced"], each["cost_micros"]) for each in totals]
    assert sorted(shown, key=str) == [("good", "RUB", 1, 0, 50), ("good", None, 1, 1, 0)]
