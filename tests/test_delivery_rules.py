"""What becomes of parts by what the provider says of them, through the whole pipeline and its real protocols."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from asissto.platform.texts import text
from channels_at_work import Json, bring, everything_at_work, make_channel, make_gateway, until
from gateway_peer import Gateway
from people import Person, make_client
from telegram_peer import TOKEN, TelegramPeer
from test_answers import set_up
from test_telegram_dialogue import front
from twilio_peer import ACCOUNT, NUMBER, TwilioPeer
from twilio_peer import TOKEN as TWILIO_TOKEN

HELLO = text("answer.greeting", "en")
LONG = "\n\n".join(f"Part {number} of the greeting." + " It goes on for a while." * 125 for number in range(3))


@pytest.fixture(autouse=True)
async def _quick(alice: Person) -> None:
    await set_up(alice, burst_seconds=0.05)


@pytest.fixture
async def bot_api() -> AsyncIterator[TelegramPeer]:
    async with TelegramPeer() as peer:
        yield peer
        assert (peer.violations, peer.too_early) == ([], [])


async def shop(person: Person, peer: TelegramPeer) -> Json:
    return await make_channel(person, "telegram", {"api_base": peer.base_url}, {"bot_token": TOKEN})


async def states(superuser: asyncpg.Connection) -> list[str]:
    return [row["state"] for row in await superuser.fetch("SELECT state FROM outbox ORDER BY conversation_id, seq")]


async def test_who_is_told_to_wait_keeps_the_order_and_disturbs_nobody(
    private: Services, alice: Person, bot_api: TelegramPeer, superuser: asyncpg.Connection
) -> None:
    """429 on the first of several parts: nothing goes to that chat meanwhile, and no attempt is used up."""
    await shop(alice, bot_api)
    async with everything_at_work(private):
        bot_api.say(7, "Hello!")
        await until(lambda: are(superuser, ["sent"]))
        [shown] = (await alice.client.get("/api/v1/inbox")).json()["items"]
        bot_api.fail_with("too_many", chat_id=7, seconds=2)
        reply = await alice.client.post(f"/api/v1/conversations/{shown['id']}/messages", json={"text": LONG})
        assert reply.status_code == 201, reply.text
        await until(lambda: has_called(bot_api, 2))
        bot_api.say(8, "Hello!")
        await until(lambda: all_sent(superuser, 5))
    parts = [words[:6] for words in bot_api.texts(7)]
    assert parts == [HELLO[:6], "Part 0", "Part 1", "Part 2"]
    other = next(each.at for each in bot_api.arrived if each.chat_id == 8)
    assert other < next(each.at for each in bot_api.arrived if each.text.startswith("Part 0"))
    assert await superuser.fetchval("SELECT max(attempts) FROM outbox") == 1


async def has_called(peer: TelegramPeer, times: int) -> bool:
    return len(peer.called("sendMessage")) >= times


async def all_sent(superuser: asyncpg.Connection, parts: int) -> bool:
    return await states(superuser) == ["sent"] * parts


async def test_a_customer_who_blocks_the_bot_is_written_to_again_once_they_write(
    private: Services, alice: Person, bot_api: TelegramPeer, superuser: asyncpg.Connection
) -> None:
    """Operators see why; what waited is not sent late."""
    await shop(alice, bot_api)
    async with everything_at_work(private):
        bot_api.fail_with("blocked", chat_id=7)
        bot_api.say(7, "Hello!")

        async def is_blocked() -> bool:
            return await states(superuser) == ["blocked"]

        await until(is_blocked)
        [shown] = (await alice.client.get("/api/v1/inbox")).json()["items"]
        assert shown["reach"] == "blocked"
        bot_api.say(7, "Hello!")

        async def is_answered() -> bool:
            return bot_api.texts(7) == [HELLO]

        await until(is_answered)
        await until(lambda: are(superuser, ["blocked", "sent"]))
        [shown] = (await alice.client.get("/api/v1/inbox")).json()["items"]
    assert shown["reach"] == "open"


async def are(superuser: asyncpg.Connection, wanted: list[str]) -> bool:
    return await states(superuser) == wanted


async def is_read(superuser: asyncpg.Connection) -> bool:
    return bool(await superuser.fetchval("SELECT delivery FROM outbox") == "read")


async def test_receipts_only_move_forward(
    private: Services, alice: Person, web: httpx.AsyncClient, superuser: asyncpg.Connection
) -> None:
    """In any order, and some of them twice: Twilio calls us over a socket, as it does."""
    door = front(web)
    async with TwilioPeer(callbacks=("queued", "sent", "delivered", "read"), shuffled=True) as peer, door as address:
        settings = {"account_sid": ACCOUNT, "sender": NUMBER, "api_base": peer.address}
        channel = await make_channel(alice, "sms", settings, {"auth_token": TWILIO_TOKEN})
        served = structs.replace(private, settings=structs.replace(private.settings, public_url=address))
        async with make_client(build_app(served)) as public, everything_at_work(served):
            door.client = public
            hook = f"{address}/api/v1/hooks/{alice.tenant_id}/{channel['id']}"
            assert (await peer.say(hook, "Hello!", sender="+15005550010")).status == 200
            await until(lambda: is_read(superuser))
            await peer.all_told()
    assert [message["body"] for message in peer.messages] == [HELLO]
    row = await superuser.fetchrow("SELECT state, delivery, attempts FROM outbox")
    assert tuple(row) == ("sent", "read", 1)


async def test_a_secret_opens_its_own_channel_alone(
    alice: Person, charlie: Person, web: httpx.AsyncClient, gateway: Gateway, superuser: asyncpg.Connection
) -> None:
    """Another tenant's request, though well signed, is refused and leaves nothing."""
    hers = await make_gateway(alice, gateway)
    body = {"name": "His", "type": "http", "settings": {"callback_url": gateway.url}}
    secret = "whsec_" + "C" * 32
    his = await charlie.client.post("/api/v1/channels", json=body | {"secrets": {"secret": secret}})
    event = {"conversation": "ann", "text": "Hello!"}
    answers = [
        await bring(web, hers, alice.tenant_id, "m1", event, secret=secret),
        await bring(web, his.json(), charlie.tenant_id, "m1", event),
        await bring(web, hers, charlie.tenant_id, "m1", event),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 404]
    assert await superuser.fetchval("SELECT count(*) FROM inbound_events") == 0
