"""VK: messages to a community, over Long Poll or the Callback API."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from asissto.channels.blocks import Block, Span, blocks_of, pack, paragraph
from asissto.channels.buttons import buttons_on, with_buttons
from asissto.channels.calling import download
from asissto.channels.contract import (
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
from asissto.channels.plain_words import plain_blocks, plain_sources
from asissto.channels.send_errors import ChannelBroken, Permanent, Uncertain
from asissto.channels.vk_calls import API_VERSION, VkCalls, field
from asissto.channels.vk_events import FIRST_CHAT, PRESSED, WANTED, decoded, read_update
from asissto.channels.vk_polling import PAGE, begin, messages_of, poll
from asissto.channels.vk_users import names_of
from asissto.platform.errors import HookRefused

MOST_UNITS = 4_000
"""Of a message, in UTF-16; VK refuses from 4,096 on, though its schema says 9,000."""

KEY_SECONDS = 3_600.0
"""How long VK is sure to know a `random_id` again; nothing newer than an old page of its documentation says more."""

CLOCK_SECONDS = 120
_TITLE = "Asissto"
_MOST_HOPS = 5


class VkSettings(CommonSettings, frozen=True, kw_only=True):
    """`confirmation` is what VK wants to hear from the address of its Callback API; installing learns it."""

    group_id: Annotated[int, Meta(ge=1, le=2**53)]
    mode: Literal["long_poll", "callback"] = "long_poll"
    confirmation: Annotated[str, Meta(pattern=r"^\w*$", max_length=100)] = ""
    api_base: Annotated[str, Meta(pattern=r"^https?://[^\s?#]+$", max_length=300)] = "https://api.vk.ru"


class VkSecrets(CommonSecrets, frozen=True, kw_only=True):
    """The community's token, and the secret key of its Callback API; left out, the key is made from the token."""

    token: Annotated[str, Meta(pattern=r"^[\w.-]+$", min_length=10, max_length=500)]
    secret_key: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_]+$", min_length=8, max_length=50)] | None = None


