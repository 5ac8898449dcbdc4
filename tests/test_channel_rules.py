"""What holds on every channel: limits, edits, pauses, hours, one poller, and that nobody waits for others."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from asissto.channels.contract import Hours, Slot
from asissto.channels.saying import is_open
from asissto.platform.services import Services
from asissto.platform.texts import text
from channels_at_work import Json, bring, everything_at_work, make_channel, make_gateway, until
from gateway_peer import Gateway
from people import Person
from telegram_peer import TOKEN, TelegramPeer
from test_answers import set_up

HELLO = text("answer.greeting", "en")


@pytest.fixture(autouse=True)
async def _quick(alice: Person) -> None:
    await set_up(alice, burst_seconds=0.1)


async def contents(superuser: asyncpg.Connection) -> list[str]:
    rows = await superuser.fetch("SELECT content FROM messages WHERE sender_kind = 'contact' ORDER BY id")
    return [row["content"] for row in rows]


async def test_a_chat_whose_provider_stalls_keeps_no_other_waiting(
    private: Services, alice: Person, web: httpx.AsyncClient, gateway: Gateway
) -> None:
    """Its own parts wait in their order; another chat is answered at once."""
    channel = await make_gateway(alice, gateway)
    gateway.fail("ann", "stall")
    async with everything_at_work(private):
        await bring(web, channel, alice.tenant_id, "m1", {"conversation": "ann", "text": "Hello!"})
        await asyncio.sleep(0.5)
        await bring(web, channel, alice.tenant_id, "m2", {"conversation": "bea", "text": "Hello!"})
        await gateway.wait_for(1, seconds=5)
    assert (gateway.said("ann"), gateway.said("bea")) == ([], [HELLO])


async def test_a_visitor_above_the_limit_is_told_once_and_not_answered(
    private: Services, alice: Person, web: httpx.AsyncClient, gateway: Gateway, superuser: asyncpg.Connection
) -> None:
    """What was written is kept; others are answered."""
    channel = await make_gateway(alice, gateway, limits={"visitor_per_minute": 2})
    async with everything_at_work(private):
        for number in range(5):
            body = {"conversation": "ann", "text": "Hello!"}
            await bring(web, channel, alice.tenant_id, f"m{number}", body)
        await bring(web, channel, alice.tenant_id, "m9", {"conversation": "bea", "text": "Hello!"})
        await gateway.wait_for(3)
        await asyncio.sleep(0.5)
    assert sorted(gateway.said("ann")) == sorted([text("channel.too_many", "en"), HELLO])
    assert gateway.said("bea") == [HELLO]
    assert await contents(superuser) == ["Hello!"] * 6


async def test_an_edit_before_the_answer_is_what_is_answered(
    private: Services, alice: Person, web: httpx.AsyncClient, gateway: Gateway, superuser: asyncpg.Connection
) -> None:
    """One that comes before its message is the message; a deleted one leaves no words and gets no answer."""
    channel = await make_gateway(alice, gateway)
    ann: Json = {"conversation": "ann", "message_id": "1", "text": "What is 2*2?"}
    bea: Json = {"conversation": "bea", "message_id": "2", "text": "My password is hunter2"}
    await bring(web, channel, alice.tenant_id, "e1", ann)
    await bring(web, channel, alice.tenant_id, "e2", ann | {"type": "edit", "text": "Thank you"})
    await bring(web, channel, alice.tenant_id, "e3", bea)
    await bring(web, channel, alice.tenant_id, "e4", bea | {"type": "delete", "text": ""})
    late: Json = {"conversation": "cat", "message_id": "3", "text": "Hello!", "type": "edit"}
    await bring(web, channel, alice.tenant_id, "e5", late)
    async with everything_at_work(private):
        await gateway.wait_for(2)
        await asyncio.sleep(0.3)
    said = [gateway.said(name) for name in ("ann", "bea", "cat")]
    assert said == [[text("answer.thanks", "en")], [], [HELLO]]
    assert await contents(superuser) == ["Thank you", "", "Hello!"]


async def test_a_paused_channel_asks_its_provider_to_come_again(
    alice: Person, web: httpx.AsyncClient, gateway: Gateway, superuser: asyncpg.Connection
) -> None:
    """Nothing is stored, so that nothing is lost when it comes again."""
    channel = await make_gateway(alice, gateway)
    paused = await alice.client.patch(f"/api/v1/channels/{channel['id']}", json={"status": "paused"})
    assert paused.json()["status"] == "paused"
    body = {"conversation": "ann", "text": "Hello!"}
    refused = await bring(web, channel, alice.tenant_id, "m1", body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    await alice.client.patch(f"/api/v1/channels/{channel['id']}", json={"status": "active"})
    assert (await bring(web, channel, alice.tenant_id, "m1", body)).status_code == 200
    assert await contents(superuser) == ["Hello!"]


async def test_of_two_workers_one_polls(private: Services, alice: Person, superuser: asyncpg.Connection) -> None:
    """And each message is answered once."""
    async with TelegramPeer() as peer:
        await make_channel(alice, "telegram", {"api_base": peer.base_url}, {"bot_token": TOKEN})
        async with everything_at_work(private), everything_at_work(private):
            for customer in range(1, 4):
                peer.say(customer, "Hello!")

            async def all_answered() -> bool:
                return len(peer.arrived) >= 3

            await until(all_answered)
            await asyncio.sleep(0.5)
            polled_by = await superuser.fetchval("SELECT count(DISTINCT polled_by) FROM channels")
        assert (polled_by, [peer.texts(customer) for customer in range(1, 4)]) == (1, [[HELLO]] * 3)
        assert await superuser.fetchval("SELECT count(*) FROM channels WHERE polled_by IS NOT NULL") == 0


WEEK = [Slot(days=[1, 2, 3, 4, 5], start="09:00", end="18:00"), Slot(days=[6], start="10:00", end="24:00")]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 25, 6, 0, tzinfo=UTC), True),  # Wednesday, 9:00 in Moscow
        (datetime(2026, 11, 25, 5, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 25, 15, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 28, 20, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 29, 9, 0, tzinfo=UTC), False),
    ],
)
def test_hours_are_those_of_the_place(now: datetime, expected: bool) -> None:
    """From the first minute to before the last."""
    assert is_open(Hours(timezone="Europe/Moscow", open=WEEK), now) is expected


BAD: list[tuple[Json, str]] = [
    ({"type": "fax"}, "type"),
    ({"settings": {}}, "settings.callback_url"),
    ({"settings": {"callback_url": "ftp://x"}}, "settings.callback_url"),
    ({"settings": {"callback_url": "https://a.example", "limits": {"visitor_per_minute": 0}}}, "settings.limits"),
    ({"secrets": {"secret": "short"}}, "secrets.secret"),
    ({"secrets": {}}, "secrets.secret"),
]


@pytest.mark.parametrize(("wrong", "at"), BAD, ids=[at for _, at in BAD])
async def test_a_wrong_value_is_told_by_its_field(wrong: Json, at: str, alice: Person) -> None:
    """With its path, in settings and in secrets."""
    right: dict[str, Any] = {
        "name": "door",
        "type": "http",
        "settings": {"callback_url": "https://a.example"},
        "secrets": {"secret": "whsec_" + "A" * 32},
    }
    refused = await alice.client.post("/api/v1/channels", json=right | wrong)
    assert (refused.status_code, refused.json()["field"].startswith(at)) == (400, True), refused.json()
