"""Drafts, versions and publishing: nobody meets a draft or overwrites anybody, and what was comes back."""

from typing import Any

import asyncpg

from asissto.platform.texts import text
from asissto.retrieval.diffing import differences
from people import Person
from test_answers import ask, assistant_of

QUESTION = "Who is the president of the chess federation?"


async def call(person: Person, method: str, path: str = "", **body: Any) -> tuple[int, Any]:
    """Status and answer of an operation on the person's first assistant."""
    address = f"/api/v1/assistants/{await assistant_of(person)}{path}"
    response = await person.client.request(method, address, json=body or None)
    return response.status_code, response.json() if response.content else None


async def done(person: Person, method: str, path: str = "", **body: Any) -> Any:
    status, answer = await call(person, method, path, **body)
    assert status < 300, answer
    return answer


async def edit(person: Person, **changes: Any) -> Any:
    """Of the draft, as an editor does who has just loaded the assistant."""
    return await done(person, "PATCH", "/draft", revision=(await done(person, "GET"))["revision"], **changes)


async def test_a_draft_is_seen_by_nobody_before_it_is_published(alice: Person) -> None:
    """Then it answers at once, as the next version, and the note says why."""
    await edit(alice, settings={"unknown_text": "Call us: 123."})
    assert (await ask(alice, QUESTION))["text"] == text("answer.unknown", "en")
    before = await done(alice, "GET")
    assert (before["version"], before["has_draft"], before["settings"]["unknown_text"]) == (1, True, None)
    answer = await done(alice, "POST", "/publish", note="A telephone number for the lost")
    assert (answer["published"], answer["assistant"]["version"], answer["assistant"]["has_draft"]) == (True, 2, False)
    assert (await ask(alice, QUESTION))["text"] == "Call us: 123."
    versions = (await done(alice, "GET", "/versions"))["items"]
    assert [(each["number"], each["note"], each["created_by"]) for each in versions] == [
        (2, "A telephone number for the lost", str(alice.user_id)),
        (1, "", None),
    ]
    assert versions[0]["snapshot"]["settings"]["unknown_text"] == "Call us: 123."


async def test_two_editors_do_not_overwrite_each_other(alice: Person, bob: Person) -> None:
    """The second to save is told to load anew, and nothing of his is written; the same holds for publishing."""
    revision = (await done(alice, "GET"))["revision"]
    first = await done(alice, "PATCH", "/draft", revision=revision, prompt="Alice was here.")
    status, problem = await call(bob, "PATCH", "/draft", revision=revision, prompt="Bob was here.")
    assert (status, problem["code"], problem["field"]) == (409, "version_conflict", "revision")
    assert (await call(bob, "POST", "/publish", revision=revision))[1]["code"] == "version_conflict"
    assert (await done(bob, "GET", "/draft"))["draft"]["prompt"] == "Alice was here."
    await done(bob, "PATCH", "/draft", revision=first["revision"], role="Bob was here too.")
    draft = (await done(alice, "GET", "/draft"))["draft"]
    assert (draft["prompt"], draft["role"]) == ("Alice was here.", "Bob was here too.")


async def test_a_discarded_draft_leaves_what_was_published(alice: Person) -> None:
    """A revision is never used twice: an editor who has the old draft open cannot bring it back."""
    draft = await edit(alice, prompt="A bad idea.")
    await done(alice, "DELETE", "/draft")
    now = await done(alice, "GET")
    assert (now["has_draft"], now["prompt"], now["version"]) == (False, "", 1)
    for method, path, body in (("GET", "/draft", {}), ("DELETE", "/draft", {}), ("POST", "/publish", {"note": "x"})):
        assert (await call(alice, method, path, **body))[1]["code"] == "no_draft"
    assert (await call(alice, "PATCH", "/draft", revision=draft["revision"], role="x"))[0] == 409


async def test_a_change_at_once_is_a_version_and_does_not_bypass_a_draft(alice: Person) -> None:
    """What would be undone by the draft is refused; pausing has effect whatever lies in the draft."""
    assert (await done(alice, "PATCH", prompt="Be kind."))["version"] == 2
    assert (await done(alice, "PATCH", prompt="Be kind."))["version"] == 2
    await edit(alice, prompt="Be brief.")
    status, problem = await call(alice, "PATCH", prompt="Be loud.")
    assert (status, problem["code"]) == (409, "draft_exists")
    paused = await done(alice, "PATCH", status="paused")
    assert (paused["status"], paused["version"], paused["has_draft"]) == ("paused", 2, True)
    address = f"/api/v1/assistants/{await assistant_of(alice)}/ask"
    assert (await alice.client.post(address, json={"question": QUESTION})).json()["code"] == "assistant_paused"


async def test_rolling_back_brings_a_version_back_byte_by_byte(alice: Person, superuser: asyncpg.Connection) -> None:
    """As a new version; what channels answer by is the same again, and nothing of the history is lost."""
    old = {"unknown_text": "Мы не знаем — ни слова.", "passages": 3, "variables": {"b": "2", "a": "1"}}
    await done(alice, "PATCH", prompt="First {{a}}.", settings=old)
    await done(alice, "PATCH", prompt="Second.", settings={"passages": 9})
    back = await done(alice, "POST", "/rollback", version=2, note="The second was worse")
    assert (back["version"], back["prompt"], back["settings"]["passages"]) == (4, "First {{a}}.", 3)
    rows = await superuser.fetch(
        "SELECT number, snapshot::text, restored_from FROM assistant_versions WHERE tenant_id = $1 ORDER BY number",
        alice.tenant_id,
    )
    assert [(row["number"], row["restored_from"]) for row in rows] == [(1, None), (2, None), (3, None), (4, 2)]
    assert rows[3]["snapshot"] == rows[1]["snapshot"] != rows[2]["snapshot"]
    live = "SELECT settings::text FROM assistants WHERE tenant_id = $1"
    kept = "SELECT (snapshot -> 'settings')::text FROM assistant_versions WHERE tenant_id = $1 AND number = 2"
    assert await superuser.fetchval(live, alice.tenant_id) == await superuser.fetchval(kept, alice.tenant_id)
    assert (await call(alice, "POST", "/rollback", version=99))[1]["code"] == "not_found"
    assert (await ask(alice, QUESTION))["text"] == "Мы не знаем — ни слова."


