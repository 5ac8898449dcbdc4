"""Telegram: a bot that fetches its messages or is called, answers in HTML, and shows its sources below."""

import hmac
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from asissto.channels.buttons import buttons_on, with_buttons
from asissto.channels.contract import (
    SEND_SECONDS,
    Account,
    Attachment,
    Capabilities,
    CommonSecrets,
    CommonSettings,
    Connector,
    Destination,
    Event,
    Health,
    Hook,
    Part,
    Reply,
    Said,
    Sent,
    Taken,
)
from asissto.channels.send_errors import ChannelBroken, Permanent, SendError
from asissto.channels.telegram_events import UPDATES, event_of, external_id, place_of, presses
from asissto.channels.telegram_events import Bot as Reader
from asissto.channels.telegram_html import render_html
from asissto.platform.errors import HookRefused

if TYPE_CHECKING:
    from aiogram.types import WebhookInfo

    from asissto.channels.telegram_client import Client

API_BASE = "https://api.telegram.org"
POLL_SECONDS = 20
"""How long Telegram holds a request open until something happens."""

MOST_FILE_BYTES = 20_000_000
"""Telegram gives a bot no larger file."""

_TYPING_SECONDS = 5.0
_FILE_SECONDS = 60.0
_IN_TIME = SEND_SECONDS - 1.0
"""aiohttp rounds long timeouts up to a whole second."""

_SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - a name


class TelegramSettings(CommonSettings, frozen=True, kw_only=True):
    """`polling` needs no public address, `webhook` is for production; in groups the bot hears mentions and replies."""

    mode: Literal["polling", "webhook"] = "polling"
    groups: Literal["off", "mention"] = "off"
    api_base: Annotated[str, Meta(max_length=300, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] = API_BASE
    """Of a Bot API server of one's own."""


class TelegramSecrets(CommonSecrets, frozen=True, kw_only=True):
    """The token is BotFather's; Telegram proves with the other one that it is Telegram."""

    bot_token: Annotated[str, Meta(pattern=r"^[0-9]{1,20}:[A-Za-z0-9_-]{30,100}$")]
    webhook_secret: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,256}$")] = msgspec.field(
        default_factory=lambda: secrets.token_urlsafe(32)
    )


