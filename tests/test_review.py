"""From a change of the knowledge to findings that people see and decide on: the job and the API."""

from typing import Any

import asyncpg

from asissto.ingestion.review import REVIEW, review_later
from asissto.platform.services import Services
from people import Person
from test_ingestion import publish, send, work

OLD = "# Plans\n\nThe free trial lasts 14 days.\n"
NEW = "# Questions\n\nThe free trial lasts 30 days.\n"
SENTENCES = {
    "en": "“The free trial lasts 14 days.” in “Plans”, but “The free trial lasts 30 days.” in “Questions”.",
    "ru": "«The free trial lasts 14 days.» в документе «Plans», "
    "но «The free trial lasts 30 days.» в документе «Questions».",
}


async def review(services: Services, person: Person) -> None:
    """As the button does, and then the worker."""
    answer = await person.client.post("/api/v1/knowledge/review")
    assert (answer.status_code, answer.json()) == (202, {"state": "queued"})
    await work(services)


async def findings(person: Person, language: str = "en", **query: Any) -> list[dict[str, Any]]:
    headers = {"accept-language": language}
    answer = await person.client.get("/api/v1/knowledge/findings", params=query, headers=headers)
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return items


async def states(person: Person) -> list[str]:
    return [finding["state"] for finding in await findings(person)]


async def decide(person: Person, finding: dict[str, Any], state: str) -> dict[str, Any]:
    answer = await person.client.patch(f"/api/v1/knowledge/findings/{finding['id']}", json={"state": state})
    shown: dict[str, Any] = answer.raise_for_status().json()
    return shown


async def contradiction(services: Services, person: Person) -> dict[str, Any]:
    """Two documents at odds, reviewed; the finding."""
    await publish(services, person, "plans.md", OLD)
    await publish(services, person, "questions.md", NEW)
    await review(services, person)
    (finding,) = await findings(person)
    return finding


async def test_a_contradiction_is_shown_with_both_places(services: Services, alice: Person) -> None:
    """Quotes, values, offsets, and a sentence in the reader's language."""
    finding = await contradiction(services, alice)
    first, second = finding["first"], finding["second"]
    assert {name: finding[name] for name in ("kind", "state", "value_kind", "score", "passages")} == {
        "kind": "contradiction",
        "state": "open",
        "value_kind": "duration",
        "score": 1.0,
        "passages": 1,
    }
    assert {first["title"]: first["value"], second["title"]: second["value"]} == {
        "Plans": "14 days",
        "Questions": "30 days",
    }
    for place in (first, second):
        assert place["value_end"] - place["value_start"] == len("14 days")
        assert place["end"] - place["start"] == len(place["quote"]) == len("The free trial lasts 14 days.")
    (russian,) = await findings(alice, "ru")
    if first["title"] == "Plans":
        assert (finding["sentence"], russian["sentence"]) == (SENTENCES["en"], SENTENCES["ru"])


