"""Personal data: everything about a person in one file, nothing about them after that, nothing kept for too long."""

import io
import zipfile
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from msgspec import structs

from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.links import make_link
from asissto.platform.mail import Letter, mail_later
from asissto.platform.mail import until as at
from asissto.platform.metering import count_answer
from asissto.platform.people_tables import ApiKey
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from channels_at_work import Json, bring, everything_at_work, make_channel, make_gateway, until
from gateway_peer import SECRET, Gateway
from people import PASSWORD, Person
from test_answers import assistant_of, set_up
from test_widget import SHOP, make_widget, signed

ZINA = {"external_id": "zina-4471", "name": "Zinaida Quxley", "email": "zina@quxley.example", "phone": "+79991234567"}
HER_WORDS = "My parrot Barnabas ordered a zeppelin, where does it moor?"
HER_PICTURE = b"a picture of Barnabas"
MARKS = ("zina-4471", "zinaida", "quxley", "9991234567", "barnabas", "zeppelin")
"""Each would tell who she is or what she said."""

BORIS = {"external_id": "boris", "name": "Boris Unconcerned"}
ON_THE_SITE = "user:quxley-of-the-site"
HER_CONTACTS = [ON_THE_SITE, "zina-4471", "zinaida"]


@dataclass(frozen=True)
class Desk:
    """A workspace to which Zinaida has written by three channels, and Boris by one of them."""

    services: Services
    alice: Person
    superuser: asyncpg.Connection
    zina: UUID
    boris: UUID

    async def work(self) -> None:
        worker = make_worker(self.services)
        while await worker.run_one():
            pass

    async def is_quiet(self) -> bool:
        """Every answer is delivered, and what was sent besides words is stored."""
        waiting = (
            "SELECT (SELECT count(*) FROM attachments WHERE state = 'waiting')"
            " + (SELECT count(*) FROM outbox WHERE state <> 'sent')"
        )
        return bool(await self.superuser.fetchval(waiting) == 0)

    async def ask(self, what: str, contact_id: UUID) -> Json:
        """For an export or an erasure, which is done when this returns."""
        asked = await self.alice.client.post(f"/api/v1/contacts/{contact_id}/{what}")
        assert asked.status_code == 202, asked.text
        await self.work()
        return await self.read(asked.json()["id"])

    async def read(self, request_id: str) -> Json:
        found = await self.alice.client.get(f"/api/v1/privacy/requests/{request_id}")
        return dict(found.raise_for_status().json())

    @property
    def files(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.services.settings.data_dir / "files").rglob("*") if path.is_file()]


@pytest.fixture
def private(services: Services) -> Services:
    """As the others have it, and answers are counted."""
    settings = structs.replace(services.settings, provider_private_addresses=True, billing=True)
    return structs.replace(services, settings=settings)


@pytest.fixture
async def desk(
    private: Services, alice: Person, web: httpx.AsyncClient, gateway: Gateway, superuser: asyncpg.Connection
) -> Desk:
    await set_up(alice, burst_seconds=0.0)
    gateway.files["picture"] = [HER_PICTURE]
    first = await make_gateway(alice, gateway)
    second = await make_channel(alice, "http", {"callback_url": gateway.url}, {"secret": SECRET}, name="Another")
    picture = {"type": "photo", "ref": f"{gateway.place}/files/picture", "name": "barnabas.png"}
    said = {"conversation": "zina-4471", "text": HER_WORDS, "sender": ZINA}
    await bring(web, first, alice.tenant_id, "zina-4471-1", {**said, "attachments": [picture]})
    await bring(web, second, alice.tenant_id, "zina-4471-2", {**said, "sender": {**ZINA, "external_id": "zinaida"}})
    await bring(web, first, alice.tenant_id, "b1", {"conversation": "b", "text": "Boris was here", "sender": BORIS})
    await say_on_the_site(web, alice)
    ids = {row["external_id"]: row["id"] for row in await superuser.fetch("SELECT * FROM contacts")}
    desk = Desk(private, alice, superuser, ids["zina-4471"], ids["boris"])
    async with everything_at_work(private):
        await gateway.wait_for(3)
        await until(desk.is_quiet)
    for other in ("zinaida", ON_THE_SITE):
        joined = {"with": str(ids[other])}
        (await alice.client.post(f"/api/v1/contacts/{desk.zina}/merge", json=joined)).raise_for_status()
    await leave_traces(desk)
    return desk


