"""Model providers of a workspace: kept sealed, tried out, and never used to reach into the server's own network."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import httpx2
import pytest
from msgspec import structs

from asissto.platform import guarded_transport
from asissto.platform.embedding import OpenAIEmbedder
from asissto.platform.endpoint import Connection, Endpoint
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import AddressRefused, ProviderError
from asissto.platform.guarded_transport import GuardedTransport, public_addresses_of
from asissto.platform.model_clients import ModelClients
from asissto.platform.services import Services
from openai_peer import OpenAIPeer
from people import Person, bearer, make_client

KEY, TOKEN = "sk-very-secret-key", "gateway-secret-token"
PROVIDERS = "/api/v1/model-providers"


@pytest.fixture
async def private(services: Services) -> AsyncIterator[Services]:
    """An installation whose operator allows providers in private networks, as the peer is."""
    settings = structs.replace(services.settings, provider_private_addresses=True)
    allowed = structs.replace(services, settings=settings, models=ModelClients())
    yield allowed
    await allowed.models.close()


@pytest.fixture
async def owner(private: Services, alice: Person) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(build_app(private), authorization=bearer(private, alice)) as client:
        yield client


def body(peer: OpenAIPeer, **changes: Any) -> dict[str, Any]:
    return {"name": "Ours", "base_url": peer.base_url, "api_key": KEY, "headers": {"X-Gateway": TOKEN}} | changes


async def add(client: httpx.AsyncClient, what: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(PROVIDERS, json=what)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_secrets_are_sealed_and_never_shown_again(
    owner: httpx.AsyncClient, peer: OpenAIPeer, superuser: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in an answer, not in the database, not in the audit trail, not in the log; the provider gets them."""
    caplog.set_level(logging.DEBUG)
    made = await add(owner, body(peer))
    assert {name: made[name] for name in ("name", "has_key", "headers", "enabled")} == {
        "name": "Ours",
        "has_key": True,
        "headers": ["X-Gateway"],
        "enabled": True,
    }
    address = f"{PROVIDERS}/{made['id']}"
    changed = await owner.patch(address, json={"api_key": f"{KEY}-2", "headers": {"X-Gateway": f"{TOKEN}-2"}})
    assert changed.status_code == 200, changed.text
    tried = await owner.post(f"{address}/test", json={"model": "qwen3"})
    assert tried.json()["ok"], tried.text
    (request,) = peer.requests
    assert (request.headers["authorization"], request.headers["x-gateway"]) == (f"Bearer {KEY}-2", f"{TOKEN}-2")
    shown = [made, changed.json(), tried.json(), (await owner.get(PROVIDERS)).json(), (await owner.get(address)).json()]
    rows = [
        str(dict(row))
        for table in ("model_providers", "audit_log", "model_calls")
        for row in await superuser.fetch(f"SELECT * FROM {table}")
    ]
    everything = "\n".join([str(shown), *rows, caplog.text])
    assert [secret for secret in (KEY, TOKEN) if secret in everything] == []


async def test_a_sealed_key_opens_in_its_own_row_alone(
    owner: httpx.AsyncClient, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """Whoever moves a sealed key to another row, or loses the key ring, gets a reason and no key."""
    first, second = await add(owner, body(peer)), await add(owner, body(peer, name="Other", api_key="sk-other-key"))
    moved = "UPDATE model_providers SET api_key = (SELECT api_key FROM model_providers WHERE id = $1) WHERE id = $2"
    await superuser.execute(moved, UUID(first["id"]), UUID(second["id"]))
    tried = (await owner.post(f"{PROVIDERS}/{second['id']}/test", json={"model": "qwen3"})).json()
    assert (tried["ok"], tried["reason"], tried["field"]) == (False, "key_unreadable", "api_key")
    assert peer.requests == []


async def test_another_host_wants_the_secrets_anew(owner: httpx.AsyncClient, peer: OpenAIPeer) -> None:
    """Else whoever may change the address could have the key sent to a server of theirs."""
    made = await add(owner, body(peer))
    address = f"{PROVIDERS}/{made['id']}"
    for given, field in (({}, "api_key"), ({"api_key": "sk-new"}, "headers")):
        refused = await owner.patch(address, json={"base_url": "http://127.0.0.2:9/v1", **given})
        assert (refused.status_code, refused.json()["field"]) == (400, field)
    assert (await owner.get(address)).json()["base_url"] == peer.base_url
    same_host = await owner.patch(address, json={"base_url": peer.base_url + "/"})
    assert same_host.status_code == 200


BAD: list[tuple[dict[str, Any], str]] = [
    ({"base_url": "ftp://models.example.com"}, "base_url"),
    ({"base_url": "https://user:pass@models.example.com/v1"}, "base_url"),
    ({"base_url": "https://models.example.com/v1?key=1"}, "base_url"),
    ({"base_url": "https://[::1"}, "base_url"),
    ({"base_url": "http://models.example.com/v1"}, "base_url"),
    ({"base_url": "https://localhost:11434/v1"}, "base_url"),
    ({"base_url": "https://169.254.169.254/v1"}, "base_url"),
    ({"base_url": "https://[::ffff:10.0.0.1]/v1"}, "base_url"),
    ({"api_key": "sk-СЕКРЕТ"}, "api_key"),
    ({"headers": {"Host": "evil.example"}}, "headers"),
    ({"headers": {"X-A": "one\r\nX-B: two"}}, "headers"),
    ({"first_token_seconds": 0}, "first_token_seconds"),
    ({"secret": "x"}, "secret"),
]


async def test_bad_input_names_its_field(alice: Person) -> None:
    """On a server whose operator allows no private addresses."""
    good = {"name": "Ours", "base_url": "https://models.example.com/v1", "api_key": KEY}
    for changes, field in BAD:
        response = await alice.client.post(PROVIDERS, json=good | changes)
        assert (response.status_code, response.json()["field"]) == (400, field), changes
    assert (await alice.client.get(PROVIDERS)).json()["items"] == []


async def test_two_providers_have_two_names(alice: Person) -> None:
    """The second one is told so."""
    good = {"name": "Ours", "base_url": "https://models.example.com/v1"}
    await add(alice.client, good)
    again = await alice.client.post(PROVIDERS, json=good)
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "name_taken", "name")


