"""What the owner sees of a channel whose messages cannot be fetched, and that it goes again."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from asissto.channels import mail_fetching, polling, polling_troubles, telegram_errors
from asissto.channels.polling_troubles import Troubles
from asissto.channels.send_errors import Contested, RateLimited, Retryable
from asissto.channels.telegram import Telegram
from asissto.platform.services import Services
from channels_at_work import Json, everything_at_work, make_channel, until
from mail_peer import MailPeer
from people import Person
from telegram_peer import TOKEN, TelegramPeer
from test_answers import set_up
from test_mail import served
from test_mail_dialogue import mailbox

CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


@pytest.fixture(autouse=True)
async def _quick(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    await set_up(alice, burst_seconds=0.1)
    monkeypatch.setattr(telegram_errors, "CONFLICT_SECONDS", 0.1)
    monkeypatch.setattr(polling, "_FIRST_PAUSE", 0.1)
    monkeypatch.setattr(mail_fetching, "IDLE_SECONDS", 0.3)


@pytest.fixture
async def bot_api() -> AsyncIterator[TelegramPeer]:
    async with TelegramPeer() as peer:
        yield peer


def shows(person: Person, channel: Json, problem: str | None) -> Callable[[], Awaitable[bool]]:
    """Whether the API tells a problem that begins so; the channel is active all the time."""

    async def is_so() -> bool:
        shown = (await person.client.get(f"/api/v1/channels/{channel['id']}")).json()
        assert shown["status"] == "active"
        told = shown["problem"]
        return told is None if problem is None else str(told).startswith(problem)

    return is_so


async def make_bot(person: Person, bot_api: TelegramPeer) -> Json:
    return await make_channel(person, "telegram", {"api_base": bot_api.base_url}, {"bot_token": TOKEN})


async def test_another_program_with_the_same_bot_is_seen(
    private: Services, alice: Person, bot_api: TelegramPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once; a poll that works between two of its own does not hide it, a minute without it does."""
    channel = await make_bot(alice, bot_api)

    async def is_polled() -> bool:
        return bool(bot_api.called("getUpdates"))

    async def is_greeted() -> bool:
        return bool(bot_api.texts(7))

    async with everything_at_work(private):
        await until(is_polled)
        async with httpx.AsyncClient() as another:
            await another.get(f"{bot_api.base_url}/bot{TOKEN}/getUpdates")
        await until(shows(alice, channel, CONFLICT))
        bot_api.say(7, "hello")
        await until(is_greeted)
        assert await shows(alice, channel, CONFLICT)()
        monkeypatch.setattr(polling_troubles, "LASTING_SECONDS", 0.0)
        bot_api.say(7, "hello")
        await until(shows(alice, channel, None))


@served
async def test_a_mailbox_that_is_away_is_seen(
    private: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel stays active, and says nothing any more once it is back."""
    monkeypatch.setattr(polling_troubles, "LASTING_SECONDS", 0.0)
    async with MailPeer() as post:
        channel = await mailbox(alice, post)
        post.is_down = True
        async with everything_at_work(private):
            await until(shows(alice, channel, "imap: "))
            post.is_down = False
            await until(shows(alice, channel, None))


async def test_a_fault_of_ours_is_seen_by_its_name(
    private: Services, alice: Person, bot_api: TelegramPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its words hold stays in the log; new settings begin without it."""

    async def poll(_self: Telegram, _cursor: Json) -> None:
        raise KeyError(TOKEN)

    monkeypatch.setattr(Telegram, "poll", poll)
    channel = await make_bot(alice, bot_api)
    async with everything_at_work(private):
        await until(shows(alice, channel, "internal: KeyError"))
    changed = await alice.client.patch(f"/api/v1/channels/{channel['id']}", json={"settings": {"groups": "mention"}})
    assert changed.json()["problem"] is None


def test_the_owner_hears_of_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute without a poll that works; and it is over after a minute without one that fails."""
    clock = [0.0]
    monkeypatch.setattr(polling_troubles, "monotonic", lambda: clock[0])
    away, busy = Retryable("imap: TimeoutError"), RateLimited(30.0, "channel")
    troubles = Troubles()
    told = []
    for clock[0], happened in ((0, away), (59, busy), (60, away), (61, None), (119, away), (178, away), (179, busy)):
        told.append(troubles.are_over() if happened is None else troubles.must_be_told(happened))
    for clock[0] in (180, 239):
        told.append(troubles.are_over())
    assert told == [False, False, True, False, False, False, True, False, True]
    assert Troubles().are_over()
    assert Troubles().must_be_told(Contested(30.0, "channel"))
