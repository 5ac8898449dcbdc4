"""Reports by mail: due in the time of the workspace, sent once however often a process is killed, ended by a link."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from msgspec import structs

from analytics_log import NOW, write_log
from asissto.platform import jobs
from asissto.platform.entrypoints.web import build_app
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.report_letters import send_report
from asissto.retrieval.report_links import Linked, make_token, read_token
from asissto.retrieval.reports import JOB, ask_for_due, next_due, period_before
from mail_peer import PASSWORD, USER, MailPeer
from people import Person, bearer, make_client

API = "/api/v1/analytics/reports"


@pytest.fixture
async def post() -> AsyncIterator[MailPeer]:
    async with MailPeer() as peer:
        yield peer


@pytest.fixture
def mailing(services: Services, post: MailPeer) -> Services:
    told: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": post.smtp_port, "smtp_security": "none"}
    told |= {"smtp_user": USER, "smtp_password": PASSWORD, "smtp_from": "a@shop.example"}
    settings = structs.replace(services.settings, **told, public_url="https://asissto.example")
    return structs.replace(services, settings=settings)


@pytest.fixture
async def client(mailing: Services, alice: Person) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(build_app(mailing)) as client:
        client.headers["authorization"] = bearer(mailing, alice)
        yield client


@pytest.mark.parametrize(
    ("every", "after", "due"),
    [
        ("day", "2026-11-25T04:59:00Z", "2026-11-25T05:00:00Z"),
        ("day", "2026-11-25T05:00:00Z", "2026-11-26T05:00:00Z"),
        ("week", "2026-11-25T05:00:00Z", "2026-11-30T05:00:00Z"),
        ("month", "2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z"),
    ],
)
def test_a_report_is_due_at_the_hour_of_the_workspace(every: Any, after: str, due: str) -> None:
    """Eight o'clock in Moscow is five in Greenwich; weeks begin on Monday."""
    at = next_due(datetime.fromisoformat(after), every, 8, "Europe/Moscow")
    assert at == datetime.fromisoformat(due)


def test_a_report_tells_of_what_has_ended() -> None:
    """Whole days of the workspace, across the change of clocks."""
    due = datetime(2026, 10, 26, 8, tzinfo=UTC)
    period = period_before(due, "week", "Europe/Berlin")
    assert (period.since, period.until) == (
        datetime(2026, 10, 18, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )
    month = period_before(due, "month", "UTC")
    assert (month.since, month.until) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC))


async def letters(mailing: Services, post: MailPeer, superuser: asyncpg.Connection) -> list[Any]:
    worker = make_worker(mailing)
    while await worker.run_one([JOB, "mail"]):
        pass
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE kind = $1", JOB) == 0
    return [letter.mail for letter in post.letters]


