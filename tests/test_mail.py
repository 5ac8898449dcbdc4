"""The mail channel against a real IMAP and SMTP server: reading, threads, loops, rendering, and every fault."""

import asyncio
import datetime as dt
import importlib.util
import ipaddress
import json
import random
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from asissto.channels import mail_connecting, mail_fetching
from asissto.channels.contract import Account, Attachment, Cited, Destination, Event, Health, Said, Sender, Sent
from asissto.channels.mail_caps import Heard
from asissto.channels.mail_connecting import MailServer
from asissto.channels.mail_quotes import new_part
from asissto.channels.mail_reading import Reader
from asissto.channels.mail_rendering import render_mail
from asissto.channels.mail_sending import write_letter
from asissto.channels.mail_text import words_of
from asissto.channels.mail_threads import Threads
from asissto.channels.mailbox import Mailbox, MailSecrets, MailSettings
from asissto.channels.registry import connector_type
from asissto.channels.send_errors import (
    ChannelBroken,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)
from mail_peer import PASSWORD, USER, MailPeer
from mail_quotes_corpus import REPLIES, Reply

THREADS = Threads(secret=bytes(32), address=USER, plus_token=True)
READER = Reader(THREADS, frozenset({"sales@shop.example"}), "mx.shop.example")
served = pytest.mark.skipif(
    importlib.util.find_spec("pymap") is None, reason="pymap, the IMAP server, is not installed"
)


def mail(body: str = "Как вернуть чайник?", **headers: str) -> bytes:
    """`message_id` becomes Message-ID."""
    message = EmailMessage()
    named = {"from_": "Анна <anna@mail.example>", "to": USER, "subject": "Возврат", "message_id": "<1@mail.example>"}
    for name, value in (named | headers).items():
        if value:
            message[name.strip("_").replace("_", "-")] = value
    message.set_content(body)
    return bytes(message)


def read(raw: bytes, reader: Reader = READER) -> Event:
    return reader.read(raw, "9/1")


# What is new in a mail


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.program)
def test_of_a_reply_only_the_new_part_is_read(reply: Reply) -> None:
    """Attribution, quote, device and signature go, whichever program wrote them and whether as text or as HTML."""
    message = EmailMessage()
    message.set_content(reply.body, subtype=reply.subtype)
    assert new_part(words_of(message_from_bytes(bytes(message))).text) == reply.new


def test_the_whole_mail_is_kept_where_something_was_left_out() -> None:
    """So that an operator can look at what the reader took for a quote."""
    event = read(mail("Да.\n\n> Подходит?\n"))
    assert event.text == "Возврат\n\nДа."
    assert event.attachments == (
        Attachment(type="original", ref="9/1/", name="message.eml", mime="message/rfc822"),
    )  # fmt: skip
    assert read(mail("Да.")).attachments == ()


def test_a_mail_becomes_an_event() -> None:
    """Everything that a reply needs is in the address."""
    event = read(mail("Как вернуть чайник?\n", date="Fri, 20 Nov 2026 12:04:00 +0300", references="<0@mail.example>"))
    assert event == Event(
        key="<1@mail.example>",
        kind="message",
        thread=THREADS.begin(message_from_bytes(mail(references="<0@mail.example>")), "anna@mail.example", ""),
        address={
            "to": "anna@mail.example",
            "name": "Анна",
            "subject": "Возврат",
            "message_id": "<1@mail.example>",
            "references": ["<0@mail.example>", "<1@mail.example>"],
            "verified": False,
        },
        sender=Sender(external_id="unverified:anna@mail.example", name="Анна"),
        external_id="<1@mail.example>",
        text="Возврат\n\nКак вернуть чайник?",
        at=dt.datetime(2026, 11, 20, 9, 4, tzinfo=dt.UTC),
    )


def test_a_mail_without_an_id_is_known_by_what_it_says() -> None:
    """The same bytes are the same event, other words are another."""
    first, again, other = (read(mail(words, message_id="")).key for words in ("Да", "Да", "Нет"))
    assert first == again != other
    assert first.startswith("sha256:")


def test_russian_mail_of_old_programs_is_read() -> None:
    """Without declared charsets, in headers and in the body, as they send it in the code page of Windows."""
    raw = "From: Анна <anna@mail.example>\nSubject: Возврат чайника\n\nКак вернуть чайник?\n".encode("cp1251")
    event = read(raw)
    assert (event.text, event.address["name"]) == ("Возврат чайника\n\nКак вернуть чайник?", "Анна")


def test_attachments_are_named_and_logos_are_not() -> None:
    """A picture that the text shows belongs to the text; a forwarded mail is one attachment."""
    message = message_from_bytes(mail(), policy=modern)
    assert isinstance(message, EmailMessage)
    message.add_alternative('<p>Как вернуть чайник? <img src="cid:logo"></p>', subtype="html")
    html = message.get_payload(1)
    assert isinstance(html, EmailMessage)
    html.add_related(b"logo", "image", "png", cid="<logo>", filename="logo.png")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="../чек.pdf")
    message.add_attachment(b"photo", maintype="image", subtype="jpeg", filename="box.jpg")
    message.add_attachment(message_from_bytes(mail("Внутри", subject="Старое"), policy=modern))
    assert read(bytes(message)).attachments == (
        Attachment(type="document", ref="9/1/2", name="чек.pdf", mime="application/pdf", size=4),
        Attachment(type="photo", ref="9/1/3", name="box.jpg", mime="image/jpeg", size=5),
        Attachment(type="document", ref="9/1/4", name="Старое.eml", mime="message/rfc822"),
    )


