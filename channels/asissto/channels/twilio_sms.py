"""SMS and WhatsApp over Twilio: messages come by its webhook and go out through its API."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import httpx2
from msgspec import Meta

from asissto.channels.calling import in_time, make_client
from asissto.channels.contract import (
    Account,
    Attachment,
    Capabilities,
    CommonSecrets,
    CommonSettings,
    Connector,
    Destination,
    Health,
    Hook,
    Part,
    Reply,
    Said,
    Sent,
    Taken,
)
from asissto.channels.send_errors import ChannelBroken, Uncertain
from asissto.channels.sms_rendering import one_sms, whatsapp_messages
from asissto.channels.sms_text import fold, segments
from asissto.channels.twilio_hooks import WHATSAPP, events_of, signed_fields
from asissto.channels.twilio_media import read_media

if TYPE_CHECKING:
    from twilio.rest import Client
    from twilio.rest.api.v2010.account.message import MessageInstance

_LISTED = 100
"""The newest messages to one customer that are looked through for one that may have been sent."""

_SKEW = timedelta(seconds=10)
"""By which Twilio's clock may be behind ours; the same words so shortly before would be no loss."""

_TRIAL = "Sent from your Twilio trial account - "
"""Twilio puts it before every text of an account that has not paid yet."""


class TwilioSettings(CommonSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Messages come from `sender` (+15551234567, a short code or a name), or from a messaging service."""

    account_sid: Annotated[str, Meta(pattern=r"^AC[0-9a-fA-F]{32}$")]
    sender: Annotated[str, Meta(pattern=r"^(\+\d{5,15}|\d{3,8}|[A-Za-z][A-Za-z0-9 ]{0,10})$")] | None = None
    messaging_service_sid: Annotated[str, Meta(pattern=r"^MG[0-9a-fA-F]{32}$")] | None = None
    api_base: Annotated[str, Meta(max_length=500, pattern=r"^https?://\S+$")] | None = None
    """Of a service that speaks Twilio's protocol; without it, Twilio."""

    def __post_init__(self) -> None:
        if (self.sender is None) == (self.messaging_service_sid is None):
            raise ValueError("either sender or messaging_service_sid is needed")


class SmsSettings(TwilioSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    max_segments: Annotated[int, Meta(ge=1, le=10)] = 4
    """Paid pieces of one answer: 160 Latin or 70 Cyrillic letters, less in answers of several pieces."""
    ascii_fold: bool = True
    """Write plain quotes and dashes where that halves the price."""


class TwilioSecrets(CommonSecrets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`shared_key` is needed where Twilio signs with a shared key in place of the account's token."""

    auth_token: Annotated[str, Meta(min_length=1, max_length=200)]
    shared_key: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class _Twilio(Connector):
    """What both have in common; `prefix` stands before each address."""

    capabilities = Capabilities(again="lookup")
    Settings: ClassVar[type[CommonSettings]] = TwilioSettings
    Secrets: ClassVar[type[CommonSecrets]] = TwilioSecrets
    prefix: ClassVar[str] = ""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._settings: Any = account.settings
        self._secrets: Any = account.secrets

    @cached_property
    def _connections(self) -> httpx2.AsyncClient:
        return make_client(self.account, is_own_address=self._settings.api_base is not None)

    @cached_property
    def _twilio(self) -> "Client":
        from asissto.channels.twilio_client import make_twilio

        settings = self._settings
        return make_twilio(self._connections, settings.account_sid, self._secrets.auth_token, settings.api_base)

    def take(self, hook: Hook) -> Taken:
        fields = signed_fields(hook, self.account.hook_url, self._secrets.auth_token, self._secrets.shared_key)
        # Any text in the reply would be sent to the customer.
        reply = Reply(body=b"<Response/>", media_type="text/xml")
        return Taken(events_of(fields, self._settings.account_sid, self.prefix), reply)

    async def send(self, to: Destination, part: Part, key: int) -> Sent:  # noqa: ARG002 - Twilio knows no keys
        callback = {"status_callback": self.account.hook_url} if self.account.hook_url else {}
        recipient = self.prefix + to.thread
        return _sent(await self._twilio.messages.create_async(recipient, body=part.text, **self._from(), **callback))

    async def find_sent(self, to: Destination, part: Part, key: int, since: datetime) -> Sent | None:  # noqa: ARG002
        """Not asked by the date of sending, which a message has only once it has left Twilio's queue."""
        sender = {"from_": self.prefix + self._settings.sender} if self._settings.sender else {}
        asked = {"to": self.prefix + to.thread, **sender, "limit": _LISTED, "page_size": _LISTED}
        listed = await self._twilio.messages.list_async(**asked)
        newer = [
            each for each in listed if not isinstance(each.date_created, datetime) or each.date_created >= since - _SKEW
        ]
        for message in newer:
            if message.direction != "inbound" and _says(message, part.text):
                return _sent(message)
        if len(newer) == _LISTED:
            raise Uncertain(f"not among the newest {_LISTED} messages")
        return None

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        settings = self._settings
        return read_media(self.account, attachment.ref, (settings.account_sid, self._secrets.auth_token))

    async def check(self) -> Health:
        """The account, and whether its number calls us."""
        async with in_time():
            account = await self._twilio.api.accounts(self._settings.account_sid).fetch_async()
            if account.status not in (None, "active"):
                raise ChannelBroken(f"the account is {account.status}")
            return Health(name=account.friendly_name or account.sid or "", notes=await self._notes())

    async def _notes(self) -> tuple[str, ...]:
        if self.account.hook_url is None:
            return ("twilio.no_public_url",)
        number = await self._number()
        if number is None:
            return ("twilio.enter_address",)
        return () if number.sms_url == self.account.hook_url else ("twilio.not_installed",)

    async def install(self) -> None:
        """Where there is no number that it could be told to, `check` notes what is to be entered by hand."""
        if self.account.hook_url and (number := await self._number()) is not None:
            await number.update_async(sms_url=self.account.hook_url, sms_method="POST")

    async def _number(self) -> Any:
        """Senders of WhatsApp and messaging services have settings of their own elsewhere."""
        sender = self._settings.sender
        if self.prefix or not sender or not sender.startswith("+"):
            return None
        found = await self._twilio.incoming_phone_numbers.list_async(phone_number=sender, limit=1, page_size=1)
        return found[0] if found else None

    def _from(self) -> dict[str, Any]:
        if self._settings.sender is None:
            return {"messaging_service_sid": self._settings.messaging_service_sid}
        return {"from_": self.prefix + self._settings.sender}

    async def close(self) -> None:
        if "_connections" in vars(self):
            await self._connections.aclose()


class TwilioSms(_Twilio):
    capabilities = Capabilities(again="lookup", paid_by_segment=True)
    Settings = SmsSettings

    def render(self, said: Said) -> list[Part]:
        """One message: those of several would arrive in any order."""
        return [Part(text=one_sms(said, self._settings.max_segments, folds=self._settings.ascii_fold))]


class TwilioWhatsApp(_Twilio):
    prefix = WHATSAPP

    def render(self, said: Said) -> list[Part]:
        return [Part(text=each, format="whatsapp") for each in whatsapp_messages(said)]


def _sent(message: "MessageInstance") -> Sent:
    if not message.sid:
        raise Uncertain("no sid in the answer")
    # A messaging service chooses the sender later, and says 0 until then.
    told = message.num_segments or ""
    return Sent(message.sid, (told.isdecimal() and int(told)) or segments(message.body or ""))


def _says(message: "MessageInstance", text: str) -> bool:
    """Services with smart encoding write plain signs for typographic ones themselves."""
    return fold((message.body or "").removeprefix(_TRIAL)).strip() == fold(text).strip()
