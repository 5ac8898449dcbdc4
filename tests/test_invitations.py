"""People are asked into a workspace by a link to their address."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.platform import invitations
from asissto.platform.entrypoints.web import build_app
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from mail_peer import PASSWORD as MAIL_PASSWORD
from mail_peer import USER, MailPeer
from people import PASSWORD, Person, bearer, make_client

DORA = "dora@example.com"
INVITATIONS = "/api/v1/invitations"


@pytest.fixture
async def post() -> AsyncIterator[MailPeer]:
    async with MailPeer() as peer:
        yield peer


def with_settings(services: Services, **changes: Any) -> Services:
    settings: Settings = structs.replace(services.settings, **changes)
    return structs.replace(services, settings=settings)


@pytest.fixture
def mailing(services: Services, post: MailPeer) -> Services:
    return with_settings(
        services,
        smtp_host="127.0.0.1",
        smtp_port=post.smtp_port,
        smtp_security="none",
        smtp_user=USER,
        smtp_password=MAIL_PASSWORD,
        public_url="https://help.example.com",
    )


async def ask_in(alice: Person, email: str = DORA, role: str = "operator") -> str:
    """The token of an invitation that alice makes where no mail is sent."""
    made = await alice.client.post(INVITATIONS, json={"email": email, "role": role})
    return str(made.raise_for_status().json()["link"].partition("#token=")[2])


async def join(client: httpx.AsyncClient, how: str, **body: Any) -> tuple[int, Any]:
    response = await client.post(f"/api/v1/auth/invitation{how}", json=body)
    answer = response.json()
    return response.status_code, answer.get("code") or answer


async def role_of(alice: Person, email: str) -> str | None:
    members = (await alice.client.get("/api/v1/members")).json()["items"]
    return next((member["role"] for member in members if member["email"] == email), None)


async def test_somebody_new_comes_in_by_the_link_in_the_mail(
    mailing: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It proves the address, tells the workspace and the role, and works once; no list and no answer shows it."""
    await superuser.execute("UPDATE users SET confirmed_at = now() WHERE id = $1", alice.user_id)
    async with make_client(build_app(mailing), authorization=bearer(mailing, alice)) as owner:
        made = (await owner.post(INVITATIONS, json={"email": "Dora@Example.com", "role": "operator"})).json()
    assert (made["email"], made["role"], made["state"], made["link"]) == (DORA, "operator", "open", None)
    await make_worker(mailing).run_one(["mail"])
    (letter,) = post.letters
    assert (letter.recipients, str(letter.mail["subject"])) == ([DORA], "Alice invites you to “Alice”")
    content = letter.mail.get_payload(decode=True)
    assert isinstance(content, bytes)
    found = re.search(r"https://help\.example\.com/invitation#token=(\S{43})\s", content.decode())
    assert found is not None
    token = found[1]
    async with make_client(build_app(mailing)) as dora:
        shown = (await join(dora, "", token=token))[1]
        assert shown | {"expires_at": ""} == {
            "workspace": "Alice",
            "email": DORA,
            "role": "operator",
            "expires_at": "",
        }
        status, session = await join(dora, "/register", token=token, name="Dora", password=PASSWORD)
        assert (status, session["role"], session["tenant_id"]) == (201, "operator", str(alice.tenant_id))
        dora.headers["authorization"] = f"Bearer {session['access_token']}"
        mine = (await dora.get("/api/v1/auth/me")).json()
        assert (mine["user"]["email"], mine["email_confirmed"]) == (DORA, True)
        assert await join(dora, "/register", token=token, name="Eve", password=PASSWORD) == (403, "link_spent")
    rows = str(await superuser.fetch("SELECT i::text FROM invitations i"))
    assert token not in rows


