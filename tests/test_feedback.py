"""What customers think of answers: thumbs, comments and ratings, once for each message, on the channels that can."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest

from asissto.channels.channels import find_channel
from asissto.channels.contract import Destination, Event, Hook, Said
from asissto.channels.inbox import take_in
from asissto.channels.tables import Thread
from asissto.channels.vk_events import read_update
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.evaluation import Loaded
from asissto.retrieval.tables import Conversation
from channels_at_work import Json, everything_at_work, make_channel, until
from people import Person
from telegram_peer import TelegramPeer
from test_answers import ask, library, set_up
from test_telegram import SECRET, connected, connector_at
from test_vk import make_vk
from test_widget import ABOUT_REFUND, Shop, shop

assert library
assert shop
__all__ = ["library", "shop"]


async def opinions(superuser: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await superuser.fetch("SELECT thumb, rating, comment, version FROM feedback ORDER BY created_at")
    return [tuple(row) for row in rows]


async def put(person: Person, answer: Json, **opinion: Any) -> httpx.Response:
    address = f"/api/v1/conversations/{answer['conversation_id']}/messages/{answer['message_id']}/feedback"
    return await person.client.put(address, json=opinion)


async def test_an_opinion_is_stored_once_and_may_change(
    alice: Person, charlie: Person, library: Loaded, superuser: asyncpg.Connection
) -> None:
    """The comment stays where it is left out; the figures tell the newest; what is no answer cannot be liked."""
    answer = await ask(alice, ABOUT_REFUND)
    assert (await put(alice, answer, thumb="up", comment="Thanks!")).status_code == 200
    changed = (await put(alice, answer, thumb="down")).json()
    assert changed == {"message_id": answer["message_id"], "thumb": "down", "rating": None, "comment": "Thanks!"}
    assert await opinions(superuser) == [(-1, None, "Thanks!", 1)]
    for wrong in ({}, {"rating": 5}, {"thumb": "up", "rating": 5}, {"thumb": "sideways"}):
        assert (await put(alice, answer, **wrong)).status_code == 400, wrong
    hello = await ask(alice, "Hello!")
    assert (await put(alice, hello, thumb="up")).status_code == 404
    assert (await put(alice, answer | {"message_id": str(uuid4())}, thumb="up")).status_code == 404
    assert (await put(charlie, answer, thumb="up")).status_code == 404
    assert await opinions(superuser) == [(-1, None, "Thanks!", 1)]
    audited = "SELECT changes ->> 'thumb' FROM audit_log WHERE action = 'conversations.feedback' ORDER BY id"
    assert [row[0] for row in await superuser.fetch(audited)] == ["up", "down"]
    cards = {
        card["figure"]: card["value"] for card in (await alice.client.get("/api/v1/analytics/cards")).json()["items"]
    }
    told = {name: cards[name] for name in ("questions", "courtesies", "thumbs_up", "thumbs_down", "comments")}
    assert told == {"questions": 1, "courtesies": 1, "thumbs_up": 0, "thumbs_down": 1, "comments": 1}


async def test_visitors_of_the_widget_like_answers_and_rate_conversations_once(
    shop: Shop, library: Loaded, superuser: asyncpg.Connection
) -> None:
    """The message says what it asks for. A rating is asked for when the conversation is closed, and never again."""
    await set_up(shop.alice, burst_seconds=0.1, ask_thumbs=True, ask_rating=True)
    async with (
        everything_at_work(shop.services),
        shop.visited() as page,
        shop.visited() as stranger,
        page.listening() as live,
    ):
        await page.say(ABOUT_REFUND)
        answer = await live.next()
        assert answer["asks"] == "thumb"
        path = f"messages/{answer['id']}/feedback"
        assert (await stranger.client.put(path, json={"thumb": "down"})).status_code == 404
        assert (await page.client.put(path, json={"thumb": "up", "comment": "\x00=1+1"})).status_code == 200
        conversation_id = await superuser.fetchval("SELECT id FROM conversations")
        address = f"/api/v1/conversations/{conversation_id}"
        (await shop.alice.client.post(f"{address}/close")).raise_for_status()
        question = await live.next()
        assert (question["asks"], question["text"][:14]) == ("rating", "How did we do?")
        path = f"messages/{question['id']}/feedback"
        for rating, status in ((6, 400), (2, 200), (5, 200)):
            assert (await page.client.put(path, json={"rating": rating})).status_code == status
        for step in ("reopen", "close"):
            (await shop.alice.client.post(f"{address}/{step}")).raise_for_status()
        asking = "SELECT count(*) FROM jobs WHERE kind = 'channels.ask_rating' AND state <> 'done' AND run_at <= now()"
        await until(lambda: _none(superuser, asking))
    assert await superuser.fetchval("SELECT count(*) FROM messages WHERE metadata ->> 'notice' = 'csat.question'") == 1
    assert await opinions(superuser) == [(1, None, "=1+1", 3), (None, 5, "", 3)]


async def _none(superuser: asyncpg.Connection, query: str) -> bool:
    return int(await superuser.fetchval(query)) == 0


async def test_silence_after_an_answer_is_an_end_and_doubt_is_none(
    shop: Shop, library: Loaded, superuser: asyncpg.Connection
) -> None:
    """The job looks again as long as the customer goes on; whoever was not helped is not asked how well it was."""
    await set_up(shop.alice, burst_seconds=0.1, ask_rating=True, hand_over={"enabled": False})
    worker = make_worker(shop.services)
    asked = "SELECT count(*) FROM messages WHERE metadata ->> 'notice' = 'csat.question'"

    async def later() -> int:
        await superuser.execute("UPDATE jobs SET run_at = now() WHERE kind = 'channels.ask_rating'")
        assert await worker.run_one(["channels.ask_rating"])
        return int(await superuser.fetchval(asked))

    async with shop.visited() as page:
        await page.say(ABOUT_REFUND)
        await superuser.execute("UPDATE jobs SET run_at = now()")
        assert await worker.run_one(["channels.answer"])
        assert await later() == 0
        await superuser.execute("UPDATE inquiries SET last_result = 'abstained'")
        await superuser.execute("UPDATE conversations SET updated_at = now() - interval '2 hours'")
        assert await later() == 0
        await superuser.execute("UPDATE inquiries SET last_result = 'answered'")
        assert await later() == 1


@pytest.fixture
async def bot_api() -> AsyncIterator[TelegramPeer]:
    async with TelegramPeer() as peer:
        yield peer
        assert peer.violations == []


async def test_telegram_has_buttons_and_hears_them(bot_api: TelegramPeer) -> None:
    """Below the last part, and acknowledged both ways; a hook is answered with the call itself."""
    about = uuid4()
    async with connected(bot_api) as shop_bot:
        *others, last = shop_bot.render(Said(text="word " * 2_000, language="en", asks="thumb", about=about))
        for part in (*others, last):
            await shop_bot.send(Destination("42", {}), part, 1)
        keyboards = [call.params.get("reply_markup") for call in bot_api.calls if call.method == "sendMessage"]
        row = [{"text": "👍", "callback_data": f"+:{about.hex}"}, {"text": "👎", "callback_data": f"-:{about.hex}"}]
        assert [keyboard and msgspec.json.decode(keyboard) for keyboard in keyboards] == [
            *([None] * len(others)),
            {"inline_keyboard": [row]},
        ]
        _, cursor = await shop_bot.poll({})
        await shop_bot.poll(cursor | {"offset": 1})
        message = bot_api._message(42, 42)
        user = message["from"]
        query = {"id": "q1", "from": user, "message": message, "chat_instance": "1", "data": f"+:{about.hex}"}
        bot_api.push({"callback_query": query})
        events, _ = await shop_bot.poll(cursor | {"offset": 1})
        assert [(event.kind, event.thread, event.text) for event in events] == [("pressed", "42", f"+:{about.hex}")]
        assert bot_api.called("answerCallbackQuery") == [{"callback_query_id": "q1"}]
    body = msgspec.json.encode({"update_id": 9, "callback_query": query})
    headers = {"x-telegram-bot-api-secret-token": SECRET}
    hook = Hook(method="POST", query="bot=shop", headers=headers, body=body)
    taken = connector_at("http://127.0.0.1:1", mode="webhook").take(hook)
    assert taken.events[0].text == f"+:{about.hex}"
    call = {"method": "answerCallbackQuery", "callback_query_id": "q1"}
    assert (msgspec.json.decode(taken.reply.body), taken.reply.media_type) == (call, "application/json")


def test_vk_has_buttons_and_hears_them() -> None:
    """A press is a message with a payload; the payload of other people's buttons is a message as any."""
    about = uuid4()
    parts = make_vk("http://127.0.0.1:1").render(Said(text="Good?", language="en", asks="rating", about=about))
    buttons = parts[-1].extra["buttons"]
    assert [value for _, value in buttons] == [f"{number}:{about.hex}" for number in range(1, 6)]
    message = {"id": 7, "peer_id": 42, "from_id": 42, "date": 1_790_000_000, "text": "1"}
    for payload, kind, text in (
        (msgspec.json.encode({"asissto": f"1:{about.hex}"}).decode(), "pressed", f"1:{about.hex}"),
        ('{"command": "start"}', "message", "1"),
        ("[" * 100_000, "message", "1"),
        ("", "message", "1"),
    ):
        update = {"type": "message_new", "event_id": "e", "object": {"message": message | {"payload": payload}}}
        event = read_update(update, 1)
        assert (event.kind, event.text) == (kind, text)


