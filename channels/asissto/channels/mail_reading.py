"""Makes an event of a mail: whose words it brings, and to which conversation they belong."""

import hashlib
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import parseaddr, parsedate_to_datetime

import msgspec
import structlog

from asissto.channels.contract import Attachment, Event, Sender
from asissto.channels.mail_guards import reason_to_ignore
from asissto.channels.mail_quotes import new_part
from asissto.channels.mail_reports import Report, read_report
from asissto.channels.mail_text import Mail, attachments_of, decoded, header, raw_header, words_of
from asissto.channels.mail_threads import Threads, addresses, message_ids
from asissto.channels.mail_trust import is_verified
from asissto.platform.errors import AsisstoError

_LONGEST_KEY, _LONGEST_TEXT, _LONGEST_SUBJECT, _MOST_REFERENCES = 250, 50_000, 300, 12
# What `email` and the reader of HTML raise over mails that were made to break them.
_MALFORMED = (ValueError, LookupError, AttributeError, TypeError, RecursionError, AssertionError, AsisstoError)
log = structlog.get_logger()


class Reader(msgspec.Struct, frozen=True):
    """`own` are the addresses that are not answered, in lower case, besides that of `threads`."""

    threads: Threads
    own: frozenset[str]
    authserv_id: str = ""

    def read(self, raw: bytes, place: str, *, cut_from: int | None = None) -> Event:
        """`place` is where the mail lies, for `Attachment.ref`; of one that was cut off only the words are read."""
        try:
            event = self._read(message_from_bytes(raw), raw, place if cut_from is None else "")
            return event if cut_from is None or event.kind != "message" else _cut_off(event, cut_from)
        except _MALFORMED as error:
            log.warning("a mail cannot be read", place=place, error=type(error).__name__)
            return Event(key=_digest(raw), kind="ignored", reason=f"malformed: {type(error).__name__}")

    def _read(self, mail: Mail, raw: bytes, place: str) -> Event:
        key = _key(mail, raw)
        report = read_report(mail, self.threads)
        if report is not None:
            return _receipt(key, report)
        person, name = _person(mail)
        if not person:
            return Event(key=key, kind="ignored", external_id=key, reason="no_sender")
        subject = header(mail, "subject")[:_LONGEST_SUBJECT]
        reason = reason_to_ignore(mail, person, subject, self.threads, self.own)
        if reason:
            return Event(key=key, kind="ignored", external_id=key, reason=reason)
        return self._message(mail, key, place, person, name, subject)

    def _message(self, mail: Mail, key: str, place: str, person: str, name: str, subject: str) -> Event:  # noqa: PLR0913, PLR0917
        verified = _from(mail) == person and is_verified(mail, person, self.authserv_id)
        known = self.threads.find(mail, person)
        words = words_of(mail)
        new = new_part(words.text)[:_LONGEST_TEXT]
        # The first mail often leans on its subject; in later ones it only repeats the first.
        text = new if known or subject.lower() in new.lower() else f"{subject}\n\n{new}".strip()
        is_changed = words.is_html or new != words.text.strip()
        return Event(
            key=key,
            kind="message",
            thread=known or self.threads.begin(mail, person, key),
            address=_address(mail, person, name, subject, verified=verified),
            sender=_sender(person, name, verified=verified),
            external_id=key,
            text=text,
            attachments=(*(attachments_of(mail, place) if place else ()), *(_original(place) if is_changed else ())),
            at=_date(mail),
        )


def _cut_off(event: Event, size: int) -> Event:
    """With what is left out in its place, and a notice to the customer, who may believe that all has arrived."""
    whole = Attachment(type="original", name="message.eml", mime="message/rfc822", size=size, problem="mail_too_large")
    text = event.text or str(event.address["subject"])
    return msgspec.structs.replace(event, text=text, attachments=(whole,), notice="channel.mail_too_large")


def _receipt(key: str, report: Report) -> Event:
    return Event(
        key=key,
        kind="receipt",
        thread=report.thread,
        external_id=report.message_id,
        delivery=report.delivery,
        reason=report.reason,
    )


def _key(mail: Mail, raw: bytes) -> str:
    """The Message-ID, by which the same mail is known however often and by whichever way it comes."""
    own = str(mail.get("message-id", "")).strip()
    if own:
        return own if len(own) <= _LONGEST_KEY else _digest(own.encode("utf-8", "replace"))
    body = raw.partition(b"\n\n")[2] or raw.partition(b"\r\n\r\n")[2]
    said = "\n".join(str(mail.get(name, "")) for name in ("from", "date", "subject"))
    return _digest(said.encode("utf-8", "replace") + b"\n" + body)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _person(mail: Mail) -> tuple[str, str]:
    """Whom a reply goes to, and their name: of a form on a site that is its visitor, not the site."""
    for field in ("reply-to", "from"):
        said = raw_header(mail, field)
        found = [address for address in addresses([said]) if _can_be_written_to(address)]
        if found:
            return found[0], decoded(parseaddr(said)[0])[:200]
    return "", ""


def _from(mail: Mail) -> str:
    return next(iter(addresses([raw_header(mail, "from")])), "")


def _can_be_written_to(address: str) -> bool:
    return len(address) <= 254 and not any(char.isspace() or char in '<>(),;:"\\[]' for char in address)


def _sender(person: str, name: str, *, verified: bool) -> Sender:
    """Whoever cannot be verified is a contact apart, with no address that they could be linked by."""
    if verified:
        return Sender(external_id=person, name=name or None, email=person)
    return Sender(external_id=f"unverified:{person}", name=name or person)


def _address(mail: Mail, person: str, name: str, subject: str, *, verified: bool) -> dict[str, object]:
    """What a reply needs; the oldest reference and the newest ones keep the chain together."""
    own = message_ids(str(mail.get("message-id", "")))
    chain = message_ids(str(mail.get("references", ""))) or message_ids(str(mail.get("in-reply-to", "")))
    references = [each for each in chain if each not in own]
    if len(references) > _MOST_REFERENCES:
        references = references[:1] + references[1 - _MOST_REFERENCES :]
    return {
        "to": person,
        "name": name,
        "subject": subject,
        "message_id": own[0] if own else "",
        "references": [*references, *own[:1]],
        "verified": verified,
    }


def _original(place: str) -> tuple[Attachment, ...]:
    return (Attachment(type="original", ref=f"{place}/", name="message.eml", mime="message/rfc822"),) if place else ()


def _date(mail: Mail) -> datetime | None:
    try:
        at = parsedate_to_datetime(str(mail.get("date", "")))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
