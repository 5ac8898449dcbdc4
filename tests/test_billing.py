"""Plans and balances by API: what a workspace sees and changes, and what administrators of the platform do."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from msgspec import structs

from asissto.platform.entrypoints.web import TOPICS, build_app
from asissto.platform.services import Services
from copies import signed_in
from people import People, Person
from test_plans import START, TEAM, top_up

PLATFORM = "/api/v1/platform"
REASON = "A gift to a pilot customer."
Json = dict[str, Any]


@pytest.fixture
def paying(services: Services) -> Services:
    return structs.replace(services, settings=structs.replace(services.settings, billing=True))


@pytest.fixture
def app(paying: Services) -> Litestar:
    """Of everybody here."""
    return build_app(paying)


@pytest.fixture
async def admin(
    app: Litestar, paying: Services, people: People, superuser: asyncpg.Connection
) -> AsyncIterator[Person]:
    """Charlie, who runs the platform and is in no workspace of alice's."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", people["charlie"].user_id)
    async with signed_in(app, paying, people["charlie"]) as person:
        yield person


@pytest.fixture
async def offered(admin: Person) -> None:
    for terms in (START, TEAM):
        body = {"terms": msgspec.to_builtins(terms)}
        (await admin.client.put(f"{PLATFORM}/plans/{terms.code}", json=body)).raise_for_status()


async def choose(person: Person, plan: str) -> httpx.Response:
    return await person.client.post("/api/v1/billing/plan", json={"plan": plan})


async def trail(superuser: asyncpg.Connection) -> list[tuple[str, str]]:
    rows = await superuser.fetch("SELECT action, changes::text FROM audit_log ORDER BY id")
    return [(row["action"], row["changes"]) for row in rows]


async def adjust(admin: Person, person: Person, amount: int, key: str = "1") -> httpx.Response:
    body = {"amount": amount, "reason": REASON, "key": key}
    return await admin.client.post(f"{PLATFORM}/tenants/{person.tenant_id}/adjustments", json=body)


async def test_a_workspace_sees_its_plan_and_its_money(alice: Person) -> None:
    """Everything in one answer, the free plan to begin with."""
    seen: Json = (await alice.client.get("/api/v1/billing")).raise_for_status().json()
    assert (seen["plan"]["code"], seen["status"], seen["next_plan"]) == ("free", "active", None)
    assert seen["limits"] == {"answers": 100, "documents": 50, "storage_mb": 200, "channels": 1, "seats": 2}
    assert {name: seen["usage"][name] for name in ("answers", "channels", "seats")} == {
        "answers": 0,
        "channels": 0,
        "seats": 2,
    }
    money = {name: seen[name] for name in ("balance", "held", "overdraft", "currency", "holds", "warnings")}
    assert money == {"balance": 0, "held": 0, "overdraft": 0, "currency": "USD", "holds": [], "warnings": []}
    assert (seen["at_zero"], seen["zero_text"]) == ("hand_over", None)


@pytest.mark.usefixtures("offered")
async def test_a_plan_is_chosen_and_paid(alice: Person, paying: Services, superuser: asyncpg.Connection) -> None:
    """With one row in the trail; a refusal for want of money leaves none."""
    plans = (await alice.client.get("/api/v1/plans")).json()["items"]
    assert [plan["code"] for plan in plans] == ["free", "start", "team"]
    await superuser.execute("TRUNCATE audit_log")
    refused = await choose(alice, "start")
    assert (refused.status_code, refused.json()["code"], await trail(superuser)) == (402, "balance_too_low", [])
    await top_up(paying, alice.tenant_id, 13_000)
    await choose(alice, "team")
    seen = (await choose(alice, "start")).raise_for_status().json()
    assert (seen["plan"]["code"], seen["next_plan"], seen["balance"]) == ("team", "start", 4_000)
    assert await trail(superuser) == [
        ("billing.change_plan", '{"plan": "team", "next_plan": null}'),
        ("billing.change_plan", '{"plan": "team", "next_plan": "start"}'),
    ]
    assert (await choose(alice, "nothing")).status_code == 404


async def test_a_workspace_says_what_happens_at_zero(alice: Person, superuser: asyncpg.Connection) -> None:
    """What is left out stays as it is."""
    await superuser.execute("TRUNCATE audit_log")
    for body in ({"at_zero": "pause", "zero_text": "Later."}, {"zero_text": None}):
        (await alice.client.patch("/api/v1/billing", json=body)).raise_for_status()
    seen = (await alice.client.get("/api/v1/billing")).json()
    assert (seen["at_zero"], seen["zero_text"]) == ("pause", None)
    assert [action for action, _ in await trail(superuser)] == ["billing.update"] * 2
    assert (await alice.client.patch("/api/v1/billing", json={"at_zero": "explode"})).status_code == 400


@pytest.mark.usefixtures("offered")
async def test_the_ledger_is_read_newest_first(alice: Person, admin: Person) -> None:
    """In pages, all of it or one kind."""
    await adjust(admin, alice, 13_000)
    await choose(alice, "team")
    pages: list[Json] = []
    cursor: dict[str, str] = {}
    for _ in range(2):
        page = (await alice.client.get("/api/v1/billing/ledger", params={"limit": 1, **cursor})).json()
        pages += page["items"]
        cursor = {"after": page["next"]}
    shown = [
        {name: entry[name] for name in ("kind", "debit", "credit", "amount", "currency", "note")} for entry in pages
    ]
    assert shown == [
        {"kind": "plan", "debit": "wallet", "credit": "revenue", "amount": 9_000, "currency": "USD", "note": "Team"},
        {
            "kind": "adjustment",
            "debit": "adjustment",
            "credit": "wallet",
            "amount": 13_000,
            "currency": "USD",
            "note": REASON,
        },
    ]
    plans = (await alice.client.get("/api/v1/billing/ledger", params={"kind": "plan"})).json()["items"]
    assert [entry["id"] for entry in plans] == [pages[0]["id"]]


