"""Programs work in a workspace by keys that can do less than people, and can be taken away."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from asissto.platform.api_key_access import NOT_FOR_KEYS
from asissto.platform.permissions import PERMISSIONS
from asissto.platform.services import Services
from people import Person, make_client

KEYS = "/api/v1/keys"


async def make(alice: Person, *scopes: str, **more: Any) -> dict[str, Any]:
    body = {"name": "Shop", "scopes": list(scopes or ("documents.read",)), **more}
    made: dict[str, Any] = (await alice.client.post(KEYS, json=body)).raise_for_status().json()
    return made


@asynccontextmanager
async def program(app: Litestar, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(app, authorization=f"Bearer {key}") as client:
        yield client


async def status(app: Litestar, key: str, path: str = "collections") -> tuple[int, str]:
    async with program(app, key) as client:
        response = await client.get(f"/api/v1/{path}")
    return response.status_code, response.json().get("code", "")


async def test_a_key_is_shown_once(alice: Person, superuser: asyncpg.Connection) -> None:
    """It begins as scanners of leaked secrets know it; what is kept cannot be used."""
    made = await make(alice, "documents.write", "ask", "ask")
    key = made.pop("key")
    assert re.fullmatch(r"ast_[a-z0-9]{8}_[\w-]{43}", key)
    assert (made["prefix"], made["scopes"]) == (key[4:12], ["ask", "documents.write"])
    assert (await alice.client.get(KEYS)).json() == {"items": [made], "next": None}
    kept = [str(await superuser.fetch(f"SELECT t::text FROM {table} t")) for table in ("api_keys", "audit_log")]
    assert [rows for rows in kept if key in rows or key[13:] in rows] == []


async def test_a_program_does_what_the_scopes_say(alice: Person, app: Litestar, superuser: asyncpg.Connection) -> None:
    """And nothing else; the trail names the key, and when it was last used is seen."""
    made = await make(alice, "assistants.read", "assistants.write")
    await superuser.execute("TRUNCATE audit_log")
    async with program(app, made["key"]) as client:
        created = await client.post("/api/v1/assistants", json={"name": "Of the shop"})
        refused = await client.get("/api/v1/collections")
    assert (created.status_code, refused.status_code, refused.json()["code"]) == (201, 403, "forbidden")
    row = await superuser.fetchrow("SELECT action, actor_kind, actor_id::text, ip FROM audit_log")
    assert tuple(row) == ("assistants.create", "api key", made["id"], "127.0.0.1")
    (listed,) = (await alice.client.get(KEYS)).json()["items"]
    used = datetime.fromisoformat(listed["last_used_at"])
    assert timedelta(0) <= datetime.now(UTC) - used < timedelta(minutes=1)


async def test_use_is_noted_once_a_minute(alice: Person, app: Litestar, superuser: asyncpg.Connection) -> None:
    """A busy program writes no row at each request."""
    key = (await make(alice))["key"]
    seen = []
    for age in ("0 s", "50 s", "61 s"):
        await superuser.execute(f"UPDATE api_keys SET last_used_at = last_used_at - interval '{age}'")
        assert await status(app, key) == (200, "")
        seen.append(await superuser.fetchval("SELECT last_used_at > now() - interval '10 s' FROM api_keys"))
    assert seen == [True, False, True]


@pytest.mark.parametrize("scope", sorted(NOT_FOR_KEYS))
async def test_some_things_are_for_people_alone(alice: Person, scope: str) -> None:
    """A key makes no keys, no members and no passwords."""
    refused = await alice.client.post(KEYS, json={"name": "Shop", "scopes": ["documents.read", scope]})
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
        400,
        "scopes_beyond_role",
        "scopes",
    )


async def test_nobody_gives_a_key_more_than_they_have(alice: Person, superuser: asyncpg.Connection) -> None:
    """Not even an administrator, whose rights on the platform go into no workspace's key."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", alice.user_id)
    body = {"name": "Shop", "scopes": ["platform.tenants.read"]}
    assert (await alice.client.post(KEYS, json=body)).json()["code"] == "scopes_beyond_role"
    body = {"name": "Shop", "scopes": sorted(PERMISSIONS["owner"] - NOT_FOR_KEYS)}
    assert (await alice.client.post(KEYS, json=body)).status_code == 201