def test_no_mail_breaks_the_reader() -> None:
    """Mails with bytes changed, cut out and doubled are read or ignored."""
    chance = random.Random(5)
    sources = [mail(reply.body) for reply in REPLIES] + [
        failure_report(),
        mail(from_='"a\\" <b@c>" <d@e>, x', date="?"),
    ]
    for number in range(600):
        raw = bytearray(chance.choice(sources))
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(raw))
            piece = bytes(chance.choices(b'\0\n:;=?<>@"\\()\xff\xd0', k=chance.randint(0, 4)))
            raw[at : at + chance.randint(0, 9)] = piece
        event = read(bytes(raw))
        assert event.kind in ("message", "ignored", "receipt"), number


def test_no_mail_keeps_the_reader_busy() -> None:
    """Mails that were made to cost time, by patterns that try again and again or by endless nesting."""
    head = b"From: a@b.example\nMessage-ID: <1@b.example>\n"
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (each, each) for each in range(2_000))
    hostile = (
        head + b"\n" + b"-" * 300_000,
        head + b"\nhi\n" + b"\n" * 300_000,
        head + b"\n" + b"On 1.1.2020 10:00 a@b wrote:\n\n> x\n" * 10_000,
        head + b"Content-Type: text/html\n\n" + b"<b> </b>" * 40_000,
        head + b"Content-Type: text/html\n\n" + b"<blockquote>" * 20_000,
        head + b"To: " + b"(" * 200_000 + b"\n\nhi",
        head + b"References: " + b"<1.aaaaaaaaaaaaaaaaaaaaaaaa@shop.example>\n " * 20_000 + b"\n\nhi",
        head + deep,
    )
    begin = time.process_time()
    assert {read(raw).kind for raw in hostile} == {"message", "ignored"}
    assert time.process_time() - begin < 5  # a second as measured; without the limits one of them takes minutes


# Conversations


def reply_to(event: Event, **headers: str) -> bytes:
    ours = THREADS.message_id(7, event.thread)
    named = {"message_id": "<2@mail.example>", "in_reply_to": ours, "references": f"<1@mail.example> {ours}"}
    return mail("И без чека?", **(named | headers))


def test_a_reply_joins_the_conversation_by_our_message_id() -> None:
    """Whatever its subject says, and without the subject being repeated."""
    first = read(mail())
    second = read(reply_to(first, subject="Другое"))
    assert (second.thread, second.text) == (first.thread, "И без чека?")


def test_a_reply_joins_by_the_reply_address_where_references_are_lost() -> None:
    """Some programs and servers drop or rewrite them."""
    first = read(mail())
    to = THREADS.reply_address(first.thread)
    bare = {"in_reply_to": "", "references": "", "message_id": "<2@mail.example>"}
    assert to.startswith("help+")
    assert read(reply_to(first, to=to, **bare)).thread == first.thread
    assert read(reply_to(first, to=to.upper(), **bare)).thread == first.thread
    without = msgspec.structs.replace(READER, threads=Threads(bytes(32), USER, plus_token=False))
    assert read(reply_to(first, to=to, **bare), without).thread != first.thread


def test_a_second_mail_joins_before_anybody_has_answered() -> None:
    """A customer who writes on below their own mail means the same conversation."""
    first = read(mail())
    second = read(mail("Забыла номер заказа: 1024", message_id="<2@mail.example>", references="<1@mail.example>"))
    assert second.thread == first.thread


def test_a_forwarded_answer_opens_nothing() -> None:
    """Whoever gets our mail from the customer begins a conversation of their own; replies cannot be turned aside."""
    first = read(mail())
    assert read(reply_to(first, from_="Bob <bob@mail.example>")).thread != first.thread
    assert read(reply_to(first, reply_to="mallory@mail.example")).thread != first.thread


def test_a_new_mail_is_a_new_conversation() -> None:
    """Of the same person with the same subject too."""
    assert read(mail()).thread != read(mail(message_id="<2@mail.example>")).thread


