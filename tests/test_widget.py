"""The widget's channel over a real socket, as the browser of a visitor uses it: every answer once, and only theirs."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from asissto.channels import outbox, widget_messages, widget_stream
from asissto.channels.contract import Part
from asissto.channels.delivering import Courier
from asissto.channels.tables import Thread
from asissto.channels.web_widget import WebWidgetSettings
from asissto.channels.widget_sessions import Lock, Visitor, read_session, sign_session
from asissto.platform.entrypoints.serving import WebServer, make_server
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import text
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.tables import Conversation, Message
from channels_at_work import Json, everything_at_work, make_channel
from people import Person
from test_answers import LIBRARY, ignore, set_up

SHOP = "https://shop.example.com"
SECRET = "the secret of the shop, 32 bytes or more"
ABOUT_REFUND = "How long does a refund take?"


@dataclass
class Page:
    """A page of the shop with a visitor in front of it; its client sends what a browser would."""

    client: httpx.AsyncClient
    session: Json = field(default_factory=dict)

    @property
    def token(self) -> str:
        return str(self.session["token"])

    async def begin(self, **body: Any) -> httpx.Response:
        answer = await self.client.post("session", json=body)
        if answer.is_success:
            self.session = answer.json()
            self.client.headers["authorization"] = f"Bearer {self.token}"
        return answer

    async def say(self, words: str, key: UUID | None = None) -> httpx.Response:
        return await self.client.post("messages", json={"id": str(key or uuid4()), "text": words})

    async def history(self) -> Json:
        shown: Json = (await self.client.get("history")).raise_for_status().json()
        return shown

    @asynccontextmanager
    async def listening(self, cut_off_at: str = "", **params: str) -> AsyncIterator["EventSource"]:
        """Without the bearer: an EventSource sends no headers but the place where it was cut off."""
        query, headers = {"token": self.token, **params}, {"last-event-id": cut_off_at} if cut_off_at else {}
        sent = {name: value for name, value in self.client.headers.items() if name != "authorization"}
        async with (
            httpx.AsyncClient(base_url=self.client.base_url, headers=sent, timeout=20) as client,
            client.stream("GET", "events", params=query, headers=headers) as response,
        ):
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["access-control-allow-origin"] == SHOP
            source = EventSource(response)
            yield source
            await source.close()


class EventSource:
    """Reads a stream as browsers do."""

    def __init__(self, response: httpx.Response) -> None:
        self.last_event = ""
        self.beats = 0
        self._lines = response.aiter_lines()
        self._events = self._read()

    async def _read(self) -> AsyncIterator[tuple[str, Json]]:
        event: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
            elif "data" in event:
                self.last_event = event.get("id", self.last_event)
                yield event["event"], msgspec.json.decode(event["data"])
                event = {}
            else:
                event = {}
            self.beats += line == ": "

    async def next(self, kind: str = "message", *, own: bool = False) -> Json:
        """The next event of this kind; the visitor's own words only where they are asked for."""
        async with asyncio.timeout(60):
            async for name, data in self._events:
                if name == kind and (own or data.get("sender") != "visitor"):
                    return data
        pytest.fail(f"the stream ended without a {kind}")

    async def rest(self) -> list[str]:
        """The names of what comes until the server ends the stream."""
        async with asyncio.timeout(60):
            return [name async for name, _ in self._events]

    async def close(self) -> None:
        await self._events.aclose()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Shop:
    """Alice's widget on a real socket."""

    services: Services
    alice: Person
    channel: Json
    address: str
    server: WebServer

    @asynccontextmanager
    async def opened(self, channel_id: str = "", origin: str = SHOP) -> AsyncIterator[Page]:
        base = f"{self.address}/api/v1/widget/{self.alice.tenant_id}/{channel_id or self.channel['id']}/"
        headers = {"origin": origin, "sec-fetch-site": "cross-site", "accept-language": "en"}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as client:
            yield Page(client)

    @asynccontextmanager
    async def visited(self, **body: Any) -> AsyncIterator[Page]:
        async with self.opened() as page:
            (await page.begin(**body)).raise_for_status()
            yield page

    @property
    def lock(self) -> Lock:
        return Lock(self.services.keys, self.alice.tenant_id, UUID(self.channel["id"]), SECRET)

    def expiring(self, page: Page, seconds: int) -> str:
        """The page's token with another end."""
        visitor = read_session(self.lock, page.token)
        return sign_session(self.lock, structs.replace(visitor, expires_at=int(time.time()) + seconds))

    async def change(self, **body: Any) -> None:
        (await self.alice.client.patch(f"/api/v1/channels/{self.channel['id']}", json=body)).raise_for_status()


