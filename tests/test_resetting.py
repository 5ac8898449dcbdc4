"""A forgotten password and an unproven address: links by mail, over a real SMTP server."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.entrypoints.worker import make_worker
from asissto.platform.errors import BadSetting, MailFailed, MailMissing, NotFound
from asissto.platform.links import Purpose, forget_old_links
from asissto.platform.mail import check_mail, send_mail
from asissto.platform.resetting import print_link
from asissto.platform.services import Services
from mail_peer import PASSWORD as MAIL_PASSWORD
from mail_peer import USER, MailPeer
from people import PASSWORD, Person, make_client

DORA = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD, "language": "ru"}
NEW = "quite another password"


@pytest.fixture
async def post() -> AsyncIterator[MailPeer]:
    async with MailPeer() as peer:
        yield peer


@pytest.fixture
def mailing_services(services: Services, post: MailPeer) -> Services:
    """Services that can write to people."""
    settings = structs.replace(
        services.settings,
        smtp_host="127.0.0.1",
        smtp_port=post.smtp_port,
        smtp_security="none",
        smtp_user=USER,
        smtp_password=MAIL_PASSWORD,
        smtp_from="Служба <no-reply@shop.example>",
        public_url="https://help.example.com",
    )
    return structs.replace(services, settings=settings)


@pytest.fixture
async def visitor(mailing_services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(build_app(mailing_services)) as client:
        yield client


async def deliver(services: Services) -> None:
    """Does what the worker would, as far as mail goes."""
    while await make_worker(services).run_one(["mail"]):
        pass


def words_of(post: MailPeer) -> str:
    """The text of the last letter."""
    content = post.letters[-1].mail.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def token_in(words: str, path: str) -> str:
    found = re.search(rf"https://help\.example\.com/{path}#token=(\S{{43}})\s", words)
    assert found is not None, words
    return found[1]


async def call(client: httpx.AsyncClient, path: str, **body: str) -> tuple[int, str]:
    response = await client.post(f"/api/v1/auth/{path}", json=body)
    return response.status_code, response.json()["code"] if response.status_code >= 400 else response.text


async def test_a_forgotten_password_is_set_anew(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """By the link in the mail, once; the old password and every session are over, and the address is proven."""
    await superuser.execute("TRUNCATE audit_log")
    assert await call(visitor, "reset", email=alice.email.upper()) == (204, "")
    await deliver(mailing_services)
    (letter,) = post.letters
    assert (letter.recipients, str(letter.mail["subject"])) == (["alice@example.com"], "A new password for Asissto")
    assert str(letter.mail["from"]) == "Служба <no-reply@shop.example>"
    token = token_in(words_of(post), "reset")
    assert await call(visitor, "reset/password", token=token, password="short") == (400, "weak_password")
    assert await call(visitor, "reset/password", token=token, password=NEW) == (204, "")
    assert await call(visitor, "reset/password", token=token, password=NEW) == (403, "link_spent")
    assert (await alice.client.get("/api/v1/auth/me")).status_code == 401
    assert await call(visitor, "sign-in", email=alice.email, password=PASSWORD) == (401, "sign_in_failed")
    assert (await call(visitor, "sign-in", email=alice.email, password=NEW))[0] == 200
    assert await superuser.fetchval("SELECT confirmed_at IS NOT NULL FROM users WHERE id = $1", alice.user_id)
    actions = [row[0] for row in await superuser.fetch("SELECT action FROM audit_log ORDER BY id")]
    assert actions == ["auth.reset_ask", "auth.reset", "auth.sign_in"]


async def test_nobody_learns_whether_an_address_is_known(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person
) -> None:
    """The answers are alike in every byte, also for too many; mail goes to the known one."""
    answers = []
    for email in (alice.email, "nobody@example.com"):
        several = [await visitor.post("/api/v1/auth/reset", json={"email": email}) for _ in range(4)]
        answers.append([(each.status_code, each.json()["code"] if each.content else "") for each in several])
    assert answers == [[(204, "")] * 3 + [(429, "too_many_requests")]] * 2
    await deliver(mailing_services)
    assert [letter.recipients for letter in post.letters] == [["alice@example.com"]] * 3


async def test_the_answer_comes_before_anybody_is_looked_for(
    visitor: httpx.AsyncClient, mailing_services: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its time would tell."""
    happened: list[str] = []

    async def mail_reset(_services: Services, email: str, _visitor: object) -> None:
        happened.append(email)

    async def app(scope: object, receive: object, send: object) -> None:
        async def told(message: dict[str, object]) -> None:
            happened.append(str(message["type"]))
            await send(message)  # type: ignore[operator]

        await build_app(mailing_services)(scope, receive, told)  # type: ignore[arg-type]

    monkeypatch.setattr("asissto.platform.resetting.mail_reset", mail_reset)
    async with make_client(app) as client:  # type: ignore[arg-type]
        await client.post("/api/v1/auth/reset", json={"email": alice.email})
    assert happened == ["http.response.start", "http.response.body", alice.email]


