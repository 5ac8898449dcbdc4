"""The audit trail: who did what to what, one row for each operation that changed something, in its transaction."""

from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest

from people import PASSWORD, Person

FIELDS = "action, actor_id, actor_kind, ip, object_type, object_id, changes::text, request_id"
DORA = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}


@dataclass(frozen=True)
class Change:
    """An operation that alice carries out; `{bob}` and the like are the ids of people and things."""

    method: str
    path: str
    action: str
    object_type: str
    body: dict[str, Any] = field(default_factory=dict)
    changes: str = "{}"


CHANGES = [
    Change("PATCH", "tenant", "tenants.update", "tenant", {"name": "New"}, '{"name": "New"}'),
    Change("PATCH", "users/{alice}", "users.update", "user", {"phone": "+7 900"}, '{"fields": ["phone"]}'),
    Change("PATCH", "members/{bob}", "members.update", "member", {"role": "analyst"}, '{"role": "analyst"}'),
    Change("DELETE", "members/{bob}", "members.remove", "member"),
    Change("POST", "auth/sign-out", "auth.sign_out", "user"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.action)
async def test_a_change_leaves_one_row(
    change: Change, alice: Person, bob: Person, superuser: asyncpg.Connection
) -> None:
    """With actor, address, object, new values and the id of the request."""
    await superuser.execute("TRUNCATE audit_log")
    ids = {"alice": alice.user_id, "bob": bob.user_id}
    address = f"/api/v1/{change.path.format(**ids)}"
    headers = {"x-request-id": "request-0001"}
    answer = await alice.client.request(change.method, address, json=change.body, headers=headers)
    answer.raise_for_status()
    row = dict(await superuser.fetchrow(f"SELECT {FIELDS} FROM audit_log"))
    about = {"tenant": alice.tenant_id, "user": alice.user_id, "member": bob.user_id}[change.object_type]
    assert row == {
        "action": change.action,
        "actor_id": alice.user_id,
        "actor_kind": "user",
        "ip": "127.0.0.1",
        "object_type": change.object_type,
        "object_id": about,
        "changes": change.changes,
        "request_id": "request-0001",
    }
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 1


async def test_coming_in_leaves_rows_without_secrets(client: httpx.AsyncClient, superuser: asyncpg.Connection) -> None:
    """Registration and sign-in are told; passwords and tokens are not."""
    await superuser.execute("TRUNCATE audit_log")
    registered = (await client.post("/api/v1/auth/register", json=DORA)).json()
    sign_in = {"email": DORA["email"], "password": PASSWORD}
    signed_in = (await client.post("/api/v1/auth/sign-in", json=sign_in)).json()
    rows = [dict(row) for row in await superuser.fetch("SELECT * FROM audit_log ORDER BY id")]
    assert [(row["action"], str(row["actor_id"])) for row in rows] == [
        ("auth.register", registered["user_id"]),
        ("auth.sign_in", registered["user_id"]),
    ]
    secrets = [PASSWORD, registered["refresh_token"], signed_in["refresh_token"]]
    assert [secret for secret in secrets if secret in str(rows)] == []


async def test_what_failed_leaves_no_row(alice: Person, superuser: asyncpg.Connection) -> None:
    """The row goes back together with the change."""
    await superuser.execute("TRUNCATE audit_log")
    assert (await alice.client.delete(f"/api/v1/members/{alice.user_id}")).status_code == 409
    assert (await alice.client.patch("/api/v1/tenant", json={"name": "zero\0byte"})).status_code == 400
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_owners_read_the_trail_newest_first(alice: Person) -> None:
    """In pages like every list."""
    for name in ("First", "Second", "Third"):
        await alice.client.patch("/api/v1/tenant", json={"name": name})
    first = (await alice.client.get("/api/v1/audit", params={"limit": 2})).json()
    second = (await alice.client.get("/api/v1/audit", params={"limit": 1, "after": first["next"]})).json()
    entries = [*first["items"], *second["items"]]
    assert [entry["changes"] for entry in entries] == [{"name": "Third"}, {"name": "Second"}, {"name": "First"}]
    assert {entry["action"] for entry in entries} == {"tenants.update"}
