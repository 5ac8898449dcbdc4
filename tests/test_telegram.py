"""The connector of Telegram against a server that speaks its Bot API: what comes in, what goes out, what goes wrong."""

import asyncio
import json
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import ClientSession, web

from asissto.channels import telegram
from asissto.channels.contract import (
    SEND_SECONDS,
    Account,
    Attachment,
    Destination,
    Event,
    Health,
    Hook,
    Part,
    Reply,
    Said,
    Sent,
    Taken,
)
from asissto.channels.registry import connector_type
from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Malformed,
    Moved,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)
from asissto.channels.telegram import MOST_FILE_BYTES, Telegram, TelegramSecrets, TelegramSettings
from asissto.platform.errors import HookRefused
from telegram_peer import TOKEN, Fault, TelegramPeer, Webhook
from telegram_schema import spec, wrong_call
from test_telegram_events import GROUP, PRIVATE, in_group, mention, said

HOOK = "https://asissto.example/api/v1/hooks/t/c"
SECRET = "secret-of-the-webhook"
HELLO = Part(text="<b>Hello</b>", format="html", plain="Hello", extra={"is_first": True})
TO = Destination("7", {})


@pytest.fixture
async def bot_api() -> AsyncIterator[TelegramPeer]:
    """The peer; whatever a test does, the official description has nothing against it."""
    async with TelegramPeer() as peer:
        yield peer
        assert peer.violations == []


def connector_at(base_url: str, *, secrets: dict[str, Any] | None = None, **more: Any) -> Telegram:
    account: dict[str, Any] = {"guarded": False, "hook_url": HOOK}
    account |= {name: more.pop(name) for name in account if name in more}
    return Telegram(
        Account(
            tenant_id=UUID(int=1),
            channel_id=UUID(int=2),
            settings=msgspec.convert({"api_base": base_url, **more}, TelegramSettings),
            secrets=msgspec.convert({"bot_token": TOKEN, "webhook_secret": SECRET} | (secrets or {}), TelegramSecrets),
            language="en",
            **account,
        )
    )


@asynccontextmanager
async def connected(peer: TelegramPeer, **more: Any) -> AsyncIterator[Telegram]:
    connector = connector_at(peer.base_url, **more)
    try:
        yield connector
    finally:
        await connector.close()


