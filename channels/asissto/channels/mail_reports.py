"""Reads what mail servers report about mails that they could not deliver, or did."""

import re
from email.message import Message

import msgspec

from asissto.channels.contract import Delivery
from asissto.channels.mail_text import Mail, parts_of, payload
from asissto.channels.mail_threads import Threads

_FIELD = re.compile(r"^(action|status)\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_DELIVERY: dict[str, Delivery] = {"failed": "failed", "delivered": "delivered"}
_LONGEST_RETURNED = 100_000


class Report(msgspec.Struct, frozen=True):
    """What became of our mail; `reason` is one of `send_errors.REASONS`, or empty."""

    message_id: str
    thread: str
    delivery: Delivery
    reason: str = ""


def read_report(mail: Mail, threads: Threads) -> Report | None:
    """None where it is no report, is about no mail of ours, or tells of a mere delay."""
    if mail.get_content_type() == "multipart/report":
        fields = {name.lower(): value.lower() for name, value in _FIELD.findall(_text(mail, "message/delivery-status"))}
        delivery = _DELIVERY.get(fields.get("action", ""))
        returned = _text(mail, "message/rfc822") or _text(mail, "text/rfc822-headers")
    elif "x-failed-recipients" in mail:  # the form of older Exims, with the mail below the words
        fields, delivery, returned = {}, "failed", _all_text(mail)
    else:
        return None
    ours = threads.own_ids(_own_message_id(returned))
    if delivery is None or not ours:
        return None
    key, thread = ours[0]
    reason = _reason(fields.get("status", "")) if delivery == "failed" else ""
    return Report(threads.message_id(key, thread), thread, delivery, reason)


def _own_message_id(returned: str) -> str:
    """That of the mail itself: the ids in its References are of others."""
    found = re.search(r"^message-id\s*:\s*(<[^\s<>]+>)", returned[:_LONGEST_RETURNED], re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


def _reason(status: str) -> str:
    """RFC 3463: 5.1 speaks of the address, 5.2.1 of a mailbox that takes nothing, 5.7 of what is not allowed."""
    if status.startswith("5.1.") or status == "5.2.1":
        return "unreachable"
    return "not_allowed" if status.startswith("5.7.") else ""


def _text(mail: Mail, kind: str) -> str:
    return "\n".join(_inside(part) for _, part in parts_of(mail) if part.get_content_type() == kind)


def _all_text(mail: Mail) -> str:
    return "\n".join(_inside(part) for _, part in parts_of(mail))


def _inside(part: Mail) -> str:
    """`email` takes reports and returned mails apart into messages of their own."""
    content = part.get_payload()
    if isinstance(content, list):
        return "\n".join(each.as_string() for each in content if isinstance(each, Message))
    return payload(part)
