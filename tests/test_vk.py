"""The VK channel in whole dialogues, against VK's own description (Prism) and against a VK that fails on demand."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from asissto.channels import vk_calls, vk_polling
from asissto.channels.contract import (
    SEND_SECONDS,
    Account,
    Attachment,
    Cited,
    Destination,
    Hook,
    Part,
    Reply,
    Said,
    Sender,
    Sent,
)
from asissto.channels.registry import connector_type
from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Malformed,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)
from asissto.channels.vk import MOST_UNITS, Vk, VkSecrets, VkSettings
from asissto.platform import guarded_transport
from asissto.platform.errors import HookRefused
from prism_server import running_prism, spec
from vk_peer import GROUP_ID, TOKEN, Fault, VkPeer
from vk_schema import faults_of, faults_of_answer

SECRET = "a_secret_of_50_letters"
HOOK_URL = "https://asissto.example/api/v1/hooks/t/c"
ANNA = 501
TO_ANNA = Destination(str(ANNA), {})
CHAT = 2_000_000_007
STALL: Fault = "stall"
ONE_HOUR_AGO = timedelta(hours=1)


def make_vk(address: str, *, guarded: bool = False, hook_url: str | None = HOOK_URL, **changes: Any) -> Vk:
    """A connector whose VK is at the address."""
    account = Account(
        tenant_id=UUID(int=1),
        channel_id=UUID(int=2),
        settings=VkSettings(**{"group_id": GROUP_ID, "api_base": address, **changes}),
        secrets=VkSecrets(token=TOKEN, secret_key=SECRET),
        language="ru",
        hook_url=hook_url,
        guarded=guarded,
    )
    return Vk(account)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty poll ends at once."""
    monkeypatch.setattr(vk_polling, "WAIT_SECONDS", 0)


@pytest.fixture
async def peer() -> AsyncIterator[VkPeer]:
    async with VkPeer() as peer:
        yield peer


@pytest.fixture
async def vk(peer: VkPeer) -> AsyncIterator[Vk]:
    connector = make_vk(peer.base_url)
    yield connector
    await connector.close()


@pytest.fixture(scope="module")
def described() -> Iterator[str]:
    """A server made from VK's own description of its methods."""
    with running_prism(spec("vk_openapi.json")) as address:
        yield address


@pytest.fixture
async def strict(described: str) -> AsyncIterator[Vk]:
    connector = make_vk(described)
    yield connector
    await connector.close()


def hook(update: dict[str, Any], **changes: Any) -> Hook:
    body = json.dumps({**update, "secret": SECRET, **changes}).encode()
    return Hook(method="POST", query="", headers={"content-type": "application/json"}, body=body)


async def failure(sending: Any) -> SendError:
    with pytest.raises(SendError) as raised:
        await sending
    assert TOKEN not in f"{raised.value} {raised.value.detail} {raised.value.__cause__}"
    return raised.value