# Loops


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"from_": USER}, "own_address"),
        ({"from_": "Sales <SALES@shop.example>"}, "own_address"),
        ({"from_": "help+abc@shop.example"}, "own_address"),
        ({"message_id": THREADS.message_id(7, "a" * 24)}, "own_mail"),
        ({"from_": "Mail Delivery System <MAILER-DAEMON@mx.example>"}, "robot_sender"),
        ({"from_": "no-reply@bank.example"}, "robot_sender"),
        ({"from_": "noreply+77@bank.example"}, "robot_sender"),
        ({"from_": "DoNotReply@bank.example"}, "robot_sender"),
        ({"from_": "news-bounces@list.example"}, "robot_sender"),
        ({"return_path": "<>"}, "bounce"),
        ({"auto_submitted": "auto-replied"}, "auto_submitted"),
        ({"auto_submitted": "Auto-Generated; owner=x"}, "auto_submitted"),
        ({"x_autoreply": "yes"}, "auto_reply"),
        ({"x_auto_response_suppress": "DR, OOF, AutoReply"}, "suppressed"),
        ({"x_auto_response_suppress": "All"}, "suppressed"),
        ({"list_id": "<dev.list.example>"}, "list"),
        ({"list_unsubscribe": "<mailto:off@list.example>"}, "list"),
        ({"precedence": "Bulk"}, "bulk"),
        ({"x_spam_flag": "YES"}, "spam"),
        ({"subject": "Автоответ: Возврат"}, "automatic_subject"),
        ({"subject": "Automatic reply: Return"}, "automatic_subject"),
        ({"subject": "Out of Office: Return"}, "automatic_subject"),
        ({"from_": "undisclosed"}, "no_sender"),
    ],
)
def test_machines_get_no_answer(headers: dict[str, str], reason: str) -> None:
    """Each kind is told apart, so that the owner can see why a mail was left alone."""
    event = read(mail(**headers))
    assert (event.kind, event.reason) == ("ignored", reason)


@pytest.mark.parametrize(
    "headers",
    [
        {"auto_submitted": "no"},
        {"x_auto_response_suppress": "None"},
        {"x_auto_response_suppress": "DR, RN, NRN"},
        {"return_path": "<anna@mail.example>"},
        {"from_": "norepl@mail.example"},
        {"from_": "robot.bouncer@mail.example"},
        {"subject": "Автоматическая коробка передач"},
    ],
)
def test_people_get_an_answer(headers: dict[str, str]) -> None:
    """Headers that only look like those of machines."""
    assert read(mail(**headers)).kind == "message"


def test_a_form_on_the_site_is_answered_to_its_visitor() -> None:
    """It comes from the site's own address; but nobody has proved who the visitor is."""
    passed = "mx.shop.example; dkim=pass header.d=shop.example"
    event = read(mail(from_="Форма <noreply@shop.example>", reply_to="v@mail.example", authentication_results=passed))
    assert (event.kind, event.address["to"], event.address["verified"]) == ("message", "v@mail.example", False)


def test_two_machines_that_write_to_each_other_soon_stop() -> None:
    """Ten mails in an hour and thirty in a day are let through; what was held back does not count."""
    heard = Heard()
    caps = {"per_hour": 10, "per_day": 30}
    passed = [minute for minute in range(0, 24 * 60, 2) if heard.lets_through("a@b.example", minute, **caps)]
    assert [sum(hour * 60 <= minute < hour * 60 + 60 for minute in passed) for hour in range(4)] == [10, 10, 10, 0]
    assert heard.lets_through("c@d.example", 5, **caps)
    assert heard.lets_through("a@b.example", 24 * 60 + 1, **caps)
    assert [*heard.recent(3 * 24 * 60)] == []


# Whom to believe


@pytest.mark.parametrize(
    ("results", "verified"),
    [
        (["mx.shop.example; dmarc=pass (p=NONE) header.from=mail.example"], True),
        (["mx.shop.example; spf=fail; dkim=pass header.i=@mail.example header.s=s1"], True),
        (["mx.shop.example 1; spf=pass smtp.mailfrom=bounce@mail.example"], True),
        (["MX.shop.example; dkim=pass header.d=mail.example"], True),
        (["mx.shop.example; dkim=pass header.d=evil.example"], False),
        (["mx.shop.example; dkim=pass header.d=example"], False),
        (["mx.shop.example; dkim=fail header.d=mail.example; dmarc=none"], False),
        (["mx.shop.example; dkim=none (dkim=pass header.d=mail.example)"], False),
        (["mx.shop.example; none", "mx.shop.example; dkim=pass header.d=mail.example"], False),
        (["mx.evil.example; dkim=pass header.d=mail.example"], False),
        ([], False),
    ],
)
def test_a_sender_is_verified_by_our_own_server_alone(results: list[str], verified: bool) -> None:
    """The topmost header of our server decides; others may have come with the mail."""
    raw = "".join(f"Authentication-Results: {each}\n" for each in results).encode() + mail()
    event = read(raw)
    known = Sender(external_id="anna@mail.example", name="Анна", email="anna@mail.example")
    unknown = Sender(external_id="unverified:anna@mail.example", name="Анна")
    assert (event.sender, event.address["verified"]) == (known if verified else unknown, verified)


def test_servers_of_one_provider_are_named_together() -> None:
    """`*.yandex.net` holds for each of them, and for nothing that only ends so."""
    reader = Reader(THREADS, frozenset(), "*.yandex.net")
    found = [
        read(f"Authentication-Results: {server}; dkim=pass header.d=mail.example\n".encode() + mail(), reader)
        for server in ("mxfront1.yandex.net", "notyandex.net")
    ]
    assert [event.address["verified"] for event in found] == [True, False]


# Reports


def failure_report(action: str = "failed", status: str = "5.1.1", message_id: str = "") -> bytes:
    original = message_id or THREADS.message_id(7, "a" * 24)
    return f"""From: MAILER-DAEMON@mx.example
To: {USER}
Subject: Undelivered Mail Returned to Sender
Message-ID: <dsn@mx.example>
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

I am sorry.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; anna@mail.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 No such user

--B
Content-Type: message/rfc822

From: {USER}
Message-ID: {original}
References: {THREADS.message_id(3, "b" * 24)}

Hello
--B--
""".encode()


