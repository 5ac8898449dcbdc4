"""A dialogue in Telegram from the customer's words to the answer on the screen, by polling and by the webhook."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from aiohttp import web
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.evaluation import SetPassage, load_passages
from channels_at_work import Json, everything_at_work, make_channel, until
from people import Person, make_client
from telegram_peer import TOKEN, TelegramPeer
from test_answers import LIBRARY, ignore, set_up

ABOUT_REFUND = "How long does a refund take?"


@pytest.fixture
async def bot_api() -> AsyncIterator[TelegramPeer]:
    async with TelegramPeer() as peer:
        yield peer
        assert peer.violations == []


@pytest.fixture
async def private(services: Services, alice: Person) -> Services:
    """Where the Bot API may lie in a private network, with something to know."""
    await set_up(alice, burst_seconds=0.2)
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(services, alice.tenant_id, passages, ignore)
    return structs.replace(services, settings=structs.replace(services.settings, provider_private_addresses=True))


async def shop(alice: Person, bot_api: TelegramPeer, **settings: Any) -> Json:
    return await make_channel(alice, "telegram", {"api_base": bot_api.base_url, **settings}, {"bot_token": TOKEN})


async def arrived(peer: TelegramPeer, chat_id: int, count: int) -> list[str]:
    async def is_so() -> bool:
        return len(peer.texts(chat_id)) >= count

    await until(is_so)
    return peer.texts(chat_id)


async def test_a_question_is_answered(private: Services, alice: Person, bot_api: TelegramPeer) -> None:
    """Greeted at the start, answered with the source below, asked for words where there are none."""
    await shop(alice, bot_api)
    async with everything_at_work(private):
        bot_api.say(7, "/start")
        assert await arrived(bot_api, 7, 1) == [text("answer.greeting", "en")]
        bot_api.say(7, ABOUT_REFUND)
        answer = (await arrived(bot_api, 7, 2))[1]
        voice = {"file_id": "f1", "file_unique_id": "u1", "duration": 2}
        bot_api.say(7, voice=voice)
        only_text = (await arrived(bot_api, 7, 3))[2]
    assert "within three working days." in answer
    assert "Sources\n[1] Refunds" in answer
    assert only_text == text("channel.only_text", "ru")


async def test_trouble_doubles_at_most_what_telegram_dropped(
    private: Services, alice: Person, bot_api: TelegramPeer, superuser: asyncpg.Connection
) -> None:
    """Ten chats in bad weather: nothing lost, nothing out of order."""
    await shop(alice, bot_api)
    bot_api.trouble(seed=3, too_many=0.15, server_error=0.1, drop=0.05)
    async with everything_at_work(private):
        for chat_id in range(1, 11):
            bot_api.say(chat_id, "hello")

        async def is_done() -> bool:
            left = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')"
            sent = await superuser.fetchval("SELECT count(*) FROM outbox WHERE state = 'sent'")
            return int(sent) == 10 and not await superuser.fetchval(left)

        await until(is_done, 40)
    drops = sum(len(bot_api.texts(chat_id)) - 1 for chat_id in range(1, 11))
    assert {len(set(bot_api.texts(chat_id))) for chat_id in range(1, 11)} == {1}
    assert drops <= 3
    assert bot_api.too_early == []


async def test_a_webhook_is_answered(private: Services, alice: Person, bot_api: TelegramPeer) -> None:
    """Installed by one request; Telegram is acknowledged when the message is stored."""
    async with make_client(build_app(private)) as client, front(client) as address:
        served = structs.replace(private, settings=structs.replace(private.settings, public_url=address))
        async with make_client(build_app(served), **alice.client.headers) as owner:
            channel = await shop(alice, bot_api, mode="webhook")
            installed = await owner.post(f"/api/v1/channels/{channel['id']}/install")
            assert installed.status_code == 200, installed.text
        async with everything_at_work(served):
            bot_api.say(7, ABOUT_REFUND)
            [answer] = await arrived(bot_api, 7, 1)
    assert "within three working days." in answer
    assert bot_api.hook_statuses == [200]
    assert bot_api.called("getUpdates") == []


async def test_a_group_that_moved_goes_on(
    private: Services, alice: Person, bot_api: TelegramPeer, superuser: asyncpg.Connection
) -> None:
    """It became a supergroup while the answer was on its way: the same conversation, under its new number."""
    await shop(alice, bot_api, groups="mention")
    new_id = -1_000_000_000_005
    mention = {"type": "mention", "offset": 0, "length": 14}
    bot_api.fail_with("migrated", chat_id=-5)
    async with everything_at_work(private):
        bot_api.say(-5, "@shop_test_bot hello", sender=7, entities=[mention])
        greeted = await arrived(bot_api, new_id, 1)
        bot_api.say(-5, migrate_to_chat_id=new_id, sender=7)
        bot_api.say(new_id, "@shop_test_bot thanks", sender=7, entities=[mention])
        thanked = await arrived(bot_api, new_id, 2)
    assert (
        thanked
        == [*greeted, text("answer.thanks", "en")]
        == [text(f"answer.{what}", "en") for what in ("greeting", "thanks")]
    )
    assert await superuser.fetchval("SELECT array_agg(external_key) FROM threads") == [str(new_id)]


class front:  # noqa: N801
    """The address of the application for another server."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        response = await self.client.request(
            request.method, request.path_qs, content=await request.read(), headers=dict(request.headers)
        )
        return web.Response(status=response.status_code, body=response.content)