@pytest.fixture
async def shop(bot_api: TelegramPeer) -> AsyncIterator[Telegram]:
    async with connected(bot_api) as connector:
        yield connector


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in the tests waits as long as customers would."""
    monkeypatch.setattr(telegram, "_IN_TIME", 0.8)
    monkeypatch.setattr(telegram, "POLL_SECONDS", 0)


# Webhook


def hook(secret: str | None = SECRET, body: bytes | None = None, query: str = "bot=shop_test_bot") -> Hook:
    update = {"update_id": 5, "message": PRIVATE | {"text": "How much?"}}
    headers = {} if secret is None else {"x-telegram-bot-api-secret-token": secret}
    return Hook(method="POST", query=query, headers=headers, body=json.dumps(update).encode() if body is None else body)


def test_a_webhook_is_read() -> None:
    """And acknowledged by an empty answer."""
    taken = connector_at("http://127.0.0.1:1", mode="webhook").take(hook())
    assert taken == Taken([said(text="How much?")], Reply(body=b"", status=200))


def test_a_webhook_knows_the_name_of_the_bot() -> None:
    """From the address that was installed, so that a mention needs no call to Telegram."""
    update = {"update_id": 5, "message": GROUP | {"text": "@shop_test_bot hi", "entities": [mention(0, 14)]}}
    taken = connector_at("http://127.0.0.1:1", groups="mention").take(hook(body=json.dumps(update).encode()))
    assert taken.events == [in_group(text="hi")]


@pytest.mark.parametrize("secret", [None, "", "secret-of-another-tenant", SECRET.upper(), SECRET + "x", "секрет"])
def test_a_webhook_without_the_secret_is_refused(secret: str | None) -> None:
    """Before its body is looked at."""
    with pytest.raises(HookRefused):
        connector_at("http://127.0.0.1:1").take(hook(secret, body=b"{"))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"update_id": 5', b"\xff"])
def test_a_webhook_that_is_no_update_brings_nothing(body: bytes) -> None:
    """Telegram is told that all is well, else it would bring it for a day."""
    assert connector_at("http://127.0.0.1:1").take(hook(body=body)) == Taken([])


def test_a_secret_of_the_webhook_is_made_where_none_is_given() -> None:
    """Each its own, and of a shape that Telegram takes."""
    made = [msgspec.convert({"bot_token": TOKEN}, TelegramSecrets).webhook_secret for _ in range(2)]
    assert made[0] != made[1]
    assert wrong_call("setWebhook", {"url": HOOK, "secret_token": made[0]}) == []
    assert len(made[0]) == 43


async def test_telegram_brings_updates_of_a_chat_in_order(bot_api: TelegramPeer) -> None:
    """It comes again until we have taken one; another chat does not wait for it."""
    for chat_id, words in ((7, "one"), (7, "two"), (8, "other")):
        bot_api.say(chat_id, words)
    async with connected(bot_api, mode="webhook") as connector, hooked(connector, refusals=2) as (address, taken):
        assert await bot_api._call_hook(Webhook(address, "wrong"), {"update_id": 1}) == (403, 0)
        connector.account = msgspec.structs.replace(connector.account, hook_url=address)
        await connector.install()
        async with asyncio.timeout(5):
            await bot_api.delivered()
        health = await connector.check()
    assert [event.text for event in taken] == ["other", "one", "two"]
    assert sorted(bot_api.hook_statuses) == [200, 200, 200, 503, 503]
    assert (bot_api.pending, health) == ({}, Health(name="@shop_test_bot"))


@asynccontextmanager
async def hooked(connector: Telegram, *, refusals: int) -> AsyncIterator[tuple[str, list[Event]]]:
    """A server that takes hooks for the connector, after it has refused chat 7 for some times."""
    taken: list[Event] = []
    left = iter(range(refusals))

    async def take(request: web.Request) -> web.Response:
        found = Hook(
            method="POST",
            query=request.query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        try:
            events = connector.take(found).events
        except HookRefused:
            return web.Response(status=403)
        if events[0].thread == "7" and next(left, None) is not None:
            return web.Response(status=503)
        taken.extend(events)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", taken
    finally:
        await runner.cleanup()


# Polling


async def test_polling_goes_on_from_the_cursor(bot_api: TelegramPeer, shop: Telegram, quick: None) -> None:
    """What was fetched and not stored comes again as the same event; what was stored is confirmed and does not."""
    nothing, start = await shop.poll({})
    first = bot_api.say(7, "one")
    events, cursor = await shop.poll(start)
    async with connected(bot_api) as after_a_crash:
        again, _ = await after_a_crash.poll(start)
        bot_api.say(7, "two")
        later, end = await after_a_crash.poll(cursor)
    assert (nothing, start) == ([], {"bot": 4200, "username": "shop_test_bot"})
    assert cursor == start | {"offset": first + 1}
    assert again == events
    assert [(event.key, event.text) for event in [*events, *later]] == [
        (f"4200:{first}", "one"),
        (f"4200:{first + 1}", "two"),
    ]
    assert list(bot_api.pending) == [first + 1]
    assert await shop.poll(end) == ([], end)
    assert bot_api.pending == {}


async def test_polling_waits_until_something_happens(
    bot_api: TelegramPeer, shop: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request is open for as long as nobody writes."""
    monkeypatch.setattr(telegram, "POLL_SECONDS", 10)
    _, cursor = await shop.poll({})
    waiting = asyncio.create_task(shop.poll(cursor))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    bot_api.say(7, "at last")
    async with asyncio.timeout(2):
        events, _ = await waiting
    assert [event.text for event in events] == ["at last"]
    assert len(bot_api.called("getUpdates")) == 1


async def test_polling_ends_a_webhook_that_is_in_the_way(bot_api: TelegramPeer, shop: Telegram, quick: None) -> None:
    """What the webhook could not deliver is fetched."""
    bot_api.webhook = Webhook("https://elsewhere.example/", "")
    bot_api.pending[5] = {"update_id": 5, "message": PRIVATE | {"text": "How much?"}}
    _, cursor = await shop.poll({})
    assert await shop.poll(cursor) == ([], cursor)
    assert bot_api.webhook is None
    assert await shop.poll(cursor) == ([said(text="How much?")], cursor | {"offset": 6})