async def test_a_digest_comes_once_and_ends_by_its_link(
    mailing: Services, client: httpx.AsyncClient, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """Two workers at once, and one that is killed after the letter was asked for, send one letter."""
    await write_log(mailing, alice.tenant_id, seed=5, inquiries=60)
    made = (await client.post(API, json={"kind": "digest", "language": "ru"})).raise_for_status().json()
    assert (await client.post(API, json={"kind": "digest"})).status_code == 409
    assert await ask_for_due(mailing.database, datetime.now(UTC)) == 0
    later = datetime.fromisoformat(made["next_at"]) + timedelta(days=15)
    at_once = await asyncio.gather(*(ask_for_due(mailing.database, later) for _ in range(3)))
    assert sum(at_once) == 1
    moved = await superuser.fetchrow("SELECT next_at, (SELECT count(*) FROM jobs WHERE kind = $1) FROM reports", JOB)
    assert tuple(moved) == (datetime.fromisoformat(made["next_at"]) + timedelta(days=21), 1)
    payload = {"since": (NOW - timedelta(days=7)).isoformat(), "until": NOW.isoformat()}
    await superuser.execute("UPDATE jobs SET payload = payload || $1::jsonb WHERE kind = $2", json.dumps(payload), JOB)
    async with mailing.database.system() as session:
        [killed] = await jobs.claim(session, new_id(), [JOB], 1)
    await superuser.execute("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE kind = $1", JOB)
    [letter] = await letters(mailing, post, superuser)
    with pytest.raises(jobs.LeaseLost):  # it was no more than slow, and comes back
        await send_report(mailing, killed)
    assert len(await letters(mailing, post, superuser)) == 1
    words = letter.get_content()
    assert (letter["To"], letter["List-Unsubscribe-Post"]) == ("alice@example.com", "List-Unsubscribe=One-Click")
    assert re.search(r"Вопросы: \d+ \(до этого: \d+\)", words)
    assert re.search(r"Отвечено: [\d.]+ % \(до этого: [\d.]+ %\)", words)
    assert re.search(r"Стоимость моделей: [\d.]+ RUB .*\nСтоимость моделей: [\d.]+ USD", words)
    link = words.rsplit(maxsplit=1)[-1]
    assert letter["List-Unsubscribe"] == f"<{link}>"
    async with make_client(build_app(mailing)) as stranger:
        path = link.removeprefix("https://asissto.example")
        page = await stranger.get(path)
        assert "<form" in page.text
        assert len((await client.get(API)).json()["items"]) == 1  # whoever only looks ends nothing
        assert (await stranger.post(path, data={"List-Unsubscribe": "One-Click"})).status_code == 200
        assert (await stranger.post(path)).status_code == 200
        assert (await stranger.post(path[:-4] + "AAAA")).status_code == 404
    assert (await client.get(API)).json()["items"] == []
    ended = "SELECT actor_id, count(*) FROM audit_log WHERE action = 'reports.end' GROUP BY 1"
    assert tuple(await superuser.fetchrow(ended)) == (alice.user_id, 1)


async def test_a_file_is_for_whoever_may_still_see_it(
    mailing: Services, client: httpx.AsyncClient, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """The link needs no sign-in, and is worth nothing once its member has left, the report has ended, or time is up."""
    await write_log(mailing, alice.tenant_id, seed=5, inquiries=40)
    body = {"kind": "csv", "view": "turns", "every": "day", "sliced": {"result": "answered", "purpose": "answer"}}
    made = (await client.post(API, json=body)).raise_for_status().json()
    await ask_for_due(mailing.database, datetime.fromisoformat(made["next_at"]))
    payload = {"since": (NOW - timedelta(days=60)).isoformat(), "until": NOW.isoformat()}
    await superuser.execute("UPDATE jobs SET payload = payload || $1::jsonb WHERE kind = $2", json.dumps(payload), JOB)
    [letter] = await letters(mailing, post, superuser)
    path = re.search(r"https://asissto.example(/api/v1/reports/\S+/file)", letter.get_content())
    assert path is not None
    async with make_client(build_app(mailing)) as stranger:
        file = await stranger.get(path[1])
        assert file.headers["content-type"] == "text/csv; charset=utf-8"
        answered = await superuser.fetchval("SELECT count(*) FROM turns WHERE result = 'answered' AND at < $1", NOW)
        assert len(file.text.splitlines()) - 1 == answered > 10
        await superuser.execute("UPDATE memberships SET role = 'operator' WHERE user_id = $1", alice.user_id)
        assert (await stranger.get(path[1])).status_code == 404


async def test_nobody_writes_letters_to_whoever_may_not_read_them(
    mailing: Services, client: httpx.AsyncClient, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """Nor where the report ended while its job waited."""
    made = (await client.post(API, json={"kind": "digest", "every": "day"})).raise_for_status().json()
    changed = await client.patch(f"{API}/{made['id']}", json={"every": "month", "hour": 0})
    assert (changed.json()["every"], changed.json()["hour"]) == ("month", 0)
    await ask_for_due(mailing.database, datetime.fromisoformat(changed.json()["next_at"]))
    await superuser.execute("UPDATE memberships SET role = 'operator' WHERE user_id = $1", alice.user_id)
    assert await letters(mailing, post, superuser) == []
    told = "SELECT action, object_type, changes ->> 'every' FROM audit_log WHERE action LIKE 'reports.%' ORDER BY id"
    assert [tuple(row) for row in await superuser.fetch(told)] == [
        ("reports.create", "report", "day"),
        ("reports.update", "report", "month"),
    ]


BAD: list[tuple[dict[str, Any], int]] = [
    ({"kind": "csv"}, 400),
    ({"kind": "digest", "view": "turns"}, 400),
    ({"kind": "digest", "hour": 24}, 400),
    ({"kind": "digest", "sliced": {"nonsense": "x"}}, 400),
    ({"kind": "poem"}, 400),
]


@pytest.mark.parametrize(("body", "status"), BAD)
async def test_what_cannot_be_sent_is_refused(body: dict[str, Any], status: int, client: httpx.AsyncClient) -> None:
    """With the field that is wrong."""
    response = await client.post(API, json=body)
    assert response.status_code == status
    assert response.json()["field"]


def test_a_link_is_good_for_what_it_was_made_for(services: Services) -> None:
    """One that ends a report opens no file; any other byte is nobody's."""
    linked = Linked(tenant_id=UUID(int=1), report_id=UUID(int=2), since=3, until=4, expires=5)
    token = make_token(services.keys, "end", linked)
    assert read_token(services.keys, "end", token) == linked
    assert linked.is_expired
    assert read_token(services.keys, "file", token) is None
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
    assert {read_token(services.keys, "end", each) for each in changed} <= {None, linked}
    assert read_token(services.keys, "end", changed[0]) is None
