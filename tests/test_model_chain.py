"""Several models in order: who is asked when, what is tried again, and what every attempt cost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import Struct, structs

from asissto.platform import chat, model_chain
from asissto.platform.chat import ChatDelta, ChatEnd, ChatMessage, make_chat_model
from asissto.platform.chat_chunks import ThoughtFilter
from asissto.platform.circuits import FAILURES, OPEN_SECONDS, Circuit
from asissto.platform.completing import complete, complete_json, read_json
from asissto.platform.endpoint import Connection
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import ProviderError
from asissto.platform.model_calls import ModelCall, Outcome, Tokens, call_of, price_by_own
from asissto.platform.model_chain import Chain, ModelChoice, chain_for
from asissto.platform.model_clients import ModelClients
from asissto.platform.prices import OwnPrice, Price, PriceBook, listed_price
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from openai_peer import Fault, OpenAIPeer
from people import Person, bearer, make_client

ASKED = [ChatMessage("user", "How long do refunds take?")]


@pytest.fixture
async def peers() -> AsyncIterator[tuple[OpenAIPeer, OpenAIPeer]]:
    """The operator's endpoint, and the workspace's own."""
    async with OpenAIPeer() as first, OpenAIPeer() as second:
        first.reply_with("From the server.")
        second.reply_with("From the workspace.")
        yield first, second


@pytest.fixture
async def connected(
    services: Services, peers: tuple[OpenAIPeer, OpenAIPeer], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    monkeypatch.setattr(chat, "PAUSE_SECONDS", 0.01)
    model = make_chat_model(Settings(openai_api_key="k", openai_base_url=peers[0].base_url), "gpt-4.1-mini")
    assert model is not None
    settings = structs.replace(services.settings, provider_private_addresses=True)
    yield structs.replace(services, settings=settings, chat=model, models=(models := ModelClients()))
    await model.close()
    await models.close()


@pytest.fixture
async def owner(connected: Services, alice: Person) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(build_app(connected), authorization=bearer(connected, alice)) as client:
        yield client


@pytest.fixture
async def provider_id(owner: httpx.AsyncClient, peers: tuple[OpenAIPeer, OpenAIPeer]) -> UUID:
    what = {"name": "Ours", "base_url": peers[1].base_url, "api_key": "sk-ours", "first_token_seconds": 1}
    return UUID((await owner.post("/api/v1/model-providers", json=what)).raise_for_status().json()["id"])


async def both(connected: Services, alice: Person, provider_id: UUID) -> Chain:
    """The server's model, then the workspace's."""
    choices = [ModelChoice(model="gpt-4.1-mini"), ModelChoice(provider_id=provider_id, model="qwen3")]
    chain = chain_for(connected, alice.tenant_id, choices)
    assert chain is not None
    return chain


async def say(chain: Chain) -> str:
    stream = chain.stream(ASKED, max_tokens=100)
    return "".join([event.text async for event in stream if isinstance(event, ChatDelta)])


def told(chain: Chain) -> list[tuple[str, str | None]]:
    return [(call.model, call.error) for call in chain.calls]


async def test_the_first_model_answers_where_it_can(connected: Services, alice: Person, provider_id: UUID) -> None:
    """The others are not asked; the call has tokens, price and time."""
    chain = await both(connected, alice, provider_id)
    assert await say(chain) == "From the server."
    (call,) = chain.calls
    assert (call.prompt_tokens, call.cached_tokens, call.completion_tokens) == (5, 3, 3)
    assert (call.cost_micros, call.currency, call.price_confidence) == (6, "USD", "estimated")
    assert 0 < (call.first_token_ms or 0) <= call.latency_ms


FAULTS: dict[Fault | int, tuple[str, int]] = {
    500: ("server_error", 2),
    429: ("rate_limited", 2),
    401: ("bad_api_key", 1),
    404: ("unknown_model", 1),
    "cut_at_once": ("broken_stream", 2),
    "garbage": ("broken_stream", 2),
    "empty": ("empty_answer", 2),
    "refusal": ("refused", 1),
}


async def test_the_next_model_answers_where_the_first_does_not(
    connected: Services, alice: Person, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """After one more try where that can help; each attempt is a call."""
    for fault, (reason, attempts) in FAULTS.items():
        peers[0].fail_with(fault, times=attempts)
        chain = await both(structs.replace(connected, models=ModelClients()), alice, provider_id)
        assert await say(chain) == "From the workspace."
        assert told(chain) == [("gpt-4.1-mini", reason)] * attempts + [("qwen3", None)], fault
        assert chain.calls[-1].provider_id == provider_id


async def test_what_was_shown_is_not_followed_by_another_model(
    connected: Services, alice: Person, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """The reader would see two beginnings; the tokens that came are accounted for, as an estimate."""
    peers[0].fail_with("cut")
    chain = await both(connected, alice, provider_id)
    with pytest.raises(ProviderError) as caught:
        await say(chain)
    (call,) = chain.calls
    assert (caught.value.reason, call.error, call.estimated) == ("broken_stream", "broken_stream", True)
    assert call.completion_tokens > 0
    assert call.cost_micros
    assert peers[1].requests == []


async def test_a_long_pause_is_spent_at_the_next_model(
    connected: Services, alice: Person, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """A short one is kept, to the letter, before the second try."""
    peers[0].fail_with(429, times=1, retry_after="30")
    chain = await both(connected, alice, provider_id)
    assert await say(chain) == "From the workspace."
    assert len(peers[0].requests) == 1
    peers[0].fail_with(429, times=1, retry_after="0.4")
    started = asyncio.get_running_loop().time()
    chain = await both(connected, alice, provider_id)
    assert await say(chain) == "From the server."
    assert 0.4 <= asyncio.get_running_loop().time() - started < 5


async def test_a_silent_provider_ends_by_its_own_limit(
    connected: Services, alice: Person, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """One second in its row instead of our fifteen; then the server's model is asked."""
    peers[1].fail_with("hang")
    choices = [ModelChoice(provider_id=provider_id, model="qwen3"), ModelChoice(model="gpt-4.1-mini")]
    chain = chain_for(connected, alice.tenant_id, choices)
    assert chain is not None
    assert await say(chain) == "From the server."
    assert told(chain) == [("qwen3", "timeout"), ("gpt-4.1-mini", None)]
    assert 900 < chain.calls[0].latency_ms < 4000


