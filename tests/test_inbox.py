"""The inbox: members find conversations, take them over, answer, and see what became of every part of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.channels.contract import Connector
from asissto.channels.inbox import FETCH
from asissto.channels.signed_http import SignedHttp
from asissto.ingestion import sweeping
from asissto.ingestion.documents import SWEEP_AFTER, SWEEP_FILES
from asissto.platform import jobs
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval import charging
from asissto.retrieval.answering import answer_in_pieces
from asissto.retrieval.conversations import find_conversation, read_history
from asissto.retrieval.generation import Turn
from channels_at_work import Json, bring, everything_at_work, make_gateway, until
from gateway_peer import Gateway
from people import Person
from test_answers import set_up

GREETING = text("answer.greeting", "en")


@pytest.fixture
async def channel(alice: Person, gateway: Gateway) -> Json:
    await set_up(alice, burst_seconds=0.05)
    return await make_gateway(alice, gateway)


class Desk:
    """What the customers of one channel and its member do, in short words."""

    def __init__(self, alice: Person, channel: Json, web: httpx.AsyncClient) -> None:
        self.alice, self.channel, self._web = alice, channel, web
        self._events = 0

    async def hear(self, thread: str, words: str, **more: Any) -> None:
        self._events += 1
        body = {"conversation": thread, "text": words, **more}
        (await bring(self._web, self.channel, self.alice.tenant_id, f"m{self._events}", body)).raise_for_status()

    async def items(self, **query: Any) -> list[Json]:
        found = (await self.alice.client.get("/api/v1/inbox", params=query)).raise_for_status()
        return list(found.json()["items"])

    async def threads(self, **query: Any) -> list[str]:
        return [item["contact"]["external_id"] for item in await self.items(**query)]

    async def id_of(self, thread: str) -> str:
        return str((await self._item(thread))["id"])

    async def contact_of(self, thread: str) -> str:
        return str((await self._item(thread))["contact"]["id"])

    async def _item(self, thread: str) -> Json:
        return next(item for item in await self.items() if item["contact"]["external_id"] == thread)

    async def post(self, thread: str, what: str, **body: Any) -> httpx.Response:
        return await self.alice.client.post(f"/api/v1/conversations/{await self.id_of(thread)}/{what}", json=body)

    async def said(self, thread: str) -> list[tuple[str, str]]:
        """Kind and words; of the system the event."""
        found = await self.alice.client.get(f"/api/v1/conversations/{await self.id_of(thread)}/messages")
        return [
            (each["sender_kind"], each["metadata"].get("event") or each["content"]) for each in found.json()["items"]
        ]

    async def deliveries(self, thread: str, language: str = "en") -> list[Json]:
        address = f"/api/v1/conversations/{await self.id_of(thread)}/deliveries"
        found = await self.alice.client.get(address, headers={"accept-language": language})
        return list(found.raise_for_status().json()["items"])

    async def states(self, thread: str) -> list[str]:
        return [each["state"] for each in await self.deliveries(thread)]

    async def part(self, thread: str, part: Json, what: str) -> httpx.Response:
        return await self.post(thread, f"deliveries/{part['id']}/{what}")


@pytest.fixture
def desk(alice: Person, channel: Json, web: httpx.AsyncClient) -> Desk:
    return Desk(alice, channel, web)


async def count(superuser: asyncpg.Connection, query: str) -> int:
    return int(await superuser.fetchval(f"SELECT count(*) FROM {query}"))


async def test_a_member_takes_over_and_gives_back(private: Services, desk: Desk, gateway: Gateway) -> None:
    """The assistant is silent meanwhile; ten copies of a reply arrive once, in their order."""
    async with everything_at_work(private):
        await desk.hear("ann", "Hello!")
        await gateway.wait_for(1)
        replies = await asyncio.gather(*(desk.post("ann", "messages", text="I am Alice.", key="k1") for _ in range(10)))
        assert {reply.status_code for reply in replies} == {201}
        assert len({reply.json()["id"] for reply in replies}) == 1
        await desk.post("ann", "messages", text="How can I help?")
        await gateway.wait_for(3)
        await desk.hear("ann", "Hello!")
        [waiting] = await desk.items()
        assert (waiting["status"], waiting["last"]["text"], waiting["last"]["by_member"]) == ("human", "Hello!", False)
        assert waiting["waiting_since"] == waiting["last"]["at"]
        await desk.post("ann", "return")
        assert [item["waiting_since"] for item in await desk.items()] == [None]
        await desk.hear("ann", "Hello!")
        await gateway.wait_for(4)
        await asyncio.sleep(0.3)
    assert gateway.said("ann") == [GREETING, "I am Alice.", "How can I help?", GREETING]
    assert await desk.said("ann") == [
        ("contact", "Hello!"),
        ("assistant", GREETING),
        ("system", "taken_over"),
        ("user", "I am Alice."),
        ("user", "How can I help?"),
        ("contact", "Hello!"),
        ("system", "returned"),
        ("contact", "Hello!"),
        ("assistant", GREETING),
    ]


async def test_an_answer_in_the_making_is_not_delivered(
    private: Services, desk: Desk, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it was begun anew, and the member has given the conversation back before it is ready."""
    begun, may_end = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def slowly(*args: Any) -> AsyncGenerator[Any, None]:
        begun.release()
        await may_end.acquire()
        async for event in answer_in_pieces(*args):
            yield event

    monkeypatch.setattr(charging, "answer_in_pieces", slowly)
    async with everything_at_work(private):
        await desk.hear("ann", "Hello!")
        await asyncio.wait_for(begun.acquire(), 10)
        await desk.hear("ann", "Thank you")
        may_end.release()
        await asyncio.wait_for(begun.acquire(), 10)
        await desk.post("ann", "messages", text="I am Alice.")
        await desk.post("ann", "return")
        may_end.release()
        await gateway.wait_for(1)
        await asyncio.sleep(0.5)
        assert gateway.said("ann") == ["I am Alice."]
        may_end.release()
        await desk.hear("ann", "Hello!")
        await gateway.wait_for(2)
    assert gateway.said("ann") == ["I am Alice.", GREETING]