async def test_the_newest_link_alone_counts(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """For half an hour; the link of another purpose opens nothing."""
    for _ in range(2):
        await call(visitor, "reset", email=alice.email)
    await deliver(mailing_services)
    tokens = []
    for letter in sorted(post.letters, key=lambda each: str(each.mail["date"])):
        content = letter.mail.get_payload(decode=True)
        assert isinstance(content, bytes)
        tokens.append(token_in(content.decode(), "reset"))
    works = [await call(visitor, "confirm", token=token) for token in tokens]
    assert works == [(403, "link_spent")] * 2
    life = "SELECT extract(epoch FROM expires_at - created_at)::int FROM one_time_links WHERE used_at IS NULL"
    assert await superuser.fetchval(life) == 30 * 60
    await superuser.execute("UPDATE one_time_links SET expires_at = now()")
    assert await call(visitor, "reset/password", token=tokens[-1], password=NEW) == (403, "link_spent")


async def test_tokens_are_nowhere_to_be_read(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Neither in the link's row, nor in the job that mails it, nor in the trail; the job leaves nothing behind."""
    await call(visitor, "reset", email=alice.email)
    tables = ("one_time_links", "jobs", "audit_log", "attempts")
    rows = [str(await superuser.fetch(f"SELECT t::text FROM {table} t")) for table in tables]
    await deliver(mailing_services)
    token = token_in(words_of(post), "reset")
    assert [table for table, row in zip(tables, rows, strict=True) if token in row] == []
    assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE kind = 'mail'") == 0


async def test_registration_asks_to_confirm_the_address(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """In the language of the person; the link works once, and can be asked for again."""
    session = (await visitor.post("/api/v1/auth/register", json=DORA)).raise_for_status().json()
    await deliver(mailing_services)
    assert str(post.letters[-1].mail["subject"]) == "Подтвердите адрес электронной почты"
    first = token_in(words_of(post), "confirm")
    visitor.headers["authorization"] = f"Bearer {session['access_token']}"
    assert (await visitor.get("/api/v1/auth/me")).json()["email_confirmed"] is False
    assert await call(visitor, "confirm/mail") == (204, "")
    await deliver(mailing_services)
    second = token_in(words_of(post), "confirm")
    assert await call(visitor, "confirm", token=first) == (403, "link_spent")
    assert await call(visitor, "confirm", token=second) == (204, "")
    assert await call(visitor, "confirm", token=second) == (403, "link_spent")
    assert (await visitor.get("/api/v1/auth/me")).json()["email_confirmed"] is True


async def test_a_letter_waits_for_a_mail_server_that_is_away(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """It is tried again, as long as its link is worth anything."""
    post.fail_with("recipient", "451 4.3.0 Later")
    await call(visitor, "reset", email=alice.email)
    await deliver(mailing_services)
    assert post.letters == []
    assert await superuser.fetchval("SELECT state || attempts FROM jobs WHERE kind = 'mail'") == "todo0"
    await superuser.execute("UPDATE jobs SET run_at = now()")
    await deliver(mailing_services)
    assert len(post.letters) == 1


async def test_a_letter_that_came_too_late_is_not_sent(
    visitor: httpx.AsyncClient,
    mailing_services: Services,
    post: MailPeer,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its link would be dead."""
    monkeypatch.setattr("asissto.platform.mailed_links.until", lambda _life: datetime.now(UTC) - timedelta(seconds=1))
    await call(visitor, "reset", email=alice.email)
    await deliver(mailing_services)
    assert post.letters == []


@pytest.mark.parametrize(
    ("stage", "reply", "permanent"),
    [
        ("greeting", "421 4.3.2 Going down", False),
        ("login", "535 5.7.8 Wrong password", False),
        ("sender", "550 5.7.1 Not from here", True),
        ("recipient", "550 5.1.1 No such user", True),
        ("recipient", "451 4.7.1 Later", False),
        ("content", "554 5.7.1 Spam", True),
        ("content", "cut", False),
    ],
)
async def test_what_the_mail_server_says_is_told(
    mailing_services: Services, post: MailPeer, stage: str, reply: str, permanent: bool
) -> None:
    """And whether there is any use in trying again."""
    post.fail_with(stage, reply, times=3 if stage == "login" else 1)  # type: ignore[arg-type]
    with pytest.raises(MailFailed) as failed:
        await send_mail(mailing_services, "dora@example.com", "Hello", "Text")
    assert (failed.value.permanent, failed.value.temporary) == (permanent, not permanent)
    assert "mailbox-pass" not in str(failed.value)


async def test_a_letter_for_nobody_is_given_up(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """At once, with the words of the server."""
    post.fail_with("recipient", "550 5.1.1 No such user")
    await call(visitor, "reset", email=alice.email)
    await deliver(mailing_services)
    state, error = await superuser.fetchrow("SELECT state, error FROM jobs WHERE kind = 'mail'")
    assert (state, "550 5.1.1 No such user" in error) == ("dead", True)


async def test_without_a_mail_server_it_is_said(client: httpx.AsyncClient, services: Services, alice: Person) -> None:
    """To everybody alike; the operator prints the link."""
    answers = [await call(client, "reset", email=email) for email in (alice.email, "nobody@example.com")]
    assert answers == [(503, "mail_missing")] * 2
    with pytest.raises(MailMissing):
        await send_mail(services, alice.email, "Hello", "Text")
    assert (await check_mail(services.settings)).startswith("none")
    with pytest.raises(NotFound):
        await print_link(services, "reset", "nobody@example.com")
    token = (await print_link(services, "reset", alice.email.upper())).partition("#token=")[2]
    assert await call(client, "reset/password", token=token, password=NEW) == (204, "")
    assert (await call(client, "sign-in", email=alice.email, password=NEW))[0] == 200


async def test_a_printed_link_proves_no_address(
    client: httpx.AsyncClient, services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Whoever got it from the operator has not read the mail of the address."""
    token = (await print_link(services, "reset", alice.email)).partition("#token=")[2]
    await call(client, "reset/password", token=token, password=NEW)
    assert await superuser.fetchval("SELECT confirmed_at FROM users WHERE id = $1", alice.user_id) is None


async def test_the_settings_of_mail_are_tried(mailing_services: Services, post: MailPeer) -> None:
    """As `asissto doctor` does; a sender that is no address is told before anything is sent."""
    assert await check_mail(mailing_services.settings) == f"127.0.0.1:{post.smtp_port}, none"
    wrong = structs.replace(mailing_services.settings, smtp_password="another")
    with pytest.raises(MailFailed, match="535"):
        await check_mail(wrong)
    nameless = structs.replace(mailing_services.settings, smtp_from="Asissto")
    with pytest.raises(BadSetting, match="ASISSTO_SMTP_FROM"):
        await check_mail(nameless)


async def test_links_that_expired_long_ago_are_forgotten(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Yesterday's stay, so that they are told from what never was."""
    purposes: tuple[Purpose, ...] = ("reset", "confirm")
    for purpose in purposes:
        await print_link(services, purpose, alice.email)
    ages = "UPDATE one_time_links SET expires_at = now() - interval '8 days' WHERE purpose = 'reset'"
    await superuser.execute(ages)
    async with services.database.system() as session:
        await forget_old_links(session)
    assert [row[0] for row in await superuser.fetch("SELECT purpose FROM one_time_links")] == ["confirm"]


async def test_a_blocked_person_gets_no_new_password(
    visitor: httpx.AsyncClient, mailing_services: Services, post: MailPeer, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Not by a new link, and not by one that was sent before."""
    await call(visitor, "reset", email=alice.email)
    await deliver(mailing_services)
    await superuser.execute("UPDATE users SET status = 'blocked' WHERE id = $1", alice.user_id)
    token = token_in(words_of(post), "reset")
    assert await call(visitor, "reset/password", token=token, password=NEW) == (403, "link_spent")
    await call(visitor, "reset", email=alice.email)
    await deliver(mailing_services)
    assert len(post.letters) == 1
