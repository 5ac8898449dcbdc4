"""Writes a mail and hands it over by SMTP; each failure is told apart by whether the server may have taken it."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, localtime
from typing import TYPE_CHECKING

import msgspec

from asissto.channels.contract import SEND_SECONDS, Account, Destination, Part
from asissto.channels.mail_connecting import MailServer, open_connection, tls_context
from asissto.channels.mail_threads import Threads
from asissto.channels.send_errors import ChannelBroken, Permanent, RateLimited, Retryable, SendError, Uncertain

if TYPE_CHECKING:
    import aiosmtplib

# Lines as long as RFC 5322 allows: `email` would write a long Message-ID as an encoded word, which is none any more.
_POLICY = SMTP_POLICY.clone(max_line_length=998, cte_type="7bit")
_UTF8_POLICY = _POLICY.clone(utf8=True)
_REPLY = re.compile(r"\s*(?:re|aw|отв|ответ|на)(?:\[\d+\])?\s*:", re.IGNORECASE)
_LIMIT_REACHED = re.compile(r"\b[45]\.(?:4\.5|7\.28)\b")  # Gmail's words for "enough for today"
_WHILE_LIMITED = 3600.0


class Letter(msgspec.Struct, frozen=True):
    sender: str
    recipient: str
    message_id: str
    content: bytes
    needs_utf8: bool = False


def write_letter(threads: Threads, name: str, to: Destination, part: Part, key: int) -> Letter:
    """The Message-ID is that of the key, by which the other side can tell a repetition."""
    mail = EmailMessage(policy=_POLICY)
    recipient = _ascii_domain(to.address["to"])
    mail["From"] = _named(name, threads.address)
    mail["To"] = _named(to.address.get("name", ""), recipient)
    if threads.plus_token:
        mail["Reply-To"] = _named(name, threads.reply_address(to.thread))
    mail["Subject"] = _reply_subject(to.address.get("subject", ""))
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = threads.message_id(key, to.thread)
    _continue_chain(mail, to)
    mail["Auto-Submitted"] = "auto-replied"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"  # what Exchange heeds; reports of failures are welcome
    mail.set_content(part.text)
    if html := part.extra.get("html"):
        mail.add_alternative(html, subtype="html")
    needs_utf8 = not recipient.isascii()
    content = mail.as_bytes(policy=_UTF8_POLICY if needs_utf8 else _POLICY)
    return Letter(threads.address, recipient, str(mail["Message-ID"]), content, needs_utf8)


def _continue_chain(mail: EmailMessage, to: Destination) -> None:
    if to.address.get("message_id"):
        mail["In-Reply-To"] = to.address["message_id"]
    if to.address.get("references"):
        mail["References"] = " ".join(to.address["references"])


def _reply_subject(subject: str) -> str:
    subject = " ".join(subject.split())
    return subject if _REPLY.match(subject) else f"Re: {subject}".strip()


def _named(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address("".join(char for char in name if char.isprintable()), local, domain)


def _ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Permanent("the address has no valid domain") from error


async def hand_over(account: Account, server: MailServer, password: str | None, letter: Letter) -> None:
    """Raises a SendError; of those only Uncertain leaves it open whether the server has taken the letter."""
    client = await _signed_in(account, server, password, letter.sender)
    stage = _Stage()
    try:
        with _told(stage):
            async with asyncio.timeout(SEND_SECONDS - 5):
                await _offer(client, letter, stage)
        await _part(client)
    finally:
        client.close()


async def greet(account: Account, server: MailServer, password: str | None, address: str) -> None:
    """Signs in, says nothing, and leaves; raises SendError."""
    client = await _signed_in(account, server, password, address)
    try:
        with _told(_Stage()):
            await client.noop()
        await _part(client)
    finally:
        client.close()


class _Stage:
    """What is being said to the server, on which it depends what its refusal means."""

    name = "greeting"


async def _signed_in(account: Account, server: MailServer, password: str | None, address: str) -> "aiosmtplib.SMTP":
    import aiosmtplib

    connection = await open_connection(account, server)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        sock=connection,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=None if server.security == "none" else tls_context(),
        username=server.user or None,
        password=password if server.user else None,
        local_hostname=address.rpartition("@")[2].encode("idna").decode(),
        timeout=SEND_SECONDS - 7,
    )
    try:
        with _told(_Stage()):
            async with asyncio.timeout(SEND_SECONDS - 7):
                await client.connect()
    except BaseException:
        connection.close()
        raise
    return client


async def _offer(client: "aiosmtplib.SMTP", letter: Letter, stage: _Stage) -> None:
    options = [f"SIZE={len(letter.content)}"] if client.supports_extension("size") else []
    if letter.needs_utf8:
        if not client.supports_extension("smtputf8"):
            raise Permanent("the mail server takes no addresses with other than Latin letters")
        options.append("SMTPUTF8")
    stage.name = "sender"
    await client.mail(letter.sender, options=options, encoding="utf-8" if letter.needs_utf8 else "ascii")
    stage.name = "recipient"
    await client.rcpt(letter.recipient, encoding="utf-8" if letter.needs_utf8 else "ascii")
    stage.name = "content"
    await client.data(letter.content)


async def _part(client: "aiosmtplib.SMTP") -> None:
    """What was taken stays taken, whatever the server says to a farewell."""
    from aiosmtplib import SMTPException

    with suppress(SMTPException, OSError, TimeoutError):
        await client.quit(timeout=1)


@contextmanager
def _told(stage: _Stage) -> Iterator[None]:
    """The errors of aiosmtplib as those of a channel."""
    from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPNotSupported, SMTPResponseException

    try:
        yield
    except SMTPResponseException as error:
        is_login = isinstance(error, SMTPAuthenticationError)
        raise _refusal("login" if is_login else stage.name, error.code, error.message) from None
    except SMTPNotSupported as error:  # no STARTTLS
        raise ChannelBroken(error.message) from None
    except (SMTPException, OSError, TimeoutError) as error:
        if type(error) is SMTPException:  # the server lets nobody sign in, or in no way that we know
            raise ChannelBroken(error.message) from None
        kind = Uncertain if stage.name == "content" else Retryable
        raise kind(f"{stage.name}: {type(error.__cause__ or error).__name__}") from None


def _refusal(stage: str, code: int, words: str) -> SendError:
    detail = f"{code} {words}"
    if _LIMIT_REACHED.search(words):
        return RateLimited(_WHILE_LIMITED, "channel", detail)
    if 400 <= code < 500:
        return Retryable(detail)
    if code in (530, 534, 535, 538) or stage in ("greeting", "login") or (stage == "sender" and code != 552):
        return ChannelBroken(detail)  # the account cannot send, or not from this address
    return Permanent(detail) if 500 <= code < 600 else Uncertain(detail)
