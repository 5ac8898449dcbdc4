"""Updates of Telegram as events: of every kind that customers cause, and of kinds that nobody has thought of."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from asissto.channels.contract import Attachment, Event, Sender
from asissto.channels.telegram_events import Bot, event_of
from telegram_schema import wrong_object

DATE = 1_790_000_000
AT = datetime.fromtimestamp(DATE, UTC)
ANNA = {"id": 7, "is_bot": False, "first_name": "Anna", "last_name": "Ivanova", "language_code": "ru"}
SENDER = Sender(external_id="7", name="Anna Ivanova", language="ru")
PRIVATE = {"message_id": 31, "date": DATE, "chat": {"id": 7, "type": "private", "first_name": "Anna"}, "from": ANNA}
GROUP = {"message_id": 32, "date": DATE, "chat": {"id": -1009, "type": "supergroup", "title": "Us"}, "from": ANNA}
FILE = {"file_id": "f1", "file_unique_id": "u1", "file_size": 900}
SHOP = {"id": 4200, "is_bot": True, "first_name": "Shop", "username": "shop_test_bot"}
NOBODY = {"id": 1, "is_bot": True, "first_name": "Other"}
ME = Bot(id=4200, username="shop_test_bot", in_groups=True)


def said(**fields: Any) -> Event:
    usual: dict[str, Any] = {
        "key": "4200:5",
        "kind": "message",
        "thread": "7",
        "sender": SENDER,
        "external_id": "7:31",
        "at": AT,
    }
    return Event(**usual | fields)


def in_group(**fields: Any) -> Event:
    return said(thread="-1009", external_id="-1009:32", address={"reply_to": 32}, **fields)


def mention(offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": "mention", "offset": offset, "length": length, **more}


PLACE = {"latitude": 55.75, "longitude": 37.6}
PHOTOS = [FILE | {"width": 9, "height": 9}, FILE | {"file_id": "f2", "file_size": 9_000, "width": 90, "height": 90}]
POST = {"message_id": 33, "date": DATE, "chat": {"id": -1, "type": "channel", "title": "News"}, "text": "News"}
REPLY = {"text": "And?", "message_thread_id": 5, "reply_to_message": GROUP | {"from": SHOP}}
CHANGED = {"chat": PRIVATE["chat"], "from": ANNA, "date": DATE, "old_chat_member": {"status": "member", "user": SHOP}}
OTHER = Attachment(type="other", name="dice")
IGNORED = Event(key="4200:5", kind="ignored")
UPDATES: list[tuple[str, dict[str, Any], Event]] = [
    ("words", {"message": PRIVATE | {"text": "How much?"}}, said(text="How much?")),
    ("start", {"message": PRIVATE | {"text": "/start ref_1"}}, said(text="/start ref_1")),
    (
        "edit",
        {"edited_message": PRIVATE | {"text": "How many?", "edit_date": DATE + 60}},
        said(kind="edit", text="How many?", at=datetime.fromtimestamp(DATE + 60, UTC)),
    ),
    ("edit of a place that moves", {"edited_message": PRIVATE | {"location": PLACE}}, IGNORED),
    (
        "voice",
        {"message": PRIVATE | {"voice": FILE | {"duration": 3, "mime_type": "audio/ogg"}}},
        said(attachments=(Attachment(type="voice", ref="f1", mime="audio/ogg", size=900, seconds=3),)),
    ),
    (
        "photo with a caption",
        {"message": PRIVATE | {"caption": "This one", "photo": PHOTOS}},
        said(text="This one", attachments=(Attachment(type="photo", ref="f2", size=9_000),)),
    ),
    (
        "document",
        {"message": PRIVATE | {"document": FILE | {"file_name": "a.pdf", "mime_type": "application/pdf"}}},
        said(attachments=(Attachment(type="document", ref="f1", name="a.pdf", mime="application/pdf", size=900),)),
    ),
    (
        "animation, which is a document too",
        {"message": PRIVATE | {"animation": FILE | {"width": 1, "height": 1, "duration": 2}, "document": FILE}},
        said(attachments=(Attachment(type="video", ref="f1", size=900, seconds=2),)),
    ),
    (
        "sticker",
        {
            "message": PRIVATE
            | {"sticker": FILE | {"type": "regular", "width": 1, "height": 1, "is_animated": False, "is_video": False}}
        },
        said(attachments=(Attachment(type="sticker", ref="f1", size=900),)),
    ),
    (
        "location",
        {"message": PRIVATE | {"location": PLACE}},
        said(attachments=(Attachment(type="location", name="55.75, 37.6"),)),
    ),
    (
        "their own contact card",
        {"message": PRIVATE | {"contact": {"phone_number": "+7900", "first_name": "Anna", "user_id": 7}}},
        said(
            sender=Sender(external_id="7", name="Anna Ivanova", language="ru", phone="+7900"),
            attachments=(Attachment(type="contact", name="Anna +7900"),),
        ),
    ),
    (
        "somebody else's contact card",
        {"message": PRIVATE | {"contact": {"phone_number": "+7900", "first_name": "Ben"}}},
        said(attachments=(Attachment(type="contact", name="Ben +7900"),)),
    ),
    ("dice", {"message": PRIVATE | {"dice": {"emoji": "🎲", "value": 1}}}, said(attachments=(OTHER,))),
    (
        "block",
        {"my_chat_member": CHANGED | {"new_chat_member": {"status": "kicked", "user": SHOP, "until_date": 0}}},
        Event(key="4200:5", kind="blocked", thread="7", reason="blocked", at=AT),
    ),
    (
        "unblock",
        {"my_chat_member": CHANGED | {"new_chat_member": {"status": "member", "user": SHOP}}},
        Event(key="4200:5", kind="unblocked", thread="7", at=AT),
    ),
    (
        "mention in a group",
        {"message": GROUP | {"text": "😀 @Shop_test_bot, how much?", "entities": [mention(3, 14)]}},
        in_group(text="😀 how much?"),
    ),
    ("mention of another", {"message": GROUP | {"text": "@ben how much?", "entities": [mention(0, 4)]}}, IGNORED),
    ("words in a group", {"message": GROUP | {"text": "How much?"}}, IGNORED),
    (
        "mention by name",
        {"message": GROUP | {"text": "Shop, hi", "entities": [mention(0, 4, type="text_mention", user=SHOP)]}},
        in_group(text="Shop, hi"),
    ),
    (
        "command to us",
        {"message": GROUP | {"text": "/start@shop_test_bot", "entities": [mention(0, 20, type="bot_command")]}},
        in_group(text="/start@shop_test_bot"),
    ),
    (
        "reply to us in a topic",
        {"message": GROUP | REPLY | {"is_topic_message": True}},
        said(thread="-1009:5", external_id="-1009:32", address={"reply_to": 32}, text="And?"),
    ),
    (
        "reply to us where a thread is no topic",
        {"message": GROUP | REPLY},
        in_group(text="And?"),
    ),
    ("reply to another", {"message": GROUP | {"text": "And?", "reply_to_message": GROUP}}, IGNORED),
    ("words of a bot", {"message": PRIVATE | {"text": "Hi", "from": NOBODY}}, IGNORED),
    ("somebody joined", {"message": GROUP | {"new_chat_members": [ANNA]}}, IGNORED),
    ("a post", {"channel_post": POST}, IGNORED),
    (
        "a group moved",
        {"message": GROUP | {"chat": {"id": -9, "type": "group", "title": "Us"}, "migrate_to_chat_id": -1009}},
        Event(key="4200:5", kind="moved", thread="-9", moved_to="-1009"),
    ),
]


@pytest.mark.parametrize(("update", "event"), [case[1:] for case in UPDATES], ids=[case[0] for case in UPDATES])
def test_an_update_becomes_an_event(update: dict[str, Any], event: Event) -> None:
    """Each of a shape that the official description has."""
    assert wrong_object("Update", {"update_id": 5} | update) == []
    assert event_of({"update_id": 5} | update, ME) == event


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"message": None},
        {"message": {}},
        {"message": PRIVATE | {"date": -1}},
        {"message": PRIVATE | {"photo": [{}]}},
        {"message": PRIVATE | {"text": 5}},
        {"news_of_next_year": {"x": 1}},
        {"my_chat_member": []},
    ],
)
def test_what_is_not_understood_is_ignored(update: dict[str, Any]) -> None:
    """A single update of another shape must not hold up all that follow."""
    assert event_of({"update_id": 5} | update, ME) == IGNORED


def test_groups_are_not_heard_unless_asked_for() -> None:
    """Not even where the bot is mentioned."""
    update = {"update_id": 5, "message": GROUP | {"text": "@shop_test_bot hi", "entities": [mention(0, 14)]}}
    assert event_of(update, msgspec.structs.replace(ME, in_groups=False)) == IGNORED
