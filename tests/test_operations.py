"""What administrators of the platform see of how it is doing, and what they do about jobs; the trail of all tenants."""

import csv
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from litestar import Litestar

from asissto.platform import jobs
from asissto.platform.model_calls import ModelCall, store_calls
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from copies import signed_in
from people import People, Person

PLATFORM = "/api/v1/platform"
CALL = ModelCall(
    provider="ours", provider_id=None, model="qwen3", purpose="answer", prompt_tokens=70, completion_tokens=7
)
BROKEN = """
    INSERT INTO channels (tenant_id, id, name, type, status, problem)
    VALUES ($1, $2, 'Shop', 'http', 'broken', 'HTTP 401')
"""


@pytest.fixture
async def admin(
    app: Litestar, services: Services, people: People, superuser: asyncpg.Connection
) -> AsyncIterator[Person]:
    """Charlie, who runs the platform and is in no workspace of alice's."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", people["charlie"].user_id)
    async with signed_in(app, services, people["charlie"]) as person:
        yield person


async def add_job(services: Services, superuser: asyncpg.Connection, person: Person, key: str, **values: str) -> UUID:
    """`values` in SQL."""
    async with services.database.tenant(person.tenant_id) as session:
        await jobs.enqueue(session, person.tenant_id, "tests.job", key, {"customer": "says something"})
    found: UUID = await superuser.fetchval("SELECT id FROM jobs WHERE key = $1 ORDER BY id DESC", key)
    for name, value in values.items():
        await superuser.execute(f"UPDATE jobs SET {name} = {value} WHERE id = $1", found)
    return found


async def test_the_state_of_the_platform_is_shown(
    admin: Person, alice: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """Queues with what waits and how long, broken channels, workers, who uses most."""
    await superuser.execute("DELETE FROM jobs")
    await add_job(services, superuser, alice, "waits", run_at="now() - interval '1 hour'")
    await add_job(services, superuser, alice, "postponed", error="'answers_paused'")
    await add_job(services, superuser, alice, "dead", state="'dead'", finished_at="now()")
    working = {"state": "'doing'", "worker": f"'{new_id()}'", "lease_until": "now() + interval '10 seconds'"}
    await add_job(services, superuser, alice, "works", **working)
    await superuser.execute(BROKEN, alice.tenant_id, new_id())
    async with services.database.tenant(alice.tenant_id) as session:
        await store_calls(session, alice.tenant_id, [CALL, CALL], None)
    seen: dict[str, Any] = (await admin.client.get(f"{PLATFORM}/operations")).raise_for_status().json()
    waits = {each["state"]: each.pop("oldest_seconds") for each in seen["queues"]}
    assert 3_590 < waits["todo"] < 3_660
    assert seen["queues"] == [
        {"kind": "tests.job", "state": "dead", "jobs": 1, "postponed": 0},
        {"kind": "tests.job", "state": "doing", "jobs": 1, "postponed": 0},
        {"kind": "tests.job", "state": "todo", "jobs": 2, "postponed": 1},
    ]
    assert [(each["tenant"], each["channel"], each["problem"]) for each in seen["failing"]] == [
        ("Alice", "Shop", "HTTP 401")
    ]
    assert [each["jobs"] for each in seen["workers"]] == [1]
    assert seen["database_bytes"] > 1_000_000
    assert [(each["tenant"], each["calls"], each["tokens"]) for each in seen["consumers"]] == [("Alice", 2, 154)]


async def test_a_dead_job_is_tried_again_or_taken_away(
    admin: Person, alice: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """With one row in the tenant's trail for each; what it is about in words is not shown."""
    dead = {"state": "'dead'", "attempts": "5", "error": "'Broken: it'", "finished_at": "now()"}
    first = await add_job(services, superuser, alice, "first", **dead)
    second = await add_job(services, superuser, alice, "second", **dead)
    await superuser.execute("TRUNCATE audit_log")
    listed = await admin.client.get(f"{PLATFORM}/jobs", params={"status": "dead", "tenant_id": str(alice.tenant_id)})
    assert [(each["id"], each["error"]) for each in listed.json()["items"]] == [
        (str(second), "Broken: it"),
        (str(first), "Broken: it"),
    ]
    assert "says something" not in listed.text
    address = f"{PLATFORM}/tenants/{alice.tenant_id}/jobs"
    again = (await admin.client.post(f"{address}/{first}/retry")).raise_for_status().json()
    assert (again["state"], again["attempts"], again["finished_at"]) == ("todo", 0, None)
    assert (await admin.client.delete(f"{address}/{second}")).status_code == 204
    missing = await admin.client.post(f"{address}/{second}/retry")
    elsewhere = await admin.client.post(f"{PLATFORM}/tenants/{admin.tenant_id}/jobs/{first}/retry")
    assert [missing.status_code, elsewhere.status_code] == [404, 404]
    rows = await superuser.fetch("SELECT tenant_id, actor_id, action, object_id FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (alice.tenant_id, admin.user_id, "platform.jobs.retry", first),
        (alice.tenant_id, admin.user_id, "platform.jobs.cancel", second),
    ]


