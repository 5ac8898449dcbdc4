"""Passages that people correct: found at once by the new words, and still corrected in the next version."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import httpx
import numpy as np
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from msgspec import structs
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from asissto.ingestion.chunking import Chunk
from asissto.ingestion.parsing import Element, ParsedDocument
from asissto.ingestion.passage_edits import Edit, apply_edits
from asissto.ingestion.store import passage_sha
from asissto.platform.database import Addresses
from asissto.platform.embedding import Embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import ProviderError
from asissto.platform.migrate import alembic_config, migrate
from asissto.platform.services import Services
from people import Person, bearer, make_client
from test_ingestion import GUIDE, check_consistency, collection_of, counts, found, publish, send, shown, work

PRICE, NEW_PRICE = "What does renting a bicycle cost?", "Renting a bicycle for a day costs 17 euros."

Json = dict[str, Any]


async def listed(person: Person, document: Json) -> list[Json]:
    response = await person.client.get(f"/api/v1/documents/{document['id']}/passages")
    items: list[Json] = response.raise_for_status().json()["items"]
    return items


async def about(person: Person, document: Json, words: str) -> Json:
    """The one passage whose text, or whose text in the source, has these words."""
    passages = await listed(person, document)
    (only,) = [each for each in passages if words in each["text"] + (each["source_text"] or "")]
    return only


def at(passage: Json) -> str:
    return f"/api/v1/documents/{passage['document_id']}/passages/{passage['id']}"


async def edit(person: Person, passage: Json, **change: Any) -> Json:
    response = await person.client.patch(at(passage), json=change)
    changed: Json = response.raise_for_status().json()
    return changed


async def edits(person: Person, document: Json) -> list[tuple[str | None, bool, bool]]:
    """Text, switch, and whether it is orphaned, in the order in which they were made."""
    items = (await person.client.get(f"/api/v1/documents/{document['id']}/edits")).raise_for_status().json()["items"]
    return [(each["text"], each["enabled"], each["orphaned"]) for each in items]


async def stored_text(connection: asyncpg.Connection, version_id: str) -> str:
    return str(await connection.fetchval("SELECT text FROM document_versions WHERE id = $1", version_id))


async def ask(person: Person, question: str) -> Json:
    (assistant,) = (await person.client.get("/api/v1/assistants")).json()["items"]
    response = await person.client.post(f"/api/v1/assistants/{assistant['id']}/ask", json={"question": question})
    answer: Json = response.raise_for_status().json()
    return answer


class Waiting:
    """The real embedder, which does something before it answers."""

    def __init__(self, embedder: Embedder, before: Callable[[], Awaitable[object]]) -> None:
        self.model, self.dimensions, self.languages = embedder.model, embedder.dimensions, embedder.languages
        self._embedder, self._before = embedder, before

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        await self._before()
        return await self._embedder.embed(texts)


@pytest.fixture
async def guide(services: Services, alice: Person, superuser: asyncpg.Connection) -> AsyncIterator[Json]:
    """Three passages; whatever the test does to them, the counts are right in the end."""
    yield await publish(services, alice, "guide.md", GUIDE)
    await check_consistency(superuser)


async def test_passages_are_listed_in_the_order_of_the_document(
    guide: Json, alice: Person, superuser: asyncpg.Connection
) -> None:
    """With their places in the stored text, in pages."""
    address = f"/api/v1/documents/{guide['id']}/passages"
    first = (await alice.client.get(address, params={"limit": 2})).json()
    second = (await alice.client.get(address, params={"limit": 2, "after": first["next"]})).json()
    passages = [*first["items"], *second["items"]]
    assert [each["ord"] for each in passages] == [0, 1, 2]
    assert [each["heading_path"][-1] for each in passages] == ["Bicycle rental", "Deposit", "Прокат зимой"]
    text = await stored_text(superuser, passages[0]["version_id"])
    assert [text[each["start"] : each["end"]] for each in passages] == [each["text"] for each in passages]
    assert {(each["enabled"], each["edited"], each["source_text"]) for each in passages} == {(True, False, None)}
    assert (await alice.client.get(at(passages[1]))).json() == passages[1]


async def test_an_edited_passage_answers_with_its_new_words_at_once(
    guide: Json, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The quote is found in the stored text at its offsets; the old words answer no longer."""
    before = await ask(alice, PRICE)
    assert "12 euros" in before["text"]
    changed = await edit(alice, await about(alice, guide, "12 euros"), text=f" {NEW_PRICE}\n")
    assert (changed["text"], changed["edited"], changed["enabled"]) == (NEW_PRICE, True, True)
    assert "12 euros" in changed["source_text"]
    after = await ask(alice, PRICE)
    assert ("17 euros" in after["text"], "12 euros" in after["text"]) == (True, False)
    for citation in (*before["citations"], *after["citations"]):
        text = await stored_text(superuser, citation["version_id"])
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert "12 euros" not in (await ask(alice, "Does it cost 12 euros?"))["text"]