@pytest.mark.parametrize(
    ("action", "status", "delivery", "reason"),
    [
        ("failed", "5.1.1", "failed", "unreachable"),
        ("failed", "5.7.1", "failed", "not_allowed"),
        ("failed", "5.4.7", "failed", ""),
        ("delivered", "2.0.0", "delivered", ""),
    ],
)
def test_a_report_tells_what_became_of_our_mail(action: str, status: str, delivery: Any, reason: str) -> None:
    """By the Message-ID of the mail itself, not by those that it refers to."""
    assert read(failure_report(action, status)) == Event(
        key="<dsn@mx.example>",
        kind="receipt",
        thread="a" * 24,
        external_id=THREADS.message_id(7, "a" * 24),
        delivery=delivery,
        reason=reason,
    )


def test_the_report_of_an_older_exim_is_understood() -> None:
    """It is plain text with the mail below."""
    ours = THREADS.message_id(7, "a" * 24)
    raw = mail(
        f"Could not be delivered.\n\n------ a copy ------\n\nFrom: {USER}\nMessage-ID: {ours}\n",
        from_="mailer-daemon@m.x",
    )
    event = read(b"X-Failed-Recipients: anna@mail.example\n" + raw)
    assert (event.kind, event.external_id, event.delivery) == ("receipt", ours, "failed")


@pytest.mark.parametrize("report", [failure_report("delayed", "4.4.1"), failure_report(message_id="<x@mail.example>")])
def test_other_reports_are_ignored(report: bytes) -> None:
    """Those of a mere delay, and those about mails of others."""
    assert read(report).kind == "ignored"


# Rendering

URL = "https://shop.example/r?a=1&b=2"
CITED = (
    Cited(
        number=1,
        title="Rules <v2>",
        locator="p. 3",
        quote="Within 14 days\n& unopened",
        url="https://shop.example/r?a=1&b=2",
    ),
    Cited(number=2, title="Prices", locator="", quote="", url="javascript:alert(1)"),
)


def test_an_answer_is_a_mail_in_plain_words_and_in_html() -> None:
    """Footnotes with the quoted passages, everything escaped, and only web addresses are links."""
    said = Said(
        text="**Yes**, if <unopened> [1]:\n\n- keep the box\n- pay 5 & more [2]",
        language="en",
        is_markdown=True,
        citations=CITED,
        notice="Written by an assistant.",
    )
    part = render_mail(said)
    assert part.text == (
        "Yes, if <unopened> [1]:\n\n• keep the box\n• pay 5 & more [2]\n\nWritten by an assistant.\n\nSources:\n\n"
        "[1] Rules <v2>, p. 3\n“Within 14 days & unopened”\nhttps://shop.example/r?a=1&b=2\n\n[2] Prices\n"
    )
    link = "https://shop.example/r?a=1&amp;b=2"
    grey = 'style="color:#57606a"'
    assert part.extra["html"] == (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"></head>\n<body>\n'
        f'<p><b>Yes</b>, if &lt;unopened&gt;<sup><a href="{link}">[1]</a></sup>:</p>\n'
        '<p style="margin:0 0 4px 20px">• keep the box</p>\n'
        '<p style="margin:0 0 4px 20px">• pay 5 &amp; more<sup>[2]</sup></p>\n'
        f"<p {grey}>Written by an assistant.</p>\n"
        f"<hr><p {grey}><b>Sources</b></p>\n"
        f'<p {grey}>[1] <a href="{link}">Rules &lt;v2&gt;, p. 3</a><br><i>“Within 14 days &amp; unopened”</i></p>\n'
        f"<p {grey}>[2] Prices</p>\n"
        "</body></html>\n"
    )
    assert [part] == [render_mail(said)]


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=150)
@given(st.text(alphabet="aя<>&\"'[]()*_`#-:/\n 1\\", max_size=60), st.booleans())
def test_no_words_become_markup(words: str, is_markdown: bool) -> None:
    """Whatever is written, the HTML holds the tags that we know, and each letter of plain words."""
    cited = (Cited(number=1, title=words, locator=words, quote=words, url=words),)
    part = render_mail(Said(text=words, language="ru", is_markdown=is_markdown, citations=cited, notice=words))
    seen = _Seen()
    seen.feed(part.extra["html"])
    known = {"html", "head", "meta", "body", "p", "b", "i", "code", "pre", "blockquote", "sup", "a", "br", "hr"}
    assert seen.tags <= known
    assert all(link.startswith(("http://", "https://", "mailto:", "tel:")) for link in seen.links)
    if words.strip():
        assert "".join(words.split()) in "".join(seen.text.split())