@pytest.fixture
async def shop(services: Services, alice: Person, unused_tcp_port: int) -> AsyncIterator[Shop]:
    await set_up(alice, burst_seconds=0.1)
    channel = await make_widget(alice)
    server = make_server(structs.replace(services, settings=structs.replace(services.settings, port=unused_tcp_port)))
    serving = asyncio.create_task(server.serve())
    await server.wait_until_started()
    yield Shop(services, alice, channel, f"http://127.0.0.1:{unused_tcp_port}", server)
    server.stop()
    await asyncio.wait_for(serving, 4)


async def make_widget(person: Person, **settings: Any) -> Json:
    own = {"allowed_origins": [SHOP, "http://localhost:3000"], "greeting": "Ask us!", **settings}
    return await make_channel(person, "web", own, {"identity_secret": SECRET}, name=f"Widget {new_id()}")


def signed(user_id: str, secret: str = SECRET, seconds: int | None = None) -> Json:
    """As the guide tells the owners of sites; good for so many seconds, or for ever."""
    if seconds is None:
        return {"user_id": user_id, "signature": hmac.new(secret.encode(), user_id.encode(), "sha256").hexdigest()}
    expires_at = int(time.time()) + seconds
    words = f"{user_id}\n{expires_at}"
    signature = hmac.new(secret.encode(), words.encode(), "sha256").hexdigest()
    return {"user_id": user_id, "expires_at": expires_at, "signature": signature}


async def tell_him(shop: Shop, page: Page, *words: str, deliver: bool = True) -> None:
    """Says something in the visitor's conversation, which the courier makes visible."""
    async with shop.services.database.tenant(shop.alice.tenant_id) as session:
        thread, conversation = await rows_of(session, shop, page)
        for each in words:
            message_id = new_id()
            row = Message(
                tenant_id=conversation.tenant_id, id=message_id, conversation_id=conversation.id, content=each
            )
            row.sender_kind = "assistant"
            session.add(row)
            await session.flush()
            await outbox.put(session, thread, message_id, [Part(text=each)])
    courier = Courier(shop.services)
    while deliver and await courier.send_one():
        pass


async def rows_of(session: Any, shop: Shop, page: Page) -> tuple[Thread, Conversation]:
    from sqlalchemy import select

    visitor = read_session(shop.lock, page.token)
    thread = (await session.scalars(select(Thread).where(Thread.external_key == visitor.thread))).one()
    return thread, await session.get_one(Conversation, (thread.tenant_id, thread.id))


def said(history: Json) -> list[tuple[str, str]]:
    """Oldest first."""
    return [(each["sender"], each["text"]) for each in reversed(history["items"])]


async def test_a_visitor_asks_and_is_answered(shop: Shop) -> None:
    """From the first call of the page to the opened citation; the stream is there before the conversation is."""
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(shop.services, shop.alice.tenant_id, passages, ignore)
    key = uuid4()
    async with everything_at_work(shop.services), shop.visited() as page, page.listening() as events:
        about = {name: page.session[name] for name in ("greeting", "language", "is_known", "has_conversation")}
        assert about == {"greeting": "Ask us!", "language": "en", "is_known": False, "has_conversation": False}
        assert page.session["assistant"]
        assert await events.next("state") == {"status": "assistant", "typing": False}
        taken = await page.say(ABOUT_REFUND, key)
        assert (taken.status_code, taken.headers["access-control-allow-origin"]) == (202, SHOP)
        assert await events.next("state") == {"status": "assistant", "typing": True}
        answer = await events.next()
        assert await events.next("state") == {"status": "assistant", "typing": False}
        opened = (await page.client.get(f"messages/{answer['id']}/citations/1")).raise_for_status().json()
        history = await page.history()
    assert answer["sender"] == "assistant"
    assert answer["text"].endswith("Sources:\n[1] Refunds")
    assert [cited["quote"] for cited in answer["citations"]] == [LIBRARY["Refunds"]]
    assert {"number": 1} in answer["blocks"][0]["spans"]
    question = {"id": taken.json()["message_id"], "sender": "visitor", "text": ABOUT_REFUND, "key": str(key)}
    assert history["items"][0] == answer
    assert question.items() <= history["items"][1].items()
    assert history["last_event"] == events.last_event
    assert (opened["number"], opened["title"], opened["quote"]) == (1, "Refunds", LIBRARY["Refunds"])
    assert set(opened) == {"number", "title", "locator", "url", "before", "quote", "after"}


