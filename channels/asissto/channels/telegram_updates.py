"""The shapes of Telegram's updates, as far as we read them; whatever else they hold is left alone."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Seconds = Annotated[int, Meta(ge=0, lt=2**32)]


class User(msgspec.Struct):
    id: int
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    language_code: str | None = None


class Chat(msgspec.Struct):
    id: int
    type: str


class Entity(msgspec.Struct):
    """`offset` and `length` in UTF-16 units."""

    type: str
    offset: int
    length: int
    user: User | None = None


class File(msgspec.Struct):
    file_id: str
    file_name: str = ""
    mime_type: str = ""
    file_size: int | None = None
    duration: float | None = None


class Location(msgspec.Struct):
    latitude: float
    longitude: float


class Contact(msgspec.Struct):
    phone_number: str
    first_name: str = ""
    last_name: str = ""
    user_id: int | None = None


class RepliedTo(msgspec.Struct):
    sender: User | None = msgspec.field(name="from", default=None)


class Message(msgspec.Struct):
    message_id: int
    date: Seconds
    chat: Chat
    sender: User | None = msgspec.field(name="from", default=None)
    edit_date: Seconds | None = None
    message_thread_id: int | None = None
    is_topic_message: bool = False
    reply_to_message: RepliedTo | None = None
    text: str = ""
    caption: str = ""
    entities: list[Entity] = []
    caption_entities: list[Entity] = []
    photo: list[File] = []
    voice: File | None = None
    audio: File | None = None
    video: File | None = None
    video_note: File | None = None
    animation: File | None = None
    document: File | None = None
    sticker: File | None = None
    location: Location | None = None
    contact: Contact | None = None
    poll: Any = None
    dice: Any = None
    story: Any = None
    game: Any = None
    checklist: Any = None
    paid_media: Any = None
    migrate_to_chat_id: int | None = None


class Member(msgspec.Struct):
    status: str


class Membership(msgspec.Struct):
    chat: Chat
    date: Seconds
    new_chat_member: Member


class Place(msgspec.Struct):
    """The message that a button was on; what is too old to be seen has its place alone."""

    chat: Chat
    message_thread_id: int | None = None
    is_topic_message: bool = False


class Pressed(msgspec.Struct):
    id: str
    message: Place | None = None
    data: str = ""


class Update(msgspec.Struct):
    update_id: int
    callback_query: Pressed | None = None
    message: Message | None = None
    edited_message: Message | None = None
    my_chat_member: Membership | None = None
