"""Reads e-mail, as files of its own standard and of Outlook."""

import struct
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import default as modern
from pathlib import Path

import oxmsg
from oxmsg.attachment import Attachment
from oxmsg.domain.constants import PID_ATTACH_FILENAME

from asissto.ingestion.names import clean_name
from asissto.ingestion.parsing import Block, Content
from asissto.ingestion.partition import read_html
from asissto.ingestion.plain_text import decode, paragraphs
from asissto.platform.errors import DocumentCorrupt


def read_mail(path: Path, name: str, suffix: str) -> Content:
    """Attachments are named in a warning."""
    return _read_outlook(path, name) if suffix == ".msg" else _read_standard(path, name)


def _read_standard(path: Path, name: str) -> Content:
    message = message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=modern)
    if not any(message[field] for field in ("From", "Date", "Subject")):
        raise DocumentCorrupt(name=name)
    head = [f"{field}: {message[field]}" for field in ("From", "To", "Date") if message[field]]
    body = message.get_body(("html", "plain"))
    text = "" if body is None else _payload(body, name)  # a part without headers is false
    is_html = body is not None and body.get_content_subtype() == "html"
    blocks = read_html(text, name).blocks if is_html else paragraphs(text)
    attached = [
        _attached_name(part)
        for part in message.iter_attachments()
        if not part.is_multipart() or part.get_content_maintype() == "message"
    ]
    return _content(head, blocks, str(message["Subject"] or ""), attached)


def _read_outlook(path: Path, name: str) -> Content:
    # olefile and oxmsg say with these that a container is damaged.
    try:
        message = oxmsg.Message.load(str(path))
        sent = message.sent_date
        to = ", ".join(filter(None, (f"{each.name} <{each.email_address}>" for each in message.recipients)))
        fields = {"From": message.sender, "To": to, "Date": sent and sent.strftime("%a, %d %b %Y %H:%M:%S %z")}
        blocks = read_html(message.html_body, name).blocks if message.html_body else paragraphs(message.body or "")
        attached = [_outlook_name(each) for each in message.attachments]
    except (OSError, ValueError, KeyError, IndexError, AssertionError, LookupError, struct.error, TypeError) as error:
        raise DocumentCorrupt(name=name) from error
    return _content(
        [f"{field}: {value}" for field, value in fields.items() if value], blocks, message.subject, attached
    )


def _content(head: Sequence[str], blocks: Sequence[Block], subject: str, attached: Sequence[str]) -> Content:
    warnings = (f"attachments_not_read: {', '.join(attached)}",) if attached else ()
    return Content([Block("text", "\n".join(head)), *blocks] if blocks else [], subject, warnings=warnings)


def _attached_name(part: "MIMEPart[str, str]") -> str:
    name = part.get_filename()
    if name is None and part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        name = str(inner["Subject"] or "") if isinstance(inner, EmailMessage) else None
    return clean_name(name) if name else part.get_content_type()


def _outlook_name(attached: Attachment) -> str:
    short = attached.properties.str_prop_value(PID_ATTACH_FILENAME)
    return clean_name(attached.file_name or short or "")


def _payload(part: "MIMEPart[str, str]", name: str) -> str:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)  # a part that is no multipart
    try:
        return data.decode(part.get_content_charset() or "")
    except (LookupError, UnicodeDecodeError):
        return decode(data, name)