async def test_a_stream_that_is_cut_off_goes_on_where_it_was(shop: Shop) -> None:
    """Nothing is lost and nothing comes twice, by the browser's header as by the query."""
    words = [f"Part {number}" for number in range(1, 7)]
    async with shop.visited() as page:
        await page.say("Hello!")
        await tell_him(shop, page, *words[:4])
        async with page.listening() as events:
            got = [(await events.next())["text"] for _ in range(2)]
        await tell_him(shop, page, words[4])
        async with page.listening(events.last_event) as again:
            got += [(await again.next())["text"] for _ in range(3)]
            await tell_him(shop, page, words[5])
            got.append((await again.next())["text"])
        assert got == words
        async with page.listening(last_event=again.last_event) as late:
            await tell_him(shop, page, "Part 7")
            assert (await late.next())["text"] == "Part 7"
        async with page.listening(late.last_event, last_event=events.last_event) as latest:
            await tell_him(shop, page, "Part 8")
            assert (await latest.next())["text"] == "Part 8", "a browser repeats the address of the first time"
        place = (await page.history())["last_event"]
        assert place == latest.last_event


async def test_what_a_visitor_writes_is_shown_on_their_other_pages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, each once, with the id by which its own page knows it; also to a page that was cut off meanwhile."""
    for module in (widget_messages, widget_stream):
        monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    key = uuid4()
    async with shop.visited() as page, page.listening() as first:
        async with page.listening() as second:
            taken = (await page.say("One", key)).json()
            shown = [await events.next(own=True) for events in (first, second)]
        assert shown == (await page.history())["items"] * 2
        about = {"id": taken["message_id"], "key": str(key), "sender": "visitor", "text": "One"}
        assert about.items() <= shown[0].items()
        await tell_him(shop, page, "Two")
        await page.say("Three")
        await page.say("One", key)
        await tell_him(shop, page, "Four", "Five")
        await page.say("Six")
        async with page.listening(second.last_event) as again:
            missed = [(await again.next(own=True))["text"] for _ in range(5)]
        assert missed == ["Two", "Three", "Four", "Five", "Six"]
        assert [(await first.next(own=True))["text"] for _ in range(5)] == missed
        assert first.last_event == again.last_event == (await page.history())["last_event"]
        async with page.listening(last_event=again.last_event) as late:
            await page.say("Seven")
            assert (await late.next(own=True))["text"] == "Seven"


async def test_a_place_in_another_conversation_is_the_beginning(shop: Shop) -> None:
    """The old one was deleted, and numbers begin anew."""
    async with shop.visited() as page:
        await page.say("Hello!")
        await tell_him(shop, page, "Yes?")
        for somewhere in (f"0123456789ab.41.{uuid4().hex}", "0123456789ab.41", "ы", "x" * 100):
            async with page.listening(last_event=somewhere) as events:
                assert [(await events.next(own=True))["text"] for _ in range(2)] == ["Hello!", "Yes?"]


async def test_what_is_not_sent_and_what_is_not_for_visitors_is_not_shown(
    shop: Shop, superuser: asyncpg.Connection
) -> None:
    """Notes, system rows, answers on their way; also where a note is in the outbox by mistake."""
    async with shop.visited() as page:
        await page.say("Hello!")
        await tell_him(shop, page, "A note.", "A system row.", "Seen.")
        await tell_him(shop, page, "On its way.", deliver=False)
        for kind in ("note", "system"):
            words = f"A {kind}%"
            await superuser.execute("UPDATE messages SET sender_kind = $1 WHERE content LIKE $2", kind, words)
        async with page.listening() as events:
            assert (await events.next())["text"] == "Seen."
        assert said(await page.history()) == [("visitor", "Hello!"), ("assistant", "Seen.")]


async def test_two_visitors_never_see_each_others(shop: Shop) -> None:
    """Neither by their own tokens, nor by the ids of the other's messages and citations."""
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(shop.services, shop.alice.tenant_id, passages, ignore)
    key = uuid4()
    async with everything_at_work(shop.services), shop.visited() as ann, shop.visited() as bea:
        await bea.say("Hello!")
        async with ann.listening() as hers, bea.listening() as his:
            assert [(await his.next(own=True))["text"] for _ in range(2)] == ["Hello!", text("answer.greeting", "en")]
            await ann.say(ABOUT_REFUND, key)
            answer = [await hers.next(own=True) for _ in range(2)][1]
            await bea.say("Thank you", key)
            assert [(await his.next(own=True))["text"] for _ in range(2)] == ["Thank you", text("answer.thanks", "en")]
        opening = f"messages/{answer['id']}/citations/1"
        assert [(await page.client.get(opening)).status_code for page in (ann, bea)] == [200, 404]
        assert {each["text"] for each in (await bea.history())["items"]} == {
            "Hello!",
            "Thank you",
            text("answer.greeting", "en"),
            text("answer.thanks", "en"),
        }
        assert [each["text"] for each in (await ann.history())["items"]] == [answer["text"], ABOUT_REFUND]