async def test_editors_see_providers_and_do_not_change_them(bob: Person, alice: Person) -> None:
    """They choose models for assistants; who is paid is the owner's matter."""
    good = {"name": "Ours", "base_url": "https://models.example.com/v1"}
    made = await add(alice.client, good)
    assert [each["name"] for each in (await bob.client.get(PROVIDERS)).json()["items"]] == ["Ours"]
    assert (await bob.client.post(PROVIDERS, json=good | {"name": "Mine"})).status_code == 403
    assert (await bob.client.delete(f"{PROVIDERS}/{made['id']}")).status_code == 403
    assert (await bob.client.post(f"{PROVIDERS}/{made['id']}/test", json={"model": "m"})).status_code == 403


async def test_a_trial_says_what_is_wrong(owner: httpx.AsyncClient, peer: OpenAIPeer) -> None:
    """In the reader's language, with the field at fault, and as a call that is accounted for."""
    made = await add(owner, body(peer))
    address = f"{PROVIDERS}/{made['id']}/test"
    at_fault = {401: ("bad_api_key", "api_key"), 404: ("unknown_model", "model"), 400: ("refused", None)}
    for fault, (reason, field) in at_fault.items():
        peer.fail_with(fault, times=1)
        tried = (await owner.post(address, json={"model": "qwen3"}, headers={"accept-language": "ru"})).json()
        assert (tried["ok"], tried["reason"], tried["field"]) == (False, reason, field)
        assert any("а" <= letter <= "я" for letter in tried["detail"])
        call = (await owner.get("/api/v1/model-calls")).json()["items"][0]
        assert (call["purpose"], call["provider"], call["model"], call["error"]) == ("test", "Ours", "qwen3", reason)


async def test_a_trial_tells_the_length_of_vectors(owner: httpx.AsyncClient, peer: OpenAIPeer) -> None:
    """So that nobody has to look it up before choosing an embedding model."""
    made = await add(owner, body(peer))
    tried = await owner.post(f"{PROVIDERS}/{made['id']}/test", json={"model": "bge-m3", "kind": "embedding"})
    assert (tried.json()["ok"], tried.json()["dimensions"]) == (True, 64)


async def test_without_leave_a_private_provider_is_not_reached(
    private: Services, services: Services, alice: Person, owner: httpx.AsyncClient, peer: OpenAIPeer
) -> None:
    """A row from more generous days, or a name that stands for a private address: refused when it is connected to."""
    made = await add(owner, body(peer))
    tried = (await alice.client.post(f"{PROVIDERS}/{made['id']}/test", json={"model": "qwen3"})).json()
    assert (tried["ok"], tried["reason"], tried["field"]) == (False, "private_address", "base_url")
    listed = (await alice.client.get(f"{PROVIDERS}/{made['id']}/models")).json()
    assert (listed["models"], listed["reason"], listed["field"]) == ([], "private_address", "base_url")
    assert peer.requests == []
    await services.models.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1", "169.254.169.254", "[::]"])
