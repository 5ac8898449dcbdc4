"""Reads what VK tells of a community: updates of its Callback API and Long Poll, and messages of its history."""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from asissto.channels.contract import Event, Kind, Sender
from asissto.channels.vk_attachments import attachments_of

FIRST_CHAT = 2_000_000_000
"""Conversations of several people have numbers from here on."""

LONGEST_KEY = 200
PRESSED = "asissto"
"""The name in the payload of our buttons."""
LANGUAGES = {0: "ru", 1: "uk", 2: "be", 3: "en"}
_MENTION = re.compile(r"\[(club|public|event|id)(\d{1,15})\|([^\]]*)\]")


Id = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class Foreign(msgspec.Struct, frozen=True):
    """A message that is forwarded or answered."""

    from_id: int = 0
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    """Of `messages_message` what we read; `id` is 0 in chats, where `conversation_message_id` counts."""

    peer_id: Id
    from_id: Id
    date: Annotated[int, Meta(ge=0, le=32_503_680_000)]
    id: Id = 0
    conversation_message_id: Id = 0
    text: str = ""
    out: int = 0
    random_id: int | None = None
    admin_author_id: int | None = None
    attachments: list[Any] | None = None
    fwd_messages: list[Foreign] | None = None
    reply_message: Foreign | None = None
    action: dict[str, Any] | None = None
    geo: dict[str, Any] | None = None
    payload: str = ""

    @property
    def name(self) -> str:
        return str(self.id) if self.id else f"{self.peer_id}_{self.conversation_message_id}"


class Client(msgspec.Struct, frozen=True):
    lang_id: int = -1


class NewMessage(msgspec.Struct, frozen=True):
    message: Message
    client_info: Client = Client()


class Permission(msgspec.Struct, frozen=True):
    user_id: Id


class Reading(msgspec.Struct, frozen=True):
    from_id: Id
    peer_id: Id
    read_message_id: Id


def decoded(body: bytes) -> dict[str, Any]:
    """A JSON object in words that the database takes; raises ValueError where it is none.

    msgspec would refuse it as a whole for half a character.
    """
    try:
        told = json.loads(body)
    except RecursionError:
        raise ValueError from None
    if not isinstance(told, dict):
        raise ValueError  # noqa: TRY004 - it is the sender's mistake
    return dict(storable(told))


def storable(told: Any) -> Any:
    """Without zero bytes and halves of characters."""
    if isinstance(told, str):
        return told.replace("\x00", "").encode(errors="replace").decode()
    if isinstance(told, list):
        return [storable(each) for each in told]
    if isinstance(told, dict):
        return {storable(name): storable(each) for name, each in told.items()}
    return told


def read_update(update: dict[str, Any], group_id: int) -> Event:
    """What is not understood becomes an event of kind `ignored`."""
    named = update.get("event_id")
    if isinstance(named, str) and 0 < len(named) <= LONGEST_KEY:
        key = named
    else:
        key = hashlib.sha256(json.dumps(update).encode()).hexdigest()
    read = _READERS.get(str(update.get("type")))
    try:
        found = read(update.get("object"), group_id) if read else None
    except msgspec.ValidationError:
        found = None
    if found is None:
        return Event(key=key, kind="ignored")
    return found if found.key else msgspec.structs.replace(found, key=key)


def read_message(message: Message, group_id: int, language: str | None = None, kind: Kind = "message") -> Event | None:
    """None where nobody speaks to the community: its own words, a robot's, a service message, a chat without mention.

    The key of a message is its number, so that the history and both ways of delivery name it alike.
    """
    if message.from_id <= 0 or message.out or message.action is not None or not _concerns(message, group_id):
        return None
    pressed = _pressed(message.payload)
    if pressed and kind == "message":
        return Event(key=f"new:{message.name}", kind="pressed", thread=str(message.peer_id), text=pressed)
    return Event(
        key=f"new:{message.name}" if kind == "message" else "",
        kind=kind,
        thread=str(message.peer_id),
        sender=Sender(external_id=str(message.from_id), language=language),
        external_id=message.name,
        text=_text(message, group_id),
        attachments=attachments_of(message.attachments, message.geo),
        at=datetime.fromtimestamp(message.date, UTC),
    )


def _pressed(payload: str) -> str:
    """The value of one of our buttons; empty for other buttons, and for none."""
    try:
        told = json.loads(payload) if payload else None
    except (ValueError, RecursionError):
        return ""
    value = told.get(PRESSED) if isinstance(told, dict) else None
    return value if isinstance(value, str) else ""


def read_reply(message: Message) -> Event | None:
    """What was said in the community's name; None for its automatic greeting, which has neither author nor key."""
    if not message.admin_author_id and not message.random_id:
        return None
    return Event(
        key=f"reply:{message.name}",
        kind="echo",
        thread=str(message.peer_id),
        external_id=message.name,
        text=message.text,
        at=datetime.fromtimestamp(message.date, UTC),
        own_key=message.random_id if 0 < (message.random_id or 0) < 2**31 else None,
    )


def _new(told: Any, group_id: int) -> Event | None:
    new = msgspec.convert(told, NewMessage)
    return read_message(new.message, group_id, LANGUAGES.get(new.client_info.lang_id))


def _edit(told: Any, group_id: int) -> Event | None:
    return read_message(msgspec.convert(told, Message), group_id, kind="edit")


def _reply(told: Any, _group_id: int) -> Event | None:
    return read_reply(msgspec.convert(told, Message))


def _read(told: Any, _group_id: int) -> Event | None:
    reading = msgspec.convert(told, Reading)
    if reading.from_id <= 0:
        return None
    thread = str(reading.peer_id)
    newest = str(reading.read_message_id)
    return Event(key="", kind="receipt", thread=thread, external_id=newest, delivery="read", up_to=True)


def _allow(told: Any, _group_id: int) -> Event | None:
    user = str(msgspec.convert(told, Permission).user_id)
    return Event(key="", kind="unblocked", thread=user, sender=Sender(external_id=user))


def _deny(told: Any, _group_id: int) -> Event | None:
    user = str(msgspec.convert(told, Permission).user_id)
    return Event(key="", kind="blocked", thread=user, sender=Sender(external_id=user), reason="not_allowed")


_READERS: dict[str, Callable[[Any, int], Event | None]] = {
    "message_new": _new,
    "message_edit": _edit,
    "message_reply": _reply,
    "message_read": _read,
    "message_allow": _allow,
    "message_deny": _deny,
}
WANTED = tuple(_READERS)
"""The types of events that VK is asked for."""


def _concerns(message: Message, group_id: int) -> bool:
    if message.peer_id < FIRST_CHAT:
        return True
    if message.reply_message is not None and message.reply_message.from_id == -group_id:
        return True
    return any(_is_own(mention, group_id) for mention in _MENTION.finditer(message.text))


def _is_own(mention: re.Match[str], group_id: int) -> bool:
    return mention[1] != "id" and int(mention[2]) == group_id


def _text(message: Message, group_id: int) -> str:
    """The words as people see them, without the call of the community at their beginning; else what is forwarded."""
    words = message.text.strip()
    first = _MENTION.match(words)
    if first and _is_own(first, group_id):
        words = words[first.end() :].lstrip(" ,:")
    words = _MENTION.sub(r"\3", words)
    return words or "\n\n".join(each.text for each in message.fwd_messages or () if each.text)
