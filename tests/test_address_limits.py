"""What strangers may cost: calls from one address, bodies of each route, and whom the server believes."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.platform import address_limits
from asissto.platform.address_limits import AddressLimits, network_of
from asissto.platform.entrypoints.serving import make_server
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import TooManyRequests
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from npm import free_port
from people import PASSWORD, Person, make_client

SIGN_IN = {"email": "nobody@example.com", "password": PASSWORD}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def changed(services: Services, **settings: object) -> Services:
    return structs.replace(services, settings=structs.replace(services.settings, **settings))


def taken(limits: AddressLimits, address: str, times: int) -> Iterator[int]:
    """0 where the call was let through, else the seconds to wait."""
    for _ in range(times):
        try:
            limits.take("open", address)
            yield 0
        except TooManyRequests as error:
            yield int(str(error.params["seconds"]))


def test_a_bucket_fills_evenly() -> None:
    """A minute's calls at once, then as many as flow in; who waits as long as told gets through."""
    clock = Clock()
    limits = AddressLimits(Settings(open_calls_per_minute=6), clock)
    assert list(taken(limits, "192.0.2.1", 8)) == [0] * 6 + [10, 10]
    assert list(taken(limits, "192.0.2.2", 1)) == [0]
    clock.now = 9.9
    assert list(taken(limits, "192.0.2.1", 1)) == [1]
    clock.now = 10.0
    assert list(taken(limits, "192.0.2.1", 2)) == [0, 10]
    clock.now = 1_000.0
    assert list(taken(limits, "192.0.2.1", 7)) == [0] * 6 + [10]


def test_many_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The silent ones are forgotten, not the one that floods."""
    monkeypatch.setattr(address_limits, "MOST_ADDRESSES", 3)
    limits = AddressLimits(Settings(open_calls_per_minute=2), Clock())
    for number in range(100):
        list(taken(limits, f"192.0.2.{number}", 1))
        assert sum(taken(limits, "198.51.100.1", 1)) == (0 if number < 2 else 30)
    assert len(limits._left) == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("", ""), ("unix", "unix")],
)
def test_of_ipv6_the_network_counts(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_a_flood_of_open_calls_is_refused(services: Services, alice: Person) -> None:
    """With the time to wait; who is signed in goes on, and so do the hooks."""
    app = build_app(changed(services, open_calls_per_minute=3, hook_calls_per_minute=5))
    headers = {"authorization": alice.client.headers["authorization"]}
    async with make_client(app) as client:
        answers = [await client.post("/api/v1/auth/sign-in", json=SIGN_IN) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert (answers[3].json()["code"], answers[3].headers["retry-after"]) == ("too_many_requests", "20")
        assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 200
        hook = f"/api/v1/hooks/{alice.tenant_id}/{alice.user_id}"
        assert [(await client.post(hook)).status_code for _ in range(6)] == [404] * 5 + [429]


@pytest.mark.parametrize("url", [None, "http://a.example", "https://a.example"])
async def test_browsers_keep_to_https_where_there_is_https(services: Services, url: str | None) -> None:
    """On errors too."""
    async with make_client(build_app(changed(services, public_url=url))) as client:
        sent = {(await client.get(path)).headers.get("strict-transport-security") for path in ("/", "/nowhere")}
    assert sent == {"max-age=31536000" if url == "https://a.example" else None}


@pytest.fixture
async def behind(services: Services, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of a real server that believes these proxies."""
    port = free_port()
    server = make_server(changed(services, port=port, trusted_proxies=request.param))
    serving = asyncio.create_task(server.serve())
    await server.wait_until_started()
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await serving


@pytest.mark.parametrize(
    ("behind", "sent", "told"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.0/8,10.0.0.0/8", "6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("192.0.2.1", "203.0.113.7", "127.0.0.1"),
        ("", "203.0.113.7", "127.0.0.1"),
    ],
    indirect=["behind"],
)
async def test_only_proxies_of_ours_are_believed(
    behind: str, sent: str, told: str, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Whoever writes the header themselves hides nothing: the address in the audit trail is the one they came from."""
    headers = {"authorization": alice.client.headers["authorization"], "x-forwarded-for": sent}
    async with httpx.AsyncClient(base_url=behind, headers=headers) as client:
        (await client.patch("/api/v1/tenant", json={"name": "New"})).raise_for_status()
    assert await superuser.fetchval("SELECT ip FROM audit_log WHERE action = 'tenants.update'") == told


LIMITS = {
    "auth/sign-in": 1_000_000,
    "hooks/{tenant}/{any}": 2_000_000,
    "collections/{any}/pairs/import": 5_000_000,
}
"""Bytes of a body; test_widget.py tries that of the widget, test_ingestion.py that of uploads."""


@pytest.mark.parametrize(("path", "largest"), sorted(LIMITS.items()))
async def test_each_body_has_a_limit(alice: Person, path: str, largest: int) -> None:
    """Told by its length it is refused before it is read, without a length at the first byte too many."""
    address = f"/api/v1/{path.format(tenant=alice.tenant_id, any=alice.user_id)}"
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b" " * 65_536

    headers = {"content-type": "application/json"}
    for content in (b" " * (largest + 1), endless()):
        response = await alice.client.post(address, content=content, headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert asked * 65_536 <= largest + 2 * 65_536
