"""Tells which mails must not be answered: those of machines, with which ours would talk for ever."""

import re
from collections.abc import Collection
from email.message import Message

from asissto.channels.mail_threads import Threads

_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})
_SUPPRESSED = frozenset({"all", "oof", "autoreply"})
_ROBOT = re.compile(
    r"(?:mailer-daemon|postmaster|abuse|(?:no|do[-_.]?not|don[-_.]?t)[-_.]?reply|bounces?|autoreply)(?:[-_.+\d].*)?"
    r"|.*[-_.+](?:bounces?|no[-_.]?reply)",
    re.IGNORECASE,
)
_AUTOMATIC_SUBJECT = re.compile(
    r"\s*(?:auto(?:matic)?[- ]?(?:reply|response|answer)|out of (?:the )?office|автоответ\w*|автоматическ\w+ ответ"
    r"|вне офиса)\b",
    re.IGNORECASE,
)


def reason_to_ignore(
    mail: "Message[str, str]", person: str, subject: str, threads: Threads, own: Collection[str]
) -> str:
    """Empty for the mail of a person."""
    return _by_address(mail, person, threads, own) or _by_headers(mail) or _by_subject(subject)


def _by_address(mail: "Message[str, str]", person: str, threads: Threads, own: Collection[str]) -> str:
    local, _, domain = threads.address.lower().rpartition("@")
    if person in own or re.fullmatch(rf"{re.escape(local)}(?:\+.*)?@{re.escape(domain)}", person):
        return "own_address"
    if threads.own_ids(_text(mail, "message-id")):
        return "own_mail"
    return "robot_sender" if _ROBOT.fullmatch(person.rpartition("@")[0]) else ""


def _by_headers(mail: "Message[str, str]") -> str:
    """In the order in which the reasons tell most."""
    found = {
        "bounce": _text(mail, "return-path") == "<>" or "x-failed-recipients" in mail,
        "report": mail.get_content_type() == "multipart/report",
        "auto_submitted": _text(mail, "auto-submitted").split(";")[0].strip().lower() not in ("", "no"),
        "auto_reply": any(name in mail for name in ("x-autoreply", "x-autorespond", "x-autoresponder")),
        "suppressed": bool(_SUPPRESSED & set(re.findall(r"\w+", _text(mail, "x-auto-response-suppress").lower()))),
        "list": any(name in mail for name in ("list-id", "list-post", "list-unsubscribe")),
        "bulk": _text(mail, "precedence").lower() in _BULK,
        "spam": _text(mail, "x-spam-flag").lower() == "yes" or _text(mail, "x-spam").lower() == "yes",
    }
    return next((reason for reason, holds in found.items() if holds), "")


def _by_subject(subject: str) -> str:
    return "automatic_subject" if _AUTOMATIC_SUBJECT.match(subject) else ""


def _text(mail: "Message[str, str]", name: str) -> str:
    return str(mail.get(name, "")).strip()