async def say_on_the_site(web: httpx.AsyncClient, alice: Person) -> None:
    """By the widget, as somebody whom the site has signed."""
    place = f"/api/v1/widget/{alice.tenant_id}/{(await make_widget(alice))['id']}"
    identity = {**signed(ON_THE_SITE.removeprefix("user:")), "name": "Zinaida"}
    begun = await web.post(f"{place}/session", json={"identity": identity}, headers={"origin": SHOP})
    headers = {"origin": SHOP, "authorization": f"Bearer {begun.raise_for_status().json()['token']}"}
    said = await web.post(f"{place}/messages", json={"id": str(new_id()), "text": HER_WORDS}, headers=headers)
    said.raise_for_status()


async def make_set(desk: Desk, name: str, *answers: UUID) -> str:
    """Questions of the members' own, or of what was answered."""
    made = (await desk.alice.client.post("/api/v1/question-sets", json={"name": name})).raise_for_status().json()
    if answers:
        address, ids = f"/api/v1/question-sets/{made['id']}/from-messages", [str(each) for each in answers]
        (await desk.alice.client.post(address, json={"message_ids": ids})).raise_for_status()
    return str(made["id"])


async def leave_traces(desk: Desk) -> None:
    """What members make of her words: a better name, a reply, a note, a tag, a case in a set of questions, its run."""
    client, row = desk.alice.client, "SELECT conversation_id, id FROM messages WHERE content = $1 ORDER BY id LIMIT 1"
    conversation_id, message_id = await desk.superuser.fetchrow(row, HER_WORDS)
    address = f"/api/v1/conversations/{conversation_id}"
    (await client.post(f"{address}/notes", json={"text": "Zinaida again"})).raise_for_status()
    (await client.put(f"{address}/tags", json={"tags": ["barnabas"]})).raise_for_status()
    (await client.post(f"{address}/messages", json={"text": "Dear Zinaida, at noon.", "key": "k1"})).raise_for_status()
    better = {"name": "Zinaida Quxley-Barnabas"}
    (await client.patch(f"/api/v1/contacts/{desk.zina}", json=better)).raise_for_status()
    answer_id = await desk.superuser.fetchval("SELECT answer_id FROM messages WHERE id = $1", message_id)
    set_id = await make_set(desk, "Asked before", answer_id)
    async with desk.services.database.tenant(desk.alice.tenant_id) as session:
        await count_answer(session, desk.alice.tenant_id, message_id, [], about=answer_id)
    run = {"assistant_id": await assistant_of(desk.alice)}
    (await client.post(f"/api/v1/question-sets/{set_id}/runs", json=run)).raise_for_status()
    await desk.work()


async def traces(superuser: asyncpg.Connection, marks: Iterable[str]) -> dict[str, set[str]]:
    """Which marks stand anywhere in the rows of a table, by table: in words, in JSON, in bytes, or in base64."""
    columns = """
        SELECT table_name, string_agg(CASE data_type WHEN 'bytea' THEN format('encode(%1$I, ''escape'')', column_name)
            ELSE format('%I::text', column_name) END, ', ' ORDER BY ordinal_position)
        FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name
    """
    found = {}
    for table, cells in await superuser.fetch(columns):
        query = f"SELECT concat_ws(' ', {cells}) FROM {table}"
        rows = "\n".join(row[0] for row in await superuser.fetch(query))
        if named := {mark for mark in marks if mark in rows.casefold() or in_base64(mark) in rows}:
            found[table] = named
    return found


