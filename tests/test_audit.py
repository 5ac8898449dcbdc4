"""The audit trail: who did what to what, one row for each operation that changed something, in its transaction."""

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from asissto.platform import audit_reading
from asissto.platform.tables import new_id
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


@pytest.fixture
async def trail(alice: Person, bob: Person, charlie: Person, superuser: asyncpg.Connection) -> list[UUID]:
    """Ids of what happened, by the order: alice, bob and a program at three days, and a stranger elsewhere."""
    await superuser.execute("TRUNCATE audit_log")
    rows = [
        (alice.tenant_id, 1, alice.user_id, "user", "members.add", "member", bob.user_id, '{"role": "editor"}'),
        (alice.tenant_id, 2, bob.user_id, "user", "members.update", "member", bob.user_id, "{}"),
        (alice.tenant_id, 2, bob.user_id, "user", "documents.upload", "document", alice.user_id, "{}"),
        (alice.tenant_id, 3, None, "system", "membership", "tenant", None, '{"note": "=1+1"}'),
        (charlie.tenant_id, 2, bob.user_id, "user", "members.add", "member", bob.user_id, "{}"),
    ]
    ids = []
    for tenant, day, actor, kind, action, about, object_id, changes in rows:
        ids.append(new_id())
        await superuser.execute(
            "INSERT INTO audit_log (tenant_id, id, at, actor_id, actor_kind, action, object_type, object_id, changes) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            *(tenant, ids[-1], datetime(2026, 11, day, tzinfo=UTC), actor, kind, action, about, object_id, changes),
        )
    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [3, 2, 1, 0]),
        ({"actor_id": "{bob}"}, [2, 1]),
        ({"actor_kind": "system"}, [3]),
        ({"action": "members.update"}, [1]),
        ({"action": "members."}, [1, 0]),
        ({"action": "m_mbers."}, []),
        ({"object_id": "{bob}"}, [1, 0]),
        ({"object_type": "document"}, [2]),
        ({"since": "2026-11-02T00:00:00Z"}, [3, 2, 1]),
        ({"since": "2026-11-02T01:00:00+01:00", "until": "2026-11-03T00:00:00"}, [2, 1]),
        ({"until": "2026-11-02T00:00:00"}, [0]),
        ({"actor_id": "{bob}", "object_id": "{bob}", "limit": "1"}, [1]),
    ],
)
async def test_the_trail_is_looked_through(
    alice: Person, bob: Person, trail: list[UUID], query: dict[str, str], found: list[int]
) -> None:
    """By who, what, about what and when; of the own workspace alone."""
    ids = {"alice": str(alice.user_id), "bob": str(bob.user_id)}
    params = {name: value.format(**ids) for name, value in query.items()}
    answer = (await alice.client.get("/api/v1/audit", params=params)).raise_for_status().json()
    assert [entry["id"] for entry in answer["items"]] == [str(trail[number]) for number in found]


@pytest.mark.parametrize("rows_at_once", [1, 2, 1000])
async def test_the_trail_is_exported(
    alice: Person, bob: Person, trail: list[UUID], monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    """Oldest first, whole whatever its length, for programs and for tables; what looks like a formula is none."""
    monkeypatch.setattr(audit_reading, "ROWS_AT_ONCE", rows_at_once)
    lines = await alice.client.get("/api/v1/audit/export", params={"format": "jsonl"})
    assert lines.headers["content-type"] == "application/jsonl"
    listed = (await alice.client.get("/api/v1/audit")).json()["items"]
    assert [json.loads(line) for line in lines.text.splitlines()] == listed[::-1]
    table = await alice.client.get("/api/v1/audit/export", params={"actor_id": str(bob.user_id)})
    assert table.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    header, *rows = csv.reader(StringIO(table.text))
    assert header == list(listed[0])
    assert [row[header.index("id")] for row in rows] == [str(trail[1]), str(trail[2])]
    assert rows[0][header.index("at")] == "2026-11-02T00:00:00+00:00"


async def test_a_formula_in_the_trail_is_only_text(
    alice: Person, trail: list[UUID], superuser: asyncpg.Connection
) -> None:
    """A spreadsheet would run what begins with an equals sign."""
    await superuser.execute("UPDATE audit_log SET request_id = '=HYPERLINK(1)'")
    table = (await alice.client.get("/api/v1/audit/export")).text
    assert {row["request_id"] for row in csv.DictReader(StringIO(table))} == {"'=HYPERLINK(1)"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"action": "\0"}, "action"),
        ({"actor_id": "bob"}, "actor_id"),
    ],
)
async def test_what_cannot_be_sought_is_said_before_the_file_begins(
    alice: Person, query: dict[str, str], field: str
) -> None:
    """Not in the middle of it."""
    for path in ("audit", "audit/export"):
        answer = await alice.client.get(f"/api/v1/{path}", params=query)
        assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_owners_alone_take_the_trail_along(bob: Person) -> None:
    """As they alone read it."""
    for path in ("audit", "audit/export"):
        assert (await bob.client.get(f"/api/v1/{path}")).status_code == 403


PEOPLE_CHANGES = [
    ("POST", "invitations", {"email": "dora@example.com", "role": "analyst"}, "invitations.create"),
    ("DELETE", "invitations/{id}", None, "invitations.revoke"),
    ("POST", "keys", {"name": "Shop", "scopes": ["ask"]}, "keys.create"),
    ("DELETE", "keys/{id}", None, "keys.revoke"),
    ("POST", "auth/sessions/end-others", None, "sessions.end_others"),
    ("DELETE", "auth/sessions/{session}", None, "sessions.end"),
]


async def test_changes_of_invitations_keys_and_sessions_leave_one_row_each(
    alice: Person, superuser: asyncpg.Connection
) -> None:
    """Without the secrets that they are about."""
    made: dict[str, Any] = {}
    for method, path, body, action in PEOPLE_CHANGES:
        await superuser.execute("TRUNCATE audit_log")
        address = f"/api/v1/{path.format(session=alice.session_id, **made)}"
        response = (await alice.client.request(method, address, json=body)).raise_for_status()
        rows = [dict(row) for row in await superuser.fetch("SELECT * FROM audit_log")]
        assert [row["action"] for row in rows] == [action]
        made = response.json() if response.content and response.content != b"null" else made
        secrets = [str(made[name]) for name in ("key", "link") if made.get(name)]
        assert [secret for secret in secrets if secret.rpartition("=")[2] in str(rows)] == []