async def test_a_host_is_judged_by_what_it_stands_for(host: str) -> None:
    """However it is spelt."""
    with pytest.raises((AddressRefused, httpx2.ConnectError)):
        await public_addresses_of(host.strip("[]"), 443)


async def test_the_request_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time changes nothing; TLS still asks for the name."""
    seen = []

    class Recording(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            seen.append((str(request.url), request.headers["host"], request.extensions["sni_hostname"]))
            return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

    async def resolve(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with httpx2.AsyncClient(transport=GuardedTransport(Recording())) as client:
        await client.get("https://models.example.com/v1/models")
    assert seen == [("https://93.184.216.34/v1/models", "models.example.com", "models.example.com")]


async def test_a_mixed_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One private address among public ones is enough."""

    async def resolve(*_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.7")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(AddressRefused):
        await public_addresses_of("models.example.com", 443)


async def test_a_guarded_response_has_an_end(peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that sends without end, or packed, fills no memory."""
    monkeypatch.setattr(guarded_transport, "MOST_BYTES", 100)
    monkeypatch.setattr(guarded_transport, "is_public", lambda _: True)
    endpoint = Endpoint(Connection(base_url=peer.base_url, guarded=True), seconds=5)
    embedder = OpenAIEmbedder(endpoint, "m", 64).impatient(5)
    with pytest.raises(ProviderError) as caught:
        await embedder.embed(["one"])
    await endpoint.close()
    assert (caught.value.permanent, caught.value.reason) == (False, "unreachable")


async def test_a_stranger_makes_nothing_with_the_provider(alice: Person, charlie: Person) -> None:
    """Neither answers nor vectors: its id is one that is not there."""
    made = await add(alice.client, {"name": "Ours", "base_url": "https://models.example.com/v1", "api_key": KEY})
    choice = {"models": [{"provider_id": made["id"], "model": "qwen3"}]}
    assistant = await charlie.client.post("/api/v1/assistants", json={"name": "Thief", "settings": choice})
    assert (assistant.status_code, assistant.json()["field"]) == (400, "settings.models[0].provider_id")
    wanted = {"model": "bge-m3", "dimensions": 64, "provider_id": made["id"]}
    embedding = await charlie.client.put("/api/v1/knowledge/embedding", json=wanted)
    assert (embedding.status_code, embedding.json()["field"]) == (400, "provider_id")
    spelt = {"model": f"provider:{made['id']}/bge-m3", "dimensions": 64}
    assert (await charlie.client.put("/api/v1/knowledge/embedding", json=spelt)).status_code == 400


AUDITED = [
    ("POST", "", {"name": "New", "base_url": "https://new.example/v1", "api_key": KEY}, "model_providers.create"),
    ("PATCH", "/{id}", {"name": "Other"}, "model_providers.update"),
    ("POST", "/{id}/test", {"model": "qwen3"}, "model_providers.test"),
    ("DELETE", "/{id}", None, "model_providers.delete"),
]


async def test_each_change_leaves_one_row_in_the_audit_trail(
    owner: httpx.AsyncClient, peer: OpenAIPeer, superuser: asyncpg.Connection
) -> None:
    """The trial too: it spends money, and shows where a key is sent. Prices as well."""
    made = await add(owner, body(peer))
    for method, path, what, action in AUDITED:
        await superuser.execute("TRUNCATE audit_log")
        response = await owner.request(method, PROVIDERS + path.format(**made), json=what)
        assert response.is_success, response.text
        assert [row[0] for row in await superuser.fetch("SELECT action FROM audit_log")] == [action]
    await superuser.execute("TRUNCATE audit_log")
    amounts = {"input_micros": 1, "cached_micros": 1, "output_micros": 1}
    price = {"model": "qwen3", "effective_from": "2026-01-01", "currency": "EUR", **amounts}
    set_price = (await owner.post("/api/v1/model-prices", json=price)).raise_for_status().json()
    assert [each["id"] for each in (await owner.get("/api/v1/model-prices")).json()["items"]] == [set_price["id"]]
    (await owner.delete(f"/api/v1/model-prices/{set_price['id']}")).raise_for_status()
    assert (await owner.get("/api/v1/model-prices")).json()["items"] == []
    rows = await superuser.fetch("SELECT action FROM audit_log ORDER BY id")
    assert [row[0] for row in rows] == ["model_prices.create", "model_prices.delete"]


def test_a_connection_shows_no_secret() -> None:
    """Where it is printed by accident."""
    connection = Connection(base_url="https://x.example/v1", api_key=KEY, headers=(("X-Gateway", TOKEN),), provider="P")
    assert repr(connection) == "Connection(provider='P')"