def test_a_letter_carries_the_conversation_on() -> None:
    """And says to machines that it was written by one."""
    first = read(mail(references="<0@mail.example>"))
    part = render_mail(Said(text="Можно [1].", language="ru"))
    letter = write_letter(THREADS, "Магазин", Destination(first.thread, first.address), part, 7)
    sent = message_from_bytes(letter.content, policy=modern)
    assert isinstance(sent, EmailMessage)
    ours = f"<7.{first.thread}@shop.example>"
    assert (letter.sender, letter.recipient, letter.message_id) == (USER, "anna@mail.example", ours)
    assert {
        name: str(value) for name, value in sent.items() if name not in ("Date", "Content-Type", "MIME-Version")
    } == {
        "From": "Магазин <help@shop.example>",
        "To": "Анна <anna@mail.example>",
        "Reply-To": f"Магазин <help+{first.thread}@shop.example>",
        "Subject": "Re: Возврат",
        "Message-ID": ours,
        "In-Reply-To": "<1@mail.example>",
        "References": "<0@mail.example> <1@mail.example>",
        "Auto-Submitted": "auto-replied",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
    }
    assert [each.get_content_type() for each in sent.iter_parts()] == ["text/plain", "text/html"]
    assert READER.read(letter.content, "9/1").reason == "own_address"


def test_nothing_that_a_customer_writes_gets_into_the_head_of_our_mail() -> None:
    """Line breaks in subjects and names, and ids as long as they may be."""
    long = [f"<{'x' * 220}{number}@mail.example>" for number in range(40)]
    raw = (
        b"From: =?utf-8?q?A=0D=0AB?= <anna@mail.example>\nSubject: =?utf-8?q?Hi=0D=0ABcc:_spy@evil.example?=\n"
        b"Message-ID: <1@mail.example>\n\nHi\n"
    )
    event = read(b"References: " + "\n ".join(long).encode() + b"\n" + raw)
    letter = write_letter(
        THREADS, "", Destination(event.thread, event.address), render_mail(Said(text="x", language="en")), 7
    )
    sent = message_from_bytes(letter.content, policy=modern)
    assert (sent["Bcc"], sent["Subject"], sent["To"]) == (
        None,
        "Re: Hi Bcc: spy@evil.example",
        "A B <anna@mail.example>",
    )
    assert str(sent["References"]).split() == [long[0], *long[-11:], "<1@mail.example>"]
    assert max(map(len, letter.content.splitlines())) <= 998


# Sending


def account(
    peer: MailPeer | None = None, *, security: Any = "none", host: str = "127.0.0.1", **changes: Any
) -> Account:
    """Settings of the peer, which the `changes` override."""
    guarded, password, proxy = (changes.pop(each, None) for each in ("guarded", "password", "proxy"))
    imap, smtp = (peer.imap_port, peer.smtp_port) if peer else (993, 465)
    values: dict[str, Any] = {
        "imap": MailServer(host=host, port=imap, security=security, user=USER),
        "smtp": MailServer(host=host, port=smtp, security=security, user=USER),
        "from_address": USER,
        "from_name": "Магазин",
    }
    return Account(
        tenant_id=UUID(int=1),
        channel_id=UUID(int=2),
        settings=MailSettings(**(values | changes)),
        secrets=MailSecrets(imap_password=password or PASSWORD, proxy=proxy),
        language="ru",
        guarded=bool(guarded),
    )


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailPeer]:
    monkeypatch.setattr(mail_fetching, "IDLE_SECONDS", 0.5)
    async with MailPeer() as peer:
        yield peer


@pytest.fixture
async def mailbox(peer: MailPeer) -> AsyncIterator[Mailbox]:
    mailbox = Mailbox(account(peer))
    yield mailbox
    await mailbox.close()


TO = Destination("a" * 24, {"to": "anna@mail.example", "name": "Анна", "subject": "Возврат"})
PART = render_mail(Said(text="Можно.", language="ru"))


@served
@pytest.mark.parametrize(
    ("stage", "reply", "error", "taken"),
    [
        ("greeting", "421 4.7.0 Busy", Retryable, 0),
        ("greeting", "cut", Retryable, 0),
        ("login", "535 5.7.8 Wrong password", ChannelBroken, 0),
        ("login", "454 4.7.0 Later", Retryable, 0),
        ("sender", "553 5.7.1 Not your address", ChannelBroken, 0),
        ("sender", "552 5.3.4 Too large", Permanent, 0),
        ("sender", "451 4.3.0 Later", Retryable, 0),
        ("sender", "550 5.4.5 Daily user sending limit exceeded", RateLimited, 0),
        ("recipient", "550 5.1.1 No such user", Permanent, 0),
        ("recipient", "552 5.2.2 Mailbox full", Permanent, 0),
        ("recipient", "450 4.7.1 Greylisted", Retryable, 0),
        ("recipient", "cut", Retryable, 0),
        ("content", "554 5.7.1 Spam", Permanent, 0),
        ("content", "452 4.3.1 Later", Retryable, 0),
        ("content", "cut", Uncertain, 0),
        ("content", "cut_after", Uncertain, 1),
    ],
)
async def test_each_refusal_is_told_apart(
    peer: MailPeer, mailbox: Mailbox, stage: Any, reply: str, error: type[SendError], taken: int
) -> None:
    """By whether the letter may have been taken, and by who has to act; the next one goes through."""
    peer.fail_with(stage, reply, times=2 if stage == "login" else 1)  # there are two ways to sign in
    with pytest.raises(error) as told:
        await mailbox.send(TO, PART, 7)
    assert type(told.value) is error
    assert PASSWORD not in told.value.detail
    assert len(peer.letters) == taken
    assert await mailbox.send(TO, PART, 7) == Sent(THREADS.message_id(7, "a" * 24))
    assert {letter.mail["Message-ID"] for letter in peer.letters} == {THREADS.message_id(7, "a" * 24)}