class Vk(Connector):
    """A key is VK's `random_id`, by which it knows a repetition; a thread is a `peer_id`."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        again="idempotent", idempotent_seconds=KEY_SECONDS, lookup_after=0.0, types=True, names=True, rates=True
    )
    Settings = VkSettings
    Secrets = VkSecrets

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._group_id: int = account.settings.group_id
        self._calls = VkCalls(account)

    @property
    def polls(self) -> bool:
        return bool(self.account.settings.mode == "long_poll")

    def take(self, hook: Hook) -> Taken:
        """The request for the confirmation may come without the secret, which VK learns of only afterwards."""
        try:
            update = decoded(hook.body)
        except ValueError:
            raise HookRefused from None
        asks = update.get("type") == "confirmation"
        has_secret = "secret" in update or not asks
        if update.get("group_id") != self._group_id or (has_secret and not self._proves(update.get("secret"))):
            raise HookRefused
        if asks:
            return Taken([], Reply(body=self.account.settings.confirmation.encode()))
        return Taken([read_update(update, self._group_id)], Reply(body=b"ok"))

    def _proves(self, secret: object) -> bool:
        return isinstance(secret, str) and hmac.compare_digest(secret.encode(), self._secret_key.encode())

    @property
    def _secret_key(self) -> str:
        """Without one of the owner's: 50 letters that only who has the token can make."""
        given: str | None = self.account.secrets.secret_key
        about = f"asissto vk callback {self.account.channel_id}".encode()
        return given or hmac.new(self.account.secrets.token.encode(), about, hashlib.sha256).hexdigest()[:50]

    def first_cursor(self) -> dict[str, Any]:
        return begin()

    async def poll(self, cursor: dict[str, Any]) -> tuple[Sequence[Event], dict[str, Any]]:
        return await poll(self._calls, self._group_id, cursor)

    def render(self, said: Said) -> list[Part]:
        """Plain text, with the sources numbered below it."""
        blocks = blocks_of(said)
        if said.notice:
            blocks.append(paragraph(said.notice))
        if said.citations:
            blocks.append(Block("code", (Span(plain_sources(said)),)))  # code is cut between lines alone
        texts = [plain_blocks(message).strip() for message in pack(blocks, _fits)]
        return with_buttons([Part(text=text) for text in texts if text], said)

    async def send(self, to: Destination, part: Part, key: int) -> Sent:
        number = await self._calls.method(
            "messages.send",
            peer_id=_peer(to),
            message=part.text,
            random_id=key,
            dont_parse_links=1,
            disable_mentions=1,
            **_keyboard(part),
        )
        return Sent(str(number) if number else f"{to.thread}:{key}")  # in chats VK gives messages no number

    async def find_sent(self, to: Destination, part: Part, key: int, since: datetime) -> Sent | None:
        if _peer(to) >= FIRST_CHAT:
            raise Uncertain("VK shows no history of chats to communities")
        told = await self._calls.method("messages.getHistory", group_id=self._group_id, peer_id=_peer(to), count=PAGE)
        messages = messages_of(told)
        begin = since.timestamp() - CLOCK_SECONDS
        for message in messages:
            has_words = not message.random_id and message.text == part.text and message.date >= begin
            if message.out and (message.random_id == key or has_words):
                return Sent(message.name)
        if len(messages) >= PAGE and all(message.date >= begin for message in messages):
            raise Uncertain("the history does not go back far enough")
        return None

    async def show_typing(self, to: Destination) -> None:
        await self._calls.method("messages.setActivity", hurried=True, peer_id=_peer(to), type="typing")

    async def names(self, external_ids: Sequence[str]) -> dict[str, str]:
        return names_of(await self._calls.method("users.get", user_ids=",".join(external_ids)))

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        if not attachment.ref.startswith(("https://", "http://")):
            raise Permanent("VK gives no file of it")
        async for piece in download(self._calls.client, attachment.ref, most_hops=_MOST_HOPS):
            yield piece

    async def check(self) -> Health:
        """The community that the token belongs to must be the one of the settings."""
        told = await self._calls.method("groups.getById")
        group_id, name = field(told, "groups", 0, "id"), str(field(told, "groups", 0, "name"))
        if group_id != self._group_id:
            raise ChannelBroken(f"the token belongs to another community, {name} ({group_id})")
        return Health(name=name)

    async def install(self) -> dict[str, Any] | None:
        """VK asks for the confirmation as soon as it hears of our address, so that it has to be stored before."""
        if self.polls:
            await self._group("setLongPollSettings", enabled=1, **_settings())
            return None
        if self.account.hook_url is None:
            raise ChannelBroken("ASISSTO_PUBLIC_URL is not set: VK needs an address to bring its events to")
        code = field(await self._group("getCallbackConfirmationCode"), "code")
        if code != self.account.settings.confirmation:
            return {"confirmation": code}
        await self._group("setCallbackSettings", server_id=await self._callback_server(), **_settings())
        return None

    async def _callback_server(self) -> int:
        """Its number; VK keeps at most ten of them, so that ours is changed where it is there."""
        ours = {"url": self.account.hook_url, "title": _TITLE, "secret_key": self._secret_key}
        for server in field(await self._group("getCallbackServers"), "items"):
            if field(server, "url") == self.account.hook_url:
                number = int(field(server, "id"))
                await self._group("editCallbackServer", server_id=number, **ours)
                return number
        return int(field(await self._group("addCallbackServer", **ours), "server_id"))

    async def _group(self, name: str, **values: Any) -> Any:
        return await self._calls.method(f"groups.{name}", group_id=self._group_id, **values)

    async def close(self) -> None:
        await self._calls.close()


def _keyboard(part: Part) -> dict[str, Any]:
    """Below the message; whoever presses a button says its label, with the payload."""
    row = [
        {"action": {"type": "text", "label": button.label, "payload": json.dumps({PRESSED: button.value})}}
        for button in buttons_on(part)
    ]
    return {"keyboard": json.dumps({"inline": True, "buttons": [row]})} if row else {}


def _peer(to: Destination) -> int:
    return int(to.thread)


def _settings() -> dict[str, Any]:
    return {"api_version": API_VERSION, **dict.fromkeys(WANTED, 1)}


def _fits(blocks: Sequence[Block]) -> bool:
    return len(plain_blocks(blocks).encode("utf-16-le", "surrogatepass")) <= 2 * MOST_UNITS
