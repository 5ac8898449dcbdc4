"""A dialogue in VK from the customer's words to the answer on the screen, over Long Poll and the Callback API."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec import structs

from asissto.channels import vk_calls
from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.evaluation import SetPassage, load_passages
from channels_at_work import Json, everything_at_work, make_channel, until
from people import Person, make_client
from test_answers import LIBRARY, ignore, set_up
from test_telegram_dialogue import front
from vk_peer import GROUP_ID, TOKEN, VkPeer

ABOUT_REFUND = "How long does a refund take?"


@pytest.fixture
async def vk() -> AsyncIterator[VkPeer]:
    async with VkPeer() as peer:
        yield peer


@pytest.fixture
async def private(services: Services, alice: Person) -> Services:
    """Where VK may lie in a private network, with something to know."""
    await set_up(alice, burst_seconds=0.2)
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(services, alice.tenant_id, passages, ignore)
    return structs.replace(services, settings=structs.replace(services.settings, provider_private_addresses=True))


async def shop(alice: Person, vk: VkPeer, **settings: object) -> Json:
    told = {"group_id": GROUP_ID, "api_base": vk.base_url, **settings}
    return await make_channel(alice, "vk", told, {"token": TOKEN})


async def arrived(vk: VkPeer, user: int, count: int) -> list[str]:
    async def is_so() -> bool:
        return len(vk.said_to(user)) >= count

    await until(is_so)
    return vk.said_to(user)


async def polls(vk: VkPeer) -> None:
    async def is_so() -> bool:
        return any(call.method == "groups.getLongPollServer" for call in vk.calls)

    await until(is_so)


async def test_a_question_is_answered_over_long_poll(
    private: Services, alice: Person, vk: VkPeer, superuser: asyncpg.Connection
) -> None:
    """Answered with the source below; silent once the owner has answered in VK itself; its own echo is none."""
    await shop(alice, vk)
    for _ in range(7):  # so that the numbers of the answers are 9 and 11
        vk._message(8, 8, "Of another time", date=1)
    async with everything_at_work(private):
        await polls(vk)
        await vk.write(7, ABOUT_REFUND)
        [answer] = await arrived(vk, 7, 1)
        await vk.write(7, "hello")
        await arrived(vk, 7, 2)
        assert await superuser.fetchval("SELECT array_agg(status) FROM conversations") == ["bot"]
        await vk.answer_in_the_app(7, "I am here now")

        async def is_silent() -> bool:
            return bool(await superuser.fetchval("SELECT bool_and(status = 'human') FROM conversations"))

        await until(is_silent)
        for number, expected in ((10, "read,"), (12, "read,read")):
            read = {"from_id": 7, "peer_id": 7, "read_message_id": number, "conversation_message_id": number - 7}
            await vk.tell("message_read", read)

            async def is_read(wanted: str = expected) -> bool:
                told = "SELECT string_agg(coalesce(delivery, ''), ',' ORDER BY seq) FROM outbox"
                return bool(await superuser.fetchval(told) == wanted)

            await until(is_read)
    assert "within three working days." in answer
    assert "Sources:\n[1] Refunds" in answer


async def test_names_are_asked_for_once_and_hold_up_nobody(
    private: Services, alice: Person, vk: VkPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while VK does not answer; a page that was deleted has none, and what a member has set stays."""
    monkeypatch.setattr(vk_calls, "SEND_SECONDS", 1.0)
    channel = await shop(alice, vk)
    vk.people = {
        7: {"first_name": "Анна", "last_name": "Иванова"},
        8: {"first_name": "Bob", "last_name": "", "deactivated": "banned"},
        9: {"first_name": "DELETED", "last_name": "", "deactivated": "deleted"},
    }
    vk.fail_with("stall", method="users.get")
    async with everything_at_work(private):
        await polls(vk)
        for user in (7, 8, 9):
            await vk.write(user, "hello")
        for user in (7, 8, 9):
            await arrived(vk, user, 1)

        async def contacts() -> dict[str, Json]:
            found = await alice.client.get("/api/v1/contacts", params={"channel_id": channel["id"]})
            return {each["external_id"]: each for each in found.json()["items"]}

        async def are_named() -> bool:
            names = {number: each["name"] for number, each in (await contacts()).items()}
            return names == {"7": "Анна Иванова", "8": "Bob", "9": None}

        await until(are_named, 30)
        anna = (await contacts())["7"]["id"]
        (await alice.client.patch(f"/api/v1/contacts/{anna}", json={"name": None})).raise_for_status()
        for user in (7, 8, 9):
            await vk.write(user, "hello")
            await arrived(vk, user, 2)
        await asyncio.sleep(1.5)  # longer than what comes together waits
    _stalled, *asked = [call.values["user_ids"] for call in vk.calls if call.method == "users.get"]
    assert sorted(",".join(asked).split(",")) == ["7", "8", "9"]


async def test_a_question_is_answered_over_the_callback_api(private: Services, alice: Person, vk: VkPeer) -> None:
    """Installed by one request, in which VK asks for the confirmation."""
    async with make_client(build_app(private)) as client, front(client) as address:
        served = structs.replace(private, settings=structs.replace(private.settings, public_url=address))
        async with make_client(build_app(served), **alice.client.headers) as owner:
            channel = await shop(alice, vk, mode="callback")
            installed = await owner.post(f"/api/v1/channels/{channel['id']}/install")
            assert installed.json()["ok"], installed.text
        assert [server["status"] for server in vk.servers] == ["ok"]
        async with everything_at_work(served):
            await vk.write(7, ABOUT_REFUND)
            [answer] = await arrived(vk, 7, 1)
    assert "within three working days." in answer


async def test_bad_weather_loses_and_doubles_nothing(
    private: Services, alice: Person, vk: VkPeer, superuser: asyncpg.Connection
) -> None:
    """Twelve customers while sends fail, answers are lost and Long Poll forgets."""
    await shop(alice, vk)
    vk.be_flaky(reset=0.1, lost=0.1, html=0.05, e6=0.1)
    async with everything_at_work(private):
        await polls(vk)
        for user in range(1, 13):
            await vk.write(user, "hello")
            if user % 4 == 0:
                vk.forget_updates()
        for user in range(1, 13):
            await arrived(vk, user, 1)

        async def is_done() -> bool:
            left = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')"
            return not await superuser.fetchval(left)

        await until(is_done, 40)
    assert [vk.said_to(user) for user in range(1, 13)] == [[text("answer.greeting", "en")]] * 12