async def test_a_difference_is_told_field_by_field(alice: Person) -> None:
    """Texts by their lines, settings by their paths."""
    await done(
        alice, "PATCH", prompt="Be kind.\nBe brief.\nBe exact.", settings={"passages": 3, "variables": {"a": "1"}}
    )
    settings = {"passages": 4, "variables": {"a": "1", "b": "2"}, "channels": {"sms": {"answer_length": "short"}}}
    await edit(alice, prompt="Be kind.\nBe quick.\nBe exact.", settings=settings)
    assert await done(alice, "GET", "/diff") == [
        {
            "path": "prompt",
            "before": "Be kind.\nBe brief.\nBe exact.",
            "after": "Be kind.\nBe quick.\nBe exact.",
            "lines": ["@@ -1,3 +1,3 @@", " Be kind.", "-Be brief.", "+Be quick.", " Be exact."],
        },
        {"path": "settings.channels.sms.answer_length", "before": None, "after": "short", "lines": []},
        {"path": "settings.passages", "before": 3, "after": 4, "lines": []},
        {"path": "settings.variables.b", "before": None, "after": "2", "lines": []},
    ]
    old = await done(alice, "GET", "/diff?before=2&after=1")
    assert [each["path"] for each in old] == ["prompt", "settings.passages", "settings.variables.a"]
    assert await done(alice, "GET", "/diff?before=2&after=published") == []
    assert (await call(alice, "GET", "/diff?before=nonsense"))[0] == 400


def test_what_is_emptied_is_a_difference() -> None:
    """A text that is set for the first time is one too."""
    before = {"settings": {"filter": {"metadata": {"city": "Bern"}}, "unknown_text": None}}
    after = {"settings": {"filter": {"metadata": {}}, "unknown_text": "Call us."}}
    found = [(each.path, each.before, each.after, each.lines) for each in differences(before, after)]
    assert found == [
        ("settings.filter.metadata.city", "Bern", None, []),
        ("settings.unknown_text", None, "Call us.", ["@@ -0,0 +1 @@", "+Call us."]),
    ]


async def test_a_name_that_was_taken_meanwhile_cannot_be_published(alice: Person) -> None:
    """The draft stays, to be given another."""
    await edit(alice, name="Sales")
    (await alice.client.post("/api/v1/assistants", json={"name": "Sales"})).raise_for_status()
    status, problem = await call(alice, "POST", "/publish", note="Renamed")
    assert (status, problem["code"]) == (409, "name_taken")
    assert (await done(alice, "GET"))["has_draft"]


async def test_an_assistant_is_copied_and_carried_to_another_workspace(alice: Person, charlie: Person) -> None:
    """All but its collections, which are of the workspace; the name is free to choose, and the draft stays behind."""
    settings = {"tone": "formal", "variables": {"company": "Velo"}, "channels": {"sms": {"answer_length": "short"}}}
    await done(alice, "PATCH", prompt="Of {{company}}.", settings=settings)
    await edit(alice, prompt="Not yet.")
    copy = await done(alice, "POST", "/copy", name="Second")
    same = ("prompt", "settings", "description", "role", "instructions", "model")
    original = await done(alice, "GET")
    assert {name: copy[name] for name in same} == {name: original[name] for name in same}
    assert (copy["name"], copy["version"], copy["has_draft"]) == ("Second", 1, False)
    file = await done(alice, "GET", "/export")
    assert str(alice.tenant_id) not in str(file)
    assert (await charlie.client.post("/api/v1/assistants/import", json=file)).json()["code"] == "name_taken"
    response = await charlie.client.post("/api/v1/assistants/import", json={**file, "name": "From alice"})
    taken = response.raise_for_status().json()
    assert {name: taken[name] for name in same} == {name: original[name] for name in same}
    file["assistant"]["prompt"] = "Of {{nobody}}."
    wrong = (await charlie.client.post("/api/v1/assistants/import", json={**file, "name": "Wrong"})).json()
    assert (wrong["code"], wrong["field"]) == ("unknown_variable", "prompt")


async def test_each_step_leaves_its_row_in_the_trail(alice: Person) -> None:
    """What was published and why; texts stay out of it."""
    await edit(alice, prompt="Be kind.")
    await done(alice, "POST", "/publish", note="Why")
    await done(alice, "POST", "/rollback", version=1)
    await edit(alice, prompt="Be brief.")
    await done(alice, "DELETE", "/draft")
    rows = (await alice.client.get("/api/v1/audit", params={"limit": 5})).json()["items"][::-1]
    assert [(row["action"], row["changes"]) for row in rows] == [
        ("assistants.draft.update", {"fields": ["prompt"]}),
        ("assistants.publish", {"note": "Why", "version": 2}),
        ("assistants.rollback", {"note": "", "restored": 1, "version": 3}),
        ("assistants.draft.update", {"fields": ["prompt"]}),
        ("assistants.draft.discard", {}),
    ]