@served
@pytest.mark.parametrize(("stage", "error"), [("recipient", Retryable), ("content", Uncertain)])
async def test_a_silent_server_holds_nothing_up(
    peer: MailPeer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, stage: Any, error: type[SendError]
) -> None:
    """`send` ends within its time."""
    monkeypatch.setattr("asissto.channels.mail_sending.SEND_SECONDS", 7.5)
    peer.fail_with(stage, "hang")
    async with asyncio.timeout(7.5):
        with pytest.raises(error):
            await mailbox.send(TO, PART, 7)


@served
async def test_addresses_with_other_letters_are_written_to(peer: MailPeer, mailbox: Mailbox) -> None:
    """The domain in its ASCII form; the rest needs a server that takes UTF-8, as the peer does."""
    await mailbox.send(Destination("a" * 24, TO.address | {"to": "anna@почта.рф"}), PART, 7)
    await mailbox.send(Destination("a" * 24, TO.address | {"to": "анна@почта.рф"}), PART, 8)
    assert [letter.recipients for letter in peer.letters] == [
        ["anna@xn--80a1acny.xn--p1ai"],
        ["анна@xn--80a1acny.xn--p1ai"],
    ]


@served
async def test_answers_leave_a_copy_where_one_is_wanted(peer: MailPeer) -> None:
    """Once, although it was sent again after nobody knew whether it had arrived; seen, and not read as a question."""
    await peer.drop(folder="Отправленные")
    mailbox = Mailbox(account(peer, sent_folder="Отправленные"))
    cursor = await begun(mailbox)
    for _ in range(2):
        await mailbox.send(TO, PART, 7)
        await asyncio.gather(*mailbox._copies)
    kept = await peer.contents("Отправленные")
    assert [(flags, message_from_bytes(content)["Message-ID"]) for flags, content in kept] == [
        ({b"\\Seen"}, THREADS.message_id(7, "a" * 24))
    ]
    assert kept[0][1] == peer.letters[0].content
    assert (await mailbox.poll(cursor))[0] == []
    await mailbox.close()


@served
async def test_an_answer_whose_copy_fails_has_been_sent(peer: MailPeer) -> None:
    """The owner reads in the test of the connection that the folder is missing."""
    mailbox = Mailbox(account(peer, sent_folder="Nowhere", authserv_id="mx.shop.example"))
    assert await mailbox.check() == Health(name=USER, notes=("channel.note.no_sent_folder",))
    assert await mailbox.send(TO, PART, 7) == Sent(THREADS.message_id(7, "a" * 24))
    await mailbox.close()
    assert len(peer.letters) == 1


# Reading a mailbox


async def begun(mailbox: Mailbox) -> dict[str, Any]:
    return (await mailbox.poll({}))[1]


@served
async def test_a_dialogue(peer: MailPeer, mailbox: Mailbox) -> None:
    """Old mail stays unanswered; a question is heard as it comes, answered, and its reply joins the conversation."""
    await peer.drop(mail("Старое", message_id="<0@mail.example>"))
    events, cursor = await mailbox.poll({})
    assert events == []
    waiting = asyncio.create_task(mailbox.poll(cursor))
    await asyncio.sleep(0.1)
    await peer.drop(mail())
    (question,), cursor = await waiting
    (part,) = mailbox.render(Said(text="Можно [1].", language="ru", citations=CITED[:1]))
    sent = await mailbox.send(Destination(question.thread, question.address), part, 7)
    (letter,) = peer.letters
    assert (letter.recipients, letter.mail["In-Reply-To"], sent.message_id) == (
        ["anna@mail.example"],
        "<1@mail.example>",
        letter.mail["Message-ID"],
    )
    answer = {"message_id": "<2@mail.example>", "in_reply_to": sent.message_id}
    await peer.drop(letter.content, mail("И без чека?\n\n> Можно\n", **answer))
    (own, reply), cursor = await mailbox.poll(cursor)
    assert (own.kind, own.reason) == ("ignored", "own_address")
    assert (reply.thread, reply.text) == (question.thread, "И без чека?")
    assert (await mailbox.poll(cursor))[0] == []


@served
async def test_a_missed_push_costs_no_mail(peer: MailPeer, mailbox: Mailbox) -> None:
    """What the server does not tell of is found by looking."""
    cursor = await begun(mailbox)
    peer.is_mute = True
    waiting = asyncio.create_task(mailbox.poll(cursor))
    await asyncio.sleep(0.1)
    await peer.drop(mail())
    assert [event.key for event in (await waiting)[0]] == ["<1@mail.example>"]