async def test_the_turn_has_one_deadline(
    connected: Services, alice: Person, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer], monkeypatch: Any
) -> None:
    """For all models together, and for a token every now and then too."""
    monkeypatch.setattr(model_chain, "TURN_SECONDS", 0.5)
    peers[0].fail_with("hang")
    chain = await both(connected, alice, provider_id)
    with pytest.raises(ProviderError) as caught:
        await say(chain)
    assert (caught.value.reason, peers[1].requests) == ("timeout", [])
    peers[0]._failures.clear()
    peers[0].fail_with("stall")
    chain = await both(connected, alice, provider_id)
    with pytest.raises(ProviderError) as caught:
        await say(chain)
    assert (caught.value.reason, told(chain)) == ("timeout", [("gpt-4.1-mini", "timeout")])


async def test_a_failing_model_is_left_alone(
    connected: Services, alice: Person, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """After five answers that failed it is not asked any more, and alone it fails at once."""
    peers[0].fail_with(500)
    for _ in range(FAILURES + 2):
        assert await say(await both(connected, alice, provider_id)) == "From the workspace."
    assert len(peers[0].requests) == FAILURES * 2
    alone = chain_for(connected, alice.tenant_id, [])
    assert alone is not None
    with pytest.raises(ProviderError) as caught:
        await say(alone)
    assert (caught.value.reason, caught.value.permanent) == ("circuit_open", False)


def test_an_open_circuit_lets_one_request_try() -> None:
    """If that one fails, the next half minute begins; if it answers, everybody may come again."""
    now = 0.0
    circuit = Circuit(lambda: now)

    def ended(error: str | None) -> list[ModelCall]:
        outcome = Outcome(latency_ms=1, error=error)
        return [call_of(Connection(base_url=None), "m", "answer", Tokens(), outcome)]

    for _ in range(FAILURES):
        assert circuit.lets_through()
        circuit.note(ended("timeout"))
    assert not circuit.lets_through()
    now += OPEN_SECONDS
    assert [circuit.lets_through(), circuit.lets_through()] == [True, False]
    circuit.note(ended("timeout"))
    assert not circuit.lets_through()
    now += OPEN_SECONDS
    assert circuit.lets_through()
    circuit.note(ended(None))
    assert [circuit.lets_through(), circuit.lets_through()] == [True, True]
    for error in ("bad_api_key", "refused") * FAILURES:
        circuit.note(ended(error))
    assert circuit.lets_through()


async def test_failures_that_lie_apart_open_nothing() -> None:
    """Five within a minute do."""
    now = 0.0
    circuit = Circuit(lambda: now)
    for _ in range(3 * FAILURES):
        now += 20
        circuit.note(
            [call_of(Connection(base_url=None), "m", "answer", Tokens(), Outcome(latency_ms=1, error="timeout"))]
        )
    assert circuit.lets_through()


async def test_a_deleted_provider_is_stepped_over(
    connected: Services, alice: Person, owner: httpx.AsyncClient, provider_id: UUID
) -> None:
    """And named where nobody else is left; a switched off one as well."""
    choice = ModelChoice(provider_id=provider_id, model="qwen3")
    await owner.patch(f"/api/v1/model-providers/{provider_id}", json={"enabled": False})
    chain = chain_for(connected, alice.tenant_id, [choice, ModelChoice(model="gpt-4.1-mini")])
    assert chain is not None
    assert await say(chain) == "From the server."
    await owner.delete(f"/api/v1/model-providers/{provider_id}")
    lonely = chain_for(connected, alice.tenant_id, [choice])
    assert lonely is not None
    with pytest.raises(ProviderError) as caught:
        await say(lonely)
    assert caught.value.reason == "no_provider"


async def test_no_model_gives_no_chain(services: Services, alice: Person) -> None:
    """Answers are quoted then."""
    assert chain_for(services, alice.tenant_id, [], "qwen3") is None


async def test_an_assistant_takes_its_own_workspaces_providers_alone(
    owner: httpx.AsyncClient, provider_id: UUID, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """Another's id, or one that was never there, gets an error at its place."""
    good = [{"provider_id": str(provider_id), "model": "qwen3", "temperature": 0.2}, {"model": "gpt-4.1-mini"}]
    made = await owner.post("/api/v1/assistants", json={"name": "Two", "settings": {"models": good}})
    assert made.status_code == 201, made.text
    bad = [*good, {"provider_id": str(uuid4()), "model": "qwen3"}]
    refused = await owner.patch(f"/api/v1/assistants/{made.json()['id']}", json={"settings": {"models": bad}})
    assert (refused.status_code, refused.json()["field"]) == (400, "settings.models[2].provider_id")


async def test_a_provider_gets_temperature_and_headers(
    connected: Services,
    alice: Person,
    owner: httpx.AsyncClient,
    provider_id: UUID,
    peers: tuple[OpenAIPeer, OpenAIPeer],
) -> None:
    """A change of the provider counts from the next turn on."""
    choice = ModelChoice(provider_id=provider_id, model="qwen3", temperature=0.3)
    await say(chain_for(connected, alice.tenant_id, [choice]))  # type: ignore[arg-type]
    await owner.patch(f"/api/v1/model-providers/{provider_id}", json={"api_key": "sk-2", "headers": {"X-Team": "a"}})
    await say(chain_for(connected, alice.tenant_id, [choice]))  # type: ignore[arg-type]
    sent = [(each.headers["authorization"], each.headers.get("x-team")) for each in peers[1].requests]
    assert sent == [("Bearer sk-ours", None), ("Bearer sk-2", "a")]
    assert [each.body["temperature"] for each in peers[1].requests] == [0.3, 0.3]


async def test_what_an_answer_may_hold(
    connected: Services, alice: Person, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """Thoughts are not shown, a provider that does not stop is stopped, and what cannot be stored is left out."""
    for reply, shown, finish in (
        ("<think>Perhaps five? No.</think>\nThree days.", "Three days.", "stop"),
        ("word " * 5000, ("word " * 5000)[: 100 * 8], "length"),
        ("Three\0 days.", "Three days.", "stop"),
    ):
        peers[0].reply_with(reply)
        chain = chain_for(connected, alice.tenant_id, [])
        assert chain is not None
        *deltas, end = [event async for event in chain.stream(ASKED, max_tokens=100)]
        assert "".join(event.text for event in deltas if isinstance(event, ChatDelta)) == shown
        assert isinstance(end, ChatEnd)
        assert end.finish == finish


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<think>a < b</think> Three.", "Three."),
        (" \n<think></think>Three.", "Three."),
        ("<think>never ends", ""),
        ("<b>Three</b> days.", "<b>Three</b> days."),
        ("Three <think>days</think>.", "Three <think>days</think>."),
    ],
)
def test_thoughts_are_left_out_however_they_are_cut(size: int, said: str, shown: str) -> None:
    """Only those before the answer: within it the words are the model's own."""
    filtered = ThoughtFilter()
    assert "".join(filtered.feed(said[at : at + size]) for at in range(0, len(said), size)) == shown


async def test_a_reader_who_leaves_leaves_a_call_behind(
    connected: Services, alice: Person, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """What was generated until then has been paid for."""
    peers[0].fail_with("stall", times=1)
    chain = chain_for(connected, alice.tenant_id, [])
    assert chain is not None
    stream = chain.stream(ASKED, max_tokens=100)
    assert await anext(stream) == ChatDelta("From")
    await stream.aclose()
    (call,) = chain.calls
    assert (call.error, call.estimated, call.completion_tokens) == ("abandoned", True, 1)


class Days(Struct, frozen=True):
    days: int


@pytest.mark.parametrize(
    "answer",
    [
        '{"days": 3}',
        '```json\n{"days": 3}\n```',
        'Sure! Here it is: {"days": 3} Anything else?',
        '{"days": 3,}',
        '{"note": "x"} {"days": 3}',
    ],
)
def test_json_is_found_in_what_stands_around_it(answer: str) -> None:
    """Fences, politeness, a comma too many, another object before it."""
    assert read_json(answer, Days) == Days(3)


@pytest.mark.parametrize(
    "answer", ["", "three", '{"days": "three"}', '{"days": 3', "[" * 100_000, '{"days": {"days": 3}}']
)
def test_what_is_no_json_of_the_kind_is_none(answer: str) -> None:
    """No part of a value is taken for the value."""
    assert read_json(answer, Days) is None


async def test_json_is_asked_for_twice(
    connected: Services, alice: Person, peers: tuple[OpenAIPeer, OpenAIPeer]
) -> None:
    """The second time with what the first answer was; then it is given up, as where the provider fails."""
    chain = chain_for(connected, alice.tenant_id, [])
    assert chain is not None

    def once(asked: list[dict[str, str]]) -> str:
        return "Three." if len(asked) == 1 else '{"days": 3}'

    peers[0].reply_with(once)
    calls: list[ModelCall] = []
    assert await complete_json(chain, ASKED, Days, max_tokens=50, purpose="rewrite", calls=calls) == Days(3)
    assert [(call.purpose, call.error) for call in calls] == [("rewrite", None), ("rewrite", None)]
    peers[0].reply_with("Three.")
    assert await complete_json(chain, ASKED, Days, max_tokens=50, purpose="rewrite") is None
    peers[0].fail_with(401)
    assert await complete_json(chain, ASKED, Days, max_tokens=50, purpose="rewrite") is None
    peers[0]._failures.clear()
    assert await complete(chain, ASKED, max_tokens=50, purpose="summary") == "Three."
    assert len(chain.calls) == 6


def priced(model: str, connection: Connection, tokens: Tokens, book: PriceBook) -> tuple[int | None, str | None, str]:
    call = price_by_own(call_of(connection, model, "answer", tokens, Outcome(latency_ms=1)), book)
    return call.cost_micros, call.currency, call.price_confidence


def test_a_price_is_exact_estimated_or_unknown() -> None:
    """Cached tokens cost less; a gateway's price is a guess; nobody's model has none, which is not 0."""
    million = Tokens(prompt=1_000_000, cached=400_000, completion=1_000_000)
    openai, gateway, none = Connection(base_url=None), Connection(base_url="https://gateway.example/v1"), PriceBook()
    assert priced("gpt-5-mini", openai, million, none) == (2_160_000, "USD", "exact")
    assert priced("gpt-5-mini-2025-08-07", openai, million, none) == (2_160_000, "USD", "exact")
    assert priced("openai/gpt-5-mini", gateway, million, none) == (2_160_000, "USD", "estimated")
    assert priced("gpt-5-mini", openai, structs.replace(million, estimated=True), none)[2] == "estimated"
    assert priced("text-embedding-3-small", openai, Tokens(prompt=50), none) == (1, "USD", "exact")
    assert priced("qwen3", gateway, million, none) == (None, None, "unknown")
    assert listed_price("gpt-5-minimal") is None


def test_the_workspaces_price_goes_first_from_its_day_on() -> None:
    """The newest that holds today, for this provider alone."""
    ours = uuid4()

    def own(provider_id: UUID | None, day: date, amount: int) -> OwnPrice:
        price = Price(currency="RUB", input_micros=amount, cached_micros=0, output_micros=0, source="workspace")
        return OwnPrice(provider_id, "qwen3", day, price)

    book = PriceBook(
        [own(ours, date(2020, 1, 1), 10), own(ours, date(2021, 1, 1), 20), own(ours, date(2999, 1, 1), 30)]
    )
    tokens = Tokens(prompt=1_000_000)
    mine = Connection(base_url="https://x.example/v1", provider_id=ours)
    assert priced("qwen3", mine, tokens, book) == (20, "RUB", "exact")
    assert priced("qwen3", Connection(base_url=None), tokens, book) == (None, None, "unknown")


def test_absurd_counts_are_not_believed() -> None:
    """A provider that counts below zero, or beyond a number that can be stored."""
    call = call_of(
        Connection(base_url=None), "m", "answer", Tokens(prompt=-5, cached=9, completion=2**70), Outcome(latency_ms=1)
    )
    assert (call.prompt_tokens, call.cached_tokens, call.completion_tokens) == (0, 0, 2**31)
