"""Whoever guesses passwords is slowed down, and learns nothing meanwhile."""

import asyncio
from datetime import timedelta
from typing import Literal

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher
from msgspec import structs

from asissto.platform import attempts, passwords
from asissto.platform.attempts import MOST, knock, network_of
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import TooManyRequests
from asissto.platform.services import Services
from people import PASSWORD, Person, make_client

WRONG = "not the password"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that were compared with a password, which is nearly all the time that a sign-in takes."""
    compared: list[str] = []

    class Counted(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
            compared.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_HASHER", Counted(time_cost=2, memory_cost=19 * 1024, parallelism=1))
    return compared


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> tuple[int, str]:
    response = await client.post("/api/v1/auth/sign-in", json={"email": email, "password": password})
    return response.status_code, response.json().get("code", "")


async def test_unknown_and_blocked_people_cost_the_same_hash(
    client: httpx.AsyncClient, alice: Person, bob: Person, superuser: asyncpg.Connection, hashes: list[str]
) -> None:
    """One of the same costs for everybody, so that the time does not tell who has an account."""
    await superuser.execute("UPDATE users SET status = 'blocked' WHERE id = $1", bob.user_id)
    work = []
    for email in (alice.email, bob.email, "nobody@example.com"):
        assert await sign_in(client, email, WRONG) == (401, "sign_in_failed")
        work.append([stored.rsplit("$", 2)[0] for stored in hashes])
        hashes.clear()
    assert work == [["$argon2id$v=19$m=19456,t=2,p=1"]] * 3


@pytest.mark.parametrize("known", [True, False])
async def test_a_login_is_locked_after_many_failures(
    client: httpx.AsyncClient, alice: Person, hashes: list[str], known: bool
) -> None:
    """Whether there is such a login or not: the right password comes too late, and costs no hash."""
    email = alice.email if known else "nobody@example.com"
    answers = [await sign_in(client, email, WRONG) for _ in range(MOST["login"])]
    assert answers == [(401, "sign_in_failed")] * MOST["login"]
    assert len(hashes) == MOST["login"]
    response = await client.post("/api/v1/auth/sign-in", json={"email": email.upper(), "password": PASSWORD})
    assert (response.status_code, response.json()["code"]) == (429, "too_many_requests")
    assert 880 <= int(response.headers["retry-after"]) <= 900
    assert len(hashes) == MOST["login"]


async def test_many_guesses_at_once_do_not_slip_through(
    client: httpx.AsyncClient, alice: Person, hashes: list[str]
) -> None:
    """They are counted before the passwords are looked at."""
    answers = await asyncio.gather(*(sign_in(client, alice.email, WRONG) for _ in range(MOST["login"] + 5)))
    assert sorted(answers) == [(401, "sign_in_failed")] * MOST["login"] + [(429, "too_many_requests")] * 5
    assert len(hashes) == MOST["login"]


async def test_a_lock_opens_by_itself(
    client: httpx.AsyncClient, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a quarter of an hour, which is none here."""
    monkeypatch.setitem(MOST, "login", 1)
    assert [await sign_in(client, alice.email, WRONG) for _ in range(2)] == [
        (401, "sign_in_failed"),
        (429, "too_many_requests"),
    ]
    monkeypatch.setattr(attempts, "WINDOW", timedelta(0))
    assert await sign_in(client, alice.email) == (200, "")


async def test_who_comes_in_starts_anew(
    client: httpx.AsyncClient, alice: Person, monkeypatch: pytest.MonkeyPatch, superuser: asyncpg.Connection
) -> None:
    """Somebody who mistypes now and then is never locked out, nor is a whole office for those who come in."""
    await superuser.execute("TRUNCATE attempts")
    monkeypatch.setitem(MOST, "login", 2)
    for _ in range(3):
        assert await sign_in(client, alice.email, WRONG) == (401, "sign_in_failed")
        assert await sign_in(client, alice.email) == (200, "")
    assert [row[0] for row in await superuser.fetch("SELECT count FROM attempts")] == [3]


async def test_an_address_is_locked_whomever_it_tries(
    client: httpx.AsyncClient, alice: Person, monkeypatch: pytest.MonkeyPatch, superuser: asyncpg.Connection
) -> None:
    """One password tried at many logins; what is kept names neither the address nor the logins."""
    monkeypatch.setitem(MOST, "address", 3)
    answers = [await sign_in(client, f"user{number}@example.com", WRONG) for number in range(3)]
    assert answers == [(401, "sign_in_failed")] * 3
    assert await sign_in(client, alice.email) == (429, "too_many_requests")
    kept = str(await superuser.fetch("SELECT a::text FROM attempts a"))
    assert [name for name in ("127.0.0.1", "user1") if name in kept or name.encode().hex() in kept] == []


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa:bbbb:cccc:dddd", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_a_network_counts_as_one(ip: str | None, network: str) -> None:
    """An IPv6 network is what one person has."""
    assert network_of(ip) == network


async def test_what_is_over_is_forgotten(
    services: Services, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries leave no trace after their window."""
    monkeypatch.setitem(MOST, "mail", 1)
    await knock(services, ("mail", "eve@example.com"))
    with pytest.raises(TooManyRequests):
        await knock(services, ("mail", "eve@example.com"))
    await superuser.execute("UPDATE attempts SET since = since - interval '16 minutes'")
    async with services.database.system() as session:
        await attempts.forget_old_attempts(session)
    assert await superuser.fetchval("SELECT count(*) FROM attempts") == 0


async def test_an_installation_by_invitation_lets_no_stranger_in(services: Services) -> None:
    """Only who was asked in; `test_invitations.py` tells how."""
    settings = structs.replace(services.settings, registration="invitation")
    body = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}
    async with make_client(build_app(structs.replace(services, settings=settings))) as client:
        response = await client.post("/api/v1/auth/register", json=body)
    assert (response.status_code, response.json()["code"]) == (403, "registration_closed")