async def test_what_the_assistant_has_not_sent_yet_is_cancelled_and_can_be_sent_after_all(
    private: Services, desk: Desk, gateway: Gateway
) -> None:
    """The reader is told why in words."""
    gateway.fail("ann", 500)
    async with everything_at_work(private):
        await desk.hear("ann", "Hello!")
        await until(lambda: has_failed_once(desk))
        assert (await desk.post("ann", "messages", text="I am Alice.")).status_code == 201
        await gateway.wait_for(1)
        await until(lambda: states_are(desk, ["sent", "cancelled"]))
        reply, answer = await desk.deliveries("ann", "ru")
        assert (answer["text"], answer["error"]) == (GREETING, text("delivery.taken_over", "ru"))
        assert (reply["text"], reply["error"], reply["attempts"]) == ("I am Alice.", None, 1)
        assert (await desk.part("ann", reply, "retry")).status_code == 409
        assert (await desk.part("ann", answer, "retry")).json()["state"] == "pending"
        await gateway.wait_for(2)
    assert gateway.said("ann") == ["I am Alice.", GREETING]


async def test_a_refused_part_is_sent_again_and_one_that_waits_is_cancelled(
    private: Services, desk: Desk, gateway: Gateway
) -> None:
    """Each only in the state in which it can be done."""
    await desk.hear("ann", "Hello!")
    await desk.post("ann", "hand-over")
    gateway.fail("ann", 400)
    async with everything_at_work(private):
        await desk.post("ann", "messages", text="One")
        await until(lambda: states_are(desk, ["failed"]))
        [failed] = await desk.deliveries("ann")
        assert (failed["error_code"], failed["detail"]) == ("permanent", "HTTP 400")
        assert failed["error"] == text("delivery.permanent", "en")
        assert (await desk.part("ann", failed, "cancel")).status_code == 409
        await desk.part("ann", failed, "retry")
        await until(lambda: states_are(desk, ["sent"]))
    await desk.post("ann", "messages", text="Two")
    await desk.post("ann", "messages", text="Three")
    _, two, _ = await desk.deliveries("ann")
    assert (await desk.part("ann", two, "cancel")).json()["state"] == "cancelled"
    assert (await desk.part("ann", two, "cancel")).status_code == 409
    async with everything_at_work(private):
        await gateway.wait_for(2)
    assert gateway.said("ann") == ["One", "Three"]