async def test_without_mail_the_owner_passes_the_link_on(
    client: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Which proves nothing about the address; each step leaves one row in the trail of the workspace."""
    await superuser.execute("TRUNCATE audit_log")
    token = await ask_in(alice)
    await join(client, "/register", token=token, name="Dora", password=PASSWORD)
    assert await role_of(alice, DORA) == "operator"
    assert await superuser.fetchval("SELECT confirmed_at FROM users WHERE email = $1", DORA) is None
    rows = await superuser.fetch("SELECT action, tenant_id, changes::text FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("invitations.create", alice.tenant_id, '{"role": "operator"}'),
        ("invitations.accept", alice.tenant_id, "{}"),
    ]


async def test_a_person_with_an_account_signs_in_by_the_link(
    client: httpx.AsyncClient, alice: Person, charlie: Person
) -> None:
    """With their password, and no second account is made."""
    token = await ask_in(alice, charlie.email)
    assert await join(client, "/sign-in", token=token, password="guessed guessed") == (401, "sign_in_failed")
    taken = await join(client, "/register", token=token, name="Charlie", password=PASSWORD)
    assert taken == (409, "email_taken")
    status, session = await join(client, "/sign-in", token=token, password=PASSWORD)
    assert (status, session["tenant_id"], session["user_id"]) == (200, str(alice.tenant_id), str(charlie.user_id))
    assert await role_of(alice, charlie.email) == "operator"


async def test_somebody_signed_in_joins_under_their_own_address_alone(
    alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """A link that was meant for somebody else stays good for them."""
    token = await ask_in(alice, DORA)
    refused = await charlie.client.post(f"{INVITATIONS}/accept", json={"token": token})
    assert (refused.status_code, refused.json()["code"]) == (403, "invitation_for_another")
    own = await ask_in(alice, charlie.email, "editor")
    joined = (await charlie.client.post(f"{INVITATIONS}/accept", json={"token": own})).raise_for_status().json()
    assert (joined["role"], joined["tenant_id"]) == ("editor", str(alice.tenant_id))
    headers = {"authorization": f"Bearer {joined['access_token']}"}
    assert (await charlie.client.get("/api/v1/tenant", headers=headers)).json()["name"] == "Alice"
    assert (await charlie.client.get("/api/v1/tenant")).json()["name"] == "Charlie"
    again = await charlie.client.post(f"{INVITATIONS}/accept", json={"token": own})
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    assert await superuser.fetchval("SELECT count(*) FROM invitations WHERE accepted_at IS NULL") == 1


async def test_of_two_who_follow_a_link_at_once_one_joins(client: httpx.AsyncClient, alice: Person) -> None:
    """The other finds it spent, or the address taken."""
    token = await ask_in(alice)
    bodies = [{"token": token, "name": name, "password": PASSWORD} for name in ("Dora", "Eve")]
    answers = await asyncio.gather(*(join(client, "/register", **body) for body in bodies))
    assert sorted(status for status, _ in answers) == [201, 403]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE invitations SET expires_at = now()",
        "UPDATE memberships SET role = 'editor' WHERE user_id = (SELECT invited_by FROM invitations)",
        "DELETE FROM memberships WHERE user_id = (SELECT invited_by FROM invitations)",
        "UPDATE tenants SET status = 'suspended'",
    ],
)
async def test_a_link_without_force_opens_nothing(
    client: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection, change: str
) -> None:
    """Too old, or of somebody who could not ask anybody in any more, or into a workspace that is out of use."""
    token = await ask_in(alice)
    await superuser.execute(change)
    answers = [
        await join(client, "", token=token),
        await join(client, "/register", token=token, name="Dora", password=PASSWORD),
        await join(client, "/sign-in", token=token, password=PASSWORD),
    ]
    assert answers == [(403, "link_spent")] * 3


async def test_an_invitation_is_listed_replaced_and_revoked(client: httpx.AsyncClient, alice: Person) -> None:
    """The newest of an address counts."""
    first, second = await ask_in(alice), await ask_in(alice, role="analyst")
    listed = (await alice.client.get(INVITATIONS)).json()["items"]
    told = [(each["email"], each["role"], each["state"]) for each in listed]
    assert told == [(DORA, "analyst", "open"), (DORA, "operator", "revoked")]
    assert [(await join(client, "", token=token))[0] for token in (first, second)] == [403, 200]
    address = f"{INVITATIONS}/{listed[0]['id']}"
    assert [(await alice.client.delete(address)).status_code for _ in range(2)] == [204, 404]
    assert await join(client, "", token=second) == (403, "link_spent")


async def test_members_are_not_invited(alice: Person, bob: Person) -> None:
    """They are there already; and who may not invite does not."""
    member = await alice.client.post(INVITATIONS, json={"email": bob.email, "role": "owner"})
    assert (member.status_code, member.json()["code"]) == (409, "conflict")
    assert (await bob.client.post(INVITATIONS, json={"email": DORA, "role": "analyst"})).status_code == 403


@pytest.mark.parametrize(("registration", "answer"), [("invitation", 201), ("closed", "registration_closed")])
async def test_the_setting_says_whether_links_make_accounts(
    services: Services, alice: Person, charlie: Person, registration: str, answer: int | str
) -> None:
    """People who have an account can be asked in in any case."""
    tokens = await ask_in(alice), await ask_in(alice, charlie.email)
    async with make_client(build_app(with_settings(services, registration=registration))) as visitor:
        status, body = await join(visitor, "/register", token=tokens[0], name="Dora", password=PASSWORD)
        assert answer in (status, body)
        assert (await join(visitor, "/sign-in", token=tokens[1], password=PASSWORD))[0] == 200


async def test_an_unproven_address_gets_nobody_in(
    mailing: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """Where mail is sent: whoever has not proven theirs invites nobody, and is not added under it."""
    async with make_client(build_app(mailing), authorization=bearer(mailing, alice)) as owner:
        refused = await owner.post(INVITATIONS, json={"email": DORA, "role": "analyst"})
        assert (refused.status_code, refused.json()["code"]) == (403, "email_unconfirmed")
        body = {"email": charlie.email, "role": "analyst"}
        assert (await owner.post("/api/v1/members", json=body)).status_code == 404
        await superuser.execute("UPDATE users SET confirmed_at = now()")
        assert (await owner.post("/api/v1/members", json=body)).status_code == 201


async def test_nobody_sends_advertisements(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace invites so many people a day."""
    monkeypatch.setattr(invitations, "MOST_A_DAY", 1)
    await ask_in(alice)
    refused = await alice.client.post(INVITATIONS, json={"email": "eve@example.com", "role": "analyst"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(refused.headers["retry-after"]) <= 86_401