async def test_an_edit_may_be_edited_and_taken_back(
    guide: Json, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The passage is again what it was, to the offsets, and so are the counts."""
    before, rows = await listed(alice, guide), await counts(superuser)
    passage = await about(alice, guide, "12 euros")
    await edit(alice, passage, text="Zeppelins are for rent too.")
    await edit(alice, passage, text="Und auch Zeppeline.", enabled=False)
    reset = await alice.client.delete(f"{at(passage)}/edit")
    assert (reset.status_code, reset.json()) == (200, passage)
    assert (await listed(alice, guide), await counts(superuser), await edits(alice, guide)) == (before, rows, [])
    assert "12 euros" in (await found(services, alice.tenant_id, PRICE))[0]


async def test_the_source_s_own_words_are_no_edit(guide: Json, alice: Person, superuser: asyncpg.Connection) -> None:
    """Nor is what is that way already: neither leaves a trace."""
    passage = await about(alice, guide, "12 euros")
    await edit(alice, passage, text=NEW_PRICE)
    assert await edit(alice, passage, text=passage["text"].replace("\n", " ")) == passage
    await superuser.execute("TRUNCATE audit_log")
    assert await edit(alice, passage, text=passage["text"], enabled=True) == passage
    assert (await edits(alice, guide), await superuser.fetchval("SELECT count(*) FROM audit_log")) == ([], 0)


async def test_a_passage_that_is_switched_off_is_listed_and_not_found(
    guide: Json, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Neither by words nor by meaning; it does not count, and comes back by the switch."""
    before, rows = await found(services, alice.tenant_id, PRICE), await counts(superuser)
    passage = await about(alice, guide, "12 euros")
    off = await edit(alice, passage, enabled=False)
    assert {**off, "etag": ""} == {**passage, "enabled": False, "etag": ""}
    assert await about(alice, guide, "12 euros") == off
    assert not any("12 euros" in text for text in await found(services, alice.tenant_id, PRICE))
    left = await counts(superuser)
    assert {name: rows[name] - left[name] for name in ("chunks", "chunk_lexemes", "chunk_embeddings", "known")} == {
        "chunks": 0,
        "chunk_lexemes": 1,
        "chunk_embeddings": 1,
        "known": 1,
    }
    await check_consistency(superuser)
    assert await edit(alice, passage, enabled=True) == passage
    assert (await found(services, alice.tenant_id, PRICE), await counts(superuser)) == (before, rows)


async def test_an_edit_in_another_language_gets_its_vector_or_loses_it(
    guide: Json, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The built-in embedder speaks English only."""
    passage = await about(alice, guide, "дежурный администратор")
    query = "SELECT count(*) FROM chunk_embeddings WHERE chunk_id = $1"
    assert await superuser.fetchval(query, passage["id"]) == 0
    assert (await edit(alice, passage, text="The administrator keeps the keys."))["language"] == "en"
    assert await superuser.fetchval(query, passage["id"]) == 1
    assert (await edit(alice, passage, text="Ключи лежат у сторожа в каморке."))["language"] == "ru"
    assert await superuser.fetchval(query, passage["id"]) == 0


REFUSED: dict[str, tuple[Json, int, str, str | None, str]] = {
    "empty": ({"text": " \n"}, 400, "invalid_input", "text", "switch it off instead"),
    "too long": ({"text": "x" * 4001}, 400, "invalid_input", "text", "it is longer than 4000"),
    "null": ({"text": None}, 400, "invalid_input", "text", "it is missing"),
    "a field nobody knows": ({"txt": "x"}, 400, "invalid_input", "txt", "there is no such field"),
    "zero byte": ({"text": "a\0b"}, 400, "invalid_input", "body", "cannot be stored"),
    "what he saw has changed": ({"text": "x", "etag": "0-1-on"}, 409, "version_conflict", None, "Load it anew"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_an_edit_that_cannot_be_is_explained(
    case: str, guide: Json, alice: Person, superuser: asyncpg.Connection
) -> None:
    """And leaves everything as it was."""
    body, status, code, field, words = REFUSED[case]
    before, rows = await listed(alice, guide), await counts(superuser)
    response = await alice.client.patch(at(before[0]), json=body)
    problem = response.json()
    assert (response.status_code, problem["code"], problem.get("field")) == (status, code, field)
    assert words in problem["detail"]
    assert (await listed(alice, guide), await counts(superuser), await edits(alice, guide)) == (before, rows, [])


async def test_a_passage_of_another_document_is_not_there(guide: Json, services: Services, alice: Person) -> None:
    """Its address names the document it belongs to."""
    other = await publish(services, alice, "cat.txt", "The office cat is called Murka.")
    (cat,) = await listed(alice, other)
    wrong = at({**cat, "document_id": guide["id"]})
    answers = [await alice.client.get(wrong), await alice.client.patch(wrong, json={"enabled": False})]
    assert [(each.status_code, each.json()["detail"]) for each in answers] == [(404, "There is no such passage.")] * 2


async def test_edits_survive_a_new_version_of_the_source(
    guide: Json, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Where the words around them changed; the new passages are spans of the new version's text."""
    await edit(alice, await about(alice, guide, "12 euros"), text=NEW_PRICE)
    await edit(alice, await about(alice, guide, "three working days"), enabled=False)
    await publish(services, alice, "guide.md", GUIDE.replace("тёплом складе", "холодном складе"))
    passages = await listed(alice, guide)
    assert [(each["edited"], each["enabled"]) for each in passages] == [(True, True), (False, False), (False, True)]
    assert passages[0]["text"] == NEW_PRICE
    text = await stored_text(superuser, passages[0]["version_id"])
    assert text[passages[0]["start"] : passages[0]["end"]] == NEW_PRICE
    answer = await ask(alice, PRICE)
    assert ("17 euros" in answer["text"], "12 euros" in answer["text"]) == (True, False)
    (citation,) = answer["citations"]
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert "three working days" not in (await ask(alice, "When does the deposit come back?"))["text"]
    await alice.client.delete(f"{at(passages[0])}/edit")
    assert "12 euros" in (await ask(alice, PRICE))["text"]


async def test_edits_survive_other_sizes_of_passages(guide: Json, services: Services, alice: Person) -> None:
    """Where the passage comes out the same."""
    await edit(alice, await about(alice, guide, "12 euros"), text=NEW_PRICE)
    sizes = {"tokens": 100, "overlap": 0, "section_tokens": 200}
    await alice.client.patch(f"/api/v1/collections/{await collection_of(alice)}", json={"chunks": sizes})
    before = await about(alice, guide, "17 euros")
    await publish(services, alice, "guide.md", GUIDE)
    after = await about(alice, guide, "17 euros")
    assert (before["version_id"] != after["version_id"], after["edited"]) == (True, True)


async def test_an_edit_whose_words_have_gone_waits_for_them(guide: Json, services: Services, alice: Person) -> None:
    """It is shown as orphaned; with the old words it comes back, and it can be thrown away."""
    await edit(alice, await about(alice, guide, "12 euros"), text=NEW_PRICE)
    assert await edits(alice, guide) == [(NEW_PRICE, True, False)]
    await publish(services, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    assert await edits(alice, guide) == [(NEW_PRICE, True, True)]
    assert "15 euros" in (await ask(alice, PRICE))["text"]
    await publish(services, alice, "guide.md", GUIDE)
    assert await edits(alice, guide) == [(NEW_PRICE, True, False)]
    assert "17 euros" in (await ask(alice, PRICE))["text"]
    await publish(services, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    (kept,) = (await alice.client.get(f"/api/v1/documents/{guide['id']}/edits")).json()["items"]
    assert "12 euros" in kept["source_text"]
    address = f"/api/v1/documents/{guide['id']}/edits/{kept['id']}"
    assert [(await alice.client.delete(address)).status_code for _ in range(2)] == [204, 404]
    assert await edits(alice, guide) == []


async def test_passages_with_the_same_words_are_edited_together(services: Services, alice: Person) -> None:
    """As they would be after the next version, which cannot tell them apart."""
    emergency = "# Emergency\n\nCall 112 for help.\n\n"
    document = await publish(services, alice, "twice.md", f"{emergency}# Storms\n\nStay inside.\n\n{emergency}")
    first, storms, last = await listed(alice, document)
    assert first["text"] == last["text"]
    await edit(alice, last, text="Call 911 for help.")
    texts = [each["text"] for each in await listed(alice, document)]
    assert texts == ["Call 911 for help.", storms["text"], "Call 911 for help."]


async def test_of_two_editors_at_once_one_is_told(guide: Json, services: Services, alice: Person, bob: Person) -> None:
    """Both read the passage before either wrote it; the second loses nothing but his try."""
    both = asyncio.Barrier(2)
    app = build_app(structs.replace(services, embedder=Waiting(services.embedder, both.wait)))
    passage = await about(alice, guide, "12 euros")
    words = {"alice": "Renting costs 20 euros.", "bob": "Renting costs 30 euros."}

    async def edit_as(person: Person) -> httpx.Response:
        async with make_client(app, authorization=bearer(services, person)) as client:
            return await client.patch(at(passage), json={"text": words[person.name]})

    answers = await asyncio.gather(edit_as(alice), edit_as(bob))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (kept,) = [answer.json()["text"] for answer in answers if answer.status_code == 200]
    assert (await about(alice, guide, "Renting"))["text"] == kept
    assert await edits(alice, guide) == [(kept, True, False)]


async def test_two_passages_are_edited_at_once(guide: Json, services: Services, alice: Person, bob: Person) -> None:
    """Each gets a place of its own in the text."""
    both = asyncio.Barrier(2)
    app = build_app(structs.replace(services, embedder=Waiting(services.embedder, both.wait)))
    price, deposit = await about(alice, guide, "12 euros"), await about(alice, guide, "three working days")
    async with make_client(app, authorization=bearer(services, alice)) as client:
        answers = await asyncio.gather(
            client.patch(at(price), json={"text": NEW_PRICE}),
            client.patch(at(deposit), json={"text": "There is no deposit any more."}),
        )
    assert [answer.status_code for answer in answers] == [200, 200]
    texts = [each["text"] for each in await listed(alice, guide)]
    assert texts[:2] == [NEW_PRICE, "There is no deposit any more."]


async def test_a_change_of_what_one_has_not_seen_is_refused(guide: Json, alice: Person) -> None:
    """The tag is that of the passage as it was loaded, however long ago."""
    seen = await about(alice, guide, "12 euros")
    first = await edit(alice, seen, text=NEW_PRICE, etag=seen["etag"])
    second = await alice.client.patch(at(seen), json={"text": "Too late.", "etag": seen["etag"]})
    assert (second.status_code, second.json()["code"]) == (409, "version_conflict")
    third = await edit(alice, first, enabled=False, etag=first["etag"])
    assert {**third, "etag": first["etag"]} == {**first, "enabled": False}


async def test_an_edit_without_an_embedder_changes_nothing(
    guide: Json, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The reader is told what failed, and the old words still answer."""

    async def fail() -> None:
        raise ProviderError(permanent=False, reason="the endpoint is out of reach")

    broken = structs.replace(services, embedder=Waiting(services.embedder, fail))
    before, rows = await listed(alice, guide), await counts(superuser)
    async with make_client(build_app(broken), authorization=bearer(services, alice)) as client:
        response = await client.patch(at(before[0]), json={"text": NEW_PRICE})
    assert (response.status_code, response.json()["code"]) == (502, "provider_failed")
    assert "the endpoint is out of reach" in response.json()["detail"]
    assert (await listed(alice, guide), await counts(superuser), await edits(alice, guide)) == (before, rows, [])


async def test_an_edit_made_while_a_new_version_is_embedded_is_in_it(
    guide: Json, services: Services, alice: Person
) -> None:
    """The version is made anew from where the edits come in, and published once."""
    made: list[Json] = []

    async def edit_once() -> None:
        if not made:
            made.append(await edit(alice, await about(alice, guide, "three working days"), text="No deposit at all."))

    await send(alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    await work(structs.replace(services, embedder=Waiting(services.embedder, edit_once)))
    after = await about(alice, guide, "No deposit at all.")
    assert (after["version_id"] != made[0]["version_id"], after["edited"]) == (True, True)
    assert ((await shown(alice, guide["id"]))["state"], len(await listed(alice, guide))) == ("ready", 3)


async def test_an_edit_that_a_new_version_overtakes_is_refused(guide: Json, services: Services, alice: Person) -> None:
    """What the editor saw is no longer there."""

    async def overtake() -> None:
        await publish(services, alice, "guide.md", GUIDE.replace("three working days", "four working days"))

    slow = structs.replace(services, embedder=Waiting(services.embedder, overtake))
    passage = await about(alice, guide, "12 euros")
    async with make_client(build_app(slow), authorization=bearer(services, alice)) as client:
        response = await client.patch(at(passage), json={"text": NEW_PRICE})
    assert (response.status_code, response.json()["code"]) == (409, "version_conflict")
    assert await edits(alice, guide) == []


async def test_a_deleted_document_takes_its_edits(guide: Json, alice: Person, superuser: asyncpg.Connection) -> None:
    """Nothing waits for words that nobody knows any more."""
    await edit(alice, await about(alice, guide, "12 euros"), text=NEW_PRICE)
    await edit(alice, await about(alice, guide, "three working days"), enabled=False)
    (await alice.client.delete(f"/api/v1/documents/{guide['id']}")).raise_for_status()
    assert await superuser.fetchval("SELECT count(*) FROM passage_edits") == 0
    assert (await counts(superuser))["chunks"] == 0


async def test_a_passage_tells_where_it_was_cited(guide: Json, services: Services, alice: Person) -> None:
    """Newest first; also by answers that quoted its words before an edit, and from an earlier version."""
    first = await ask(alice, PRICE)
    passage = await about(alice, guide, "12 euros")
    deposit = await about(alice, guide, "three working days")

    async def cited(passage: Json) -> list[Json]:
        items: list[Json] = (await alice.client.get(f"{at(passage)}/citations")).raise_for_status().json()["items"]
        return items

    (only,) = await cited(passage)
    quoted = first["citations"][0]
    same = ("version_id", "quote", "start", "end")
    assert {name: only[name] for name in same} == {name: quoted[name] for name in same}
    assert (only["conversation_id"], only["message_id"]) == (first["conversation_id"], first["message_id"])
    assert await cited(deposit) == []
    await edit(alice, passage, text=NEW_PRICE)
    second = await ask(alice, PRICE)
    assert [each["message_id"] for each in await cited(passage)] == [second["message_id"], first["message_id"]]
    await publish(services, alice, "guide.md", GUIDE.replace("three working days", "four working days"))
    again = await about(alice, guide, "17 euros")
    assert [each["message_id"] for each in await cited(again)] == [second["message_id"]]


async def test_each_change_leaves_one_row_in_the_audit_trail(
    guide: Json, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Without the words themselves."""
    passage = await about(alice, guide, "12 euros")
    await superuser.execute("TRUNCATE audit_log")
    await edit(alice, passage, text=NEW_PRICE)
    await edit(alice, passage, enabled=False)
    await alice.client.delete(f"{at(passage)}/edit")
    columns = "action, object_type, object_id::text, changes->>'edited'"
    rows = await superuser.fetch(f"SELECT {columns} FROM audit_log ORDER BY id")
    about_it = ("passage", passage["id"])
    assert [tuple(row) for row in rows] == [
        ("passages.update", *about_it, "true"),
        ("passages.update", *about_it, "true"),
        ("passages.reset", *about_it, None),
    ]


async def test_versions_are_told_newest_first(guide: Json, services: Services, alice: Person) -> None:
    """With who sent them, how they ended, and which one answers."""
    await publish(services, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    await publish(services, alice, "guide.md", " \n")
    items = (await alice.client.get(f"/api/v1/documents/{guide['id']}/versions")).raise_for_status().json()["items"]
    assert [(each["state"], each["reason"], each["active"]) for each in items] == [
        ("failed", "document_empty", False),
        ("ready", None, True),
        ("superseded", None, False),
    ]
    assert {(each["created_by"], each["file_name"]) for each in items} == {(str(alice.user_id), "guide.md")}
    assert "holds no text" in items[0]["detail"]


async def test_a_citation_is_opened_in_its_document(guide: Json, services: Services, alice: Person) -> None:
    """In the version that it was taken from, with the words around it, also after a newer one."""
    (citation,) = (await ask(alice, PRICE))["citations"]
    await publish(services, alice, "guide.md", GUIDE.replace("12 euros", "15 euros"))
    address = f"/api/v1/documents/{guide['id']}/text"
    around = {"version": citation["version_id"], "start": citation["start"] - 10, "length": 60}
    old = (await alice.client.get(address, params=around)).raise_for_status().json()
    assert citation["quote"] in old["text"]
    assert (old["start"], old["end"] - old["start"], len(old["text"])) == (citation["start"] - 10, 60, 60)
    whole = (await alice.client.get(address)).raise_for_status().json()
    assert ("15 euros" in whole["text"], whole["start"], whole["length"]) == (True, 0, len(whole["text"]))
    behind = (await alice.client.get(address, params={"start": 9999})).json()
    assert (behind["text"], behind["start"], behind["end"]) == ("", 9999, 9999)
    for wrong in ({"version": guide["id"]}, {"length": 20_001}, {"start": -1}):
        assert (await alice.client.get(address, params=wrong)).status_code in (400, 404)


async def test_passages_from_before_edits_can_be_edited(
    guide: Json, addresses: Addresses, alice: Person, superuser: asyncpg.Connection
) -> None:
    """The migration gives them the hashes that the code would, although its role sees no row of a tenant."""
    hashes = "SELECT id, source_sha FROM chunks ORDER BY id"
    before = await superuser.fetch(hashes)

    def back(connection: Connection) -> None:
        script = ScriptDirectory.from_config(alembic_config(connection)).get_revision("0005")
        command.downgrade(alembic_config(connection), str(script.down_revision))

    engine = create_async_engine(addresses.owner)
    async with engine.begin() as connection:
        await connection.run_sync(back)
    await engine.dispose()
    await migrate(addresses)
    assert await superuser.fetch(hashes) == before
    assert "17 euros" in (await edit(alice, await about(alice, guide, "12 euros"), text=NEW_PRICE))["text"]


def parsed(text: str) -> ParsedDocument:
    element = Element(kind="text", start=0, end=len(text), page=None, heading_path=())
    return ParsedDocument(title="Title", text=text, elements=(element,), pages=None, warnings=())


def test_edits_are_appended_and_everything_else_stays() -> None:
    """Passages without an edit keep their offsets; edits without a passage do nothing."""
    document = parsed("One two three.\n\nFour five.")
    one = Chunk(0, 0, 14, 0, 26, 1, ("H",), "text", "Title", "en", 4)
    other = Chunk(1, 16, 26, 0, 26, 1, (), "text", "", "en", 3)
    mine = Edit(passage_sha("One  two\nthree."), "Раз два три.", enabled=False)
    gone = Edit(b"gone", "Nobody sees this.", enabled=True)
    edited, chunks = apply_edits(document, [one, other], [mine, gone])
    assert edited.text == f"{document.text}\n\nРаз два три."
    assert edited.text[chunks[0].start : chunks[0].end] == "Раз два три."
    moved = {"start": 28, "end": 40, "source": (0, 14), "language": "ru", "tokens": chunks[0].tokens}
    assert chunks == [structs.replace(one, **moved, enabled=False), other]
    assert apply_edits(document, [one, other], []) == (document, [one, other])