def in_base64(mark: str) -> str:
    """Where the words begin with it."""
    return b64encode(mark.encode()).decode().rstrip("=")[: len(mark) * 4 // 3]


async def test_traces_are_found_however_they_are_kept(superuser: asyncpg.Connection, alice: Person) -> None:
    """The search that the other tests rely on sees words, JSON, bytes and base64."""
    values = "$1, gen_random_uuid(), 'nothing', $2, jsonb_build_object('deep', jsonb_build_array($3::text))"
    insert = f"INSERT INTO jobs (tenant_id, id, kind, key, payload) VALUES ({values})"
    await superuser.execute(insert, alice.tenant_id, "Quxley", in_base64("barnabas"))
    await superuser.execute("INSERT INTO attempts (who, count, since) VALUES ('Zeppelin'::bytea, 1, now())")
    assert await traces(superuser, MARKS) == {"jobs": {"quxley", "barnabas"}, "attempts": {"zeppelin"}}


def open_archive(content: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON files by name, and what lies beside them."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    told = {name: msgspec.json.decode(body) for name, body in files.items() if name.endswith(".json")}
    return told, [body for name, body in files.items() if not name.endswith(".json")]


async def test_an_export_has_everything_about_a_person(desk: Desk, web: httpx.AsyncClient) -> None:
    """Of all contacts that were joined, with files and deliveries, and nothing of anybody else."""
    done = await desk.ask("export", desk.zina)
    assert (done["kind"], done["state"], done["error"]) == ("export", "done", None)
    fetched = await web.get(done["link"])
    assert fetched.status_code == 200
    assert fetched.headers["content-type"] == "application/zip"
    told, files = open_archive(fetched.content)
    assert sorted(each["external_id"] for each in told.pop("contacts.json")) == HER_CONTACTS
    assert len(told) == 3
    for each in told.values():
        assert next(message["content"] for message in each["messages"]) == HER_WORDS
        assert len(each["receipts"]) == len(each["threads"]) == 1
        assert len(each["deliveries"]) >= 1
    assert files == [HER_PICTURE]
    assert b"Boris" not in b"".join(files) + fetched.content


async def test_a_link_opens_once_and_ends(desk: Desk, web: httpx.AsyncClient) -> None:
    """The file is gone with its time; a link that was made up opens nothing."""
    done = await desk.ask("export", desk.zina)
    assert (await web.get(done["link"][:-20] + "A" * 20)).status_code == 404
    answers = [await web.get(done["link"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 404]
    assert (await desk.read(done["id"]))["link"] is None
    late = await desk.ask("export", desk.zina)
    await desk.superuser.execute("UPDATE privacy_requests SET expires_at = now() - interval '1 minute'")
    assert (await web.get(late["link"])).status_code == 404
    assert len(desk.files) == 3
    await desk.superuser.execute("UPDATE jobs SET run_at = now() WHERE kind = 'privacy.drop_export'")
    await desk.work()
    assert desk.files == [HER_PICTURE]


async def test_after_an_erasure_nothing_names_the_person(desk: Desk) -> None:
    """No row of any table, no file, no key under which a job waits; the other customer is still there."""
    await desk.ask("export", desk.zina)
    before = await traces(desk.superuser, MARKS)
    assert before.keys() >= {"contacts", "messages", "threads", "inbound_events", "attachments", "receipts"}
    assert before.keys() >= {"question_cases", "set_results", "conversations", "outbox"}
    assert before.keys().isdisjoint({"usage_events", "usage_counters", "ledger_entries", "audit_log"})
    done = await desk.ask("erase", desk.zina)
    assert (done["kind"], done["state"]) == ("erase", "done")
    assert await traces(desk.superuser, MARKS) == {}
    assert desk.files == []
    assert (await desk.alice.client.get(f"/api/v1/contacts/{desk.zina}")).status_code == 404
    assert (await traces(desk.superuser, ["boris"])).keys() >= {"contacts", "messages"}
    assert await column(desk, "SELECT quantities ->> 'answers' FROM usage_events") == ["1"]


async def test_what_others_said_in_the_same_words_stays(
    desk: Desk, web: httpx.AsyncClient, gateway: Gateway, superuser: asyncpg.Connection
) -> None:
    """Of three sets with one question, the one goes that was made of what the person has said."""
    channel = {"id": await superuser.fetchval("SELECT channel_id FROM contacts WHERE external_id = 'boris'")}
    words = "Are you open on Sundays?"
    for who, sender in (("zina-4471", ZINA), ("boris", BORIS)):
        said = {"conversation": f"{who}-again", "text": words, "sender": sender}
        await bring(web, channel, desk.alice.tenant_id, f"{who}-again", said)
    async with everything_at_work(desk.services):
        await gateway.wait_for(6)
    asked = "SELECT m.answer_id FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.content = $1"
    hers, his = [
        await superuser.fetchval(f"{asked} AND c.contact_id = $2", words, who) for who in (desk.zina, desk.boris)
    ]
    kept = [await make_set(desk, "Hers", hers), await make_set(desk, "His", his), await make_set(desk, "Our own")]
    cases = f"/api/v1/question-sets/{kept[2]}/cases"
    (await desk.alice.client.post(cases, json={"question": words})).raise_for_status()
    await desk.ask("erase", desk.zina)
    left = "SELECT count(*) FROM question_cases WHERE set_id = $1 AND question = $2"
    assert [await superuser.fetchval(left, each, words) for each in kept] == [0, 1, 1]


async def test_the_law_does_not_rest_where_a_workspace_does(desk: Desk) -> None:
    """A customer of a suspended workspace is erased, and what is too old is deleted; its other jobs wait."""
    asked = await desk.alice.client.post(f"/api/v1/contacts/{desk.zina}/erase")
    (await desk.alice.client.put("/api/v1/privacy/retention", json={"conversations_days": 30})).raise_for_status()
    await desk.superuser.execute("UPDATE conversations SET updated_at = now() - interval '40 days'")
    await desk.alice.client.post("/api/v1/knowledge/review")
    await desk.superuser.execute("UPDATE jobs SET run_at = now() WHERE state = 'todo'")
    await desk.superuser.execute("UPDATE tenants SET status = 'suspended' WHERE id = $1", desk.alice.tenant_id)
    await desk.work()
    assert await column(desk, "SELECT count(*) FROM conversations") == [0]
    assert await column(desk, "SELECT kind FROM jobs WHERE state = 'todo' AND run_at <= now() ORDER BY kind") == [
        "files.sweep",
        "knowledge.review",
        "topics.place",
    ]
    await desk.superuser.execute("UPDATE tenants SET status = 'active'")
    assert (await desk.read(asked.json()["id"]))["state"] == "done"


async def test_an_erasure_that_is_interrupted_is_finished(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of files is away in the middle: the job comes again, and then nothing is left."""
    asked = await desk.alice.client.post(f"/api/v1/contacts/{desk.zina}/erase")
    delete = type(desk.services.files).delete
    faults = iter([OSError("away")])

    async def failing(self: Any, key: str) -> None:
        for fault in faults:
            raise fault
        await delete(self, key)

    monkeypatch.setattr(type(desk.services.files), "delete", failing)
    await desk.work()
    assert (await desk.read(asked.json()["id"]))["state"] == "waiting"
    await desk.superuser.execute("UPDATE jobs SET run_at = now() WHERE state = 'todo'")
    await desk.work()
    assert (await desk.read(asked.json()["id"]))["state"] == "done"
    assert await traces(desk.superuser, MARKS) == {}


async def test_what_is_too_old_is_deleted(desk: Desk) -> None:
    """Conversations, files, receipts and the trail have periods of their own; what is younger stays."""
    old = "now() - interval '40 days'"
    for table in ("messages", "attachments", "receipts", "contacts"):
        await desk.superuser.execute(f"UPDATE {table} SET created_at = {old}")
    await desk.superuser.execute(f"UPDATE audit_log SET at = {old} WHERE action <> 'channels.create'")
    periods = {"attachments_days": 30, "receipts_days": 30, "audit_days": 30}
    await keep(desk, periods)
    assert desk.files == []
    assert await column(desk, "SELECT state || ' ' || error FROM attachments") == ["failed expired"]
    assert await column(desk, "SELECT 1 FROM receipts") == []
    trail = [*["channels.create"] * 3, "privacy.retention.update"]
    mine = f"tenant_id = '{desk.alice.tenant_id}'"
    assert await column(desk, f"SELECT action FROM audit_log WHERE {mine} ORDER BY at") == trail
    assert len(await column(desk, "SELECT 1 FROM conversations")) == 4
    boris = "WHERE contact_id = (SELECT id FROM contacts WHERE external_id = 'boris')"
    await desk.superuser.execute(f"UPDATE conversations SET updated_at = {old} {boris}")
    await keep(desk, {**periods, "conversations_days": 39})
    assert await column(desk, "SELECT DISTINCT external_id FROM contacts ORDER BY 1") == HER_CONTACTS
    assert len(await column(desk, "SELECT 1 FROM conversations")) == 3
    [again] = await column(desk, "SELECT run_at - now() > interval '23 hours' FROM jobs WHERE kind = 'privacy.retain'")
    assert again is True


async def keep(desk: Desk, periods: Json) -> None:
    (await desk.alice.client.put("/api/v1/privacy/retention", json=periods)).raise_for_status()
    await desk.work()


async def column(desk: Desk, query: str) -> list[Any]:
    return [row[0] for row in await desk.superuser.fetch(query)]


@pytest.mark.parametrize("days", [0, 29])
async def test_the_trail_is_kept_for_a_month_at_least(alice: Person, services: Services, days: int) -> None:
    """Also where the database is asked past the API."""
    refused = await alice.client.put("/api/v1/privacy/retention", json={"audit_days": days})
    assert (refused.status_code, refused.json()["field"]) == (400, "audit_days")
    await alice.client.patch("/api/v1/tenant", json={"name": "Changed"})
    async with services.database.tenant(alice.tenant_id) as session:
        from sqlalchemy import text

        assert await session.scalar(text("SELECT forget_audit(now() + interval '1 day', 100)")) == 0


async def test_a_member_takes_their_data_along_and_leaves(
    services: Services,
    bob: Person,
    alice: Person,
    charlie: Person,
    client: httpx.AsyncClient,
    superuser: asyncpg.Connection,
) -> None:
    """The account, what was asked in shared workspaces, and the workspace that nobody else is in.

    Invitations and keys stay without the name, for the trail; letters that wait and links are gone.
    """
    await leave_own_traces(services, bob, charlie)
    await bob.client.patch(f"/api/v1/users/{bob.user_id}", json={"name": "Bobby Tables", "phone": "+79990001122"})
    assistant = (await bob.client.get("/api/v1/assistants")).json()["items"][0]["id"]
    await bob.client.post(f"/api/v1/assistants/{assistant}/ask", json={"question": "Do bobolinks migrate?"})
    asked = (await bob.client.post("/api/v1/auth/me/export")).json()
    worker = make_worker(services)
    while await worker.run_one():
        pass
    done = (await bob.client.get(f"/api/v1/auth/me/exports/{asked['id']}")).json()
    told, _ = open_archive((await client.get(done["link"])).content)
    assert [account["email"] for account in told["account.json"]] == [bob.email]
    assert len(told["memberships.json"]) == 2
    assert [row["email"] for name in ("invitations", "links") for row in told[f"{name}.json"]] == [bob.email] * 2
    assert [row["name"] for row in told["keys.json"]] == ["Bobolinks at work"]
    assert {row["device"] for row in told["sessions.json"]} >= {"Bobolink/1.0"}
    assert "password_hash" not in told["account.json"][0]
    assert next(m["content"] for name in told if "/" in name for m in told[name]["messages"]) == "Do bobolinks migrate?"
    assert (await alice.client.get(f"/api/v1/auth/me/exports/{asked['id']}")).status_code == 404
    assert (await alice.client.get(f"/api/v1/privacy/requests/{asked['id']}")).status_code == 404

    assert (await bob.client.post("/api/v1/auth/me/erase", json={"password": "guessed it"})).status_code == 400
    assert (await bob.client.post("/api/v1/auth/me/erase", json={"password": PASSWORD})).status_code == 204
    assert (await bob.client.get("/api/v1/auth/me")).status_code == 401
    while await worker.run_one():
        pass
    assert await traces(superuser, ["bob@example.com", "bobby tables", "9990001122", "bobolinks"]) == {}
    assert [row[0] for row in await superuser.fetch("SELECT name FROM tenants WHERE status = 'closed'")] == ["closed"]
    closed = "SELECT count(*) FROM {} WHERE tenant_id IN (SELECT id FROM tenants WHERE status = 'closed')"
    assert [await superuser.fetchval(closed.format(table)) for table in ("assistants", "jobs", "channels")] == [0] * 3
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE kind = 'mail'") == 0
    assert await superuser.fetchval("SELECT count(*) FROM invitations WHERE email = '' AND revoked_at < now()") == 1


async def leave_own_traces(services: Services, bob: Person, charlie: Person) -> None:
    """A session with a device, a key with a name, an invitation by a stranger, a link and a letter."""
    credentials = {"email": bob.email, "password": PASSWORD}
    (await bob.client.post("/api/v1/auth/sign-in", json=credentials, headers={"user-agent": "Bobolink/1.0"}))
    invitation = {"email": bob.email, "role": "analyst"}
    (await charlie.client.post("/api/v1/invitations", json=invitation)).raise_for_status()
    posting = structs.replace(services, settings=structs.replace(services.settings, smtp_host="127.0.0.1"))
    letter = Letter(bob.email, "A link", "https://example.com/#token=bobolinks", at(timedelta(days=1)))
    async with services.database.system() as session:
        await make_link(session, "confirm", user_id=bob.user_id, email=bob.email)
        await mail_later(session, posting, charlie.tenant_id, letter)
    async with services.database.tenant(charlie.tenant_id) as session:
        key = {"name": "Bobolinks at work", "prefix": "ast_x", "key_sha": b"1", "scopes": ["ask"]}
        session.add(ApiKey(tenant_id=charlie.tenant_id, id=new_id(), created_by=bob.user_id, **key))


async def test_a_workspace_is_not_left_without_an_owner(alice: Person, bob: Person) -> None:
    """Its members have to be given another one first."""
    refused = await alice.client.post("/api/v1/auth/me/erase", json={"password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")
    assert (await alice.client.get("/api/v1/auth/me")).status_code == 200


async def test_the_last_administrator_cannot_leave(charlie: Person, superuser: asyncpg.Connection) -> None:
    """Else nobody could make another."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", charlie.user_id)
    refused = await charlie.client.post("/api/v1/auth/me/erase", json={"password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
    assert (await charlie.client.get("/api/v1/auth/me")).status_code == 200


async def test_whoever_may_not_is_refused(bob: Person, desk: Desk) -> None:
    """An editor neither exports nor erases a customer."""
    for what in ("export", "erase"):
        assert (await bob.client.post(f"/api/v1/contacts/{desk.zina}/{what}")).status_code == 403