async def test_what_was_taken_but_did_not_arrive_is_sent_again_as_something_new(
    private: Services, desk: Desk, gateway: Gateway
) -> None:
    """The provider would take the same key for a repetition, and do nothing."""
    await desk.hear("ann", "Hello!")
    async with everything_at_work(private):
        await desk.post("ann", "messages", text="One")
        await gateway.wait_for(1)
        await until(lambda: states_are(desk, ["sent"]))
        [taken] = gateway.copies
        await desk.hear("ann", "", type="receipt", message_id=taken, delivery="failed", reason="unreachable")
        [lost] = await desk.deliveries("ann")
        assert (lost["state"], lost["delivery"], lost["error"]) == ("failed", "failed", text("reach.unreachable", "en"))
        await desk.part("ann", lost, "retry")
        await gateway.wait_for(2)
    assert gateway.said("ann") == ["One", "One"]


async def test_a_part_of_another_conversation_is_not_found(desk: Desk) -> None:
    """An id alone opens nothing."""
    await desk.hear("ann", "Hello!")
    await desk.hear("bea", "Hello!")
    await desk.post("ann", "messages", text="One")
    [part] = await desk.deliveries("ann")
    assert (await desk.part("bea", part, "cancel")).status_code == 404


async def test_a_note_never_leaves(services: Services, desk: Desk, superuser: asyncpg.Connection) -> None:
    """Neither to the customer nor to a model, which hears a member as the assistant's side."""
    await desk.hear("ann", "Where is my parcel?")
    assert (await desk.post("ann", "notes", text="She is angry.")).json()["sender_kind"] == "note"
    assert (await desk.items())[0]["last"]["text"] == "Where is my parcel?"
    await desk.post("ann", "messages", text="On its way.")
    assert await count(superuser, "outbox WHERE content::text LIKE '%angry%'") == 0
    async with services.database.tenant(desk.alice.tenant_id) as session:
        conversation = await find_conversation(session, desk.alice.tenant_id, UUID(await desk.id_of("ann")))
        history = await read_history(session, conversation)
    assert history.turns == (Turn("user", "Where is my parcel?"), Turn("assistant", "On its way."))
    assert (await desk.post("ann", "notes", text=" ")).json()["code"] == "invalid_input"


async def test_a_reply_that_cannot_be_sent_is_refused(desk: Desk, superuser: asyncpg.Connection) -> None:
    """With the reason; nothing is stored, and the conversation stays whose it is."""
    await desk.hear("ann", "Hello!")
    refused = [await desk.post("ann", "messages", text=words) for words in ("", " \n", "x" * 10_001)]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(400, "invalid_input")] * 3
    await desk.hear("ann", "", type="blocked", reason="opted_out")
    unreachable = await desk.post("ann", "messages", text="Hello?")
    assert (unreachable.status_code, unreachable.json()["code"]) == (409, "customer_unreachable")
    assert text("reach.opted_out", "en") in unreachable.json()["detail"]
    assert [(item["status"], item["reach"]) for item in await desk.items()] == [("bot", "opted_out")]
    await desk.hear("ann", "", type="unblocked")
    assert (await desk.post("ann", "messages", text="One", key="k")).status_code == 201
    assert (await desk.post("ann", "messages", text="Two", key="k")).json()["code"] == "conflict"
    await desk.post("ann", "close")
    assert (await desk.post("ann", "messages", text="Hello?")).json()["code"] == "conversation_closed"
    assert await count(superuser, "messages WHERE sender_kind = 'user'") == 1


async def test_a_reply_on_the_api_channel_is_only_stored(alice: Person, superuser: asyncpg.Connection) -> None:
    """Whoever asked through it reads it there; the key may come as a header."""
    assistants = (await alice.client.get("/api/v1/assistants")).json()["items"]
    question = {"question": "operator!"}
    asked = (await alice.client.post(f"/api/v1/assistants/{assistants[0]['id']}/ask", json=question)).json()
    address = f"/api/v1/conversations/{asked['conversation_id']}/messages"
    twice = [
        await alice.client.post(address, json={"text": "Here I am."}, headers={"idempotency-key": "k"})
        for _ in range(2)
    ]
    assert twice[0].json() == twice[1].json()
    [item] = (await alice.client.get("/api/v1/inbox")).json()["items"]
    assert (item["status"], item["reach"], item["contact"], item["channel"]["type"]) == ("human", None, None, "api")
    assert item["last"] == {
        "sender_kind": "user", "by_member": True, "text": "Here I am.", "at": twice[0].json()["created_at"],
    }  # fmt: skip
    assert await count(superuser, "outbox") == 0