async def test_the_same_id_is_one_message(shop: Shop, superuser: asyncpg.Connection) -> None:
    """Twenty times at once and again later: the same reply each time, and one answer."""
    key = uuid4()
    async with everything_at_work(shop.services), shop.visited() as page:
        replies = await asyncio.gather(*(page.say("Hello!", key) for _ in range(20)))
        async with page.listening() as events:
            await events.next()
        replies.append(await page.say("Something else", key))
        await asyncio.sleep(0.4)
        assert {(reply.status_code, reply.text) for reply in replies} == {(202, replies[0].text)}
        assert said(await page.history()) == [("visitor", "Hello!"), ("assistant", text("answer.greeting", "en"))]
    assert await superuser.fetchval("SELECT count(*) FROM messages") == 2


async def test_the_budget_of_a_widget_is_not_overrun(shop: Shop) -> None:
    """Above it messages are kept and not answered; each visitor is told once."""
    await shop.change(settings={"limits": {"answers_per_day": 1}})
    async with everything_at_work(shop.services), shop.visited() as page, page.listening() as events:
        await page.say("Hello!")
        assert (await events.next())["text"] == text("answer.greeting", "en")
        for _ in range(3):
            assert (await page.say("Hello again!")).status_code == 202
        assert (await events.next())["text"] == text("channel.too_many", "en")
        await asyncio.sleep(0.4)
        assert [sender for sender, _ in said(await page.history())].count("assistant") == 2


async def test_an_address_has_its_limit(shop: Shop) -> None:
    """The page may read why, and when to come again."""
    await shop.change(settings={"address_per_minute": 3})
    async with shop.visited() as page:
        answers = [await page.say("Hello!") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    headers = {name: answers[-1].headers[name] for name in ("retry-after", "access-control-allow-origin")}
    assert headers == {"retry-after": "60", "access-control-allow-origin": SHOP}


CALLS = [("POST", "session"), ("POST", "messages"), ("GET", "history"), ("GET", "events"), ("OPTIONS", "messages")]
CALLS += [("GET", f"messages/{uuid4()}/citations/1")]


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "https://shop.example.com.evil.com", "http://shop.example.com", "null", ""]
)
async def test_pages_of_other_origins_are_refused(shop: Shop, origin: str) -> None:
    """Whatever they call, also with a visitor's token; browsers let them read nothing."""
    async with shop.visited() as page, shop.opened(origin=origin) as foreign:
        headers = {"authorization": f"Bearer {page.token}"}
        for method, path in CALLS:
            params = {"token": page.token} if path == "events" else {}
            answer = await foreign.client.request(method, path, headers=headers, params=params)
            assert (path, answer.status_code, answer.json()["code"]) == (path, 403, "origin_refused")
            assert "access-control-allow-origin" not in answer.headers


