"""Updates of Telegram, read as events without its client: a request is answered by a process that has none."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from asissto.channels.contract import Attachment, Event, Kind, Sender
from asissto.channels.telegram_updates import (
    Contact,
    Entity,
    File,
    Membership,
    Message,
    Pressed,
    Update,
    User,
)

UPDATES = ("message", "edited_message", "my_chat_member", "callback_query")
"""What we ask Telegram for."""

_FILES = ("voice", "audio", "video", "video_note", "animation", "document", "sticker")
_OTHERS = ("poll", "dice", "story", "game", "checklist", "paid_media")
_TYPES = {"video_note": "video", "animation": "video"}
_GONE = {"kicked", "left"}


class Bot(msgspec.Struct, frozen=True):
    """Ours. In groups it hears what mentions it or replies to it, and nothing where `in_groups` is false."""

    id: int
    username: str = ""
    in_groups: bool = False


def event_of(update: dict[str, Any], bot: Bot) -> Event:
    """Of kind `ignored` where it is not for us, or of no shape that we know. Raises KeyError without an update_id."""
    key = f"{bot.id}:{update['update_id']}"
    nothing = Event(key=key, kind="ignored")
    try:
        read = msgspec.convert(update, Update)
    except msgspec.ValidationError:
        return nothing
    if read.message is not None and read.message.migrate_to_chat_id is not None:
        return _moved(key, read.message)
    if read.message is not None:
        return _said(key, "message", read.message, bot) or nothing
    if read.edited_message is not None:
        return _said(key, "edit", read.edited_message, bot) or nothing
    if read.callback_query is not None:
        return _pressed(key, read.callback_query) or nothing
    return nothing if read.my_chat_member is None else _reach(key, read.my_chat_member)


def presses(updates: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of those that are presses of a button, which Telegram wants to hear an answer to."""
    pressed = [update.get("callback_query") for update in updates]
    return [each["id"] for each in pressed if isinstance(each, dict) and isinstance(each.get("id"), str)]


def thread_of(chat_id: int, topic: int | None) -> str:
    """A chat, or a topic of a group."""
    return str(chat_id) if topic is None else f"{chat_id}:{topic}"


def place_of(thread: str) -> tuple[int, int | None]:
    """The chat and the topic of a thread."""
    chat, _, topic = thread.partition(":")
    return int(chat), int(topic) if topic else None


def external_id(chat_id: int, message_id: int) -> str:
    """Telegram counts the messages of each group anew."""
    return f"{chat_id}:{message_id}"


def _said(key: str, kind: Kind, message: Message, bot: Bot) -> Event | None:
    """None for what is not for us, and for news of a chat that nobody wrote (somebody joined, a title changed)."""
    attachments = tuple(_attachments(message))
    words = message.text or message.caption
    is_nothing = not words if kind == "edit" else not words and not attachments
    if message.sender is None or message.sender.is_bot or is_nothing or not _is_for(bot, message):
        return None
    return Event(
        key=key,
        kind=kind,
        thread=thread_of(message.chat.id, message.message_thread_id if message.is_topic_message else None),
        address={} if message.chat.type == "private" else {"reply_to": message.message_id},
        sender=_sender(message.sender, message.contact),
        external_id=external_id(message.chat.id, message.message_id),
        text=_without_mention(words, bot),
        attachments=attachments,
        at=datetime.fromtimestamp(message.edit_date or message.date, UTC),
    )


def _pressed(key: str, pressed: Pressed) -> Event | None:
    """None for a button of a message that Telegram tells nothing of."""
    on = pressed.message
    if on is None:
        return None
    topic = on.message_thread_id if on.is_topic_message else None
    return Event(key=key, kind="pressed", thread=thread_of(on.chat.id, topic), text=pressed.data)


def _moved(key: str, message: Message) -> Event:
    """A group became a supergroup, which has another id."""
    return Event(key=key, kind="moved", thread=str(message.chat.id), moved_to=str(message.migrate_to_chat_id))


def _reach(key: str, changed: Membership) -> Event:
    is_gone = changed.new_chat_member.status in _GONE
    return Event(
        key=key,
        kind="blocked" if is_gone else "unblocked",
        thread=str(changed.chat.id),
        reason="blocked" if is_gone else "",
        at=datetime.fromtimestamp(changed.date, UTC),
    )


def _is_for(bot: Bot, message: Message) -> bool:
    if message.chat.type == "private":
        return True
    if not bot.in_groups or message.chat.type not in {"group", "supergroup"}:
        return False
    replied = message.reply_to_message.sender if message.reply_to_message else None
    return (replied is not None and replied.id == bot.id) or any(
        _is_mention(entity, message, bot) for entity in (*message.entities, *message.caption_entities)
    )


def _is_mention(entity: Entity, message: Message, bot: Bot) -> bool:
    """`@shop_bot`, `/help@shop_bot`, or a mention by name."""
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == bot.id
    units = (message.text or message.caption).encode("utf-16-le")
    words = units[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le", "ignore").casefold()
    named = f"@{bot.username.casefold()}"
    return bool(bot.username) and (
        (entity.type == "mention" and words == named) or (entity.type == "bot_command" and words.endswith(named))
    )


def _without_mention(words: str, bot: Bot) -> str:
    """Whom a message is addressed to is no part of a question."""
    named = f"@{bot.username}"
    if not bot.username or not bot.in_groups or named.casefold() not in words.casefold():
        return words
    kept = [word for word in words.split(" ") if word.strip(",:.!?").casefold() != named.casefold()]
    return " ".join(kept).strip()


def _sender(user: User, contact: Contact | None) -> Sender:
    """A contact card that is their own tells the number."""
    is_own = contact is not None and contact.user_id == user.id
    return Sender(
        external_id=str(user.id),
        name=f"{user.first_name} {user.last_name}".strip() or None,
        phone=contact.phone_number if contact is not None and is_own else None,
        language=user.language_code,
    )


def _attachments(message: Message) -> list[Attachment]:
    if message.location is not None:
        place = f"{message.location.latitude}, {message.location.longitude}"
        return [Attachment(type="location", name=place)]
    if message.contact is not None:
        card = message.contact
        names = (card.first_name, card.last_name, card.phone_number)
        return [Attachment(type="contact", name=" ".join(filter(None, names)))]
    if message.photo:
        return [_file("photo", max(message.photo, key=lambda size: size.file_size or 0))]
    for kind in _FILES:  # an animation is a document besides, for older clients
        if (found := getattr(message, kind)) is not None:
            return [_file(_TYPES.get(kind, kind), found)]
    return [Attachment(type="other", name=kind) for kind in _OTHERS if getattr(message, kind) is not None]


def _file(kind: str, found: File) -> Attachment:
    return Attachment(
        type=kind,
        ref=found.file_id,
        name=found.file_name,
        mime=found.mime_type,
        size=found.file_size,
        seconds=found.duration,
    )