async def test_a_closed_conversation_opens_when_the_customer_writes(
    private: Services, desk: Desk, gateway: Gateway
) -> None:
    """The assistant has it again, and the message is answered."""
    await desk.hear("ann", "Hello!")
    await desk.post("ann", "close")
    async with everything_at_work(private):
        await desk.hear("ann", "Hello!")
        await gateway.wait_for(1)
    said = [("contact", "Hello!"), ("system", "closed"), ("system", "reopened"), ("contact", "Hello!")]
    assert await desk.said("ann") == [*said, ("assistant", GREETING)]


async def test_conversations_are_found_by_what_is_known_of_them(desk: Desk, alice: Person, bob: Person) -> None:
    """The latest first, in pages; words are taken literally."""
    people = {"ann": {"name": "Ann 100%"}, "bea": {"email": "bea_b@example.com"}, "cat": {"phone": "+7 900 1"}}
    for thread, known in people.items():
        await desk.hear(thread, f"My parcel is {thread}'s", sender={"external_id": thread, **known})
    await desk.hear("ann", "And another one")
    await desk.post("cat", "hand-over")
    await desk.post("bea", "assign", user_id=str(bob.user_id))
    await desk.alice.client.put(
        f"/api/v1/conversations/{await desk.id_of('ann')}/tags", json={"tags": [" vip ", "vip"]}
    )
    expected: list[tuple[Json, list[str]]] = [
        ({}, ["ann", "bea", "cat"]),
        ({"status": ["bot", "closed"]}, ["ann", "bea"]),
        ({"status": "human"}, ["cat"]),
        ({"channel_id": desk.channel["id"]}, ["ann", "bea", "cat"]),
        ({"assignee_id": "none"}, ["ann", "cat"]),
        ({"assignee_id": "me"}, []),
        ({"assignee_id": str(bob.user_id)}, ["bea"]),
        ({"tag": "vip"}, ["ann"]),
        ({"reason": "no_knowledge"}, []),
        ({"q": "BEA'S"}, ["bea"]),
        ({"q": "parcel"}, ["ann", "bea", "cat"]),
        ({"q": "100%"}, ["ann"]),
        ({"q": "a_b"}, ["bea"]),
        ({"q": "7 900"}, ["cat"]),
        ({"q": "%"}, ["ann"]),
        ({"contact_id": (await desk.items(q="7 900"))[0]["contact"]["id"]}, ["cat"]),
    ]
    found = [(query, await desk.threads(**query)) for query, _ in expected]
    assert found == expected
    first = (await alice.client.get("/api/v1/inbox", params={"limit": 2})).json()
    second = (await alice.client.get("/api/v1/inbox", params={"limit": 2, "after": first["next"]})).json()
    pages = [[item["contact"]["external_id"] for item in each["items"]] for each in (first, second)]
    assert (pages, second["next"]) == ([["ann", "bea"], ["cat"]], None)
    for wrong in ({"assignee_id": "somebody"}, {"after": "AAAA"}, {"status": "asleep"}):
        assert (await alice.client.get("/api/v1/inbox", params=wrong)).status_code == 400
    one = (await alice.client.get(f"/api/v1/inbox/{first['items'][0]['id']}")).json()
    assert (one, one["tags"]) == (first["items"][0], ["vip"])


async def test_marks_have_limits(desk: Desk, charlie: Person, alice: Person) -> None:
    """Only members are assigned, which stands in the conversation; tags are few and short."""
    await desk.hear("ann", "Hello!")
    assert (await desk.post("ann", "assign", user_id=str(charlie.user_id))).status_code == 404
    for user_id in (str(alice.user_id), str(alice.user_id), None):
        assert (await desk.post("ann", "assign", user_id=user_id)).json()["assignee_id"] == user_id
    assert await desk.said("ann") == [("contact", "Hello!"), ("system", "assigned"), ("system", "assigned")]
    address = f"/api/v1/conversations/{await desk.id_of('ann')}/tags"
    for tags in ([str(number) for number in range(21)], ["x" * 51], [""]):
        assert (await alice.client.put(address, json={"tags": tags})).status_code == 400


