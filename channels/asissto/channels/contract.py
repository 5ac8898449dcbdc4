"""What a channel is to the rest: events come in, parts of an answer go out, and each type of channel is one class."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from asissto.platform.texts import Language
from asissto.retrieval.feedback import Asks

SEND_SECONDS = 15.0
"""Within this time `send`, `find_sent` and `check` end, one way or the other."""

Kind = Literal["message", "edit", "delete", "receipt", "blocked", "unblocked", "moved", "echo", "pressed", "ignored"]
"""Of an event; an echo is what the owner wrote in the provider's own app, moved is a thread that has a new name.

What was `pressed` is the `value` of one of our buttons, in the event's text."""

Delivery = Literal["delivered", "read", "failed"]


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`type` is photo, voice, audio, video, document, sticker, location, contact or other; `size` in bytes.

    An `original` is no work of the customer's: the whole mail, of which the event's text is the new part.
    `ref` is what `Connector.fetch` finds the content by. `problem`: it stays where it is; `attachment.<problem>` in
    `texts` says why.
    """

    type: str
    ref: str = ""
    name: str = ""
    mime: str = ""
    size: int | None = None
    seconds: float | None = None
    problem: str = ""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as the channel knows them; only `external_id` is to be relied on."""

    external_id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    language: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on the other side.

    `key` is unique on the channel for what happened: the same one again is the same event. `thread` names the
    conversation on the channel, and `address` what a reply needs besides. `external_id` is the provider's id of the
    message that the event is, or is about; of an `echo` whose `random_id` we gave out it is our own message.
    """

    key: str
    kind: Kind
    thread: str = ""
    address: dict[str, Any] = {}
    sender: Sender | None = None
    external_id: str = ""
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    wants_answer: bool = True
    """Else the message is stored and shown, and not answered: a word such as STOP."""
    notice: str = ""
    """A key of `texts`: what the customer is told of the message, besides the answer to it."""
    at: datetime | None = None
    delivery: Delivery | None = None
    reason: str = ""
    """Of a failed delivery or a block, one of `send_errors.REASONS` where it is known."""
    moved_to: str = ""
    """Of a thread that moved: its name from now on."""
    up_to: bool = False
    """Of a receipt: it holds for all messages to the thread whose number is not above `external_id`."""
    own_key: int | None = None
    """Of an echo: the key that `send` was called with, where the channel gives it back."""


class Destination(msgspec.Struct, frozen=True):
    """`thread` and `address` are those of the conversation's newest event."""

    thread: str
    address: dict[str, Any]


class Cited(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    title: str
    locator: str
    quote: str
    url: str | None = None


class Button(msgspec.Struct, frozen=True, array_like=True):
    """`value` comes back when it is pressed; at most 64 bytes, which is what Telegram takes."""

    label: str
    value: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent: an answer with its citations, or a person's words.

    `text` has `[n]` where source n supports it. `is_markdown`: a model wrote it, and may have used Markdown; else it is
    plain text whose every character counts. `notice` is a sentence of our own below it. `link` leads to the whole
    answer with its sources, for a channel that has to cut.
    """

    text: str
    language: Language
    is_markdown: bool = False
    citations: tuple[Cited, ...] = ()
    notice: str = ""
    link: str = ""
    asks: Asks = ""
    """What the reader is asked for, where the channel has buttons; `about` is the message that they are on."""
    about: UUID | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a provider. `format` is the channel's own name of how `text` is written, plain if empty.

    `plain` is said instead where the provider refuses the format. `extra` are plain JSON values that the channel's
    `send` wants to have (the HTML of a mail, citations of the widget).
    """

    text: str
    format: str = ""
    plain: str = ""
    extra: dict[str, Any] = {}


class Sent(msgspec.Struct, frozen=True):
    """The provider has taken it; `segments` are what it is paid by."""

    message_id: str
    segments: int = 1


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The account answers; `name` is what the provider calls it, `notes` are keys of `texts` for the owner."""

    name: str
    notes: tuple[str, ...] = ()


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A request of the provider; header names in lower case, `query` as it came."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider wants to hear after its request was stored."""

    body: bytes = b""
    status: int = 200
    media_type: str = "text/plain"


class Taken(msgspec.Struct, frozen=True):
    """What a request of the provider brought; `changes` are settings that it taught us."""

    events: Sequence[Event]
    reply: Reply = Reply()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """`again` is what may be done where a send may have happened (`Uncertain`, or a killed process).

    idempotent: send again with the same key. lookup: `find_sent` tells. none: once more, then its state is unknown.
    """

    again: Literal["idempotent", "lookup", "none"]
    idempotent_seconds: float | None = None
    """After the first attempt, where the provider forgets keys; from then on `find_sent` tells."""
    lookup_after: float = 10.0
    """Seconds after which the provider's list shows what was sent."""
    types: bool = False
    """Whether it can show that somebody is writing."""
    paid_by_segment: bool = False
    """Whether what is sent is counted as SMS segments."""
    names: bool = False
    """Whether customers' names have to be asked for, since their messages do not bring them."""
    rates: bool = False
    """Whether it can ask what the customer thinks: thumbs below answers, a rating at the end."""


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Open from `start` to `end`, both as `HH:MM`; days are 1 (Monday) to 7."""

    days: Annotated[list[Annotated[int, Meta(ge=1, le=7)]], Meta(min_length=1, max_length=7)]
    start: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When people are there to take a conversation over; outside of it `text` is said with the hand-over."""

    timezone: Annotated[str, Meta(max_length=60)]
    open: Annotated[list[Slot], Meta(min_length=1, max_length=50)]
    text: Annotated[str, Meta(max_length=1_000)] | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is above a limit is stored and shown, but not answered; the customer is told once."""

    visitor_per_minute: Annotated[int, Meta(ge=1, le=1_000)] = 20
    channel_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 600
    answers_per_day: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class CommonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of every channel; each type adds its own fields."""

    hours: Hours | None = None
    limits: Limits = Limits()
    max_age_hours: Annotated[int, Meta(ge=1, le=720)] = 24
    """An answer that could not be sent for so long is not sent any more."""
    notify: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=500)], ...], Meta(max_length=10)] = ()
    """Chats of the team on this channel, by the provider's id, that hear of each hand-over; the bot must be in them."""


class CommonSecrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sealed, and never shown again; `proxy` may carry a password."""

    proxy: Annotated[str, Meta(max_length=500, pattern=r"^(https?|socks5h?)://\S+$")] | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as its connector needs it; `hook_url` is where the provider reaches us, None without a public address.

    `guarded`: addresses that the tenant names must be public.
    """

    tenant_id: UUID
    channel_id: UUID
    settings: Any
    secrets: Any
    language: Language
    public_url: str | None = None
    hook_url: str | None = None
    guarded: bool = True


class Connector:
    """One channel's connection to its provider. Subclasses are one file each, and one line in `registry`.

    What a subclass does not have, it leaves as it is here. Clients are made when they are first needed, and heavy
    libraries are imported there. Methods that call the provider make one call, with a time limit, without trying again,
    and raise `SendError`s.
    """

    capabilities: ClassVar[Capabilities]
    Settings: ClassVar[type[CommonSettings]] = CommonSettings
    Secrets: ClassVar[type[CommonSecrets]] = CommonSecrets

    def __init__(self, account: Account) -> None:
        self.account = account

    @property
    def polls(self) -> bool:
        """Whether `poll` is to be called; else the provider calls us."""
        return False

    def take(self, hook: Hook) -> Taken:
        """Pure: verifies the provider's request before anything else and reads it. Raises HookRefused.

        What is not understood becomes an event of kind `ignored`, never an exception.
        """
        raise NotImplementedError

    def first_cursor(self) -> dict[str, Any]:
        """Where `poll` begins, stored with the channel: what is written before the first poll is not missed."""
        return {}

    async def poll(self, cursor: dict[str, Any]) -> tuple[Sequence[Event], dict[str, Any]]:
        """What happened since the cursor, and the next cursor, which is stored with the events."""
        raise NotImplementedError

    def render(self, said: Said) -> list[Part]:
        """Pure and the same each time: the parts that are sent one after the other."""
        raise NotImplementedError

    async def send(self, to: Destination, part: Part, key: int) -> Sent:
        """`key` is 1 to 2^31-1, the same whenever the same part is sent."""
        raise NotImplementedError

    async def find_sent(self, to: Destination, part: Part, key: int, since: datetime) -> Sent | None:
        """Whether `send` did happen; None: certainly not."""
        raise NotImplementedError

    async def show_typing(self, to: Destination) -> None:
        """Best effort: whoever calls it ignores what it raises."""

    async def names(self, external_ids: Sequence[str]) -> dict[str, str]:
        """Of so many customers, at most `contact_names.MOST`; who has none is left out. Raises SendError."""
        raise NotImplementedError

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """The content, in pieces; raises SendError."""
        raise NotImplementedError

    async def check(self) -> Health:
        """Asks the provider who we are; raises SendError."""
        raise NotImplementedError

    async def install(self) -> dict[str, Any] | None:
        """Tells the provider where to reach us, or that we come ourselves; raises SendError.

        What it returns are settings that have to be stored before it is called again, by which it is finished.
        """
        return None

    async def close(self) -> None:
        """Ends its connections."""