@asynccontextmanager
async def answering(vk: Vk) -> AsyncIterator[tuple[Vk, str]]:
    """The connector behind an address of its own, as the hook route has it, and that address."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
        reply = vk.take(Hook(method="POST", query="", headers={}, body=body)).reply.body
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(reply) + reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    vk.account = structs.replace(vk.account, hook_url=address)
    yield vk, address
    server.close()
    await vk.close()


def send(vk: Vk, text: str, key: int) -> Any:
    return vk.send(TO_ANNA, Part(text=text), key)


# VK's own description.


async def test_every_call_is_as_vk_describes_it(strict: Vk) -> None:
    """Prism refuses a parameter that is missing, or of another type."""
    assert await strict.send(TO_ANNA, Part(text="Ж" * 4000), 2**31 - 1) == Sent("12345")
    await strict.show_typing(TO_ANNA)
    assert isinstance(await strict.names(["1", "501"]), dict)
    _, cursor = await strict.poll({})
    assert {"seen", "ts", "key", "server"} <= set(cursor)


async def test_installing_is_as_vk_describes_it(described: str) -> None:
    """The code first, which must be stored before VK hears of our address; then the server and what it is told."""
    vk = make_vk(described, mode="callback")
    learned = await vk.install()
    assert learned is not None
    assert set(learned) == {"confirmation"}
    server = await vk._group("addCallbackServer", url=HOOK_URL, title="Asissto", secret_key=SECRET)
    assert (
        await vk._group("setCallbackSettings", server_id=server["server_id"], api_version="5.199", message_new=1) == 1
    )
    await vk.close()


DESCRIBED = {
    900: Blocked,
    901: Blocked,
    902: Blocked,
    914: Malformed,
    911: Malformed,
    5: ChannelBroken,
    6: RateLimited,
    9: RateLimited,
    10: Retryable,
    14: ChannelBroken,
    917: Permanent,
    945: Permanent,
    946: Permanent,
    950: Permanent,
}


async def test_every_refusal_that_vk_describes_is_understood(strict: Vk) -> None:
    """Each leads to what its code means for the message."""
    client, found = strict._calls.client, {}
    for code in DESCRIBED:
        client.headers["prefer"] = f"example=e{code}"
        found[code] = type(await failure(send(strict, "Hi", code)))
    assert found == DESCRIBED


async def test_a_request_that_vk_does_not_describe_is_refused_by_its_description(strict: Vk) -> None:
    """Else the tests above could not fail."""
    error = await failure(strict.send(TO_ANNA, Part(text="Ж" * 9001), 1))
    assert (type(error), error.detail) == (Retryable, "HTTP 422")


# A dialogue.


async def test_a_dialogue_over_long_poll(peer: VkPeer, vk: Vk) -> None:
    """A question comes in, typing is shown, the answer goes out and is read; the owner then writes in VK itself."""
    _, cursor = await vk.poll({})
    asked = await peer.write(ANNA, "Когда вернут деньги?")
    [question], cursor = await vk.poll(cursor)
    assert structs.asdict(question) == {
        **structs.asdict(question),
        "key": "new:1",
        "kind": "message",
        "thread": "501",
        "sender": Sender(external_id="501", language="ru"),
        "external_id": "1",
        "text": "Когда вернут деньги?",
        "at": datetime.fromtimestamp(asked["object"]["message"]["date"], UTC),
    }
    await vk.show_typing(Destination(question.thread, question.address))
    assert await send(vk, "За три дня [1]", 77) == Sent("2")
    await peer.tell(
        "message_read", {"from_id": ANNA, "peer_id": ANNA, "read_message_id": 2, "conversation_message_id": 2}
    )
    await peer.answer_in_the_app(ANNA, "Уже отправили")
    (own, receipt, echo), cursor = await vk.poll(cursor)
    assert (own.kind, own.own_key, own.external_id) == ("echo", 77, "2")
    assert (receipt.kind, receipt.delivery, receipt.external_id) == ("receipt", "read", "2")
    assert (echo.kind, echo.text, echo.thread, echo.own_key == 77) == ("echo", "Уже отправили", "501", False)
    assert (peer.typed, peer.said_to(ANNA)) == ([ANNA], ["За три дня [1]", "Уже отправили"])
    sent = next(call.values for call in peer.calls if call.method == "messages.send")
    wanted = {"peer_id": "501", "random_id": "77", "dont_parse_links": "1", "disable_mentions": "1", "v": "5.199"}
    assert sent == {**wanted, "message": "За три дня [1]"}


async def test_the_same_key_again_is_the_same_message(peer: VkPeer, vk: Vk) -> None:
    """VK took the first and the answer was lost: nothing is said twice."""
    peer.fail_with("reset")
    assert type(await failure(send(vk, "Once", 5))) is Uncertain
    assert await send(vk, "Once", 5) == Sent("1")
    assert peer.said_to(ANNA) == ["Once"]


async def test_what_was_sent_is_found_in_the_history(peer: VkPeer, vk: Vk) -> None:
    """After the hour in which VK is sure to know the key; what never arrived is certainly not there."""
    now = datetime.now(UTC)
    await send(vk, "Arrived", 5)
    assert await vk.find_sent(TO_ANNA, Part(text="Arrived"), 5, now - ONE_HOUR_AGO) == Sent("1")
    assert await vk.find_sent(TO_ANNA, Part(text="Arrived"), 6, now) is None
    for number in range(200):
        peer._message(ANNA, ANNA, f"{number}")
    error = await failure(vk.find_sent(TO_ANNA, Part(text="Arrived"), 5, now))
    assert (type(error), error.detail) == (Uncertain, "the history does not go back far enough")


async def test_history_that_keeps_no_keys_is_searched_for_the_words(peer: VkPeer, vk: Vk) -> None:
    """An older message with the same words is another one."""
    now = datetime.now(UTC)
    peer._message(ANNA, -GROUP_ID, "Same", out=1, date=int(now.timestamp()) - 86_400)
    assert await vk.find_sent(TO_ANNA, Part(text="Same"), 5, now) is None
    peer._message(ANNA, -GROUP_ID, "Same", out=1)
    assert await vk.find_sent(TO_ANNA, Part(text="Same"), 5, now) == Sent("2")


# What breaks.

ERRORS: list[tuple[int, type[SendError], dict[str, Any]]] = [
    (6, RateLimited, {"seconds": 1.0, "scope": "channel"}),
    (9, RateLimited, {"seconds": 60.0, "scope": "chat"}),
    (29, RateLimited, {"seconds": 3600.0, "scope": "channel"}),
    (1, Retryable, {}),
    (10, Retryable, {}),
    (4711, Retryable, {}),
    (5, ChannelBroken, {}),
    (14, ChannelBroken, {}),
    (27, ChannelBroken, {}),
    (900, Blocked, {"reason": "blocked"}),
    (901, Blocked, {"reason": "not_allowed"}),
    (902, Blocked, {"reason": "not_allowed"}),
    (914, Malformed, {}),
    (917, Permanent, {}),
]


async def test_every_error_says_what_happens_next(peer: VkPeer, vk: Vk) -> None:
    """One call for one send: nothing is tried again on our side."""
    for number, (code, kind, told) in enumerate(ERRORS, 1):
        peer.fail_with(code)
        error = await failure(send(vk, "Hi", number))
        assert (type(error), {name: getattr(error, name) for name in told}) == (kind, told), code
        assert error.detail.startswith(f"[{code}] ")
    assert (len(peer.calls), peer.said_to(ANNA)) == (len(ERRORS), [])


async def test_a_revoked_token_breaks_the_channel(peer: VkPeer, vk: Vk) -> None:
    """Also where events are fetched."""
    peer.token = "another"
    assert type(await failure(send(vk, "Hi", 1))) is ChannelBroken
    assert type(await failure(vk.poll({}))) is ChannelBroken
    assert type(await failure(vk.check())) is ChannelBroken


@pytest.mark.parametrize(
    ("fault", "arrives"), [("lost", 0), ("reset", 1), ("html", 0), ("page", 0), ("stall", 1), ("drip", 1)]
)
async def test_where_nobody_knows_it_may_have_arrived(
    peer: VkPeer, vk: Vk, monkeypatch: pytest.MonkeyPatch, fault: Any, arrives: int
) -> None:
    """Every answer that is none of VK's, also none at all, ends within the time limit."""
    monkeypatch.setattr(vk_calls, "SEND_SECONDS", 0.5)
    peer.fail_with(fault)
    async with asyncio.timeout(SEND_SECONDS):
        assert type(await failure(send(vk, "Hi", 1))) is Uncertain
    assert len(peer.said_to(ANNA)) == arrives


