"""Mail of the platform itself: plain text, by the SMTP server of the settings."""

import base64
import re
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr, make_msgid, parseaddr
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import jobs
from asissto.platform.errors import BadSetting, MailFailed, MailMissing
from asissto.platform.jobs import ClaimedJob
from asissto.platform.keys import KeyRing
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.platform.tables import Json, new_id
from asissto.platform.worker import Handler

if TYPE_CHECKING:
    import aiosmtplib

SMTP_SECONDS = 20.0
"""For each answer of the server."""

SEALED = "sealed"
"""The field of a job's payload that has a sealed letter, in base64."""


class Letter(msgspec.Struct, frozen=True):
    """Worth nothing after `until`, as a link that has expired by then.

    `unsubscribe` is where a POST ends letters of this kind, for the button of mail programs (RFC 8058).
    """

    to: str
    subject: str
    text: str
    until: datetime
    unsubscribe: str = ""


async def send_mail(services: Services, to: str, subject: str, text: str, unsubscribe: str = "") -> None:
    """Holds no connection to the database meanwhile. Raises MailMissing, BadSetting, MailFailed."""
    settings = services.settings
    if settings.smtp_host is None:
        raise MailMissing
    import aiosmtplib

    try:
        await aiosmtplib.send(_written(settings, to, subject, text, unsubscribe), **_server(settings))
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise _failed(error) from error


async def check_mail(settings: Settings) -> str:
    """Connects, signs in and leaves; raises MailFailed."""
    if settings.smtp_host is None:
        return "none: links are printed, not sent (set ASISSTO_SMTP_HOST)"
    import aiosmtplib

    sender_of(settings)
    try:
        async with aiosmtplib.SMTP(**_server(settings)):
            return f"{settings.smtp_host}:{settings.smtp_port}, {settings.smtp_security}"
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _failed(error) from error


async def mail_later(session: AsyncSession, services: Services, tenant_id: UUID, letter: Letter) -> None:
    """Once the caller's transaction commits; tried again while the server is away.

    The letter is sealed, for a link in it is as good as a password. Raises MailMissing.
    """
    if not services.settings.has_mail:
        raise MailMissing
    sealed = services.keys.encrypt(msgspec.json.encode(letter).decode(), about=about_letter(tenant_id))
    payload = {SEALED: base64.b64encode(sealed).decode()}
    await jobs.enqueue(session, tenant_id, "mail", str(new_id()), payload)


def opened_letter(keys: KeyRing, tenant_id: UUID, payload: Json) -> Letter:
    """Of a job's payload; raises InvalidTag and KeyError where the ring does not open it."""
    opened = keys.decrypt(base64.b64decode(payload[SEALED]), about=about_letter(tenant_id))
    return msgspec.json.decode(opened, type=Letter)


async def _deliver(services: Services, job: ClaimedJob) -> None:
    letter = opened_letter(services.keys, job.tenant_id, job.payload)
    if letter.until > datetime.now(UTC):
        try:
            await send_mail(services, letter.to, letter.subject, letter.text, letter.unsubscribe)
        except MailFailed as error:
            if not error.permanent:
                raise
            async with services.database.system() as session:
                await jobs.bury(session, job, str(error))
            return
    async with services.database.system() as session:
        await jobs.remove(session, job)


HANDLERS = {"mail": Handler(_deliver)}


def until(life: timedelta) -> datetime:
    return datetime.now(UTC) + life


def sender_of(settings: Settings) -> tuple[str, str]:
    """Name and address; raises BadSetting."""
    name, address = parseaddr(settings.smtp_from or settings.smtp_user or "")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise BadSetting(name="ASISSTO_SMTP_FROM", detail="it is not an e-mail address")
    return name, address


def _written(settings: Settings, to: str, subject: str, text: str, unsubscribe: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP_POLICY)
    name, address = sender_of(settings)
    local, _, domain = to.rpartition("@")
    mail["From"] = formataddr((name, address))
    mail["To"] = Address(username=local, domain=domain.encode("idna").decode())
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=address.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    if unsubscribe:
        mail["List-Unsubscribe"] = f"<{unsubscribe}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(text)
    return mail


def _server(settings: Settings) -> dict[str, Any]:
    return {
        "hostname": settings.smtp_host,
        "port": settings.smtp_port,
        "username": settings.smtp_user,
        "password": settings.smtp_password,
        "use_tls": settings.smtp_security == "tls",
        "start_tls": settings.smtp_security == "starttls",
        "timeout": SMTP_SECONDS,
    }


def _failed(error: Exception) -> MailFailed:
    """A refused sign-in is the operator's to mend, a refused recipient nobody's."""
    import aiosmtplib

    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
        return MailFailed(permanent=min(codes) >= 500, detail=_words(error.recipients[0]))
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return MailFailed(permanent=False, detail=_words(error))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return MailFailed(permanent=error.code >= 500, detail=_words(error))
    return MailFailed(permanent=isinstance(error, ValueError), detail=f"{type(error).__name__}: {error}")


def _words(error: "aiosmtplib.SMTPResponseException") -> str:
    return f"{error.code} {error.message}"


def about_letter(tenant_id: UUID) -> str:
    """What it is bound to when it is sealed."""
    return f"{tenant_id}|jobs|mail|payload"