async def test_what_is_pressed_counts_in_the_customers_own_conversation_alone(
    services: Services, alice: Person, library: Loaded, superuser: asyncpg.Connection
) -> None:
    """Whatever a changed app sends: other conversations, other shapes, messages that are gone."""
    answer, other = await ask(alice, ABOUT_REFUND), await ask(alice, ABOUT_REFUND)
    channel = await make_channel(alice, "telegram", {}, {"bot_token": "42:" + "A" * 35})
    async with services.database.tenant(alice.tenant_id) as session:
        row = await find_channel(session, alice.tenant_id, UUID(channel["id"]))
        mine = (alice.tenant_id, UUID(answer["conversation_id"]))
        (await session.get_one(Conversation, mine)).channel_id = row.id
        session.add(Thread(tenant_id=mine[0], id=mine[1], channel_id=row.id, external_key="42"))
        await session.flush()
        mine_hex, other_hex = (UUID(each["message_id"]).hex for each in (answer, other))
        told = (f"-:{other_hex}", f"3:{mine_hex}", f"+:{new_id().hex}", "+", "++:", f"-:{mine_hex}", f"+:{mine_hex}")
        events = [Event(key=f"k{n}", kind="pressed", thread="42", text=each) for n, each in enumerate(told)]
        assert await take_in(session, row, events) == len(events)
        assert await take_in(session, row, events) == 0
    assert await opinions(superuser) == [(1, None, "", 1)]