async def test_nobody_listening_means_that_nothing_was_sent(vk: Vk) -> None:
    """A connection that is refused leaves no doubt."""
    nowhere = make_vk("http://127.0.0.1:9")
    assert type(await failure(send(nowhere, "Hi", 1))) is Retryable
    await nowhere.close()


async def test_calls_that_stall_hold_up_no_other(peer: VkPeer, vk: Vk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six of eight sessions hang; twenty other messages are gone before the first of them gives up."""
    monkeypatch.setattr(vk_calls, "SEND_SECONDS", 6.0)
    peer.fail_with(*repeat(STALL, 6))
    stalled = [asyncio.create_task(failure(send(vk, f"stalled {number}", number + 1))) for number in range(6)]
    await peer.until_called(6)
    await asyncio.gather(*(send(vk, f"quick {number}", number + 100) for number in range(20)))
    assert not any(task.done() for task in stalled)
    assert {type(error) for error in await asyncio.gather(*stalled)} == {Uncertain}


async def test_sessions_share_what_vk_allows_in_a_second(peer: VkPeer, vk: Vk) -> None:
    """Forty calls of 0.2 s each: not one after the other (8 s), and not more than 20 a second."""
    peer.latency = 0.2
    begin = time.monotonic()
    await asyncio.gather(*(send(vk, f"{number}", number + 1) for number in range(40)))
    assert 1.9 < time.monotonic() - begin < 7
    assert len(peer.said_to(ANNA)) == 40


async def test_typing_takes_no_place_of_an_answer(peer: VkPeer, vk: Vk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every session is busy it is not shown at all, and what waits for one too long was certainly not sent."""
    monkeypatch.setattr(vk_calls, "SEND_SECONDS", 0.7)
    peer.fail_with(*repeat(STALL, 8))
    stalled = [asyncio.create_task(failure(send(vk, "Hi", number + 1))) for number in range(8)]
    await peer.until_called(8)
    error = await failure(vk.show_typing(TO_ANNA))
    assert (type(error), error.detail, peer.typed) == (Retryable, "every session is busy", [])
    await asyncio.gather(*stalled)
    await vk.show_typing(TO_ANNA)
    assert peer.typed == [ANNA]


async def test_sixty_messages_through_a_bad_hour_arrive_once_each(peer: VkPeer, vk: Vk) -> None:
    """Each is sent with its key until VK answers, as the courier does; a third of the attempts fails in some way."""
    peer.be_flaky(reset=0.1, lost=0.1, html=0.05, e10=0.05, page=0.05)

    async def deliver(number: int) -> int:
        for attempt in range(20):
            try:
                await send(vk, f"message {number}", number)
            except (Uncertain, Retryable):
                continue
            return attempt
        raise AssertionError

    repeated = sum(await asyncio.gather(*map(deliver, range(1, 61))))
    assert repeated > 10
    assert sorted(peer.said_to(ANNA)) == sorted(f"message {number}" for number in range(1, 61))


# The Callback API.


def test_a_request_without_the_secret_is_refused() -> None:
    """Neither a wrong secret nor another community, nor what is no event at all, leaves anything behind."""
    vk = make_vk("https://api.vk.ru", mode="callback", confirmation="c0de")
    update = {"type": "message_new", "group_id": GROUP_ID, "event_id": "e1", "v": "5.199", "object": {}}
    asking = {"type": "confirmation", "group_id": GROUP_ID}
    refused = [
        hook(update, secret="wrong"),
        hook(update, secret=None),
        hook(update, secret=""),
        hook(update, group_id=GROUP_ID + 1),
        hook(asking, group_id=GROUP_ID + 1),
        hook(asking, secret="wrong"),
        Hook(method="POST", query="", headers={}, body=json.dumps(update).encode()),
        Hook(method="POST", query="", headers={}, body=b"[1]"),
        Hook(method="POST", query="", headers={}, body=b"\xff{"),
        Hook(method="POST", query="", headers={}, body=b'{"a":' + b"[" * 100_000),
        Hook(method="GET", query="", headers={}, body=b""),
    ]
    for request in refused:
        with pytest.raises(HookRefused):
            vk.take(request)


def test_the_confirmation_is_the_code_and_everything_else_is_ok() -> None:
    """VK repeats what is not answered by exactly `ok`, so that a type that we do not know is ok too."""
    vk = make_vk("https://api.vk.ru", mode="callback", confirmation="c0de")
    asking = json.dumps({"type": "confirmation", "group_id": GROUP_ID}).encode()
    confirmed = vk.take(Hook(method="POST", query="", headers={}, body=asking))
    assert (list(confirmed.events), confirmed.reply) == ([], Reply(body=b"c0de"))
    for kind, what in (("group_join", {"user_id": 1}), ("message_new", {"message": "broken"}), ("message_deny", None)):
        taken = vk.take(hook({"type": kind, "group_id": GROUP_ID, "event_id": "e7", "object": what}))
        assert [(event.key, event.kind) for event in taken.events] == [("e7", "ignored")]
        assert taken.reply == Reply(body=b"ok")


async def test_both_ways_of_delivery_name_an_event_alike(peer: VkPeer, vk: Vk) -> None:
    """So that a change from one to the other answers nothing twice."""
    _, cursor = await vk.poll({})
    update = await peer.write(ANNA, "Привет")
    polled, _ = await vk.poll(cursor)
    assert list(vk.take(hook(update)).events) == list(polled)


async def test_one_button_installs_the_callback_api(peer: VkPeer) -> None:
    """Once again it changes its own server and adds none; the address answers VK's question by then."""
    vk = make_vk(peer.base_url, mode="callback")
    learned = await vk.install()
    assert learned == {"confirmation": "c0ffee42"}
    assert peer.servers == []
    await vk.close()
    async with answering(make_vk(peer.base_url, mode="callback", **learned)) as (installed, address):
        assert await installed.install() is None
        assert await installed.install() is None
        [server] = peer.servers
        assert (server["url"], server["secret_key"], server["status"]) == (address, SECRET, "ok")
        assert {name for name, value in server["settings"].items() if value == "1"} >= {"message_new", "message_reply"}


async def test_a_secret_is_made_where_the_owner_gives_none(peer: VkPeer) -> None:
    """It is the same each time, and another for each channel."""
    account = make_vk(peer.base_url, mode="callback").account
    account = structs.replace(account, secrets=VkSecrets(token=TOKEN))
    one, same = Vk(account)._secret_key, Vk(account)._secret_key
    other = Vk(structs.replace(account, channel_id=UUID(int=3)))._secret_key
    assert (len(one), one == same, one == other) == (50, True, False)


async def test_one_button_installs_long_poll(peer: VkPeer, vk: Vk) -> None:
    """No public address is needed for it; the Callback API says that it lacks one."""
    vk = make_vk(peer.base_url, hook_url=None)
    assert await vk.install() is None
    wanted = {
        "message_new",
        "message_edit",
        "message_reply",
        "message_allow",
        "message_deny",
        "message_read",
        "enabled",
    }
    assert {name for name, value in peer.poll_settings.items() if value == "1"} == wanted
    await vk.close()
    error = await failure(make_vk(peer.base_url, mode="callback", hook_url=None).install())
    assert type(error) is ChannelBroken


async def test_the_check_names_the_community(peer: VkPeer, vk: Vk) -> None:
    """A token of another one would answer in that one's name."""
    assert (await vk.check()).name == "Test community"
    other = make_vk(peer.base_url, group_id=GROUP_ID + 1)
    error = await failure(other.check())
    assert (type(error), error.detail) == (
        ChannelBroken,
        "the token belongs to another community, Test community (1001)",
    )
    await other.close()


# Long Poll.


async def drain(vk: Vk, cursor: dict[str, Any], polls: int) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    found = []
    for _ in range(polls):
        events, cursor = await vk.poll(json.loads(json.dumps(cursor)))
        found += [(event.key, event.text) for event in events]
    return found, cursor


async def test_what_is_written_before_the_first_poll_is_not_missed(peer: VkPeer, vk: Vk) -> None:
    """VK's Long Poll tells what comes after its first answer alone; older words are none of ours."""
    peer._message(777, 777, "Long ago", date=1)
    begun = vk.first_cursor()
    await peer.write(ANNA, "Who is first?")
    found, cursor = await drain(vk, begun, 5)
    assert found == [("new:2", "Who is first?")]
    assert "behind" not in cursor


async def test_a_new_key_loses_nothing(peer: VkPeer, vk: Vk) -> None:
    """VK's failed=2: the key has run out, and events are taken up where they were left."""
    _, cursor = await vk.poll({})
    peer.key = "key2"
    await peer.write(ANNA, "While the key was old")
    found, cursor = await drain(vk, cursor, 3)
    assert found == [("new:1", "While the key was old")]
    assert (cursor["key"], cursor["ts"]) == ("key2", "1")


@pytest.mark.parametrize("failed", [1, 3])
async def test_events_that_vk_has_lost_come_from_the_history(peer: VkPeer, vk: Vk, failed: int) -> None:
    """VK's failed=1 and 3: in order, with the keys that they would have had, and with the owner's own answer."""
    _, cursor = await vk.poll({})
    await peer.write(ANNA, "Known already")
    found, cursor = await drain(vk, cursor, 1)
    assert found == [("new:1", "Known already")]
    await peer.write(ANNA, "Missed")
    await peer.write(502, "Missed too")
    await peer.answer_in_the_app(502, "By hand")
    peer._message(ANNA, ANNA, "Missed last")
    peer._message(777, 777, "Long ago", date=1)
    if failed == 1:
        peer.forget_updates()
    else:
        peer.updates.clear()
    found, cursor = await drain(vk, cursor, 6)
    assert found == [
        ("new:1", "Known already"),
        ("new:2", "Missed"),
        ("new:5", "Missed last"),
        ("new:3", "Missed too"),
        ("reply:4", "By hand"),
    ]
    await peer.write(ANNA, "New again")
    found, cursor = await drain(vk, cursor, 2)
    assert found == [("new:7", "New again")]
    assert "behind" not in cursor


async def test_a_conversation_without_a_history_holds_up_no_other(peer: VkPeer, vk: Vk) -> None:
    """VK shows no history of chats to communities, and may refuse another one."""
    _, cursor = await vk.poll({})
    for user in (ANNA, 502):
        await peer.write(user, f"From {user}")
    await peer.write(ANNA, "[club1001|@test] hi", peer_id=CHAT)
    peer.forget_updates()
    peer.fail_with(936, method="messages.getHistory")
    found, cursor = await drain(vk, cursor, 6)
    assert (found, "behind" in cursor) == ([("new:1", "From 501")], False)
    asked = [call.values["peer_id"] for call in peer.calls if call.method == "messages.getHistory"]
    assert asked == ["502", "501"]
    error = await failure(vk.find_sent(Destination(str(CHAT), {}), Part(text="Hi"), 1, datetime.now(UTC)))
    assert type(error) is Uncertain


async def test_an_event_ends_the_wait_for_it(peer: VkPeer, vk: Vk, monkeypatch: pytest.MonkeyPatch) -> None:
    """VK holds the request open until something happens."""
    monkeypatch.setattr(vk_polling, "WAIT_SECONDS", 10)
    _, cursor = await vk.poll({})
    begin = time.monotonic()
    waiting = asyncio.create_task(vk.poll(cursor))
    await asyncio.sleep(0.2)
    await peer.write(ANNA, "Here I am")
    [event], _ = await waiting
    assert (event.text, time.monotonic() - begin < 8) == ("Here I am", True)


async def test_a_silent_long_poll_server_is_given_up_in_time(
    peer: VkPeer, vk: Vk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor stays as it was, and the next poll takes what has come meanwhile."""
    _, cursor = await vk.poll({})
    monkeypatch.setattr(vk_calls, "SEND_SECONDS", 0.5)
    peer.fail_with("stall", method="poll")
    async with asyncio.timeout(SEND_SECONDS):
        assert type(await failure(vk.poll(cursor))) is Uncertain
    await peer.write(ANNA, "Still there")
    found, _ = await drain(vk, cursor, 1)
    assert found == [("new:1", "Still there")]


# What VK tells.

PHOTO = {"type": "photo", "photo": {"id": 1, "owner_id": 1, "album_id": -3, "date": 1, "has_tags": False, "sizes": [
    {"type": "m", "width": 130, "height": 87, "url": "https://sun1.userapi.com/m.jpg"},
    {"type": "w", "width": 2560, "height": 1707, "url": "https://sun1.userapi.com/w.jpg"},
]}}  # fmt: skip
VOICE = {"type": "audio_message", "audio_message": {"id": 2, "owner_id": 1, "duration": 7, "waveform": [0, 9],
    "link_mp3": "https://psv4.userapi.com/a.mp3", "link_ogg": "https://psv4.userapi.com/a.ogg"}}  # fmt: skip
DOC = {"type": "doc", "doc": {"id": 3, "owner_id": 1, "title": "Счёт.pdf", "size": 1234, "ext": "pdf", "date": 1,
    "type": 1, "url": "https://vk.com/doc1_3"}}  # fmt: skip
STICKER = {"type": "sticker", "sticker": {"sticker_id": 9, "product_id": 1, "inner_type": "base_sticker_new"}}


async def test_what_is_attached_is_told(peer: VkPeer, vk: Vk) -> None:
    """The largest picture, the voice, the file; what is not understood is there all the same."""
    odd = {"type": "photo", "photo": {"sizes": "none"}}
    told: dict[str, Any] = {"attachments": [PHOTO, VOICE, DOC, STICKER, odd, "odder"]}
    _, cursor = await vk.poll({})
    await peer.write(ANNA, "", **told, geo={"coordinates": {"latitude": 59.9, "longitude": 30.3}})
    [event], _ = await vk.poll(cursor)
    assert (event.text, event.attachments) == (
        "",
        (
            Attachment(type="photo", ref="https://sun1.userapi.com/w.jpg", mime="image/jpeg"),
            Attachment(type="voice", ref="https://psv4.userapi.com/a.ogg", mime="audio/ogg", seconds=7),
            Attachment(
                type="document", ref="https://vk.com/doc1_3", name="Счёт.pdf", mime="application/pdf", size=1234
            ),
            Attachment(type="sticker"),
            Attachment(type="other", name="photo"),
            Attachment(type="other"),
            Attachment(type="location", name="59.9, 30.3"),
        ),
    )


async def test_the_fixtures_are_as_vk_describes_its_events(peer: VkPeer) -> None:
    """What the tests feed in is what VK sends."""
    read = {"from_id": ANNA, "peer_id": ANNA, "read_message_id": 2, "conversation_message_id": 2}
    told = [
        (await peer.write(ANNA, "Hi", attachments=[PHOTO, VOICE, DOC, STICKER]), "callback_message_new"),
        (await peer.write(ANNA, "[club1001|@test] hi", peer_id=CHAT), "callback_message_new"),
        (await peer.answer_in_the_app(ANNA, "Hello"), "callback_message"),
        (await peer.tell("message_allow", {"user_id": ANNA, "key": "k"}), "callback_message_allow"),
        (await peer.tell("message_deny", {"user_id": ANNA}), "callback_message_deny"),
        (await peer.tell("message_read", read), "callback_message_read"),
    ]
    assert [fault for update, what in told for fault in faults_of(update, what)] == []
    peer.people = {ANNA: {"first_name": "Анна", "last_name": "", "deactivated": "deleted"}}
    [person] = peer._get_users({"user_ids": f"{ANNA}"})
    assert faults_of_answer(person, "users_objects_users_user_full") == []
    assert faults_of_answer({"first_name": 5}, "users_objects_users_user_full") != []
    broken = {"type": "message_new", "group_id": -1, "object": {"message": {"text": 1}}}
    assert len(faults_of(broken, "callback_message_new")) > 5


@pytest.mark.parametrize(
    ("text", "more", "heard"),
    [
        ("Всем привет", {}, None),
        ("[club1001|@asissto] , когда вернут деньги?", {}, "когда вернут деньги?"),
        ("Спроси у [club1001|Асиссто] и [id5|Пети]", {}, "Спроси у Асиссто и Пети"),
        ("[club1002|@other] привет", {}, None),
        ("[id1001|Somebody] hi", {}, None),
        ("А доставка?", {"reply_message": {"from_id": -1001}}, "А доставка?"),
        ("[club1001|@asissto]", {"action": {"type": "chat_invite_user"}}, None),
    ],
)  # fmt: skip
def test_in_a_chat_only_what_is_said_to_the_community_counts(
    text: str, more: dict[str, Any], heard: str | None
) -> None:
    """By a mention or as an answer; messages of a chat have no number of their own."""
    message = {"id": 0, "conversation_message_id": 9, "peer_id": CHAT, "from_id": ANNA, "date": 1, "text": text, **more}
    update = {"type": "message_new", "group_id": GROUP_ID, "event_id": "e1", "object": {"message": message}}
    [event] = make_vk("https://api.vk.ru").take(hook(update)).events
    key = ("new:2000000007_9", heard) if heard else ("e1", "")
    assert (event.key, event.text) == key


def test_other_events_are_read() -> None:
    """Edits, permissions, forwarded questions, and who is no customer: robots, ourselves, the automatic greeting."""
    message = {"id": 4, "conversation_message_id": 4, "peer_id": ANNA, "from_id": ANNA, "date": 1, "text": "Fixed"}
    own = {**message, "from_id": -GROUP_ID, "out": 1}
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("message_edit", message, {"kind": "edit", "external_id": "4", "text": "Fixed", "key": "e1"}),
        ("message_edit", own, {"kind": "ignored"}),
        ("message_allow", {"user_id": ANNA, "key": ""}, {"kind": "unblocked", "thread": "501"}),
        ("message_deny", {"user_id": ANNA}, {"kind": "blocked", "thread": "501", "reason": "not_allowed"}),
        ("message_new", {"message": {**message, "from_id": -5}}, {"kind": "ignored"}),
        ("message_new", {"message": {**message, "text": "", "fwd_messages": [{"from_id": 1, "text": "Forwarded"}]}},
         {"kind": "message", "text": "Forwarded"}),
        ("message_reply", own, {"kind": "ignored"}),
        ("message_reply", {**own, "random_id": 77}, {"kind": "echo", "own_key": 77, "key": "reply:4"}),
        ("message_reply", {**own, "admin_author_id": 7}, {"kind": "echo", "own_key": None, "text": "Fixed"}),
        ("message_read", {"from_id": -5, "peer_id": ANNA, "read_message_id": 4}, {"kind": "ignored"}),
    ]  # fmt: skip
    for kind, told, wanted in cases:
        update = {"type": kind, "group_id": GROUP_ID, "event_id": "e1", "object": told}
        [event] = make_vk("https://api.vk.ru").take(hook(update)).events
        assert {name: getattr(event, name) for name in wanted} == wanted, (kind, told)


FIELDS = ["message", "peer_id", "from_id", "date", "id", "attachments", "user_id", "text", "type", "out", "sizes"]
LEAVES = st.none() | st.integers() | st.text(max_size=5)
TOLD = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner))


@given(TOLD)
@settings(max_examples=150)
def test_nothing_that_vk_could_say_is_raised(told: Any) -> None:
    """What is not understood becomes an ignored event."""
    vk = make_vk("https://api.vk.ru")
    for kind in ("message_new", "message_edit", "message_reply", "message_read", "message_allow"):
        update = {"type": kind, "group_id": GROUP_ID, "event_id": "e1", "object": told}
        assert len(vk.take(hook(update)).events) == 1


async def test_what_the_database_cannot_hold_is_left_out(peer: VkPeer, vk: Vk) -> None:
    """Else one message with a zero byte or half a character would come again and again, and hold up all others."""
    _, cursor = await vk.poll({})
    update = await peer.write(ANNA, "Hi\x00 \ud83d there", attachments=[{"type": "doc", "doc": {"title": "a\x00.txt"}}])
    [event], _ = await vk.poll(cursor)
    assert (event.text, event.attachments[0].name) == ("Hi ? there", "a.txt")
    assert list(vk.take(hook(update)).events) == [event]
    long = {"type": "message_reply", "object": update["object"]["message"] | {"random_id": 2**40, "out": 1}}
    [echo] = vk.take(hook({**long, "group_id": GROUP_ID, "event_id": "e" * 5000})).events
    assert (echo.own_key, echo.text) == (None, "Hi ? there")
    [odd] = vk.take(hook({"type": "odd", "group_id": GROUP_ID, "event_id": "e" * 5000})).events
    assert len(odd.key) == 64


# Files.


async def test_attachments_are_fetched_but_not_from_inside(peer: VkPeer, vk: Vk) -> None:
    """An address that an event names must be a public one."""
    inside = Attachment(type="document", ref=f"{peer.base_url}/control")
    content = b"".join([piece async for piece in vk.fetch(inside)])
    assert json.loads(content)["messages"] == []
    missing = Attachment(type="document", ref=f"{peer.base_url}/none")
    for attachment in (missing, Attachment(type="video"), Attachment(type="other", ref="file:///etc/passwd")):
        assert type(await failure(collect(vk, attachment))) is Permanent
    busy = await failure(collect(vk, Attachment(type="document", ref=f"{peer.base_url}/media/busy")))
    assert isinstance(busy, RateLimited)
    assert busy.seconds == 7.0
    guarded = make_vk(peer.base_url, guarded=True)
    assert type(await failure(collect(guarded, inside))) is Permanent
    assert type(await failure(send(guarded, "Hi", 1))) is Retryable
    assert peer.calls == []
    await guarded.close()


async def test_a_redirect_is_followed_from_the_name_that_was_asked(
    peer: VkPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard connects to an address in place of the name; to that address no certificate belongs."""
    asked = []

    async def judged(host: str, _port: int | None) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(guarded_transport, "public_addresses_of", judged)
    vk = make_vk(peer.base_url, guarded=True)
    host = f"media.vk.example:{peer.base_url.rpartition(':')[2]}"
    assert await collect(vk, Attachment(type="photo", ref=f"http://{host}/media/photo")) == host.encode()
    assert asked == ["media.vk.example"] * 2
    await vk.close()


async def collect(vk: Vk, attachment: Attachment) -> bytes:
    return b"".join([piece async for piece in vk.fetch(attachment)])


# What is said.


def test_an_answer_is_plain_words_with_numbered_sources() -> None:
    """Markdown goes, its structure stays."""
    said = Said(
        text="## Возврат\n\n**Деньги** вернут за 3 дня [1].\n\n- картой\n- наличными [2]",
        language="ru",
        is_markdown=True,
        citations=(
            Cited(number=1, title="Правила", locator="с. 4", quote="за 3 дня", url="https://shop.example/rules"),
            Cited(number=2, title="Касса", locator="Касса", quote="наличными"),
        ),
        notice="Позвать сотрудника?",
    )
    [part] = make_vk("https://api.vk.ru").render(said)
    assert part == Part(
        text="Возврат\n\nДеньги вернут за 3 дня [1].\n\n• картой\n• наличными [2]\n\nПозвать сотрудника?\n\n"
        "Источники:\n[1] Правила, с. 4 https://shop.example/rules\n[2] Касса"
    )


WORDS = st.text(st.sampled_from("абв xyz.!?\n-*`[]1😀👩‍🔧é"), min_size=1, max_size=400)


@given(st.lists(WORDS, min_size=1, max_size=40), st.booleans(), st.integers(0, 30))
@settings(max_examples=60)
def test_every_part_fits_and_nothing_is_left_out(words: list[str], is_markdown: bool, sources: int) -> None:
    """Whatever a model writes: at most 4,000 UTF-16 units each, none empty, all letters in their order."""
    cited = tuple(Cited(number=n + 1, title=f"T{n} " * 40, locator="", quote="") for n in range(sources))
    said = Said(text="\n\n".join(words * 3), language="en", is_markdown=is_markdown, citations=cited, notice="Notice.")
    vk = make_vk("https://api.vk.ru")
    parts = vk.render(said)
    assert parts == vk.render(said)
    assert all(part.text and len(part.text.encode("utf-16-le")) <= 2 * MOST_UNITS for part in parts)
    written = "".join(part.text for part in parts)
    assert "Notice." in written
    if not is_markdown:
        assert letters(written) == letters("".join(words * 3))


def letters(text: str) -> str:
    return "".join(letter for letter in text if letter in "абвz😀")


# The rest.


def test_vk_api_is_imported_only_when_it_calls() -> None:
    """The API server makes connectors to take events in."""
    report = "import asissto.channels.vk, sys; print([n for n in ('vk_api', 'requests') if n in sys.modules])"
    started = subprocess.run([sys.executable, "-c", report], check=False, capture_output=True, text=True)
    assert (started.stdout.strip(), started.stderr) == ("[]", "")
    assert connector_type("vk") is Vk


async def test_the_peer_runs_alone_and_is_controlled_over_http() -> None:
    """As the tests that kill processes use it."""
    command = [sys.executable, "tests/vk_peer.py"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    vk = make_vk(address)
    try:
        _, cursor = await vk.poll({})
        await vk._calls.client.post(f"{address}/control", json={"do": "write", "user": ANNA, "text": "Hi"})
        found, _ = await drain(vk, cursor, 1)
        assert found == [("new:1", "Hi")]
        await vk._calls.client.post(f"{address}/control", json={"do": "fail_with", "faults": [9]})
        assert type(await failure(send(vk, "Hello", 1))) is RateLimited
        state = (await vk._calls.client.get(f"{address}/control")).json()
        assert [call["method"] for call in state["calls"]] == ["groups.getLongPollServer", "messages.send"]
    finally:
        await vk.close()
        process.kill()
        await process.wait()
