"""People come in, stay in, and go out again: registration, sign-in, sessions, cookies, members."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import jwt
import msgspec
import pytest
from argon2 import PasswordHasher

from asissto.platform.accounts import make_admin_link
from asissto.platform.entrypoints.web import build_app
from asissto.platform.keys import KeyRing
from asissto.platform.services import Services
from people import PASSWORD, People, Person, bearer, make_client

DORA = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}


def told(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem."""
    return response.status_code, response.json()["code"]


async def sign_in(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post("/api/v1/auth/sign-in", json={"password": PASSWORD} | body)


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def me(client: httpx.AsyncClient, access_token: str) -> httpx.Response:
    return await client.get("/api/v1/auth/me", headers={"authorization": f"Bearer {access_token}"})


# Registration


async def test_registration_opens_a_workspace_that_is_ready_for_work(client: httpx.AsyncClient) -> None:
    """Its owner finds a collection, an assistant and a channel."""
    registered = await client.post("/api/v1/auth/register", json=DORA | {"workspace": "Dora's", "language": "ru"})
    session = registered.json()
    assert registered.status_code == 201
    assert sorted(session) == ["access_token", "expires_in", "refresh_token", "role", "tenant_id", "user_id"]
    client.headers["authorization"] = f"Bearer {session['access_token']}"
    mine = (await client.get("/api/v1/auth/me")).json()
    assert (mine["user"]["email"], mine["user"]["role"], mine["role"]) == ("dora@example.com", "user", "owner")
    assert (mine["tenant"]["name"], mine["tenant"]["language"], mine["tenant"]["plan"]) == ("Dora's", "ru", "free")
    for things in ("collections", "assistants"):
        assert len((await client.get(f"/api/v1/{things}")).json()["items"]) == 1


async def test_an_address_registers_once(client: httpx.AsyncClient, alice: Person) -> None:
    """In whatever case it is written."""
    response = await client.post("/api/v1/auth/register", json=DORA | {"email": alice.email.upper()})
    assert (told(response), response.json()["field"]) == ((409, "email_taken"), "email")


async def test_of_two_at_once_one_registers(client: httpx.AsyncClient) -> None:
    """The unique index decides, and the other one is told, not broken."""
    answers = await asyncio.gather(*(client.post("/api/v1/auth/register", json=DORA) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


@pytest.mark.parametrize(
    "email",
    ["", "dora", "dora@", "@example.com", "dora@example", "d ora@example.com", "a@b@c.de", "a\0b@c.de", "a@c..de"],
)
async def test_what_is_no_address_is_refused(client: httpx.AsyncClient, email: str) -> None:
    """One @, something before it, and a domain with a dot."""
    response = await client.post("/api/v1/auth/register", json=DORA | {"email": email})
    assert (told(response), response.json()["field"]) == ((400, "invalid_input"), "email")


async def test_a_short_password_is_refused(client: httpx.AsyncClient) -> None:
    """Nine characters are too few, ten are enough."""
    short = await client.post("/api/v1/auth/register", json=DORA | {"password": "123456789"})
    enough = await client.post("/api/v1/auth/register", json=DORA | {"password": "1234567890"})
    assert (told(short), enough.status_code) == ((400, "weak_password"), 201)


async def test_closed_registration_lets_nobody_in(services: Services) -> None:
    """The setting stands above the form."""
    settings = msgspec.structs.replace(services.settings, registration="closed")
    async with make_client(build_app(msgspec.structs.replace(services, settings=settings))) as client:
        assert told(await client.post("/api/v1/auth/register", json=DORA)) == (403, "registration_closed")


# Signing in


async def test_wrong_password_and_unknown_address_are_told_alike(client: httpx.AsyncClient, alice: Person) -> None:
    """Else the form would tell strangers who has an account."""
    answers = [
        (await sign_in(client, email=alice.email, password="not her password")).json(),
        (await sign_in(client, email="nobody@example.com")).json(),
    ]
    assert [answer.pop("code") for answer in answers] == ["sign_in_failed"] * 2
    assert answers[0] | {"request_id": ""} == answers[1] | {"request_id": ""}


async def test_blocked_people_stay_outside(
    client: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Neither the password nor the session that they had lets them in."""
    await superuser.execute("UPDATE users SET status = 'blocked' WHERE id = $1", alice.user_id)
    assert told(await sign_in(client, email=alice.email)) == (401, "sign_in_failed")
    assert told(await alice.client.get("/api/v1/auth/me")) == (401, "token_invalid")
    assert told(await refresh(client, alice.refresh_token)) == (401, "token_invalid")


async def test_an_outdated_hash_is_renewed(
    client: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection
) -> None:
    """At the next sign-in, when the password is at hand."""
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await superuser.execute("UPDATE users SET password_hash = $1 WHERE id = $2", weak, alice.user_id)
    assert (await sign_in(client, email="Alice@Example.com")).status_code == 200
    stored = await superuser.fetchval("SELECT password_hash FROM users WHERE id = $1", alice.user_id)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await sign_in(client, email=alice.email)).status_code == 200


async def test_a_member_of_two_workspaces_chooses(client: httpx.AsyncClient, alice: Person, bob: Person) -> None:
    """Without a choice it is the one that was there first, which for bob is his own."""
    own, hers = (
        await sign_in(client, email=bob.email),
        await sign_in(client, email=bob.email, tenant_id=str(alice.tenant_id)),
    )
    assert (own.json()["role"], own.json()["tenant_id"] == str(alice.tenant_id)) == ("owner", False)
    assert (hers.json()["role"], hers.json()["tenant_id"]) == ("editor", str(alice.tenant_id))


async def test_nobody_signs_in_to_a_foreign_workspace(
    client: httpx.AsyncClient, alice: Person, charlie: Person
) -> None:
    """The right password opens one's own doors only."""
    response = await sign_in(client, email=charlie.email, tenant_id=str(alice.tenant_id))
    assert told(response) == (403, "forbidden")


# Access tokens


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer garbage", "token_invalid"),
        ("Bearer ", "token_invalid"),
        ("Bearer a.b.c", "token_invalid"),
        ("Basic YWxpY2U6cGFzc3dvcmQ=", "token_invalid"),
    ],
)
async def test_what_is_no_token_is_refused(client: httpx.AsyncClient, header: str, code: str) -> None:
    """With a challenge, as HTTP asks for."""
    response = await client.get("/api/v1/auth/me", headers={"authorization": header})
    assert (told(response), response.headers["www-authenticate"]) == ((401, code), "Bearer")


async def test_an_expired_token_is_told_as_such(client: httpx.AsyncClient, services: Services, alice: Person) -> None:
    """So that the caller refreshes instead of asking for the password."""
    past = datetime.now(UTC) - timedelta(minutes=16)
    claims = claims_of(services, alice) | {"iat": past, "exp": past + timedelta(minutes=15)}
    assert told(await me(client, sign(services, claims))) == (401, "token_expired")


@pytest.mark.parametrize("change", [{"aud": "somebody else"}, {"sub": "alice"}, {"sid": None}, {"exp": None}])
async def test_a_signed_token_with_other_claims_is_refused(
    client: httpx.AsyncClient, services: Services, alice: Person, change: dict[str, str | None]
) -> None:
    """Our own signature does not make up for a wrong audience, subject, session or a missing end."""
    claims = {name: value for name, value in (claims_of(services, alice) | change).items() if value is not None}
    assert told(await me(client, sign(services, claims))) == (401, "token_invalid")


async def test_a_token_without_our_signature_is_refused(
    client: httpx.AsyncClient, services: Services, alice: Person
) -> None:
    """Neither another key nor the algorithm `none` passes."""
    claims, kid = claims_of(services, alice), {"kid": "test"}
    forged = [jwt.encode(claims, "x" * 32, "HS256", headers=kid), jwt.encode(claims, "", "none", headers=kid)]
    assert [told(await me(client, token)) for token in forged] == [(401, "token_invalid")] * 2


async def test_a_new_key_leaves_tokens_of_the_old_one_valid(services: Services, people: People) -> None:
    """As long as the old key is in the ring."""
    ring = KeyRing((("newer", b"n" * 32), *services.keys.keys))
    app = build_app(msgspec.structs.replace(services, keys=ring))
    async with make_client(app, authorization=bearer(services, people["alice"])) as client:
        assert (await client.get("/api/v1/auth/me")).status_code == 200


# Refresh tokens


async def test_refreshing_gives_new_tokens(client: httpx.AsyncClient, alice: Person) -> None:
    """Both of them work, in the same session."""
    first = (await refresh(client, alice.refresh_token)).json()
    second = await refresh(client, first["refresh_token"])
    assert second.status_code == 200
    assert len({alice.refresh_token, first["refresh_token"], second.json()["refresh_token"]}) == 3
    assert (await me(client, second.json()["access_token"])).json()["user"]["id"] == str(alice.user_id)


async def test_two_tabs_may_refresh_at_once(client: httpx.AsyncClient, alice: Person) -> None:
    """Within ten seconds the same token is taken for a race, not for a theft."""
    answers = await asyncio.gather(*(refresh(client, alice.refresh_token) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_stolen_refresh_token_closes_the_session(
    client: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection
) -> None:
    """When a used token comes again, nobody can tell thief from owner: everything of the session is over."""
    newer = (await refresh(client, alice.refresh_token)).json()
    await superuser.execute("UPDATE refresh_tokens SET used_at = used_at - interval '11 s' WHERE used_at IS NOT NULL")
    assert told(await refresh(client, alice.refresh_token)) == (401, "token_reused")
    assert told(await refresh(client, newer["refresh_token"])) == (401, "token_invalid")
    assert told(await me(client, newer["access_token"])) == (401, "token_invalid")


async def test_an_old_refresh_token_is_told_as_such(
    client: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Thirty days without a visit end the session."""
    await superuser.execute("UPDATE refresh_tokens SET expires_at = now() - interval '1 s'")
    assert told(await refresh(client, alice.refresh_token)) == (401, "token_expired")
    assert told(await refresh(client, "never given out")) == (401, "token_invalid")
    assert told(await client.post("/api/v1/auth/refresh", json={})) == (401, "not_signed_in")


async def test_signing_out_ends_the_session_at_once(client: httpx.AsyncClient, alice: Person) -> None:
    """Though its access token would be good for a quarter of an hour."""
    assert (await alice.client.post("/api/v1/auth/sign-out")).status_code == 204
    assert told(await alice.client.get("/api/v1/auth/me")) == (401, "token_invalid")
    assert told(await refresh(client, alice.refresh_token)) == (401, "token_invalid")


# Cookies


async def test_a_browser_keeps_its_tokens_in_cookies(client: httpx.AsyncClient, alice: Person) -> None:
    """Out of reach of scripts; what changes something needs the CSRF token as well."""
    signed_in = await sign_in(client, email=alice.email, cookies=True)
    body = signed_in.json()
    assert sorted(body) == ["csrf_token", "expires_in", "role", "tenant_id", "user_id"]
    assert [cookie.split("=", 1)[0] for cookie in signed_in.headers.get_list("set-cookie")] == [
        "asissto_access",
        "asissto_refresh",
    ]
    assert (await client.get("/api/v1/auth/me")).json()["csrf_token"] == body["csrf_token"]
    change, csrf = {"name": "Alice's"}, {"x-csrf-token": body["csrf_token"]}
    assert told(await client.patch("/api/v1/tenant", json=change)) == (403, "csrf_missing")
    assert told(await client.patch("/api/v1/tenant", json=change, headers={"x-csrf-token": "0" * 64})) == (
        403,
        "csrf_missing",
    )
    assert (await client.patch("/api/v1/tenant", json=change, headers=csrf)).status_code == 200


@pytest.mark.parametrize(("public_url", "secure"), [(None, ""), ("https://help.example.com", "; Secure")])
async def test_cookies_are_as_closed_as_the_address_allows(
    services: Services, alice: Person, public_url: str | None, secure: str
) -> None:
    """No scripts, no other sites, and no plain HTTP where the product is reached by HTTPS."""
    settings = msgspec.structs.replace(services.settings, public_url=public_url)
    async with make_client(build_app(msgspec.structs.replace(services, settings=settings))) as client:
        cookies = (await sign_in(client, email=alice.email, cookies=True)).headers.get_list("set-cookie")
    attributes = [cookie.split("; ", 1)[1] for cookie in cookies]
    assert attributes == [
        f"HttpOnly; Max-Age=900; Path=/api; SameSite=lax{secure}",
        f"HttpOnly; Max-Age=2592000; Path=/api/v1/auth/refresh; SameSite=lax{secure}",
    ]


async def test_cookies_are_refreshed_and_dropped(client: httpx.AsyncClient, alice: Person) -> None:
    """A page goes on without a password, until it signs out."""
    await sign_in(client, email=alice.email, cookies=True)
    first = dict(client.cookies)
    refreshed = await client.post("/api/v1/auth/refresh", json={})
    assert refreshed.status_code == 200
    assert first["asissto_refresh"] != client.cookies["asissto_refresh"]
    csrf = {"x-csrf-token": refreshed.json()["csrf_token"]}
    assert (await client.post("/api/v1/auth/sign-out", headers=csrf)).status_code == 204
    assert dict(client.cookies) == {}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_other_sites_cannot_sign_somebody_in(client: httpx.AsyncClient, alice: Person, site: str) -> None:
    """A hidden form would sign the visitor in as somebody else, and read what they write afterwards."""
    body = {"email": alice.email, "password": PASSWORD, "cookies": True}
    response = await client.post("/api/v1/auth/sign-in", json=body, headers={"sec-fetch-site": site})
    assert told(response) == (403, "csrf_missing")


# The first administrator


async def test_the_link_makes_the_first_administrator_once(
    client: httpx.AsyncClient, services: Services, alice: Person
) -> None:
    """An admin of the platform who owns the workspace; the second visitor finds the link spent."""
    async with services.database.system() as session:
        token = await make_admin_link(session, alice.tenant_id)
    made = await client.post("/api/v1/auth/setup", json=DORA | {"token": token})
    mine = (await me(client, made.json()["access_token"])).json()
    assert (mine["user"]["role"], mine["role"], mine["tenant"]["id"]) == ("admin", "owner", str(alice.tenant_id))
    again = DORA | {"token": token, "email": "eve@example.com"}
    assert told(await client.post("/api/v1/auth/setup", json=again)) == (403, "link_spent")


async def test_a_failed_setup_leaves_the_link_unspent(
    client: httpx.AsyncClient, services: Services, alice: Person
) -> None:
    """A taken address or a weak password are no reason to ask for another link."""
    async with services.database.system() as session:
        token = await make_admin_link(session, alice.tenant_id)
    for change in ({"email": alice.email}, {"password": "short"}, {"email": "nowhere"}):
        failed = await client.post("/api/v1/auth/setup", json=DORA | {"token": token} | change)
        assert failed.status_code in (400, 409)
    assert (await client.post("/api/v1/auth/setup", json=DORA | {"token": token})).status_code == 201


async def test_an_old_link_is_worth_nothing(
    client: httpx.AsyncClient, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """After 72 hours somebody else may be reading the terminal."""
    async with services.database.system() as session:
        token = await make_admin_link(session, alice.tenant_id)
    await superuser.execute("UPDATE one_time_links SET expires_at = expires_at - interval '72 hours'")
    assert told(await client.post("/api/v1/auth/setup", json=DORA | {"token": token})) == (403, "link_spent")


# Members and users


async def test_a_removed_member_is_out_at_once(alice: Person, bob: Person) -> None:
    """With the token that worked a moment ago."""
    assert (await bob.client.get("/api/v1/auth/me")).status_code == 200
    assert (await alice.client.delete(f"/api/v1/members/{bob.user_id}")).status_code == 204
    assert told(await bob.client.get("/api/v1/auth/me")) == (401, "token_invalid")


async def test_a_new_role_counts_at_once(alice: Person, bob: Person) -> None:
    """Whatever role the token still names."""
    assert told(await bob.client.patch("/api/v1/tenant", json={"name": "Ours"})) == (403, "forbidden")
    changed = await alice.client.patch(f"/api/v1/members/{bob.user_id}", json={"role": "owner"})
    assert (changed.json()["email"], changed.json()["role"]) == (bob.email, "owner")
    assert (await bob.client.patch("/api/v1/tenant", json={"name": "Ours"})).json()["name"] == "Ours"


async def test_the_last_owner_stays(alice: Person) -> None:
    """Neither removed nor made less, not even by herself."""
    address = f"/api/v1/members/{alice.user_id}"
    assert told(await alice.client.delete(address)) == (409, "last_owner")
    assert told(await alice.client.patch(address, json={"role": "analyst"})) == (409, "last_owner")


async def test_two_owners_cannot_leave_at_once(alice: Person, bob: Person) -> None:
    """One of them has to wait, and then is the last."""
    await alice.client.patch(f"/api/v1/members/{bob.user_id}", json={"role": "owner"})
    leaving = (person.client.delete(f"/api/v1/members/{person.user_id}") for person in (alice, bob))
    assert sorted(answer.status_code for answer in await asyncio.gather(*leaving)) == [204, 409]


async def test_members_are_added_by_their_address(alice: Person, bob: Person, charlie: Person) -> None:
    """People who have registered, and each of them once."""
    added = await alice.client.post("/api/v1/members", json={"email": charlie.email.upper(), "role": "operator"})
    assert (added.status_code, added.json()["name"], added.json()["role"]) == (201, "Charlie", "operator")
    twice = await alice.client.post("/api/v1/members", json={"email": bob.email, "role": "owner"})
    nobody = await alice.client.post("/api/v1/members", json={"email": "nobody@example.com", "role": "owner"})
    assert (told(twice), told(nobody)) == ((409, "conflict"), (404, "not_found"))


async def test_members_come_in_pages(alice: Person, bob: Person, charlie: Person) -> None:
    """The cursor of one page leads to the next, and the last one has none."""
    await alice.client.post("/api/v1/members", json={"email": charlie.email, "role": "analyst"})
    seen, after = [], None
    while True:
        query = {"limit": 2} if after is None else {"limit": 2, "after": after}
        page = (await alice.client.get("/api/v1/members", params=query)).json()
        seen.append([member["email"] for member in page["items"]])
        after = page["next"]
        if after is None:
            break
    assert seen == [[alice.email, bob.email], [charlie.email]]


async def test_everybody_changes_their_own_account(alice: Person, bob: Person) -> None:
    """What is left out stays; a colleague's account is not theirs to change."""
    change = {"name": "Robert", "phone": "+7 900 000-00-00"}
    changed = (await bob.client.patch(f"/api/v1/users/{bob.user_id}", json=change)).json()
    assert (changed["name"], changed["phone"], changed["language"]) == ("Robert", "+7 900 000-00-00", "en")
    cleared = (await bob.client.patch(f"/api/v1/users/{bob.user_id}", json={"phone": None})).json()
    assert (cleared["name"], cleared["phone"]) == ("Robert", None)
    assert told(await bob.client.patch(f"/api/v1/users/{alice.user_id}", json=change)) == (403, "forbidden")


async def test_users_show_the_plan_and_balance_of_their_workspace(alice: Person, superuser: asyncpg.Connection) -> None:
    """Under the original field names."""
    await superuser.execute("UPDATE tenants SET plan = 'pro', balance = 1250 WHERE id = $1", alice.tenant_id)
    user = (await alice.client.get(f"/api/v1/users/{alice.user_id}")).json()
    user.pop("created_at")
    assert user == {
        "id": str(alice.user_id),
        "name": "Alice",
        "email": "alice@example.com",
        "phone": None,
        "role": "user",
        "status": "active",
        "language": "en",
        "plan": "pro",
        "balance": 1250,
        "referrer_id": None,
        "manager_id": None,
    }


def claims_of(services: Services, person: Person) -> dict[str, object]:
    """The claims of a good token."""
    token = bearer(services, person).removeprefix("Bearer ")
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def sign(services: Services, claims: dict[str, object]) -> str:
    return jwt.encode(claims, services.keys.derive("jwt"), "HS256", headers={"kid": "test"})