async def test_two_contacts_become_one_person_and_part_again(desk: Desk, alice: Person) -> None:
    """With the conversations of all of them; what a member corrects is not undone by a messenger."""
    for thread in ("ann", "annie", "bea"):
        await desk.hear(thread, "Hello!", sender={"external_id": thread, "name": thread})
    ann, annie, bea = [await desk.contact_of(thread) for thread in ("ann", "annie", "bea")]
    person = (await alice.client.post(f"/api/v1/contacts/{ann}/merge", json={"with": annie})).json()["person_id"]
    assert await desk.threads(person_id=person) == ["annie", "ann"]
    await alice.client.post(f"/api/v1/contacts/{bea}/merge", json={"with": annie})
    [shown] = (await alice.client.get("/api/v1/contacts", params={"q": "bea"})).json()["items"]
    assert await desk.threads(person_id=shown["person_id"]) == ["bea", "annie", "ann"]
    await alice.client.post(f"/api/v1/contacts/{bea}/unmerge")
    assert await desk.threads(person_id=shown["person_id"]) == ["annie", "ann"]
    assert (await alice.client.post(f"/api/v1/contacts/{bea}/merge", json={"with": bea})).status_code == 409
    patch = {"name": "Ann Example", "phone": "+7 900"}
    await alice.client.patch(f"/api/v1/contacts/{ann}", json=patch)
    await desk.hear("ann", "Hi!", sender={"external_id": "ann", "name": "xX_ann_Xx", "email": "ann@example.com"})
    told = (await alice.client.get(f"/api/v1/contacts/{ann}")).json()
    assert (told["name"], told["phone"], told["email"]) == ("Ann Example", "+7 900", "ann@example.com")