async def test_a_change_is_reviewed_a_minute_later(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Once for all changes until then."""
    await publish(services, alice, "plans.md", OLD)
    await publish(services, alice, "questions.md", NEW)
    assert await findings(alice) == []
    due = "SELECT count(*), min(run_at) > now() + interval '50 seconds' FROM jobs WHERE kind = $1 AND state = 'todo'"
    assert tuple(await superuser.fetchrow(due, REVIEW)) == (1, True)
    await superuser.execute("UPDATE jobs SET run_at = now()")
    await work(services)
    assert await states(alice) == ["open"]


async def test_what_was_dismissed_stays_dismissed(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Through later reviews, as long as both texts are what they were; the trail tells who decided."""
    finding = await contradiction(services, alice)
    assert (await decide(alice, finding, "dismissed"))["state"] == "dismissed"
    await publish(services, alice, "plans.md", "# Plans\n\nHello there.\n\nThe free trial lasts 14 days.\n")
    await review(services, alice)
    (again,) = await findings(alice)
    assert (again["id"], again["state"]) == (finding["id"], "dismissed")
    assert again["first"]["version_id"] != finding["first"]["version_id"] or (
        again["second"]["version_id"] != finding["second"]["version_id"]
    )
    trail = "SELECT actor_id, object_id::text, changes FROM audit_log WHERE action = 'findings.update'"
    rows = [tuple(row) for row in await superuser.fetch(trail)]
    assert rows == [(alice.user_id, finding["id"], '{"state": "dismissed"}')]


async def test_a_changed_text_is_open_again(services: Services, alice: Person) -> None:
    """It is another contradiction than the one that was dismissed."""
    await decide(alice, await contradiction(services, alice), "dismissed")
    await publish(services, alice, "plans.md", OLD.replace("14", "21"))
    await review(services, alice)
    assert await states(alice) == ["dismissed", "open"]


async def test_what_was_put_right_is_resolved(services: Services, alice: Person) -> None:
    """And open again when it comes back."""
    finding = await contradiction(services, alice)
    await publish(services, alice, "plans.md", OLD.replace("14", "30"))
    await review(services, alice)
    assert [each["state"] for each in await findings(alice, kind="contradiction")] == ["resolved"]
    await publish(services, alice, "plans.md", OLD)
    await review(services, alice)
    (again,) = await findings(alice, kind="contradiction")
    assert (again["id"], again["state"]) == (finding["id"], "open")


async def test_a_deleted_document_takes_its_findings_along(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """At once, without a review."""
    finding = await contradiction(services, alice)
    document_id = finding["second"]["document_id"]
    (await alice.client.delete(f"/api/v1/documents/{document_id}")).raise_for_status()
    assert await findings(alice) == []
    assert await superuser.fetchval("SELECT count(*) FROM findings") == 0


async def test_findings_can_be_narrowed_down(services: Services, alice: Person) -> None:
    """By kind, state, document and collection."""
    finding = await contradiction(services, alice)
    await publish(services, alice, "sale.md", "# Sale\n\nThe offer is valid until March 1, 2020.\n")
    await review(services, alice)
    (expired,) = await findings(alice, kind="expired")
    assert expired["sentence"] == "“The offer is valid until March 1, 2020.” in “Sale”: March 1, 2020 is past."
    assert (expired["second"], expired["first"]["value"]) == (None, "March 1, 2020")
    await decide(alice, expired, "dismissed")

    async def ids(**query: Any) -> list[str]:
        return [each["id"] for each in await findings(alice, **query)]

    collections = (await alice.client.get("/api/v1/collections")).json()["items"]
    other = (await alice.client.post("/api/v1/collections", json={"name": "Empty"})).json()
    assert await ids() == [finding["id"], expired["id"]]
    assert await ids(state="open") == await ids(kind="contradiction") == [finding["id"]]
    assert await ids(document_id=expired["first"]["document_id"]) == [expired["id"]]
    assert await ids(document_id=finding["second"]["document_id"]) == [finding["id"]]
    assert await ids(collection_id=collections[0]["id"]) == [finding["id"], expired["id"]]
    assert await ids(collection_id=other["id"]) == []


async def test_a_review_that_runs_twice_changes_nothing(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A job may do so."""
    before = await contradiction(services, alice)
    await review(services, alice)
    (after,) = await findings(alice)
    assert {**after, "seen_at": None} == {**before, "seen_at": None}


async def test_tenants_are_not_compared(services: Services, alice: Person, charlie: Person) -> None:
    """Each is reviewed alone."""
    await publish(services, alice, "plans.md", OLD)
    await publish(services, charlie, "questions.md", NEW)
    await review(services, alice)
    await review(services, charlie)
    assert (await findings(alice), await findings(charlie)) == ([], [])


async def test_a_version_that_search_no_longer_sees_is_left_to_the_next_review(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """A document may change while its passages are looked through."""
    finding = await contradiction(services, alice)
    await superuser.execute("TRUNCATE findings")
    replaced = "UPDATE documents SET active_version_id = NULL WHERE id::text = $1"
    await superuser.execute(replaced, finding["first"]["document_id"])
    await review(services, alice)
    assert await findings(alice) == []


async def test_later_is_forgotten_with_the_transaction(services: Services, alice: Person) -> None:
    """Nothing is reviewed for a change that did not happen."""
    assert (await send(alice, "plans.exe", OLD)).status_code == 415
    async with services.database.tenant(alice.tenant_id) as session:
        await review_later(session, alice.tenant_id)
        await session.rollback()
    await work(services)
    assert await findings(alice) == []