@served
async def test_a_backlog_comes_in_pieces(peer: MailPeer, mailbox: Mailbox) -> None:
    """Each mail once and in its order; of one address only as many as the cap lets through."""
    cursor = await begun(mailbox)
    await peer.drop(*(mail(message_id=f"<{number}@mail.example>") for number in range(120)))
    found: list[list[Event]] = []
    for _ in range(3):
        events, cursor = await mailbox.poll(json.loads(json.dumps(cursor)))
        found.append([*events])
    assert [len(events) for events in found] == [50, 50, 20]
    everything = [event for events in found for event in events]
    assert [event.key for event in everything] == [f"<{number}@mail.example>" for number in range(120)]
    assert {event.kind for event in everything} == {"message"}
    assert [event.wants_answer for event in everything] == [True] * 10 + [False] * 110
    assert {event.reason for event in everything[10:]} == {"too_many"}
    assert (await mailbox.poll(cursor))[0] == []


@served
async def test_a_lost_connection_loses_no_mail(peer: MailPeer, mailbox: Mailbox) -> None:
    """While it waits, and while the server is away; the same cursor is asked with again."""
    cursor = await begun(mailbox)
    waiting = asyncio.create_task(mailbox.poll(cursor))
    await asyncio.sleep(0.1)
    peer.cut()
    with pytest.raises(Retryable):
        await waiting
    peer.is_down = True
    await peer.drop(mail())
    with pytest.raises(Retryable):
        await mailbox.poll(cursor)
    peer.is_down = False
    assert [event.key for event in (await mailbox.poll(cursor))[0]] == ["<1@mail.example>"]


@served
async def test_another_process_goes_on_where_one_was_killed(peer: MailPeer, mailbox: Mailbox) -> None:
    """Everything that is needed is in the cursor."""
    cursor = await begun(mailbox)
    await peer.drop(mail())
    again = Mailbox(account(peer))
    first, second = (await mailbox.poll(cursor))[0], (await again.poll(cursor))[0]
    await again.close()
    assert [*first] == [*second] != []


@served
async def test_a_poll_that_is_stopped_ends_at_once(
    peer: MailPeer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread too, so that the next one can begin."""
    monkeypatch.setattr(mail_fetching, "IDLE_SECONDS", 60)
    cursor = await begun(mailbox)
    waiting = asyncio.create_task(mailbox.poll(cursor))
    await asyncio.sleep(0.1)
    begin = time.monotonic()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    await peer.drop(mail())
    assert len((await mailbox.poll(cursor))[0]) == 1
    assert time.monotonic() - begin < 30


@served
async def test_a_mailbox_that_was_built_anew_is_read_again(peer: MailPeer, mailbox: Mailbox) -> None:
    """From the day of the last look: what was known comes with the keys it had."""
    cursor = await begun(mailbox)
    await peer.drop(mail())
    (before,), cursor = await mailbox.poll(cursor)
    await peer.rebuild()
    await peer.drop(mail(), mail(message_id="<2@mail.example>"))
    await mailbox.close()
    again = Mailbox(account(peer))
    after, cursor = await again.poll(cursor)
    assert [event.key for event in after] == [before.key, "<2@mail.example>"]
    assert (await again.poll(cursor))[0] == []
    with pytest.raises(Permanent):
        [piece async for piece in again.fetch(Attachment(type="original", ref="1/1/"))]
    await again.close()


@served
async def test_another_folder_begins_at_its_end(peer: MailPeer, mailbox: Mailbox) -> None:
    """The mails of years that lie in it are not answered."""
    cursor = await begun(mailbox)
    await peer.drop(mail(), folder="Support")
    other = Mailbox(account(peer, folder="Support"))
    events, cursor = await other.poll(cursor)
    await peer.drop(mail(message_id="<2@mail.example>"), folder="Support")
    assert (events, [event.key for event in (await other.poll(cursor))[0]]) == ([], ["<2@mail.example>"])
    await other.close()


@served
async def test_attachments_can_be_had(peer: MailPeer, mailbox: Mailbox) -> None:
    """By the part of the mail that they are, decoded; and the whole mail as it came."""
    message = message_from_bytes(mail("Вот\n\n> что\n"), policy=modern)
    assert isinstance(message, EmailMessage)
    photo = bytes(range(256)) * 600
    message.add_attachment(photo, maintype="image", subtype="jpeg", filename="box.jpg")
    message.add_attachment("Строка\n", filename="note.txt")
    message.add_attachment(message_from_bytes(mail("Внутри"), policy=modern))
    cursor = await begun(mailbox)
    await peer.drop(bytes(message))
    (event,), _ = await mailbox.poll(cursor)
    contents = [b"".join([piece async for piece in mailbox.fetch(each)]) for each in event.attachments]
    assert [each.type for each in event.attachments] == ["photo", "document", "document", "original"]
    assert contents[0] == photo
    assert contents[1].decode().strip() == "Строка"
    assert message_from_bytes(contents[2], policy=modern)["Subject"] == "Возврат"
    assert contents[3].splitlines() == bytes(message).splitlines()


@served
async def test_of_a_mail_that_is_too_large_the_words_are_read(peer: MailPeer, mailbox: Mailbox) -> None:
    """The owner's limit holds for memory too: the rest is not fetched, but both sides know of it."""
    message = message_from_bytes(mail(), policy=modern)
    assert isinstance(message, EmailMessage)
    message.add_attachment(bytes(1_200_000), maintype="application", subtype="zip", filename="a.zip")
    small = Mailbox(account(peer, max_mb=1))
    cursor = await begun(small)
    await peer.drop(bytes(message), mail(message_id="<2@mail.example>"))
    (large, _), _ = await small.poll(cursor)
    await small.close()
    assert (large.text, large.notice) == ("Возврат\n\nКак вернуть чайник?", "channel.mail_too_large")
    assert large.attachments == (
        Attachment(
            type="original",
            name="message.eml",
            mime="message/rfc822",
            size=len(bytes(message)),
            problem="mail_too_large",
        ),
    )


@served
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"password": "wrong"}, ChannelBroken),
        ({"password": "неверный"}, ChannelBroken),
        ({"folder": "Nowhere"}, ChannelBroken),
        ({"host": "nowhere.invalid"}, Retryable),
        ({"guarded": True}, ChannelBroken),
        ({"guarded": True, "security": "tls"}, Retryable),
        ({"proxy": "https://proxy.example:1"}, ChannelBroken),
    ],
)
async def test_the_owner_hears_what_is_wrong(peer: MailPeer, changes: dict[str, Any], error: type[SendError]) -> None:
    """Polling and the test of the connection say the same, without the password."""
    mailbox = Mailbox(account(peer, **changes))
    for asked in (mailbox.poll({}), mailbox.check()):
        with pytest.raises(error) as told:
            await asked
        assert changes.get("password", PASSWORD) not in told.value.detail
    await mailbox.close()