async def test_what_a_customer_sends_is_fetched_and_kept(
    private: Services, desk: Desk, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that is away is asked again; what cannot be had says why; leftovers are swept and these are not."""
    gateway.files = {"cat": [503, b"meow"]}
    sent = [
        {"type": "photo", "ref": f"{gateway.place}/files/cat", "name": 'котик ".jpg', "mime": "image/jpeg"},
        {"type": "document", "ref": f"{gateway.place}/files/gone", "mime": "text/html; x"},
        {"type": "video", "ref": f"{gateway.place}/files/cat", "size": 30 << 20},
        {"type": "location"},
    ]
    await desk.hear("ann", "Look!", attachments=sent)
    client, conversation_id = desk.alice.client, await desk.id_of("ann")
    [message] = (await client.get(f"/api/v1/conversations/{conversation_id}/messages")).json()["items"]
    place = f"/api/v1/conversations/{conversation_id}/messages/{message['id']}/attachments"

    async def states() -> list[tuple[str, str | None]]:
        return [(each["state"], each["error"]) for each in (await client.get(place)).json()]

    expected = [
        ("stored", None),
        ("failed", text("attachment.permanent", "en")),
        ("too_large", text("attachment.too_large", "en")),
        ("no_file", None),
    ]
    async with everything_at_work(private):
        await until(lambda: is_so(states, expected))
    photo = (await client.get(place)).json()[0]
    assert (photo["type"], photo["size"]) == ("photo", 4)
    monkeypatch.setattr(sweeping, "SWEEP_AFTER", -SWEEP_AFTER)
    async with private.database.tenant(desk.alice.tenant_id) as session:
        await jobs.bring_forward(session, desk.alice.tenant_id, SWEEP_FILES, "")
    assert await make_worker(private).run_one([SWEEP_FILES])
    content = await client.get(f"{place}/{photo['id']}/content")
    assert (content.content, content.headers["content-type"]) == (b"meow", "image/jpeg")
    assert content.headers["content-disposition"].startswith('attachment; filename="')
    gone = (await client.get(place)).json()[1]
    assert (await client.get(f"{place}/{gone['id']}/content")).status_code == 404


async def test_a_channel_that_fetches_nothing_says_so(
    services: Services, desk: Desk, monkeypatch: pytest.MonkeyPatch, superuser: asyncpg.Connection
) -> None:
    """And the job is over."""
    monkeypatch.setattr(SignedHttp, "fetch", Connector.fetch)
    await desk.hear("ann", "", attachments=[{"type": "voice", "ref": "1"}])
    assert await make_worker(services).run_one([FETCH])
    assert await superuser.fetch("SELECT state, error FROM attachments") == [("failed", "unsupported")]
    assert await count(superuser, "jobs WHERE kind = 'channels.fetch'") == 0


async def test_what_could_not_be_fetched_is_fetched_once_more(
    private: Services, desk: Desk, gateway: Gateway, superuser: asyncpg.Connection
) -> None:
    """When a member says so, once each time; what is there already is not."""
    sent = {"type": "photo", "ref": f"{gateway.place}/files/cat", "name": "cat.jpg", "mime": "image/jpeg"}
    await desk.hear("ann", "Look!", attachments=[sent])
    client, conversation_id = desk.alice.client, await desk.id_of("ann")
    [message] = (await client.get(f"/api/v1/conversations/{conversation_id}/messages")).json()["items"]
    place = f"/api/v1/conversations/{conversation_id}/messages/{message['id']}/attachments"

    async def states() -> list[str]:
        return [each["state"] for each in (await client.get(place)).json()]

    [attachment] = (await client.get(place)).json()
    again = f"{place}/{attachment['id']}/retry"
    assert (await client.post(again)).json()["code"] == "conflict", "it is being fetched"
    async with everything_at_work(private):
        await until(lambda: is_so(states, ["failed"]))
        await superuser.execute("TRUNCATE audit_log")
        gateway.files = {"cat": [b"meow"]}
        answers = [await client.post(again) for _ in range(2)]
        assert (answers[0].json()["state"], answers[0].json()["error"]) == ("waiting", None)
        await until(lambda: is_so(states, ["stored"]))
    assert (await client.get(f"{place}/{attachment['id']}/content")).content == b"meow"
    assert (await client.post(again)).json()["detail"].endswith(f"{text('conflict.attachment_state', 'en')}.")
    [row] = await superuser.fetch("SELECT action, object_id, actor_id FROM audit_log")
    assert [str(value) for value in row] == ["attachments.retry", attachment["id"], str(desk.alice.user_id)]


async def test_the_team_hears_in_its_chat_of_a_hand_over(private: Services, desk: Desk, gateway: Gateway) -> None:
    """With the reason and the question; what it says there is not answered, and the customer does not see it."""
    settings = {"settings": {"notify": ["team", "never-wrote"]}}
    (await desk.alice.client.patch(f"/api/v1/channels/{desk.channel['id']}", json=settings)).raise_for_status()
    services = structs.replace(private, settings=structs.replace(private.settings, public_url="https://help.example"))
    async with everything_at_work(services):
        await desk.hear("team", "Hello!")
        await desk.hear("ann", "operator!")
        await gateway.wait_for(2)
        await asyncio.sleep(0.3)
    assert gateway.said("ann") == [text("hand_over.done", "en")]
    told = [("contact", "operator!"), ("assistant", text("hand_over.done", "en")), ("system", "handed_over")]
    assert await desk.said("ann") == told
    notice = text("hand_over.notice", "en", reason=text("reason.asked_for_person", "en"), question="operator!")
    assert gateway.said("team") == [f"{notice}\nhttps://help.example/inbox/{await desk.id_of('ann')}"]


async def test_an_answer_that_fails_again_and_again_goes_to_a_person(
    private: Services, desk: Desk, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer is told once; the team hears with the link as of any other hand-over."""

    async def broken(*_: Any) -> AsyncGenerator[Any, None]:
        raise RuntimeError("a fault of ours")
        yield

    monkeypatch.setattr(charging, "answer_in_pieces", broken)
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 1)
    settings = {"settings": {"notify": ["team"]}}
    (await desk.alice.client.patch(f"/api/v1/channels/{desk.channel['id']}", json=settings)).raise_for_status()
    services = structs.replace(private, settings=structs.replace(private.settings, public_url="https://help.example"))
    async with everything_at_work(services):
        await desk.hear("team", "Hello!")
        await desk.hear("ann", "Where is my parcel?")
        await gateway.wait_for(2)
        await asyncio.sleep(0.3)
    assert gateway.said("ann") == [text("hand_over.done", "en")]
    reason = text("reason.repeated_failure", "en")
    notice = text("hand_over.notice", "en", reason=reason, question="Where is my parcel?")
    assert gateway.said("team") == [f"{notice}\nhttps://help.example/inbox/{await desk.id_of('ann')}"]
    assert await desk.said("ann") == [
        ("contact", "Where is my parcel?"),
        ("assistant", text("hand_over.done", "en")),
        ("system", "handed_over"),
    ]
    [item] = await desk.items(status="pending")
    assert (item["handed_over_reason"], item["last"]["text"]) == ("repeated_failure", text("hand_over.done", "en"))