async def test_a_key_shrinks_with_the_role_of_its_maker(
    alice: Person, app: Litestar, superuser: asyncpg.Connection
) -> None:
    """What the maker may not do any more the key does not either, whatever its scopes."""
    key = (await make(alice, "audit.read", "documents.read"))["key"]
    assert await status(app, key, "audit") == (200, "")
    await superuser.execute("UPDATE memberships SET role = 'editor' WHERE user_id = $1", alice.user_id)
    assert [await status(app, key, path) for path in ("audit", "collections")] == [(403, "forbidden"), (200, "")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_keys SET expires_at = now()",
        "UPDATE api_keys SET revoked_at = now()",
        "DELETE FROM memberships WHERE user_id = (SELECT created_by FROM api_keys)",
        "UPDATE users SET status = 'blocked' WHERE id = (SELECT created_by FROM api_keys)",
        "UPDATE tenants SET status = 'suspended'",
    ],
)
async def test_a_key_ends(alice: Person, app: Litestar, superuser: asyncpg.Connection, change: str) -> None:
    """With its time, by hand, with its maker, and with the workspace."""
    key = (await make(alice, expires_at=(datetime.now(UTC) + timedelta(days=1)).isoformat()))["key"]
    assert await status(app, key) == (200, "")
    await superuser.execute(change)
    assert await status(app, key) == (401, "token_invalid")


async def test_a_key_is_revoked(alice: Person, app: Litestar) -> None:
    """At once, and it stays in the list."""
    made = await make(alice)
    assert [(await alice.client.delete(f"{KEYS}/{made['id']}")).status_code for _ in range(2)] == [204, 404]
    assert await status(app, made["key"]) == (401, "token_invalid")
    (listed,) = (await alice.client.get(KEYS)).json()["items"]
    assert listed["revoked_at"] is not None


async def test_what_only_looks_like_a_key_opens_nothing(alice: Person, app: Litestar) -> None:
    """The prefix of a good one with another secret, in another case, longer, shorter."""
    key = (await make(alice))["key"]
    others = [
        key[:13] + "A" * 43,
        key.lower(),
        key + "A",
        key[:-1],
        "ast_",
        f"ast_{key[4:12]}_",
        key.replace("ast_", "AST_"),
    ]
    assert [await status(app, other) for other in others if other != key] == [(401, "token_invalid")] * len(others)


@pytest.mark.parametrize("door", ["tenant", "system"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_keys SET scopes = '{documents.write}'",
        "UPDATE api_keys SET created_by = gen_random_uuid()",
        "UPDATE invitations SET role = 'owner'",
        "DELETE FROM invitations",
        "DELETE FROM api_keys",
    ],
)
async def test_the_database_lets_nobody_widen_what_was_given(
    services: Services, alice: Person, change: str, door: str
) -> None:
    """Neither runtime role changes whom a row gives which rights, nor hides that it did."""
    database = services.database
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.tenant(alice.tenant_id) if door == "tenant" else database.system() as session:
            await session.execute(text(change))


@pytest.mark.parametrize("end", ["2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2999-01-01T00:00:00"])
async def test_a_key_must_end_in_the_future(alice: Person, end: str) -> None:
    """At a moment that the calendar has, and that is the same everywhere."""
    body = {"name": "Shop", "scopes": ["ask"], "expires_at": end}
    refused = await alice.client.post(KEYS, json=body)
    assert (refused.status_code, refused.json()["field"]) == (400, "expires_at")
