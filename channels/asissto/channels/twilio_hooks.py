"""Twilio's requests to us: their signature, and the messages and receipts that they bring."""

import hmac
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlparse

from litestar.datastructures import MultiDict

from asissto.channels.contract import Attachment, Delivery, Event, Hook, Sender
from asissto.channels.twilio_errors import BLOCKS
from asissto.platform.errors import HookRefused

Fields = MultiDict[str]
WHATSAPP = "whatsapp:"

_MOST_FIELDS = 500
_MOST_MEDIA = 10
_PHONE = re.compile(r"\+\d{5,15}")
_DELIVERIES: dict[str, Delivery] = {
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
    "undelivered": "failed",
    "canceled": "failed",
}
_STOPS = frozenset("stop stopall unsubscribe optout стоп отписка отписаться отпишите".split())  # noqa: SIM905
# Twilio obeys these too in some countries, but by SMS alone: in a messenger they are words of a dialogue.
_STOPS_BY_SMS = _STOPS | {"cancel", "end", "quit", "revoke"}
# Without Twilio's “yes”, which also answers a question.
_STARTS = frozenset("start unstop старт подписка подписаться".split())  # noqa: SIM905


def signed_fields(hook: Hook, url: str | None, auth_token: str, shared_key: str | None) -> Fields:
    """The form of a request that Twilio signed for our `url`; raises HookRefused.

    The address in the request itself is not asked: whoever stands in front of us may have changed it.
    """
    signature = hook.headers.get("x-twilio-signature", "")
    settings = hook.headers.get("x-twilio-webhooks-signature-settings", "")
    secret = shared_key if settings else auth_token
    if not (signature and url and secret) or hook.method != "POST":
        raise HookRefused
    try:
        pairs = parse_qsl(hook.body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        fields = MultiDict(pairs)
        expected = _signatures(url, fields, secret, settings)
    except ValueError:
        raise HookRefused from None
    matches = [hmac.compare_digest(each.encode(), signature.encode()) for each in expected]
    if not any(matches):
        raise HookRefused
    return MultiDict((name, value.replace("\x00", "")) for name, value in pairs)


def _signatures(url: str, fields: Fields, secret: str, settings: str) -> list[str]:
    """With and without the port, as Twilio's own validator has it; raises ValueError for an unknown algorithm."""
    from twilio.request_validator import RequestValidator, add_port, get_signature_algorithm, remove_port

    validator, algorithm = RequestValidator(secret), get_signature_algorithm(settings)
    parsed = urlparse(url)
    return [validator.compute_signature(each, fields, algorithm) for each in (add_port(parsed), remove_port(parsed))]


def events_of(fields: Fields, account_sid: str, prefix: str) -> list[Event]:
    """`prefix` is what addresses of the channel begin with; what another kind of channel should get is ignored."""
    sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
    if not sid or len(sid) > 100:
        return []
    if status := fields.get("MessageStatus"):
        return list(_receipt(fields, sid, status, prefix))
    phone = _phone(fields.get("From", ""), prefix)
    if phone is None or fields.get("AccountSid") != account_sid or fields.get("From") == fields.get("To"):
        return [Event(key=sid, kind="ignored", external_id=sid)]
    command = _command(fields, _STOPS if prefix else _STOPS_BY_SMS)
    events = [_message(fields, sid, phone, command), *_choice(command, sid, phone)]
    # A conversation that a START has opened again is open for the answer to it, and a STOP is its last word.
    return events[::-1] if command == "start" else events


def _receipt(fields: Fields, sid: str, status: str, prefix: str) -> Iterator[Event]:
    """What has only been queued or sent is no news."""
    if delivery := _DELIVERIES.get(status):
        yield Event(
            key=f"{sid}:{status}",
            kind="receipt",
            thread=_phone(fields.get("To", ""), prefix) or "",
            external_id=sid,
            delivery=delivery,
            reason=BLOCKS.get(_number(fields.get("ErrorCode")), "") if delivery == "failed" else "",
        )


def _message(fields: Fields, sid: str, phone: str, command: str) -> Event:
    return Event(
        key=sid,
        kind="message",
        thread=phone,
        sender=Sender(external_id=phone, name=fields.get("ProfileName") or None, phone=phone),
        external_id=sid,
        text=fields.get("Body", ""),
        attachments=tuple(_attachments(fields)),
        wants_answer=command != "stop" and not fields.get("OptOutType"),  # which Twilio has replied to
    )


def _choice(command: str, sid: str, phone: str) -> Iterator[Event]:
    """Whether the customer wants no more messages, or wants them again."""
    if command == "stop":
        yield Event(key=f"{sid}:stop", kind="blocked", thread=phone, external_id=sid, reason="opted_out")
    elif command == "start":
        yield Event(key=f"{sid}:start", kind="unblocked", thread=phone, external_id=sid)


def _command(fields: Fields, stops: frozenset[str]) -> str:
    """stop, start, help or nothing: by Twilio's word, else by the message's."""
    if told := fields.get("OptOutType"):
        return told.lower()
    word = fields.get("Body", "").strip(" \t\r\n.,!\"'«»").casefold()
    if word in stops:
        return "stop"
    return "start" if word in _STARTS else ""


def _attachments(fields: Fields) -> Iterator[Attachment]:
    for number in range(min(_number(fields.get("NumMedia")), _MOST_MEDIA)):
        if url := fields.get(f"MediaUrl{number}"):
            mime = fields.get(f"MediaContentType{number}", "")
            yield Attachment(type=_type(mime), ref=url, mime=mime)
    if "Latitude" in fields and "Longitude" in fields:
        place = f"{fields['Latitude']},{fields['Longitude']}"
        yield Attachment(type="location", name=fields.get("Label") or fields.get("Address") or place)


def _type(mime: str) -> str:
    named = {"image/webp": "sticker", "audio/ogg": "voice", "text/vcard": "contact", "text/x-vcard": "contact"}
    kinds = {"image": "photo", "audio": "audio", "video": "video", "application": "document", "text": "document"}
    return named.get(mime) or kinds.get(mime.partition("/")[0], "other")


def _phone(address: str, prefix: str) -> str | None:
    """None for the address of another kind of channel, and for a sender that cannot be answered, such as a name."""
    number = address.removeprefix(prefix)
    return number if address.startswith(prefix) and _PHONE.fullmatch(number) else None


def _number(digits: str | None) -> int:
    return int(digits) if digits and digits.isdecimal() and len(digits) < 10 else 0