async def is_so(what: Any, expected: object) -> bool:
    return bool(await what() == expected)


CHANGES: list[tuple[str, str, Json, str]] = [
    ("POST", "messages", {"text": "secret words"}, "conversations.reply"),
    ("POST", "notes", {"text": "secret words"}, "conversations.note"),
    ("POST", "assign", {"user_id": None}, "conversations.assign"),
    ("PUT", "tags", {"tags": ["vip"]}, "conversations.tag"),
]


@pytest.mark.parametrize(("method", "what", "body", "action"), CHANGES, ids=[change[3] for change in CHANGES])
async def test_what_members_do_is_in_the_trail(
    method: str, what: str, body: Json, action: str, desk: Desk, superuser: asyncpg.Connection
) -> None:
    """One row each, without the words."""
    await desk.hear("ann", "Hello!")
    conversation_id = await desk.id_of("ann")
    await superuser.execute("TRUNCATE audit_log")
    await desk.alice.client.request(method, f"/api/v1/conversations/{conversation_id}/{what}", json=body)
    [row] = await superuser.fetch("SELECT action, object_id, actor_id, changes::text FROM audit_log")
    assert (row["action"], str(row["object_id"]), row["actor_id"]) == (action, conversation_id, desk.alice.user_id)
    assert "secret" not in row["changes"]


async def test_parts_and_contacts_are_in_the_trail(desk: Desk, superuser: asyncpg.Connection) -> None:
    """One row for each thing that a member does to them."""
    await desk.hear("ann", "Hello!")
    await desk.hear("bea", "Hello!")
    await desk.post("ann", "messages", text="One")
    [part] = await desk.deliveries("ann")
    ann, bea = [await desk.contact_of(thread) for thread in ("ann", "bea")]
    await superuser.execute("TRUNCATE audit_log")
    await desk.part("ann", part, "cancel")
    await desk.part("ann", part, "retry")
    await desk.alice.client.patch(f"/api/v1/contacts/{ann}", json={"name": "Ann"})
    await desk.alice.client.post(f"/api/v1/contacts/{ann}/merge", json={"with": bea})
    await desk.alice.client.post(f"/api/v1/contacts/{ann}/unmerge")
    rows = await superuser.fetch("SELECT action, changes::text FROM audit_log ORDER BY id")
    about = f'{{"conversation_id": "{await desk.id_of("ann")}"}}'
    assert [(row["action"], row["changes"]) for row in rows] == [
        ("deliveries.cancel", about),
        ("deliveries.retry", about),
        ("contacts.update", '{"fields": ["name"]}'),
        ("contacts.merge", f'{{"other": "{bea}"}}'),
        ("contacts.unmerge", "{}"),
    ]


async def test_counts_of_old_days_are_forgotten(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """By the worker, without anybody asking for it."""
    row = "INSERT INTO usage_counters VALUES ($1, $2, now() - $3::text::interval, 1)"
    await superuser.execute(row, alice.tenant_id, "old", "3 days")
    await superuser.execute(row, alice.tenant_id, "new", "1 day")
    async with everything_at_work(services):
        await until(lambda: only_new_is_left(superuser))


async def only_new_is_left(superuser: asyncpg.Connection) -> bool:
    return [row["name"] for row in await superuser.fetch("SELECT name FROM usage_counters")] == ["new"]


async def has_failed_once(desk: Desk) -> bool:
    items = await desk.items()
    found = await desk.deliveries("ann") if items else []
    return [(each["state"], each["attempts"]) for each in found] == [("pending", 1)]


async def states_are(desk: Desk, expected: list[str]) -> bool:
    return await desk.states("ann") == expected
