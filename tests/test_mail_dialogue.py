"""A dialogue by e-mail from the customer's mail to the answer in their mailbox, and on in the same conversation."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.utils import make_msgid

import asyncpg
import pytest
from msgspec import structs

from asissto.channels import mail_fetching
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.evaluation import SetPassage, load_passages
from channels_at_work import Json, everything_at_work, make_channel, until
from mail_peer import PASSWORD, USER, Letter, MailPeer
from people import Person
from test_answers import LIBRARY, ignore, set_up
from test_mail import served


@pytest.fixture
async def post(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailPeer]:
    monkeypatch.setattr(mail_fetching, "IDLE_SECONDS", 0.3)
    async with MailPeer() as peer:
        yield peer


@pytest.fixture
async def private(services: Services, alice: Person) -> Services:
    """Where mail servers may lie in a private network, with something to know."""
    await set_up(alice, burst_seconds=0.1)
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in LIBRARY.items()]
    await load_passages(services, alice.tenant_id, passages, ignore)
    return structs.replace(services, settings=structs.replace(services.settings, provider_private_addresses=True))


async def mailbox(person: Person, peer: MailPeer, **more: object) -> Json:
    def server(port: int) -> Json:
        return {"host": "127.0.0.1", "port": port, "security": "none", "user": USER}

    settings = {"imap": server(peer.imap_port), "smtp": server(peer.smtp_port), "from_address": USER, **more}
    return await make_channel(person, "mail", settings, {"imap_password": PASSWORD})


def mail(words: str, **headers: str) -> bytes:
    message = EmailMessage()
    for name, value in {
        "From": "Ann <ann@customer.example>",
        "To": USER,
        "Subject": "A question",
        "Message-ID": make_msgid(domain="customer.example"),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }.items():
        message[name] = value
    message.set_content(words)
    return message.as_bytes()


async def letters(peer: MailPeer, count: int) -> list[Letter]:
    async def have_come() -> bool:
        return len(peer.letters) >= count

    await until(have_come, 30)
    return peer.letters


@served
async def test_a_mail_is_answered_and_the_reply_goes_on(
    private: Services, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """With its sources, in both forms; the customer's reply, which quotes ours, is the next turn of it."""
    await mailbox(alice, post)
    async with everything_at_work(private):
        await until(lambda: is_read(superuser), 30)
        await post.drop(mail("How long does a refund take?"))
        [first] = await letters(post, 1)
        reply = f"Thank you!\n\nOn Wed, Nov 25, 2026 at 9:00 AM Shop <{USER}> wrote:\n> {LIBRARY['Refunds']}\n"
        await post.drop(mail(reply, In_Reply_To=first.mail["Message-ID"], Subject="Re: A question"))
        _, second = await letters(post, 2)
    assert "within three working days." in plain(first)
    assert "[1]" in plain(first)
    assert first.mail.get_body(("html",)) is not None  # type: ignore[attr-defined]
    assert (first.mail["Auto-Submitted"], first.recipients) == ("auto-replied", ["ann@customer.example"])
    assert text("answer.thanks", "en") in plain(second)
    assert await superuser.fetchval("SELECT count(*) FROM threads") == 1


@served
async def test_a_vacation_note_is_not_answered(
    private: Services, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """Two machines that answer each other never stop."""
    await mailbox(alice, post)
    async with everything_at_work(private):
        await until(lambda: is_read(superuser), 30)
        await post.drop(mail("I am away until Monday.", Auto_Submitted="auto-replied"))
        await post.drop(mail("Hello!", Message_ID="<second@customer.example>"))
        [only] = await letters(post, 1)
    assert only.mail["In-Reply-To"] == "<second@customer.example>"
    assert await superuser.fetchval("SELECT count(*) FROM inbound_events WHERE kind = 'ignored'") == 1


@served
async def test_a_mail_that_is_too_large_is_shown_and_both_sides_know(
    private: Services, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """Its words are answered; what is left out stands in the conversation, and the customer hears of it."""
    await mailbox(alice, post, max_mb=1)
    large = EmailMessage()
    large["From"], large["To"], large["Subject"] = "Ann <ann@customer.example>", USER, "Photos"
    large["Message-ID"] = "<large@customer.example>"
    large.set_content("How long does a refund take?")
    large.add_attachment(bytes(1_000_000), maintype="image", subtype="jpeg", filename="box.jpg")
    async with everything_at_work(private):
        await until(lambda: is_read(superuser), 30)
        await post.drop(large.as_bytes())
        notice, answer = await letters(post, 2)
    assert plain(notice).strip() == text("channel.mail_too_large", "en")
    assert "within three working days." in plain(answer)
    assert notice.mail["In-Reply-To"] == answer.mail["In-Reply-To"] == "<large@customer.example>"
    [conversation] = (await alice.client.get("/api/v1/inbox")).json()["items"]
    where = f"/api/v1/conversations/{conversation['id']}/messages"
    [asked, *_] = (await alice.client.get(where)).json()["items"]
    [kept] = (await alice.client.get(f"{where}/{asked['id']}/attachments")).json()
    assert (conversation["contact"]["name"], asked["content"]) == ("Ann", "Photos\n\nHow long does a refund take?")
    assert (kept["type"], kept["state"], kept["error"], kept["size"]) == (
        "original",
        "too_large",
        text("attachment.mail_too_large", "en"),
        len(large.as_bytes()),
    )


@served
async def test_mails_above_the_cap_are_shown_and_not_answered(
    private: Services, alice: Person, post: MailPeer, superuser: asyncpg.Connection
) -> None:
    """Two machines must stop writing to each other, but a person who writes much is not lost."""
    await mailbox(alice, post, cap_per_hour=1)
    async with everything_at_work(private):
        await until(lambda: is_read(superuser), 30)
        await post.drop(mail("Hello!", Subject="Hello!"), mail("Where is my kettle?"))

        async def are_there() -> bool:
            return int(await superuser.fetchval("SELECT count(*) FROM messages WHERE sender_kind = 'contact'")) == 2

        await until(are_there, 30)
        await letters(post, 1)
        assert await superuser.fetchval("SELECT count(*) FROM jobs WHERE kind = 'channels.answer'") == 0
    unanswered = "SELECT content FROM messages WHERE metadata ->> 'unanswered' = 'too_many'"
    assert await superuser.fetchval(unanswered) == "A question\n\nWhere is my kettle?"
    assert [plain(letter).strip() for letter in post.letters] == [text("answer.greeting", "en")]


async def is_read(superuser: asyncpg.Connection) -> bool:
    """The mailbox, up to its present end."""
    return bool(await superuser.fetchval("SELECT cursor <> '{}' FROM channels WHERE type = 'mail'"))


def plain(letter: Letter) -> str:
    return str(letter.mail.get_body(("plain",)).get_content())  # type: ignore[attr-defined]