async def test_another_program_that_polls_is_left_alone(bot_api: TelegramPeer, shop: Telegram, quick: None) -> None:
    """Telegram's word is passed on, and we come again much later."""
    _, cursor = await shop.poll({})
    bot_api.fail_with("conflict", method="getUpdates")
    with pytest.raises(RateLimited) as caught:
        await shop.poll(cursor)
    assert (caught.value.seconds, caught.value.scope) == (30, "channel")
    assert "only one bot instance" in caught.value.detail


async def test_another_token_begins_anew(bot_api: TelegramPeer, shop: Telegram, quick: None) -> None:
    """The numbers of one bot's updates mean nothing for another."""
    assert await shop.poll({"bot": 1, "username": "old", "offset": 999}) == (
        [],
        {"bot": 4200, "username": "shop_test_bot"},
    )


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("server_error", Retryable),
        ("bad_gateway", Uncertain),
        ("reset", Uncertain),
        ("unauthorized", ChannelBroken),
        ("not_found", ChannelBroken),
        ("too_many", RateLimited),
        ("stall", Uncertain),
    ],
)
async def test_polling_meets_faults(
    bot_api: TelegramPeer, shop: Telegram, quick: None, fault: Fault, error: type[SendError]
) -> None:
    """None of them loses anything: the next poll fetches what is there."""
    _, cursor = await shop.poll({})
    bot_api.say(7, "still here")
    bot_api.fail_with(fault, method="getUpdates")
    with pytest.raises(error) as caught:
        await shop.poll(cursor)
    assert not isinstance(caught.value, RateLimited) or caught.value.scope == "channel"
    events, _ = await shop.poll(cursor)
    assert [event.text for event in events] == ["still here"]


# Sending


async def test_a_message_is_sent(bot_api: TelegramPeer, shop: Telegram) -> None:
    """As HTML and without a preview of links."""
    sent = await shop.send(TO, HELLO, 1)
    assert sent == Sent("7:1")
    assert bot_api.called("sendMessage") == [
        {"chat_id": "7", "text": "<b>Hello</b>", "parse_mode": "HTML", "link_preview_options": '{"is_disabled": true}'}
    ]
    assert bot_api.texts(7) == ["Hello"]


async def test_a_group_is_answered_in_its_topic(bot_api: TelegramPeer, shop: Telegram) -> None:
    """The first part as a reply to whoever asked; plain words have no markup."""
    to = Destination("-1009:5", {"reply_to": 32})
    await shop.send(to, HELLO, 1)
    sent = await shop.send(to, Part(text="a < b"), 2)
    first, second = bot_api.called("sendMessage")
    assert sent == Sent("-1009:2")
    assert json.loads(first["reply_parameters"]) == {"message_id": 32, "allow_sending_without_reply": True}
    assert (first["chat_id"], first["message_thread_id"]) == ("-1009", "5")
    assert second == {
        "chat_id": "-1009",
        "message_thread_id": "5",
        "text": "a < b",
        "link_preview_options": '{"is_disabled": true}',
    }


async def test_typing_is_shown(bot_api: TelegramPeer, shop: Telegram) -> None:
    """In the topic where somebody waits."""
    await shop.show_typing(Destination("-1009:5", {}))
    assert bot_api.called("sendChatAction") == [{"chat_id": "-1009", "message_thread_id": "5", "action": "typing"}]


