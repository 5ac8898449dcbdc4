"""Those who run the platform: administrators, managers with their tenants, and who signs in as a tenant."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from litestar import Litestar

from asissto.platform import jobs
from asissto.platform.errors import LastAdmin
from asissto.platform.jobs import claim
from asissto.platform.permissions import WITHHELD
from asissto.platform.platform_users import grant_role
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from copies import signed_in
from people import PASSWORD, People, Person, make_client

PLATFORM = "/api/v1/platform"
REASON = "The customer asked us to look at ticket 17."


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.fixture
async def admin(
    app: Litestar, services: Services, people: People, superuser: asyncpg.Connection
) -> AsyncIterator[Person]:
    """Charlie, who owns a workspace of his own, runs the platform."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", people["charlie"].user_id)
    async with signed_in(app, services, people["charlie"]) as charlie:
        yield charlie


@pytest.fixture
async def manager(
    app: Litestar, services: Services, superuser: asyncpg.Connection, client: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """Dora, a manager to whom nobody has assigned a tenant yet."""
    body = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}
    session = (await client.post("/api/v1/auth/register", json=body)).raise_for_status().json()
    await superuser.execute("UPDATE users SET role = 'manager' WHERE email = 'dora@example.com'")
    async with make_client(app, authorization=f"Bearer {session['access_token']}") as dora:
        yield dora


async def doras_id(superuser: asyncpg.Connection) -> str:
    return str(await superuser.fetchval("SELECT id FROM users WHERE email = 'dora@example.com'"))


async def assign(admin: Person, alice: Person, *user_ids: str) -> httpx.Response:
    return await admin.client.put(f"{PLATFORM}/tenants/{alice.tenant_id}/managers", json={"user_ids": user_ids})


async def act_as(client: httpx.AsyncClient, alice: Person, **body: Any) -> httpx.Response:
    return await client.post(f"{PLATFORM}/tenants/{alice.tenant_id}/impersonate", json={"reason": REASON} | body)


def as_holder(app: Litestar, begun: httpx.Response) -> httpx.AsyncClient:
    return make_client(app, authorization=f"Bearer {begun.raise_for_status().json()['access_token']}")