async def test_a_job_that_is_at_work_is_left_alone(
    admin: Person, alice: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """And a dead one whose successor waits already is not tried again."""
    at_work = await add_job(services, superuser, alice, "one", state="'doing'")
    dead = await add_job(services, superuser, alice, "two", state="'dead'")
    await add_job(services, superuser, alice, "two")
    address = f"{PLATFORM}/tenants/{alice.tenant_id}/jobs"
    refused = [
        await admin.client.post(f"{address}/{at_work}/retry"),
        await admin.client.delete(f"{address}/{at_work}"),
        await admin.client.post(f"{address}/{dead}/retry"),
    ]
    assert [answer.json()["code"] for answer in refused] == ["conflict"] * 3


async def test_the_trail_of_all_tenants_is_looked_through(
    admin: Person, alice: Person, superuser: asyncpg.Connection
) -> None:
    """By tenant and by what an owner seeks by, in pages and as a file; it outlives the tenant."""
    await superuser.execute("TRUNCATE audit_log")
    for person, name in ((alice, "Hers"), (admin, "His")):
        (await person.client.patch("/api/v1/tenant", json={"name": name})).raise_for_status()
    await alice.client.patch(f"/api/v1/users/{alice.user_id}", json={"phone": "+7 900"})
    everything = (await admin.client.get(f"{PLATFORM}/audit")).json()["items"]
    assert [(each["tenant_id"], each["action"]) for each in everything] == [
        (str(alice.tenant_id), "users.update"),
        (str(admin.tenant_id), "tenants.update"),
        (str(alice.tenant_id), "tenants.update"),
    ]
    await superuser.execute("DELETE FROM tenants WHERE id = $1", alice.tenant_id)
    sought = {"tenant_id": str(alice.tenant_id), "action": "tenants."}
    hers = (await admin.client.get(f"{PLATFORM}/audit", params=sought)).json()["items"]
    assert [each["changes"] for each in hers] == [{"name": "Hers"}]
    file = await admin.client.get(f"{PLATFORM}/audit/export", params=sought)
    [row] = csv.DictReader(file.text.splitlines())
    assert (row["tenant_id"], row["action"], row["actor_id"]) == (
        str(alice.tenant_id),
        "tenants.update",
        str(alice.user_id),
    )


async def test_nobody_else_sees_any_of_it(alice: Person) -> None:
    """An owner of a workspace runs no platform."""
    paths = ("operations", "jobs", "audit", "audit/export")
    answers = [await alice.client.get(f"{PLATFORM}/{path}") for path in paths]
    assert [answer.json()["code"] for answer in answers] == ["forbidden"] * 4