@served
async def test_the_test_of_the_connection_looks_at_both_servers(peer: MailPeer, mailbox: Mailbox) -> None:
    """And says that nobody counts as verified."""
    assert await mailbox.check() == Health(name=USER, notes=("channel.note.senders_unverified",))
    peer.fail_with("login", "535 5.7.8 Wrong password", times=2)
    with pytest.raises(ChannelBroken):
        await mailbox.check()


# Encryption and the way there


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For `mail.shop.example`, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.shop.example")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("mail.shop.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - dt.timedelta(1), now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(plain[0]) + key.private_bytes(*plain))
    return path


@served
@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_connections_are_encrypted_to_the_server_that_was_named(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    """The address is the one that was judged, the name is that of the settings; another name is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[str] = []

    async def resolve(host: str, port: int | None) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(mail_connecting, "public_addresses_of", resolve)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with MailPeer(**{security: context}) as peer:
        known, other = (
            Mailbox(account(peer, security=security, host=host, guarded=True))
            for host in ("mail.shop.example", "mail.evil.example")
        )
        assert (await known.check()).name == USER
        await known.send(TO, PART, 7)
        assert (await known.poll({}))[0] == []
        for refused in (other.poll({}), other.send(TO, PART, 8)):
            with pytest.raises(Retryable):
                await refused
        assert len(peer.letters) == 1
        await known.close()
        await other.close()
    assert {*asked} == {"mail.shop.example", "mail.evil.example"}


@served
async def test_mail_goes_by_the_proxy_of_the_owner(peer: MailPeer) -> None:
    """Both servers are reached through it, by their names."""
    asked: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        asked.append(target)
        there, here = await asyncio.open_connection("127.0.0.1", int(target.rpartition(b":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + await there.readuntil(b"\r\n"))  # with what the server says first
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(peer._pass(reader, here), peer._pass(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mailbox = Mailbox(account(peer, host="mail.shop.example", proxy=f"http://127.0.0.1:{port}"))
    await mailbox.check()
    await mailbox.close()
    server.close()
    assert {*asked} == {f"mail.shop.example:{each}".encode() for each in (peer.imap_port, peer.smtp_port)}


def test_the_type_is_registered_and_costs_nothing_to_know() -> None:
    """A process that only shows channels loads no mail library."""
    assert connector_type("mail") is Mailbox
    code = "import asissto.channels.mailbox, sys; print({'imap_tools', 'aiosmtplib', 'lxml'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"set()\n"


@served
async def test_the_peer_serves_alone(tmp_path: Path) -> None:
    """As the crash tests use it: mails are dropped into a folder, and what was sent lies in another."""
    script = Path(__file__).with_name("mail_peer.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        server = {"host": told["host"], "security": "none", "user": told["user"]}
        mailbox = Mailbox(
            account(
                imap=MailServer(port=told["imap_port"], **server),
                smtp=MailServer(port=told["smtp_port"], **server),
                password=told["password"],
            )
        )
        cursor = await begun(mailbox)
        (tmp_path / "drop" / "1.eml").write_bytes(mail())
        (tmp_path / "faults").write_text("recipient 451 4.7.1 Later\n")
        (event,), _ = await mailbox.poll(cursor)
        to = Destination(event.thread, event.address)
        with pytest.raises(Retryable):
            await mailbox.send(to, PART, 7)
        await mailbox.send(to, PART, 7)
        for _ in range(100):
            if sent := [*(tmp_path / "sent").iterdir()]:
                break
            await asyncio.sleep(0.02)
        assert message_from_bytes(sent[0].read_bytes())["Message-ID"] == THREADS.message_id(7, event.thread)
        await mailbox.close()
    finally:
        process.terminate()
        await process.wait()
