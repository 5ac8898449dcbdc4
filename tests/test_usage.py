"""What a period has used, what it will come to, and the letters to the owners about it."""

from datetime import timedelta

import asyncpg
import pytest
from msgspec import structs

from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.metering import WARNING, count
from asissto.platform.model_calls import ModelCall, store_calls
from asissto.platform.services import Services
from asissto.platform.subscriptions import find_subscription
from asissto.platform.tables import new_id
from asissto.platform.usage import show_usage
from mail_peer import MailPeer
from people import People, Person
from test_invitations import mailing, post
from test_metering import PLAN, choose

assert mailing
assert post
TEN = structs.replace(PLAN, code="ten", answers=10, documents=50)
CALL = ModelCall(
    provider="ours", provider_id=None, model="qwen3", purpose="answer", prompt_tokens=70, completion_tokens=7
)


async def use(services: Services, person: Person, **quantities: int) -> None:
    async with services.database.tenant(person.tenant_id) as session:
        await count(session, person.tenant_id, str(new_id()), quantities)


async def test_usage_is_shown_against_the_plan_with_a_forecast(services: Services, alice: Person) -> None:
    """A third of the period has used six of ten answers: eighteen will be asked for."""
    await choose(services, alice.tenant_id, TEN)
    await use(services, alice, answers=6, playground_answers=2, prompt_tokens=900, sms_segments=3)
    async with services.database.tenant(alice.tenant_id) as session:
        await store_calls(session, alice.tenant_id, [CALL, CALL], None)
    async with services.database.tenant(alice.tenant_id) as session:
        subscription = await find_subscription(session, alice.tenant_id)
        third = (subscription.period_end - subscription.period_start) / 3
        shown = await show_usage(session, alice.tenant_id, subscription.period_start + third)
        early = await show_usage(session, alice.tenant_id, subscription.period_start + timedelta(hours=3))
    told = {each.name: structs.astuple(each)[1:] for each in shown.items}
    assert told["answers"] == (6, 10, 60.0, 18, 180.0)
    assert told["playground_answers"] == (2, None, None, 6, None)
    assert told["prompt_tokens"] == (900, None, None, 2_700, None)
    assert told["sms_segments"] == (3, None, None, 9, None)
    assert told["seats"] == (2, 2, 100.0, None, None)
    assert {"documents", "storage_mb", "channels", "completion_tokens", "test_answers"} <= told.keys()
    assert [(each.model, each.calls, each.prompt_tokens) for each in shown.models] == [("qwen3", 2, 140)]
    assert {each.forecast for each in early.items} == {None}


@pytest.fixture
async def owners(mailing: Services, people: People, superuser: asyncpg.Connection) -> Services:
    """Alice reads English; bob has become an owner too, and reads Russian."""
    await superuser.execute("UPDATE users SET language = 'ru' WHERE id = $1", people["bob"].user_id)
    await superuser.execute("UPDATE memberships SET role = 'owner' WHERE user_id = $1", people["bob"].user_id)
    await superuser.execute("DELETE FROM jobs")
    await choose(mailing, people["alice"].tenant_id, TEN)
    return mailing


async def deliver(services: Services) -> None:
    worker = make_worker(services)
    while await worker.run_one([WARNING, "mail"]):
        pass


async def test_owners_are_written_to_once_for_each_level(owners: Services, alice: Person, post: MailPeer) -> None:
    """Each in their own language: at 80 and at 100 per cent, and never again in the period."""
    letters: list[list[tuple[str, str]]] = []
    for answers in (7, 1, 1, 3, 1):
        await use(owners, alice, answers=answers)
        await deliver(owners)
        letters.append(sorted((letter.recipients[0], str(letter.mail["subject"])) for letter in post.letters))
        post.letters.clear()
    near = [
        ("alice@example.com", "“Alice” has used 80 % of its plan: answers"),
        ("bob@example.com", "«Alice»: израсходовано 80 % тарифа, ответы"),
    ]
    full = [
        ("alice@example.com", "“Alice” has used all of its plan: answers"),
        ("bob@example.com", "«Alice»: тариф израсходован полностью, ответы"),
    ]
    assert letters == [[], near, [], full, []]


async def test_who_passes_both_levels_at_once_is_written_to_once(
    owners: Services, alice: Person, post: MailPeer
) -> None:
    """About the higher one."""
    await use(owners, alice, answers=11)
    await deliver(owners)
    assert sorted(letter.recipients[0] for letter in post.letters) == ["alice@example.com", "bob@example.com"]


async def test_without_a_mail_server_nobody_is_written_to(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """And nothing is left in the queue."""
    await choose(services, alice.tenant_id, TEN)
    await superuser.execute("DELETE FROM jobs")
    await use(services, alice, answers=11)
    await deliver(services)
    assert await superuser.fetchval("SELECT count(*) FROM jobs") == 0
    rows = await superuser.fetch("SELECT percent FROM quota_warnings ORDER BY percent")
    assert [row["percent"] for row in rows] == [80, 100]