async def test_a_browser_may_ask_before_it_calls(shop: Shop) -> None:
    """The preflight of an allowed page, for each of the addresses."""
    async with shop.opened() as page:
        for path in {path for _, path in CALLS}:
            asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
            answer = await page.client.options(path, headers=asked)
            told = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
            assert (answer.status_code, told) == (
                204,
                {
                    "access-control-allow-origin": SHOP,
                    "access-control-allow-methods": "GET, POST",
                    "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID",
                    "access-control-expose-headers": "Retry-After, X-Request-ID",
                    "access-control-max-age": "600",
                },
            )


async def test_a_page_of_the_server_itself_needs_no_origin(shop: Shop) -> None:
    """Browsers name none when it reads, but say that it is their own; it must be allowed like any other."""
    async with shop.visited() as page:
        page.client.headers["sec-fetch-site"] = "same-origin"
        del page.client.headers["origin"]
        assert (await page.client.get("history")).status_code == 403
        await shop.change(settings={"allowed_origins": [shop.address.replace("127.0.0.1", "localhost"), shop.address]})
        assert (await page.client.get("history")).status_code == 200


async def test_a_signed_identity_has_one_conversation_everywhere(shop: Shop) -> None:
    """On the next device too; an unsigned visitor of the same name is somebody else."""
    async with shop.visited(identity={**signed("u-17"), "name": "Ann"}) as page, shop.visited() as other:
        assert page.session["is_known"]
        await page.say("It is me.")
        await other.say("I am nobody.")
        async with shop.visited(identity=signed("u-17"), token=other.token) as phone:
            assert phone.session["has_conversation"]
            assert said(await phone.history()) == [("visitor", "It is me.")]
        (contact,) = [
            each
            for each in (await shop.alice.client.get("/api/v1/conversations")).json()["items"]
            if each["contact_id"]
        ][:1]
        assert contact["channel_id"] == shop.channel["id"]


async def contacts_of(shop: Shop) -> dict[str, Json]:
    """By what the channel calls them."""
    items = (await shop.alice.client.get("/api/v1/contacts")).json()["items"]
    return {each["external_id"]: each for each in items}


async def test_what_was_written_before_signing_in_goes_on_as_theirs(shop: Shop) -> None:
    """With what a member has set right; a message sent once more is no other, and the old token leads nowhere."""
    key = uuid4()
    async with shop.visited() as page, shop.visited() as tab, shop.visited(identity=signed("u-17")) as phone:
        taken = (await page.say("I am nobody yet.", key)).json()
        (await tab.begin(token=page.token)).raise_for_status()
        (guest,) = (await contacts_of(shop)).values()
        await shop.alice.client.patch(f"/api/v1/contacts/{guest['id']}", json={"name": "Ann", "phone": "+7 900"})
        async with phone.listening() as events:
            assert await events.next("state") == {"status": "assistant", "typing": False}
            await page.begin(token=page.token, identity=signed("u-17"))
            assert (page.session["is_known"], page.session["has_conversation"]) == (True, True)
            assert (await events.next(own=True))["text"] == "I am nobody yet."
            await tell_him(shop, page, "Now I know you.")
            assert (await events.next())["text"] == "Now I know you."
        assert (await page.say("I am nobody yet.", key)).json() == taken
        assert said(await page.history()) == [("visitor", "I am nobody yet."), ("assistant", "Now I know you.")]
        assert (await tab.history())["items"] == []
        await page.say("Good.")
    (row,) = (await shop.alice.client.get("/api/v1/inbox")).json()["items"]
    known = {name: row["contact"][name] for name in ("external_id", "person_id", "name", "phone")}
    person_id = (await contacts_of(shop))["user:u-17"]["id"]
    assert known == {"external_id": "user:u-17", "person_id": person_id, "name": "Ann", "phone": "+7 900"}
    assert {each["person_id"] for each in (await contacts_of(shop)).values()} == {person_id}


