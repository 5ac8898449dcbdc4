"""The table of permissions and roles: printed in the docs, shown by the API, and tried in every cell."""

import re
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import asyncpg
import httpx
import pytest
from litestar import Litestar

from asissto.platform.permissions import PLATFORM_ROLES, ROLES, TABLE, WITHHELD, AnyRole, Permission, granted, holders
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from copies import signed_in
from people import People, Person
from test_isolation import CASES, World, call, operations

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/permissions.md"
COLUMNS: tuple[AnyRole, ...] = (*ROLES, *PLATFORM_ROLES)
LAST = ("auth.sign_out",)
"""After it nothing can be tried in the session."""


def printed() -> list[str]:
    """The rows of the table as the page shows them."""
    return [
        f"| `{permission}` | {' | '.join('yes' if role in TABLE[permission] else '-' for role in COLUMNS)} "
        f"| {'no' if permission in WITHHELD or permission.startswith('platform.') else 'as the role'} |"
        for permission in TABLE
    ]


def nothing_of_anybody() -> World:
    """Ids that nobody has: whoever passes the guard is told that there is no such thing."""
    made: dict[str, Any] = {
        field.name: new_id() if field.name.endswith("_id") else f"no-{field.name}" for field in fields(World)
    }
    return World(**made | {"number": 1, "email": "nobody@example.com"})


@pytest.fixture
async def tried(
    app: Litestar, services: Services, people: People, superuser: asyncpg.Connection, request: pytest.FixtureRequest
) -> AsyncIterator[Person]:
    """Bob in alice's workspace: in the role of a workspace alone, or as analyst with a role on the platform."""
    role: AnyRole = request.param
    joined = role if role in ROLES else "analyst"
    await superuser.execute("UPDATE memberships SET role = $1 WHERE user_id = $2", joined, people["bob"].user_id)
    on_platform = role if role in PLATFORM_ROLES else "user"
    await superuser.execute("UPDATE users SET role = $1 WHERE id = $2", on_platform, people["bob"].user_id)
    async with signed_in(app, services, people["bob"]) as bob:
        yield bob


def test_the_page_prints_the_table() -> None:
    """Whoever gives a permission to a role says so in the docs."""
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^\| `.+$", text, flags=re.MULTILINE) == printed()
    assert f"| permission | {' | '.join(COLUMNS)} | signed in as the tenant |" in text


def test_the_table_has_every_permission_once() -> None:
    """In the order in which they are declared."""
    assert tuple(TABLE) == get_args(Permission)


def test_the_two_kinds_of_roles_share_no_permission() -> None:
    """What begins with `platform.` is held by roles of the platform alone, and nothing else is."""
    mixed = {
        permission
        for permission, those in TABLE.items()
        if those & set(ROLES if permission.startswith("platform.") else PLATFORM_ROLES)
    }
    assert mixed == set()


def test_who_acts_as_a_tenant_brings_no_role_along() -> None:
    """An administrator who acts as an owner is an owner with less, and no administrator."""
    acting = granted("owner", "admin", is_impersonated=True)
    assert granted("owner", "user", is_impersonated=False) - acting == WITHHELD
    assert {permission for permission in acting if permission.startswith("platform.")} == set()


async def test_the_description_names_permission_and_roles(client: httpx.AsyncClient) -> None:
    """For programs as `x-permission` and `x-roles`, for people in words."""
    description = (await client.get("/api/v1/openapi.json")).json()
    everything = [each for methods in description["paths"].values() for each in methods.values()]
    described = [each for each in everything if each.get("security") != []]
    assert len(described) == sum(not case.is_open for case in CASES.values())
    for each in described:
        permission, roles = each["x-permission"], each["x-roles"]
        assert roles == holders(permission)
        assert each["description"].endswith(f"Needs `{permission}`: {', '.join(roles)}.")


@pytest.mark.parametrize("tried", COLUMNS, indirect=True, ids=COLUMNS)
async def test_every_cell_of_the_table_holds(
    tried: Person, services: Services, superuser: asyncpg.Connection, request: pytest.FixtureRequest
) -> None:
    """Each operation, called by a member in each role, refuses exactly those whom the table does not name."""
    role = request.node.callspec.params["tried"]
    holding = {role} if role in ROLES else {role, "analyst"}
    found = await operations(tried.client)
    nothing = nothing_of_anybody()
    refused: dict[str, bool] = {}
    for name in sorted(found, key=lambda name: (name in LAST, name)):
        if not found[name].is_open:
            response = await call(tried.client, name, nothing)
            refused[name] = response.status_code in (401, 403)
            if refused[name]:
                assert response.json()["code"] == "forbidden", (name, response.text)
    expected = {name: not TABLE[found[name].permission] & holding for name in refused}  # type: ignore[index]
    assert refused == expected
    assert len(refused) == sum(not case.is_open for case in CASES.values())


async def test_a_role_that_is_taken_is_gone_at_the_next_request(
    app: Litestar, services: Services, people: People, superuser: asyncpg.Connection
) -> None:
    """The token still says `editor`; what counts is the table of members of this moment."""
    async with signed_in(app, services, people["bob"]) as bob:
        created = await bob.client.post("/api/v1/assistants", json={"name": "Another"})
        await superuser.execute("UPDATE memberships SET role = 'analyst' WHERE user_id = $1", bob.user_id)
        refused = await bob.client.post("/api/v1/assistants", json={"name": "A third"})
        mine = (await bob.client.get("/api/v1/auth/me")).json()
    assert (created.status_code, refused.status_code) == (201, 403)
    assert (mine["role"], mine["platform_role"]) == ("analyst", "user")
    assert mine["permissions"] == sorted(holding("analyst"))


def holding(role: AnyRole) -> list[Permission]:
    return [permission for permission, those in TABLE.items() if role in those]
