"""A person sees where they are signed in, signs out elsewhere, and changes the password."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest
from litestar import Litestar

from asissto.platform.attempts import MOST
from asissto.platform.credentials import forget_old_sessions
from asissto.platform.services import Services
from people import PASSWORD, Person, make_client

NEW = "quite another password"


@pytest.fixture
async def phone(app: Litestar, alice: Person) -> AsyncIterator[httpx.AsyncClient]:
    """Alice once more, on another device."""
    async with make_client(app, **{"user-agent": "Asissto for Nokia\t3310"}) as client:
        body = {"email": alice.email, "password": PASSWORD}
        opened = (await client.post("/api/v1/auth/sign-in", json=body)).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {opened['access_token']}"
        client.headers["x-refresh"] = opened["refresh_token"]
        yield client


async def is_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/v1/auth/me")).status_code == 200


async def test_sessions_tell_where_they_are(alice: Person, bob: Person, phone: httpx.AsyncClient) -> None:
    """Device, address and last use of each, the last used first; nobody else's."""
    body = {"refresh_token": phone.headers["x-refresh"]}
    before = datetime.now(UTC)
    await phone.post("/api/v1/auth/refresh", json=body, headers={"user-agent": "Asissto for Nokia 8110"})
    found = (await alice.client.get("/api/v1/auth/sessions")).json()
    assert (len(found["items"]), found["next"]) == (2, None)
    there, here = found["items"]
    assert datetime.fromisoformat(there.pop("last_used_at")) >= before
    assert datetime.fromisoformat(there.pop("opened_at")) < before
    assert there.pop("id") != here["id"]
    assert there == {
        "tenant_id": str(alice.tenant_id),
        "workspace": "Alice",
        "device": "Asissto for Nokia 8110",
        "ip": "127.0.0.1",
        "impersonator_id": None,
        "is_current": False,
    }
    assert (here["id"], here["is_current"]) == (str(alice.session_id), True)
    bobs = (await bob.client.get("/api/v1/auth/sessions")).json()["items"]
    assert {each["workspace"] for each in bobs} == {"Alice", "Bob"}


async def test_one_session_is_ended(alice: Person, phone: httpx.AsyncClient) -> None:
    """With its access token and its refresh token, at once; the others go on."""
    there = (await alice.client.get("/api/v1/auth/sessions")).json()["items"][0]
    assert there["device"] == "Asissto for Nokia3310"
    assert (await alice.client.delete(f"/api/v1/auth/sessions/{there['id']}")).status_code == 204
    refreshed = await phone.post("/api/v1/auth/refresh", json={"refresh_token": phone.headers["x-refresh"]})
    assert (await is_in(phone), refreshed.json()["code"], await is_in(alice.client)) == (False, "token_invalid", True)
    again = await alice.client.delete(f"/api/v1/auth/sessions/{there['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")


async def test_all_other_sessions_are_ended(alice: Person, bob: Person, phone: httpx.AsyncClient) -> None:
    """Those of the person, and nobody else's."""
    ended = await alice.client.post("/api/v1/auth/sessions/end-others")
    assert (ended.status_code, ended.json()) == (200, {"closed": 1})
    assert [await is_in(client) for client in (alice.client, phone, bob.client)] == [True, False, True]


async def test_a_new_password_ends_the_other_sessions(
    client: httpx.AsyncClient, alice: Person, phone: httpx.AsyncClient, superuser: asyncpg.Connection
) -> None:
    """Whoever else was in with the old one is out."""
    await superuser.execute("TRUNCATE audit_log")
    change = {"current": PASSWORD, "password": NEW}
    assert (await alice.client.post("/api/v1/auth/password", json=change)).status_code == 204
    assert [await is_in(each) for each in (alice.client, phone)] == [True, False]
    answers = [
        (await client.post("/api/v1/auth/sign-in", json={"email": alice.email, "password": password})).status_code
        for password in (PASSWORD, NEW)
    ]
    assert answers == [401, 200]
    row = await superuser.fetchrow("SELECT action, changes::text FROM audit_log ORDER BY id LIMIT 1")
    assert tuple(row) == ("auth.password", '{"sessions_closed": 1}')


async def test_an_open_page_is_not_enough_to_change_the_password(alice: Person, phone: httpx.AsyncClient) -> None:
    """Guessing the current one is as slow as signing in, and changes nothing."""
    wrong = {"current": "guessed guessed", "password": NEW}
    answers = await asyncio.gather(*(phone.post("/api/v1/auth/password", json=wrong) for _ in range(MOST["login"] + 1)))
    codes = sorted(answer.json()["code"] for answer in answers)
    assert codes == ["password_wrong"] * MOST["login"] + ["too_many_requests"]
    assert await is_in(alice.client)


async def test_tokens_that_expired_long_ago_are_forgotten(
    client: httpx.AsyncClient, alice: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """A session that was kept alive goes on, though its first token is old."""
    old = "UPDATE refresh_tokens SET expires_at = now() - interval '8 days'"
    newer = (await client.post("/api/v1/auth/refresh", json={"refresh_token": alice.refresh_token})).json()
    await superuser.execute(f"{old} WHERE user_id <> $1 OR id = family_id", alice.user_id)
    async with services.database.system() as session:
        await forget_old_sessions(session)
    left = await superuser.fetch("SELECT user_id, id = family_id FROM refresh_tokens ORDER BY id")
    assert [tuple(row) for row in left] == [(alice.user_id, True), (alice.user_id, False)]
    headers = {"authorization": f"Bearer {newer['access_token']}"}
    assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 200


async def test_a_weak_password_is_refused(alice: Person) -> None:
    """As at the registration."""
    response = await alice.client.post("/api/v1/auth/password", json={"current": PASSWORD, "password": "short"})
    assert (response.status_code, response.json()["code"]) == (400, "weak_password")