# What arrives, and what is said of it: nothing may look unsent that has arrived.
FAULTS: list[tuple[Fault, type[SendError], int]] = [
    ("too_many", RateLimited, 0),
    ("server_error", Retryable, 0),
    ("restart", Uncertain, 1),
    ("bad_gateway", Uncertain, 0),
    ("taken_bad_gateway", Uncertain, 1),
    ("page", Uncertain, 0),
    ("reset", Uncertain, 0),
    ("drop", Uncertain, 1),
    ("stall", Uncertain, 0),
    ("taken_stall", Uncertain, 1),
    ("unauthorized", ChannelBroken, 0),
    ("not_found", ChannelBroken, 0),
    ("blocked", Blocked, 0),
    ("kicked", Blocked, 0),
    ("chat_not_found", Blocked, 0),
    ("no_rights", Blocked, 0),
    ("cannot_parse", Malformed, 0),
    ("too_long", Permanent, 0),
    ("migrated", Moved, 0),
]
REASONS = {"blocked": "blocked", "kicked": "blocked", "chat_not_found": "unreachable", "no_rights": "not_allowed"}


async def test_every_fault_ends_in_time(bot_api: TelegramPeer, shop: Telegram, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, a chat each: a silent server holds up nobody else, and no error tells the token."""
    assert telegram._IN_TIME < SEND_SECONDS
    in_time = 4.0  # so that also on a busy machine the others have ended long before the silent ones
    monkeypatch.setattr(telegram, "_IN_TIME", in_time)
    await shop.check()  # loads aiogram

    async def send(chat_id: int, fault: Fault) -> tuple[SendError, float]:
        bot_api.fail_with(fault, chat_id=chat_id, seconds=3)
        started = time.monotonic()
        with pytest.raises(SendError) as caught:
            await shop.send(Destination(str(chat_id), {}), HELLO, 1)
        return caught.value, time.monotonic() - started

    outcomes = await asyncio.gather(*(send(number, fault) for number, (fault, _, _) in enumerate(FAULTS, 100)))
    errors = [error for error, _ in outcomes]
    assert [(type(error), len(bot_api.texts(number))) for number, error in enumerate(errors, 100)] == [
        (error, arrived) for _, error, arrived in FAULTS
    ]
    for (fault, *_), (_, took) in zip(FAULTS, outcomes, strict=True):
        assert (took < 2 * in_time) if "stall" in fault else (took < in_time), fault
    assert {
        fault: error.reason for (fault, *_), error in zip(FAULTS, errors, strict=True) if type(error) is Blocked
    } == REASONS
    assert isinstance(errors[0], RateLimited)
    assert (errors[0].seconds, errors[0].scope) == (3, "chat")
    assert isinstance(errors[-1], Moved)
    assert errors[-1].thread == "-1000000000118"
    assert not any(TOKEN.partition(":")[2] in error.detail for error in errors)


async def test_a_limited_chat_is_the_only_one(bot_api: TelegramPeer, shop: Telegram) -> None:
    """Who comes too early is refused again, and that is seen; another chat is open."""
    bot_api.fail_with("too_many", chat_id=7)
    for _ in range(2):
        with pytest.raises(RateLimited):
            await shop.send(TO, HELLO, 1)
    await shop.send(Destination("8", {}), HELLO, 1)
    assert [call.params["chat_id"] for call in bot_api.too_early] == ["7"]
    await asyncio.sleep(1)
    await shop.send(TO, HELLO, 1)
    assert bot_api.texts(7) == ["Hello"]


async def test_a_customer_who_left_is_blocked_until_back(bot_api: TelegramPeer, shop: Telegram, quick: None) -> None:
    """The refusal and the news of it, whichever is first."""
    _, cursor = await shop.poll({})
    bot_api.block(7)
    with pytest.raises(Blocked):
        await shop.send(TO, HELLO, 1)
    bot_api.unblock(7)
    await shop.send(TO, HELLO, 1)
    events, _ = await shop.poll(cursor)
    assert [event.kind for event in events] == ["blocked", "unblocked"]


async def test_nobody_there_is_certainly_not_sent() -> None:
    """No connection, no message: it may be tried again without doubling."""
    connector = connector_at("http://127.0.0.1:1")
    with pytest.raises(Retryable) as caught:
        await connector.send(TO, HELLO, 1)
    await connector.close()
    assert caught.value.detail.startswith("ClientConnectorError: ")
    assert "127.0.0.1" in caught.value.detail


async def test_a_revoked_token_breaks_the_channel(bot_api: TelegramPeer, shop: Telegram) -> None:
    """A new one repairs it."""
    token = bot_api.revoke()
    with pytest.raises(ChannelBroken):
        await shop.send(TO, HELLO, 1)
    async with connected(bot_api, secrets={"bot_token": token}) as repaired:
        await repaired.send(TO, HELLO, 1)
    assert bot_api.texts(7) == ["Hello"]


# The account


async def test_the_test_of_the_connection_tells_what_is_wrong(bot_api: TelegramPeer) -> None:
    """By keys of sentences; nothing where all is well."""
    async with connected(bot_api, groups="mention") as polling, connected(bot_api, mode="webhook") as hooked_one:
        assert await polling.check() == Health(name="@shop_test_bot")
        assert await hooked_one.check() == Health(name="@shop_test_bot", notes=("telegram.hook_missing",))
        await hooked_one.install()
        assert bot_api.webhook == Webhook(f"{HOOK}?bot=shop_test_bot", SECRET)
        assert await hooked_one.check() == Health(name="@shop_test_bot")
        bot_api.hook_statuses.append(500)
        bot_api.pending[1] = {"update_id": 1}
        assert await hooked_one.check() == Health(name="@shop_test_bot", notes=("telegram.hook_fails",))
        assert await polling.check() == Health(name="@shop_test_bot", notes=("telegram.hook_in_the_way",))
        await polling.install()
        assert bot_api.webhook is None


async def test_a_webhook_needs_a_public_address(bot_api: TelegramPeer) -> None:
    """Telegram could not reach us."""
    async with connected(bot_api, mode="webhook", hook_url=None) as connector:
        with pytest.raises(ChannelBroken):
            await connector.install()


async def test_files_are_fetched(bot_api: TelegramPeer, shop: Telegram, quick: None) -> None:
    """Whole, unless they are larger than Telegram gives or no longer there."""
    bot_api.files = {"f1": b"ogg" * 50_000, "large": b"0" * (MOST_FILE_BYTES + 1)}
    assert b"".join([piece async for piece in shop.fetch(Attachment(type="voice", ref="f1"))]) == b"ogg" * 50_000
    for gone in (
        Attachment(type="video", ref="large"),
        Attachment(type="video", ref="f1", size=MOST_FILE_BYTES + 1),
        Attachment(type="video", ref="nowhere"),
    ):
        with pytest.raises(Permanent):
            [piece async for piece in shop.fetch(gone)]


async def test_a_file_that_is_larger_than_it_says_is_cut_off(
    bot_api: TelegramPeer, shop: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's disk is filled by a server that somebody has named."""
    monkeypatch.setattr(telegram, "MOST_FILE_BYTES", 100_000)
    bot_api.files = {"f1": b"0" * 200_000}
    with pytest.raises(Permanent) as caught:
        [piece async for piece in shop.fetch(Attachment(type="video", ref="f1", size=5))]
    assert caught.value.detail == "the file is too large"


async def test_private_addresses_are_refused_where_they_are_guarded(bot_api: TelegramPeer) -> None:
    """A tenant names the server, and must not reach into ours by it."""
    async with connected(bot_api, guarded=True) as connector:
        with pytest.raises(Retryable) as caught:
            await connector.check()
    assert caught.value.detail == "ClientConnectorError: 127.0.0.1 is not a public address"
    assert bot_api.calls == []


async def test_calls_go_through_the_proxy(bot_api: TelegramPeer, quick: None) -> None:
    """With its password; what the proxy refuses was certainly not sent, and nobody is told the password."""
    async with proxy(("anna", "p4ss")) as (address, seen):
        async with connected(bot_api, secrets={"proxy": f"http://anna:p4ss@{address}"}) as connector:
            await connector.send(TO, HELLO, 1)
        async with connected(bot_api, secrets={"proxy": f"http://anna:wr0ng@{address}"}) as refused:
            with pytest.raises(Retryable) as caught:
                await refused.send(TO, HELLO, 1)
    assert bot_api.texts(7) == ["Hello"]
    assert seen == [bot_api.base_url.removeprefix("http://")] * 2
    assert caught.value.detail == "ProxyError: 407 Proxy Authentication Required"


@asynccontextmanager
async def proxy(user: tuple[str, str]) -> AsyncIterator[tuple[str, list[str]]]:
    """Opens tunnels for whoever has the password."""
    seen: list[str] = []
    expected = f"Basic {b64encode(':'.join(user).encode()).decode()}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split()[1]
        seen.append(target)
        if expected not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        host, port = target.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
    writer.close()


# The whole


@pytest.mark.skipif(spec() is None, reason="the official description is not here")
async def test_every_call_is_one_of_the_official_description(bot_api: TelegramPeer, quick: None) -> None:
    """Names, required parameters and types; the peer itself refuses what the description does not have."""
    async with connected(bot_api) as shop, connected(bot_api, mode="webhook") as called:
        _, cursor = await shop.poll({})
        await shop.poll(cursor | {"offset": 5})
        await shop.send(Destination("-9:5", {"reply_to": 3}), HELLO, 1)
        await shop.show_typing(TO)
        await shop.check()
        bot_api.files["f1"] = b"x"
        assert [piece async for piece in shop.fetch(Attachment(type="voice", ref="f1"))] == [b"x"]
        await called.install()
        await shop.install()
    used = {"getMe", "getUpdates", "sendMessage", "sendChatAction", "getFile"}
    assert {call.method for call in bot_api.calls} == used | {"getWebhookInfo", "setWebhook", "deleteWebhook"}
    assert bot_api.violations == []
    assert wrong_call("sendMessage", {"chat_id": "x", "silent": "1", "link_preview_options": '{"off": true}'}) == [
        "sendMessage: no text",
        "sendMessage: unknown silent",
        "sendMessage.link_preview_options: '{\"off\": true}' is not LinkPreviewOptions",
    ]


def test_hooks_and_answers_need_no_aiogram() -> None:
    """It costs a second and a hundred megabytes in a process that never calls Telegram."""
    script = """
import sys, uuid
from asissto.channels.contract import Account, Hook, Said
from asissto.channels.registry import connector_type
kind = connector_type("telegram")
secrets = kind.Secrets(bot_token="1:" + "a" * 35, webhook_secret="s" * 20)
ids = {"tenant_id": uuid.uuid4(), "channel_id": uuid.uuid4()}
account = Account(**ids, settings=kind.Settings(), secrets=secrets, language="en")
connector = kind(account)
headers = {"x-telegram-bot-api-secret-token": "s" * 20}
connector.take(Hook(method="POST", query="", headers=headers, body=b'{"update_id": 1}'))
connector.render(Said(text="Hi", language="en"))
print([name for name in ("aiogram", "aiohttp", "pydantic") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"
    assert connector_type("telegram") is Telegram


@pytest.fixture
def peer_process() -> Iterator[str]:
    """The peer as a process of its own; its address."""
    command = [sys.executable, str(Path(__file__).with_name("telegram_peer.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


async def test_the_peer_serves_other_processes(peer_process: str, quick: None) -> None:
    """Customers write and faults happen by requests, and what arrived can be read."""
    connector = connector_at(peer_process)
    _, cursor = await connector.poll({})
    async with ClientSession() as session:
        written = await session.post(f"{peer_process}/control/say", json={"chat_id": 7, "text": "How much?"})
        await session.post(f"{peer_process}/control/fail_with", json={"fault": "drop"})
        [event], _ = await connector.poll(cursor)
        with pytest.raises(Uncertain):
            await connector.send(Destination(event.thread, event.address), HELLO, 1)
        await session.post(f"{peer_process}/control/trouble", json={"seed": 1, "server_error": 1.0})
        with pytest.raises(Retryable):
            await connector.send(TO, HELLO, 1)
        state = await (await session.get(f"{peer_process}/control/state")).json()
        answer = await written.json()
    await connector.close()
    assert (event.key, event.text) == (f"4200:{answer['result']}", "How much?")
    assert [(message["chat_id"], message["text"]) for message in state["arrived"]] == [(7, "Hello")]
    assert state["violations"] == []


def test_an_answer_is_rendered_by_the_connector() -> None:
    """The parts are those of telegram_html."""
    parts = connector_at("http://127.0.0.1:1").render(Said(text="3 < 4", language="en"))
    assert parts == [Part(text="3 &lt; 4", format="html", plain="3 < 4", extra={"is_first": True})]