async def test_whoever_has_a_conversation_keeps_it_when_they_sign_in(shop: Shop) -> None:
    """The operators see that the other one is of the same person; whoever signs in after that is somebody else."""
    async with shop.visited(identity=signed("u-17")) as ann, shop.visited() as page, shop.opened() as bea:
        await ann.say("It is me.")
        await page.say("I am nobody yet.")
        guests = page.token
        await page.begin(token=shop.expiring(page, -1), identity=signed("u-17"))
        assert len({each["person_id"] for each in (await contacts_of(shop)).values()}) == 2
        await page.begin(token=guests, identity=signed("u-17"))
        assert said(await page.history()) == [("visitor", "It is me.")]
        assert len({each["person_id"] for each in (await contacts_of(shop)).values()}) == 1
        await bea.begin(token=guests, identity=signed("u-18"))
        assert (bea.session["has_conversation"], (await bea.history())["items"]) == (False, [])
        await bea.say("I am Bea.")
        persons = {name: each["person_id"] for name, each in (await contacts_of(shop)).items()}
        assert persons["user:u-17"] != persons["user:u-18"]
        await bea.begin(token=ann.token, identity=signed("u-18"))
        assert said(await bea.history()) == [("visitor", "I am Bea.")]


async def test_pages_that_sign_in_at_once_join_once(shop: Shop) -> None:
    """Whichever is first: the others find the conversation under its new name."""
    async with shop.visited() as page:
        await page.say("I am nobody yet.")
        body = {"token": page.token, "identity": signed("u-17")}
        answers = await asyncio.gather(*(page.client.post("session", json=body) for _ in range(8)))
        assert [(each.status_code, each.json()["has_conversation"]) for each in answers] == [(200, True)] * 8
    assert len((await shop.alice.client.get("/api/v1/inbox")).json()["items"]) == 1


WRONG = {
    "another secret": signed("u-17", "guessed " * 5),
    "another user": {**signed("u-17"), "user_id": "u-18"},
    "nothing": {**signed("u-17"), "signature": ""},
    "letters": {**signed("u-17"), "signature": "ы"},
    "expired": signed("u-17", seconds=-1),
    "another end": {**signed("u-17", seconds=-1), "expires_at": int(time.time()) + 600},
    "an end of its own": {**signed("u-17"), "expires_at": int(time.time()) + 600},
    "no end any more": {**signed("u-17", seconds=600), "expires_at": None},
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_signature_is_refused(shop: Shop, case: str) -> None:
    """And the page may read that it is."""
    async with shop.opened() as page:
        answer = await page.begin(identity=WRONG[case])
    assert (answer.status_code, answer.json()["code"]) == (403, "identity_refused")
    assert answer.headers["access-control-allow-origin"] == SHOP


async def test_a_signature_with_an_end_begins_sessions_until_then(shop: Shop) -> None:
    """The session itself lasts as long as any other; an id that could hold an end in itself is none."""
    async with shop.visited(identity=signed("u-17", seconds=600)) as page:
        assert page.session["is_known"]
        assert read_session(shop.lock, page.token).expires_at > time.time() + 3_600
        await page.say("It is me.")
        async with shop.visited(identity=signed("u-17")) as phone:
            assert said(await phone.history()) == [("visitor", "It is me.")]
        refused = await page.begin(identity=signed("u-17\n9999999999"))
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")


async def test_a_widget_may_ask_for_an_identity(shop: Shop) -> None:
    """Also of sessions that began before it did."""
    async with shop.visited() as page:
        await shop.change(settings={"require_identity": True})
        answers = [await page.begin(), await page.begin(token=page.token), await page.say("Hello!")]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "identity_refused")] * 3
        (await page.begin(identity=signed("u-17"))).raise_for_status()
        assert (await page.say("Hello!")).status_code == 202


async def test_a_widget_without_a_secret_knows_nobody(shop: Shop) -> None:
    """An empty secret is not one that anybody could sign with, and the owner is told that nobody can write."""
    await shop.change(secrets={"identity_secret": None}, settings={"require_identity": True})
    async with shop.opened() as page:
        assert (await page.begin(identity=signed("u-17", ""))).status_code == 403
    tried = (await shop.alice.client.post(f"/api/v1/channels/{shop.channel['id']}/check")).json()
    assert (tried["ok"], tried["notes"]) == (True, [text("widget.no_identity_secret", "en")])


async def test_a_session_goes_on_with_its_token(shop: Shop) -> None:
    """For as long again; one of a known visitor only by a new signature."""
    async with shop.visited() as page, shop.visited(identity=signed("u-17")) as known:
        await page.say("Hello!")
        old = shop.expiring(page, 60)
        assert (await page.begin(token=old)).json()["has_conversation"]
        assert read_session(shop.lock, page.token).expires_at > time.time() + 3_600
        assert (await known.begin(token=shop.expiring(known, 60))).json()["is_known"]
        assert read_session(shop.lock, known.token).expires_at <= time.time() + 60