async def test_a_stranger_sees_nothing_of_it(alice: Person, charlie: Person, paying: Services) -> None:
    """Neither plan nor balance nor ledger are anybody else's."""
    await top_up(paying, alice.tenant_id, 777)
    (await alice.client.patch("/api/v1/billing", json={"zero_text": "Only alice says so."})).raise_for_status()
    (await charlie.client.patch("/api/v1/billing", json={"at_zero": "pause"})).raise_for_status()
    seen = (await charlie.client.get("/api/v1/billing")).json()
    assert (seen["balance"], seen["zero_text"], seen["usage"]["seats"]) == (0, None, 1)
    assert (await charlie.client.get("/api/v1/billing/ledger")).json()["items"] == []
    hers = (await alice.client.get("/api/v1/billing")).json()
    assert (hers["balance"], hers["at_zero"], hers["zero_text"]) == (777, "hand_over", "Only alice says so.")


async def test_watchers_are_told_what_the_api_shows(alice: Person, paying: Services) -> None:
    """The events of the topic carry the same object."""
    async with paying.database.tenant(alice.tenant_id) as session:
        told = await TOPICS["billing"].render(session, alice.tenant_id, [alice.tenant_id], "en")
    assert msgspec.json.decode(msgspec.json.encode(told)) == [(await alice.client.get("/api/v1/billing")).json()]


async def test_without_billing_there_are_no_plans(services: Services, people: People) -> None:
    """The server says so, and no subscription is made."""
    async with signed_in(build_app(services), services, people["alice"]) as person:
        answers = [await person.client.get("/api/v1/billing"), await choose(person, "free")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "conflict")] * 2


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("start", {"code": "other"}),
        ("free", {"code": "free", "price": 1}),
        ("start", {"price": -1}),
        ("BAD", {"code": "BAD"}),
    ],
)
async def test_plans_that_make_no_sense_are_refused(admin: Person, code: str, changes: Json) -> None:
    """Another code than that of the address, a free plan with a price, prices below zero."""
    body = {"terms": {**msgspec.to_builtins(START), **changes}}
    assert (await admin.client.put(f"{PLATFORM}/plans/{code}", json=body)).status_code == 400


@pytest.mark.usefixtures("offered")
async def test_an_archived_plan_is_chosen_by_nobody(alice: Person, admin: Person) -> None:
    """Administrators still see it; the free one cannot be archived."""
    body = {"terms": msgspec.to_builtins(START), "status": "archived"}
    (await admin.client.put(f"{PLATFORM}/plans/start", json=body)).raise_for_status()
    assert (await choose(alice, "start")).status_code == 404
    everything = (await admin.client.get(f"{PLATFORM}/plans")).json()["items"]
    assert {each["terms"]["code"]: each["status"] for each in everything} == {
        "free": "active",
        "start": "archived",
        "team": "active",
    }
    free = next(each for each in everything if each["terms"]["code"] == "free")
    assert (await admin.client.put(f"{PLATFORM}/plans/free", json={**free, "status": "archived"})).status_code == 400


async def test_an_adjustment_is_booked_once_with_its_reason(
    alice: Person, admin: Person, superuser: asyncpg.Connection
) -> None:
    """In the tenant's own trail; nobody takes more than there is."""
    await superuser.execute("TRUNCATE audit_log")
    given = [(await adjust(admin, alice, 500)).raise_for_status().json() for _ in range(2)]
    assert given == [{"balance": 500, "held": 0, "overdraft": 0, "currency": "USD"}] * 2
    assert (await adjust(admin, alice, -200, "2")).json()["balance"] == 300
    refused = [await adjust(admin, alice, -301, "3"), await adjust(admin, alice, 0, "4")]
    assert [answer.status_code for answer in refused] == [402, 400]
    rows = await superuser.fetch("SELECT tenant_id, actor_id, action FROM audit_log")
    assert [tuple(row) for row in rows] == [(alice.tenant_id, admin.user_id, "platform.adjustments.create")] * 2


async def test_an_overdraft_is_not_taken_back_while_it_is_used(
    alice: Person, admin: Person, superuser: asyncpg.Connection
) -> None:
    """It may be lowered to what the wallet stands at."""
    address = f"{PLATFORM}/tenants/{alice.tenant_id}/overdraft"
    assert (await admin.client.put(address, json={"amount": 100})).json()["overdraft"] == 100
    assert (await adjust(admin, alice, -60)).json()["balance"] == -60
    statuses = [(await admin.client.put(address, json={"amount": amount})).status_code for amount in (59, 60)]
    assert statuses == [402, 200]
    changes = await superuser.fetchval("SELECT changes::text FROM audit_log ORDER BY id DESC LIMIT 1")
    assert changes == '{"after": 60, "before": 100}'


async def test_only_owners_see_and_spend_the_money(bob: Person) -> None:
    """An editor is told that the role does not allow it."""
    answers = [await bob.client.get("/api/v1/billing"), await choose(bob, "free")]
    assert [answer.json()["code"] for answer in answers] == ["forbidden"] * 2