async def trail(superuser: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await superuser.fetch("SELECT tenant_id, action, actor_id, impersonator_id FROM audit_log ORDER BY id")
    return [tuple(row) for row in rows]


# Tenants


async def test_an_administrator_sees_every_tenant(admin: Person, alice: Person) -> None:
    """In pages, by a part of the name, and one with its people."""
    everything = (await admin.client.get(f"{PLATFORM}/tenants")).json()
    hers = (await admin.client.get(f"{PLATFORM}/tenants", params={"name": "ALIC"})).json()
    read = (await admin.client.get(f"{PLATFORM}/tenants/{alice.tenant_id}")).json()
    assert [tenant["name"] for tenant in everything["items"]] == ["Alice", "Bob", "Charlie"]
    assert [tenant["id"] for tenant in hers["items"]] == [str(alice.tenant_id)]
    assert [(member["email"], member["role"]) for member in read["members"]] == [
        ("alice@example.com", "owner"),
        ("bob@example.com", "editor"),
    ]
    assert (read["status"], read["managers"]) == ("active", [])


async def test_an_administrator_makes_a_tenant_that_its_owner_finds(admin: Person, bob: Person, app: Litestar) -> None:
    """It is ready for work like every other, and its audit log begins with that."""
    body = {"name": "Bob's second", "owner_email": "Bob@example.com", "language": "ru"}
    made = (await admin.client.post(f"{PLATFORM}/tenants", json=body)).raise_for_status().json()
    async with make_client(app) as client:
        sign_in = {"email": bob.email, "password": PASSWORD, "tenant_id": made["id"]}
        session = (await client.post("/api/v1/auth/sign-in", json=sign_in)).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {session['access_token']}"
        assistants = (await client.get("/api/v1/assistants")).json()["items"]
        entries = (await client.get("/api/v1/audit")).json()["items"]
    assert (made["name"], made["language"], session["role"], len(assistants)) == ("Bob's second", "ru", "owner", 1)
    assert [entry["action"] for entry in entries] == ["auth.sign_in", "platform.tenants.create"]
    nobody = await admin.client.post(f"{PLATFORM}/tenants", json=body | {"owner_email": "nobody@example.com"})
    assert told(nobody) == (404, "not_found")


async def test_a_suspended_tenant_rests_and_loses_nothing(
    admin: Person, alice: Person, bob: Person, client: httpx.AsyncClient, services: Services
) -> None:
    """Its people are told why they stay outside; what waits for a worker waits on, and is done after it was resumed."""
    address = f"{PLATFORM}/tenants/{alice.tenant_id}"
    async with services.database.tenant(alice.tenant_id) as session:
        await jobs.enqueue(session, alice.tenant_id, "answer", "a customer", {})
    suspended = await admin.client.post(f"{address}/suspend", json={"reason": "The invoice is overdue."})
    assert (suspended.json()["status"], suspended.json()["suspended_reason"]) == (
        "suspended",
        "The invoice is overdue.",
    )
    for person in (alice, bob):
        assert told(await person.client.get("/api/v1/auth/me")) == (403, "tenant_suspended")
    sign_in = {"email": alice.email, "password": PASSWORD}
    assert told(await client.post("/api/v1/auth/sign-in", json=sign_in)) == (403, "tenant_suspended")
    assert told(await client.post("/api/v1/auth/refresh", json={"refresh_token": alice.refresh_token})) == (
        403,
        "tenant_suspended",
    )
    elsewhere = await client.post("/api/v1/auth/sign-in", json={"email": bob.email, "password": PASSWORD})
    assert elsewhere.json()["role"] == "owner"
    assert await claimed(services) == []
    assert told(await act_as(admin.client, alice)) == (403, "tenant_suspended")
    (await admin.client.post(f"{address}/resume")).raise_for_status()
    assert (await alice.client.get("/api/v1/auth/me")).json()["tenant"]["status"] == "active"
    assert await claimed(services) == ["a customer"]


async def claimed(services: Services) -> list[str]:
    """What a worker would take now, and gives back."""
    async with services.database.system() as session:
        taken = await claim(session, new_id(), ["answer"], 10)
        for job in taken:
            await jobs.put_back(session, job, None)
    return [job.key for job in taken]


async def test_a_dead_workers_job_of_a_suspended_tenant_rests_as_well(
    admin: Person, alice: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """Else a crash would wake what was put to rest."""
    async with services.database.tenant(alice.tenant_id) as session:
        await jobs.enqueue(session, alice.tenant_id, "answer", "a customer", {})
    await superuser.execute("UPDATE jobs SET state = 'doing', lease_until = now() - interval '1 hour'")
    address = f"{PLATFORM}/tenants/{alice.tenant_id}"
    (await admin.client.post(f"{address}/suspend", json={"reason": "A matter of test."})).raise_for_status()
    async with services.database.system() as session:
        assert await jobs.claim_abandoned(session, new_id(), ["answer"], 10) == []
    (await admin.client.post(f"{address}/resume")).raise_for_status()
    async with services.database.system() as session:
        assert [job.key for job in await jobs.claim_abandoned(session, new_id(), ["answer"], 10)] == ["a customer"]


# People


async def test_an_administrator_gives_and_takes_roles(
    admin: Person, bob: Person, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Who is suspended is out at once; who is no manager any more looks after nobody."""
    address = f"{PLATFORM}/users/{bob.user_id}"
    assert (await admin.client.patch(address, json={"role": "manager"})).json()["role"] == "manager"
    (await assign(admin, alice, str(bob.user_id))).raise_for_status()
    read = (await admin.client.get(address)).json()
    assert (read["manages"], [each["role"] for each in read["workspaces"]]) == (
        [str(alice.tenant_id)],
        ["owner", "editor"],
    )
    assert (await admin.client.patch(address, json={"role": "user", "status": "suspended"})).status_code == 200
    assert told(await bob.client.get("/api/v1/auth/me")) == (401, "token_invalid")
    assert await superuser.fetchval("SELECT count(*) FROM tenant_managers") == 0
    found = await admin.client.get(f"{PLATFORM}/users", params={"text": "BOB@", "status": "suspended"})
    assert [user["id"] for user in found.json()["items"]] == [str(bob.user_id)]


@pytest.mark.parametrize("change", [{"role": "user"}, {"status": "suspended"}])
async def test_the_last_administrator_stays(admin: Person, change: dict[str, str]) -> None:
    """Else nobody could make another."""
    response = await admin.client.patch(f"{PLATFORM}/users/{admin.user_id}", json=change)
    assert told(response) == (409, "last_admin")
    assert (await admin.client.get("/api/v1/auth/me")).json()["platform_role"] == "admin"


async def test_two_administrators_cannot_dismiss_each_other_at_once(
    admin: Person, alice: Person, superuser: asyncpg.Connection
) -> None:
    """One of them stays."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", alice.user_id)
    pairs = ((admin, alice), (alice, admin))
    answers = await asyncio.gather(
        *(one.client.patch(f"{PLATFORM}/users/{other.user_id}", json={"role": "user"}) for one, other in pairs)
    )
    assert min(answer.status_code for answer in answers) == 200
    assert await superuser.fetchval("SELECT count(*) FROM users WHERE role = 'admin'") == 1


async def test_the_command_line_makes_the_first_administrator(
    alice: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """And takes the role again where another one stays; the row says that it was the command line."""
    assert told(await alice.client.get(f"{PLATFORM}/users")) == (403, "forbidden")
    async with services.database.system() as session:
        await grant_role(session, "Alice@Example.com", "admin")
    assert (await alice.client.get(f"{PLATFORM}/users")).status_code == 200
    with pytest.raises(LastAdmin):
        async with services.database.system() as session:
            await grant_role(session, alice.email, "user")
    rows = await superuser.fetch("SELECT tenant_id, actor_kind FROM audit_log WHERE action = 'platform.users.update'")
    assert [tuple(row) for row in rows] == [(alice.tenant_id, "command line")]


# Managers


async def test_a_manager_sees_the_tenants_assigned_to_them_alone(
    admin: Person, manager: httpx.AsyncClient, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The others are not there, and an assignment that is taken back counts at once."""
    assert (await manager.get(f"{PLATFORM}/tenants")).json()["items"] == []
    (await assign(admin, alice, await doras_id(superuser))).raise_for_status()
    assert [each["name"] for each in (await manager.get(f"{PLATFORM}/tenants")).json()["items"]] == ["Alice"]
    assert (await manager.get(f"{PLATFORM}/tenants/{alice.tenant_id}")).json()["managers"][0]["name"] == "Dora"
    foreign = f"{PLATFORM}/tenants/{admin.tenant_id}"
    assert told(await manager.get(foreign)) == (404, "not_found")
    assert told(await manager.post(f"{foreign}/impersonate", json={"reason": REASON})) == (404, "not_found")
    (await assign(admin, alice)).raise_for_status()
    assert (await manager.get(f"{PLATFORM}/tenants")).json()["items"] == []


async def test_only_managers_can_be_assigned(admin: Person, alice: Person, bob: Person) -> None:
    """The role comes first."""
    assert told(await assign(admin, alice, str(bob.user_id))) == (400, "invalid_input")
    assert told(await assign(admin, alice, str(uuid4()))) == (404, "not_found")


# Signing in as a tenant


async def test_who_acts_as_a_tenant_is_marked_and_leaves_both_names(
    admin: Person, alice: Person, app: Litestar, superuser: asyncpg.Connection
) -> None:
    """Begin, each change and end are one row each, with the owner whose place it is and with who acts."""
    await superuser.execute("TRUNCATE audit_log")
    begun = await act_as(admin.client, alice, minutes=5)
    async with as_holder(app, begun) as acting:
        mine = (await acting.get("/api/v1/auth/me")).json()
        (await acting.patch("/api/v1/tenant", json={"name": "Repaired"})).raise_for_status()
        assert (await acting.post("/api/v1/auth/sign-out")).status_code == 204
        assert told(await acting.get("/api/v1/auth/me")) == (401, "token_invalid")
    until = datetime.fromisoformat(mine["impersonated_by"].pop("until"))
    assert mine["impersonated_by"] == {"user_id": str(admin.user_id), "name": "Charlie"}
    assert timedelta(minutes=4) < until - datetime.now(UTC) <= timedelta(minutes=5)
    assert (mine["user"]["id"], mine["role"], begun.json()["expires_in"]) == (str(alice.user_id), "owner", 300)
    both = (alice.user_id, admin.user_id)
    assert await trail(superuser) == [
        (alice.tenant_id, "impersonations.begin", *both),
        (alice.tenant_id, "tenants.update", *both),
        (alice.tenant_id, "impersonations.end", *both),
    ]
    seen = (await alice.client.get("/api/v1/audit")).json()["items"][-1]
    assert (seen["changes"]["reason"], seen["impersonator_id"]) == (REASON, str(admin.user_id))


async def test_nobody_acts_as_a_tenant_without_a_reason(admin: Person, alice: Person) -> None:
    """Nor for longer than an hour."""
    refused = [await act_as(admin.client, alice, reason="because"), await act_as(admin.client, alice, minutes=61)]
    refused.append(await admin.client.post(f"{PLATFORM}/tenants/{alice.tenant_id}/impersonate", json={}))
    assert [told(each)[0] for each in refused] == [400] * 3


async def test_who_acts_as_a_tenant_holds_less_than_its_owner(admin: Person, alice: Person, app: Litestar) -> None:
    """Passwords, members, invitations, keys and money stay out of reach, and so does the platform."""
    async with as_holder(app, await act_as(admin.client, alice)) as acting:
        mine = (await acting.get("/api/v1/auth/me")).json()
        attempts = [
            await acting.patch(f"/api/v1/users/{alice.user_id}", json={"name": "Mallory"}),
            await acting.post("/api/v1/members", json={"email": "charlie@example.com", "role": "owner"}),
            await acting.delete(f"/api/v1/members/{alice.user_id}"),
            await acting.get(f"{PLATFORM}/tenants"),
            await act_as(acting, alice),
        ]
    assert [told(each) for each in attempts] == [(403, "forbidden")] * len(attempts)
    hers = set((await alice.client.get("/api/v1/auth/me")).json()["permissions"])
    assert hers - set(mine["permissions"]) == WITHHELD


async def test_conversations_are_read_by_acting_as_the_tenant_alone(
    admin: Person, alice: Person, app: Litestar
) -> None:
    """Without a stated reason an administrator finds no conversation of anybody."""
    created = await alice.client.get("/api/v1/assistants")
    address = f"/api/v1/assistants/{created.json()['items'][0]['id']}/ask"
    asked = (await alice.client.post(address, json={"question": "Where is my parcel?"})).raise_for_status().json()
    conversation = f"/api/v1/conversations/{asked['conversation_id']}/messages"
    assert told(await admin.client.get(conversation)) == (404, "not_found")
    async with as_holder(app, await act_as(admin.client, alice)) as acting:
        messages = (await acting.get(conversation)).raise_for_status().json()["items"]
    assert "Where is my parcel?" in str(messages)


async def test_an_acting_session_ends_with_the_right_to_it(
    admin: Person, manager: httpx.AsyncClient, alice: Person, app: Litestar, superuser: asyncpg.Connection
) -> None:
    """A manager from whom the tenant is taken is out of it at once."""
    (await assign(admin, alice, await doras_id(superuser))).raise_for_status()
    async with as_holder(app, await act_as(manager, alice)) as acting:
        assert (await acting.get("/api/v1/auth/me")).status_code == 200
        (await assign(admin, alice)).raise_for_status()
        assert told(await acting.get("/api/v1/auth/me")) == (401, "token_invalid")


async def test_an_administrator_ends_the_sessions_of_others(
    admin: Person, manager: httpx.AsyncClient, alice: Person, app: Litestar, superuser: asyncpg.Connection
) -> None:
    """A manager ends their own alone; what is over cannot be ended again."""
    (await assign(admin, alice, await doras_id(superuser))).raise_for_status()
    admins, managers = await act_as(admin.client, alice), await act_as(manager, alice)
    ends = {
        name: f"{PLATFORM}/impersonations/{begun.json()['session_id']}/end"
        for name, begun in (("admin", admins), ("manager", managers))
    }
    assert len((await manager.get(f"{PLATFORM}/impersonations")).json()) == 1
    assert len((await admin.client.get(f"{PLATFORM}/impersonations")).json()) == 2
    assert told(await manager.post(ends["admin"])) == (404, "not_found")
    await superuser.execute("TRUNCATE audit_log")
    assert (await admin.client.post(ends["manager"])).status_code == 204
    assert told(await admin.client.post(ends["manager"])) == (404, "not_found")
    async with as_holder(app, managers) as acting:
        assert told(await acting.get("/api/v1/auth/me")) == (401, "token_invalid")
    dora = await superuser.fetchval("SELECT id FROM users WHERE email = 'dora@example.com'")
    assert await trail(superuser) == [(alice.tenant_id, "impersonations.end", alice.user_id, dora)]


async def test_nobody_ends_an_ordinary_session_that_way(admin: Person, alice: Person) -> None:
    """Whose session it is decides, not who asks."""
    ended = await admin.client.post(f"{PLATFORM}/impersonations/{alice.session_id}/end")
    assert (told(ended), (await alice.client.get("/api/v1/auth/me")).status_code) == ((404, "not_found"), 200)


async def test_a_tenant_without_an_owner_has_no_place_to_act_in(
    admin: Person, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Somebody has to be there whose rights these are."""
    await superuser.execute("UPDATE memberships SET role = 'analyst' WHERE tenant_id = $1", alice.tenant_id)
    assert told(await act_as(admin.client, alice)) == (409, "no_owner")


# One row for each change


async def test_each_deed_on_the_platform_leaves_one_row(
    admin: Person, alice: Person, bob: Person, superuser: asyncpg.Connection
) -> None:
    """In the audit log of the tenant that it is about, and what is about a person in that of the administrator."""
    await superuser.execute("TRUNCATE audit_log")
    tenant = f"{PLATFORM}/tenants/{alice.tenant_id}"
    (await admin.client.post(f"{tenant}/suspend", json={"reason": "A matter of test."})).raise_for_status()
    (await admin.client.post(f"{tenant}/resume")).raise_for_status()
    (await admin.client.patch(f"{PLATFORM}/users/{bob.user_id}", json={"role": "manager"})).raise_for_status()
    (await assign(admin, alice, str(bob.user_id))).raise_for_status()
    by = (admin.user_id, None)
    assert await trail(superuser) == [
        (alice.tenant_id, "platform.tenants.suspend", *by),
        (alice.tenant_id, "platform.tenants.resume", *by),
        (admin.tenant_id, "platform.users.update", *by),
        (alice.tenant_id, "platform.tenants.managers", *by),
    ]
    changes = await superuser.fetchval("SELECT changes::text FROM audit_log WHERE action = 'platform.users.update'")
    assert changes == '{"after": {"role": "manager"}, "before": {"role": "user"}}'