async def refusals(page: Page, token: str) -> set[tuple[int, str]]:
    headers = {"authorization": f"Bearer {token}"} if token else {"authorization": ""}
    answers = [
        await page.client.get("history", headers=headers),
        await page.client.get("events", params={"token": token}),
        await page.client.post("messages", json={"id": str(uuid4()), "text": "Hello!"}, headers=headers),
        await page.client.get(f"messages/{uuid4()}/citations/1", headers=headers),
    ]
    return {(answer.status_code, answer.json()["code"]) for answer in answers}


async def test_a_token_is_good_for_its_time_and_its_widget(shop: Shop) -> None:
    """Expired, changed, of another widget, of another tenant or none at all: 401 everywhere."""
    other = await make_widget(shop.alice)
    async with shop.visited() as page, shop.opened(other["id"]) as elsewhere:
        await elsewhere.begin()
        name, payload, signature = page.token.rsplit(".", 2)
        theirs = structs.replace(read_session(shop.lock, page.token), tenant_id=new_id())
        assert await refusals(page, shop.expiring(page, -1)) == {(401, "token_expired")}
        assert await refusals(page, elsewhere.token) == {(401, "token_invalid")}
        assert await refusals(page, sign_session(shop.lock, theirs)) == {(401, "token_invalid")}
        assert await refusals(page, f"{name}.{payload}x.{signature}") == {(401, "token_invalid")}
        assert await refusals(page, f"other.{payload}.{signature}") == {(401, "token_invalid")}
        assert await refusals(page, "") == {(401, "not_signed_in")}
        assert (await page.begin(token=shop.expiring(page, -1))).status_code == 401


async def test_a_new_secret_ends_every_session(shop: Shop) -> None:
    """Whoever could sign with the old one is out."""
    async with shop.visited(identity=signed("u-17")) as page:
        await shop.change(secrets={"identity_secret": SECRET[::-1]})
        assert await refusals(page, page.token) == {(401, "token_invalid")}


async def test_another_workspace_is_out_of_reach(shop: Shop, charlie: Person) -> None:
    """Alice's widget under the address of charlie's workspace is none, and charlie's token opens nothing of hers."""
    await set_up(charlie)
    his = await make_widget(charlie)
    async with shop.visited() as page:
        crossed = str(page.client.base_url).replace(str(shop.alice.tenant_id), str(charlie.tenant_id))
        assert (await page.client.get(f"{crossed}history")).json()["code"] == "origin_refused"
        visitor = Visitor(
            tenant_id=charlie.tenant_id,
            channel_id=UUID(his["id"]),
            visitor_id=read_session(shop.lock, page.token).visitor_id,
            is_known=False,
            expires_at=int(time.time()) + 60,
        )
        lock = Lock(shop.services.keys, visitor.tenant_id, visitor.channel_id, SECRET)
        assert await refusals(page, sign_session(lock, visitor)) == {(401, "token_invalid")}


async def test_the_stream_tells_who_answers(shop: Shop) -> None:
    """Taken over by a person, returned, closed."""
    states = {"hand-over": "person", "return": "assistant", "close": "closed"}
    async with shop.visited() as page:
        await page.say("Hello!")
        async with page.listening() as events:
            assert await events.next("state") == {"status": "assistant", "typing": True}
            (conversation,) = (await shop.alice.client.get("/api/v1/conversations")).json()["items"]
            for step, status in states.items():
                (await shop.alice.client.post(f"/api/v1/conversations/{conversation['id']}/{step}")).raise_for_status()
                assert await events.next("state") == {"status": status, "typing": False}


