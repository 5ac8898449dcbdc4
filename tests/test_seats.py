"""No way into a workspace leads past the seats of its plan."""

import asyncio

import asyncpg
import httpx
import pytest
from litestar import Litestar
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from people import PASSWORD, People, Person, bearer, make_client
from test_invitations import ask_in, join
from test_metering import PLAN, choose

ROOMY = structs.replace(PLAN, code="roomy", seats=20)


@pytest.fixture
async def paying(services: Services, people: People) -> Services:
    await choose(services, people["alice"].tenant_id, ROOMY)
    return structs.replace(services, settings=structs.replace(services.settings, billing=True))


@pytest.fixture
def app(paying: Services) -> Litestar:
    """Of everybody here."""
    return build_app(paying)


async def shrink(superuser: asyncpg.Connection, seats: int) -> None:
    await superuser.execute("UPDATE subscriptions SET terms = jsonb_set(terms, '{seats}', to_jsonb($1::int))", seats)


async def members(superuser: asyncpg.Connection, person: Person) -> int:
    counted = "SELECT count(*) FROM memberships WHERE tenant_id = $1"
    return int(await superuser.fetchval(counted, person.tenant_id))


@pytest.mark.parametrize("how", ["/register", "/sign-in", "accept"])
async def test_nobody_joins_a_plan_that_has_become_too_small(
    paying: Services,
    alice: Person,
    people: People,
    client: httpx.AsyncClient,
    superuser: asyncpg.Connection,
    how: str,
) -> None:
    """The link stays good, and works once there is a seat; nothing else is left of the attempt."""
    email = "dora@example.com" if how == "/register" else "charlie@example.com"
    token = await ask_in(alice, email)
    await shrink(superuser, 2)

    async def attempt() -> tuple[int, str | None]:
        if how == "accept":
            async with make_client(build_app(paying), authorization=bearer(paying, people["charlie"])) as charlie:
                answer = await charlie.post("/api/v1/invitations/accept", json={"token": token})
            return answer.status_code, answer.json().get("code")
        more = {"name": "Dora"} if how == "/register" else {}
        status, told = await join(client, how, token=token, password=PASSWORD, **more)
        return status, told if isinstance(told, str) else None

    assert await attempt() == (402, "plan_limit")
    assert await members(superuser, alice) == 2
    assert await superuser.fetchval("SELECT count(*) FROM users WHERE email = 'dora@example.com'") == 0
    await shrink(superuser, 3)
    assert (await attempt())[0] in (200, 201)
    assert await members(superuser, alice) == 3


async def test_the_last_seat_is_taken_once(
    alice: Person, client: httpx.AsyncClient, superuser: asyncpg.Connection
) -> None:
    """Of six who follow their links at the same moment, and one whom the owner adds, two find the seats."""
    tokens = [await ask_in(alice, f"guest{number}@example.com") for number in range(6)]
    await shrink(superuser, 4)
    body = {"email": "charlie@example.com", "role": "editor"}
    joining = [
        join(client, "/register", token=token, name=f"Guest {number}", password=PASSWORD)
        for number, token in enumerate(tokens)
    ]
    answers, added = await asyncio.gather(asyncio.gather(*joining), alice.client.post("/api/v1/members", json=body))
    statuses = [status for status, _ in answers]
    assert sorted(statuses) == [201, 201, 402, 402, 402, 402]
    assert added.status_code == 402  # the invitations that are open keep their places
    assert await members(superuser, alice) == 4
    assert await superuser.fetchval("SELECT count(*) FROM users") == 5