class Telegram(Connector):
    """`thread` is a chat, or `chat:topic`; messages are `chat:message`, since each group counts its own."""

    capabilities: ClassVar[Capabilities] = Capabilities(again="none", types=True, rates=True)
    Settings: ClassVar[type[CommonSettings]] = TelegramSettings
    Secrets: ClassVar[type[CommonSecrets]] = TelegramSecrets

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._settings: TelegramSettings = account.settings
        self._secrets: TelegramSecrets = account.secrets
        self._bot_id = int(self._secrets.bot_token.partition(":")[0])
        self._made: Client | None = None

    @property
    def polls(self) -> bool:
        return self._settings.mode == "polling"

    def take(self, hook: Hook) -> Taken:
        """The bot's name stands in the address, as `install` gave it to Telegram."""
        given = hook.headers.get(_SECRET_HEADER, "").encode()
        if not hmac.compare_digest(given, self._secrets.webhook_secret.encode()):
            raise HookRefused
        try:
            update = msgspec.json.decode(hook.body, type=dict[str, Any])
            event = event_of(update, self._reader(hook.query.removeprefix("bot=")))
            return Taken([event], _heard(presses([update])))
        except (msgspec.DecodeError, KeyError):
            return Taken([])

    async def poll(self, cursor: dict[str, Any]) -> tuple[Sequence[Event], dict[str, Any]]:
        """`offset` and `username` in the cursor are those of `bot`; another token begins anew."""
        from asissto.channels.telegram_errors import HookIsSet

        if cursor.get("bot") != self._bot_id:
            return [], {"bot": self._bot_id, "username": await self._username()}
        try:
            found = await self._client.updates(
                cursor.get("offset"), UPDATES, wait=POLL_SECONDS, seconds=POLL_SECONDS + _IN_TIME
            )
        except HookIsSet:
            await self._client.delete_webhook(_IN_TIME)
            return [], cursor
        if not found:
            return [], cursor
        reader = self._reader(cursor["username"])
        for press in presses(found):
            with suppress(SendError):  # the button looks pressed a little longer
                await self._client.hear(press, _TYPING_SECONDS)
        next_offset = max(update["update_id"] for update in found) + 1
        return [event_of(update, reader) for update in found], cursor | {"offset": next_offset}

    def render(self, said: Said) -> list[Part]:
        return with_buttons(render_html(said), said)

    async def send(self, to: Destination, part: Part, key: int) -> Sent:  # noqa: ARG002 - Telegram knows no keys
        from asissto.channels.telegram_client import SendText

        chat_id, topic = place_of(to.thread)
        replied = to.address.get("reply_to") if part.extra.get("is_first") else None
        message = SendText(
            chat_id=chat_id,
            message_thread_id=topic,
            text=part.text,
            parse_mode="HTML" if part.format == "html" else None,
            link_preview_options={"is_disabled": True},
            reply_markup=_keyboard(part),
            reply_parameters={"message_id": replied, "allow_sending_without_reply": True} if replied else None,
        )
        return Sent(external_id(chat_id, await self._client.send(message, _IN_TIME)))

    async def show_typing(self, to: Destination) -> None:
        await self._client.type(*place_of(to.thread), seconds=_TYPING_SECONDS)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        if (attachment.size or 0) > MOST_FILE_BYTES:
            raise Permanent("the file is too large")
        path = await self._client.path_of(attachment.ref, _IN_TIME)
        async for piece in self._client.download(path, MOST_FILE_BYTES, _FILE_SECONDS):
            yield piece

    async def check(self) -> Health:
        bot = await self._client.me(_IN_TIME / 2)
        notes = self._notes_on(await self._client.webhook(_IN_TIME / 2))
        if self._settings.groups != "off" and not bot.can_join_groups:
            notes = (*notes, "telegram.no_groups")
        return Health(name=f"@{bot.username}", notes=notes)

    async def install(self) -> None:
        if self.polls:
            await self._client.delete_webhook(_IN_TIME)
        elif self.account.hook_url is None:
            raise ChannelBroken("a webhook needs a public address")
        else:
            url = f"{self.account.hook_url}?bot={await self._username()}"
            await self._client.set_webhook(url, self._secrets.webhook_secret, UPDATES, _IN_TIME)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()
            self._made = None

    @property
    def _client(self) -> "Client":
        if self._made is None:
            from asissto.channels.telegram_client import Client

            base = self._settings.api_base
            is_guarded = self.account.guarded and base != API_BASE
            self._made = Client(self._secrets.bot_token, base, self._secrets.proxy, is_guarded=is_guarded)
        return self._made

    async def _username(self) -> str:
        return (await self._client.me(_IN_TIME)).username or ""

    def _reader(self, username: str) -> Reader:
        return Reader(id=self._bot_id, username=username, in_groups=self._settings.groups != "off")

    def _notes_on(self, hook: "WebhookInfo") -> tuple[str, ...]:
        if self.polls:
            return ("telegram.hook_in_the_way",) if hook.url else ()
        if self.account.hook_url is None or not (hook.url or "").startswith(self.account.hook_url):
            return ("telegram.hook_missing",)
        return ("telegram.hook_fails",) if hook.last_error_message and hook.pending_update_count else ()


def _keyboard(part: Part) -> dict[str, Any] | None:
    row = [{"text": button.label, "callback_data": button.value} for button in buttons_on(part)]
    return {"inline_keyboard": [row]} if row else None


def _heard(presses: Sequence[str]) -> Reply:
    """The answer to a hook may itself be a call of the Bot API."""
    if not presses:
        return Reply()
    call = {"method": "answerCallbackQuery", "callback_query_id": presses[0]}
    return Reply(body=msgspec.json.encode(call), media_type="application/json")