async def test_a_called_person_is_told_of_once(shop: Shop) -> None:
    """In the assistant's words; what stands in the conversation for the operators is not for the visitor."""
    async with everything_at_work(shop.services), shop.visited() as page, page.listening() as events:
        await page.say("operator!")
        assert (await events.next())["text"] == text("hand_over.done", "en")
        (row,) = (await shop.alice.client.get("/api/v1/conversations")).json()["items"]
        found = await shop.alice.client.get(f"/api/v1/conversations/{row['id']}/messages")
        told = found.json()["items"][-1]
        history = await page.history()
    assert (told["sender_kind"], told["content"]) == ("system", "")
    assert told["metadata"] == {"event": "handed_over", "reason": "asked_for_person"}
    assert history["state"] == {"status": "waiting", "typing": False}
    assert said(history) == [("visitor", "operator!"), ("assistant", text("hand_over.done", "en"))]


async def test_an_open_stream_does_not_hold_up_a_stop(shop: Shop) -> None:
    """It ends well, so that the browser comes back to the next server; the fixture waits for the stop."""
    async with shop.visited() as page, page.listening() as events:
        await events.next("state")
        shop.server.stop()
        assert await events.rest() == []


async def test_a_stream_ends_with_its_session(shop: Shop) -> None:
    """At the second."""
    async with shop.visited() as page:
        page.session["token"] = shop.expiring(page, 2)
        async with page.listening() as events:
            await events.next("state")
            assert await events.rest() == []


@pytest.mark.parametrize("end", ["deleted", "origin", "secret"])
async def test_a_stream_beats_and_ends_with_the_widget(shop: Shop, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or with what let it in."""
    monkeypatch.setattr(widget_stream, "HEARTBEAT_SECONDS", 0.05)
    async with shop.visited() as page, page.listening() as events:
        await events.next("state")
        await asyncio.sleep(0.3)
        if end == "deleted":
            (await shop.alice.client.delete(f"/api/v1/channels/{shop.channel['id']}")).raise_for_status()
        elif end == "origin":
            await shop.change(settings={"allowed_origins": ["https://other.example.com"]})
        else:
            await shop.change(secrets={"identity_secret": None})
        assert await events.rest() == []
        assert events.beats


async def test_an_address_opens_so_many_streams(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were closed count no more."""
    monkeypatch.setattr("asissto.channels.widget_routes.MOST_STREAMS", 1)
    async with shop.visited() as page:
        for _ in range(2):
            async with page.listening() as events:
                await events.next("state")
                again = await page.client.get("events", params={"token": page.token})
                assert (again.status_code, again.json()["code"]) == (429, "too_many_requests")
            while shop.server._hub._watchers:  # noqa: ASYNC110 - no event tells that a stream was left
                await asyncio.sleep(0.01)


async def test_a_paused_widget_takes_nothing(shop: Shop) -> None:
    """The page is told to come again."""
    async with shop.visited() as page:
        await shop.change(status="paused")
        answers = [await page.begin(), await page.say("Hello!")]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "60")] * 2


async def test_tokens_stay_out_of_the_log(shop: Shop) -> None:
    """An EventSource sends its token in the address; the log has the template of the path alone."""
    with capture_logs() as lines:
        async with shop.visited() as page, page.listening() as events:
            await events.next("state")
    paths = {line["path"] for line in lines if line["event"] == "request"}
    assert "/api/v1/widget/{tenant_id}/{channel_id}/session" in paths
    assert page.token not in str(lines)


async def test_an_empty_message_and_a_large_one_are_refused(shop: Shop) -> None:
    """Before anything is stored."""
    async with shop.visited() as page:
        answers = [await page.say(words) for words in ("  ", "x" * 4_001, "x" * 70_000)]
        assert [answer.json()["code"] for answer in answers] == ["question_empty", "question_too_long", "too_large"]
        assert (await page.history())["items"] == []


@pytest.mark.parametrize(
    ("origin", "is_one"),
    [
        ("https://shop.example.com", True),
        ("https://shop.example.com:8443", True),
        ("http://localhost", True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8000", True),
        ("http://shop.example.com", False),
        ("https://shop.example.com/", False),
        ("https://*.example.com", False),
        ("https://Shop.example.com", False),
        ("http://localhost.evil.com", False),
        ("https://shop.example.com\n", False),
        ("*", False),
        ("null", False),
    ],
)
def test_an_origin_is_exact_and_encrypted(origin: str, is_one: bool) -> None:
    """A pattern would let in more than its author thinks of."""
    try:
        msgspec.convert({"allowed_origins": [origin]}, WebWidgetSettings)
        taken = True
    except msgspec.ValidationError:
        taken = False
    assert taken is is_one
