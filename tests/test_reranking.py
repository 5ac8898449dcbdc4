"""A second opinion on what was found: asked over the wire, and done without whenever it fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import msgspec
import pytest

from asissto.platform import reranking
from asissto.platform.errors import BadSetting, ProviderError, RerankerMissing
from asissto.platform.reranking import EndpointReranker, LocalReranker, make_reranker
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.retrieval.answering import answer_question
from asissto.retrieval.answers import Answer
from asissto.retrieval.evaluation import Loaded, SetPassage, load_passages
from people import Person

TEXTS = {
    "day": "Renting a bicycle for a day costs twelve euros.",
    "week": "Renting a bicycle for a week costs sixty euros and needs a deposit.",
    "helmet": "Renting a helmet with a bicycle costs two euros.",
}
QUESTION = "What does renting a bicycle for a day cost?"

Scores = Callable[[str, list[str]], list[float]]


def backwards(_query: str, documents: list[str]) -> list[float]:
    return [number / 10 for number, _ in enumerate(documents)]


class RerankPeer:
    """Serves `POST /v2/rerank` as Cohere documents it; `fault` is a status, or what goes wrong."""

    def __init__(self, scores: Scores = backwards) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.fault: int | str | None = None
        self._scores = scores

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.settings = Settings(
            rerank_url=f"http://127.0.0.1:{port}/v2", rerank_model="rerank-v3.5", rerank_key="secret"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert head.startswith("POST /v2/rerank ")
        self.keys.append(headers["authorization"])
        self.requests.append(body)
        if self.fault == "slow":
            await asyncio.sleep(3)
        status = self.fault if isinstance(self.fault, int) else 200
        payload = self._payload(body).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n"
            f"connection: close\r\n\r\n".encode()
            + payload
        )
        await writer.drain()
        writer.close()

    def _payload(self, body: dict[str, Any]) -> str:
        if self.fault == "garbage":
            return "{garbage"
        if isinstance(self.fault, int):
            return json.dumps({"message": "no"})
        scores = self._scores(body["query"], body["documents"])
        results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
        results.sort(key=lambda result: -result["relevance_score"])
        wanted = results[: body["top_n"]][: -1 if self.fault == "short" else None]
        return json.dumps({"id": "1", "results": wanted, "meta": {"billed_units": {"search_units": 1}}})


@pytest.fixture
async def peer() -> AsyncIterator[RerankPeer]:
    async with RerankPeer() as peer:
        yield peer


@pytest.fixture
async def library(services: Services, alice: Person) -> Loaded:
    passages = [SetPassage(id=name, doc=name, text=text) for name, text in TEXTS.items()]
    return await load_passages(services, alice.tenant_id, passages, lambda *_: None)


async def ask(services: Services, library: Loaded, peer: RerankPeer | None = None) -> Answer:
    reranker = None if peer is None else make_reranker(peer.settings)
    answer = await answer_question(msgspec.structs.replace(services, reranker=reranker), library.scope, QUESTION, [])
    if reranker is not None:
        await reranker.close()
    return answer


def order(library: Loaded, answer: Answer) -> list[str]:
    return [library.passage_of(passage) for passage in answer.found]


async def test_a_reranker_that_says_the_reverse_reverses_the_order(
    services: Services, library: Loaded, peer: RerankPeer
) -> None:
    """It gets the question and the texts under their titles; its scores stand in the receipt."""
    plain, turned = await ask(services, library), await ask(services, library, peer)
    assert order(library, plain)[0] == "day"
    assert order(library, turned) == order(library, plain)[::-1]
    assert [passage.scores.rerank for passage in turned.found] == [0.2, 0.1, 0.0]
    assert [line["rerank"] for line in turned.details["search"]["kept"]] == [0.2, 0.1, 0.0]
    assert {passage.scores.rerank for passage in plain.found} == {None}
    assert turned.notes == ()
    assert peer.requests == [
        {
            "model": "rerank-v3.5",
            "query": QUESTION,
            "documents": [f"{passage.title}\n{passage.text}" for passage in plain.found],
            "top_n": 3,
        }
    ]
    assert peer.keys == ["bearer secret"]


FAULTS: dict[int | str, str] = {
    401: "bad_api_key",
    429: "rate_limited",
    500: "server_error",
    "garbage": "server_error",
    "short": "server_error",
    "slow": "timeout",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_reranker_that_fails_changes_nothing(
    fault: int | str, services: Services, library: Loaded, peer: RerankPeer
) -> None:
    """The order of the search stays, the receipt says why, and nobody waits for longer than a second and a half."""
    peer.fault = fault
    plain, failed = await ask(services, library), await ask(services, library, peer)
    assert (failed.found, failed.text, failed.notes) == (plain.found, plain.text, (f"rerank:{FAULTS[fault]}",))
    assert failed.timings["rerank"] < 2_500
    assert len(peer.requests) == 1


async def test_nobody_at_the_address(services: Services, library: Loaded, peer: RerankPeer) -> None:
    """The same."""
    peer.settings = msgspec.structs.replace(peer.settings, rerank_url="http://127.0.0.1:1")
    assert (await ask(services, library, peer)).notes == ("rerank:unreachable",)


async def test_an_assistant_may_go_without(services: Services, library: Loaded, peer: RerankPeer) -> None:
    """Its switch keeps the endpoint from being asked."""
    settings = msgspec.structs.replace(library.scope.settings, rerank=False)
    scope = msgspec.structs.replace(library.scope, settings=settings)
    answer = await ask(services, msgspec.structs.replace(library, scope=scope), peer)
    assert (answer.notes, peer.requests) == ((), [])


def test_what_the_settings_ask_for() -> None:
    """Nothing by default; an address needs a model, and a model without an address needs a package."""
    assert make_reranker(Settings()) is None
    with pytest.raises(BadSetting):
        make_reranker(Settings(rerank_url="http://127.0.0.1:1"))
    assert isinstance(make_reranker(Settings(rerank_url="http://127.0.0.1:1", rerank_model="m")), EndpointReranker)


def test_a_local_model_without_its_package_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install, and not at the first question."""
    monkeypatch.setattr(reranking, "find_spec", lambda _name: None)
    with pytest.raises(RerankerMissing) as caught:
        make_reranker(Settings(rerank_model="some/cross-encoder"))
    assert (caught.value.code, caught.value.params["model"]) == ("reranker_missing", "some/cross-encoder")


class Encoder:
    """Has the surface of fastembed's TextCrossEncoder, which is not installed here."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def rerank(self, query: str, documents: list[str]) -> "list[float]":
        return [float("nan") if query == "broken" else float(len(document)) for document in documents]


async def test_a_local_model_scores_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """One score for each text; what is no number is no order."""
    package = type("package", (), {"TextCrossEncoder": Encoder})
    monkeypatch.setattr(reranking, "find_spec", lambda name: object() if name == "fastembed" else None)
    monkeypatch.setattr(reranking, "import_module", {"fastembed.rerank.cross_encoder": package}.__getitem__)
    local = make_reranker(Settings(rerank_model="m"))
    assert isinstance(local, LocalReranker)
    assert await local.rerank("q", ["aa", "b"]) == [2.0, 1.0]
    with pytest.raises(ProviderError) as caught:
        await local.rerank("broken", ["a"])
    assert caught.value.reason == "server_error"
