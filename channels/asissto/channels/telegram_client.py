"""Telegram's Bot API through aiogram, one call at a time; whoever imports this file loads aiogram and pydantic."""

import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, cast

import certifi
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import (
    AnswerCallbackQuery,
    DeleteWebhook,
    GetFile,
    GetMe,
    GetWebhookInfo,
    SendChatAction,
    SetWebhook,
    TelegramMethod,
)
from aiogram.types import User, WebhookInfo
from aiohttp import ClientError, ClientTimeout
from aiohttp.client_reqrep import ClientResponse

from asissto.channels.send_errors import Permanent
from asissto.channels.telegram_errors import FAILURES, download_error, send_error
from asissto.platform.public_addresses import is_public

CONNECT_SECONDS = 6.0
_MOST_BYTES = 16_000_000  # getUpdates ends after 4 MB (telegram-bot-api, JsonUpdates)
_T = TypeVar("_T")


class Client:
    """Each call ends within the given seconds, and raises SendError; `is_guarded`: see Session."""

    def __init__(self, token: str, api_base: str, proxy: str | None, *, is_guarded: bool) -> None:
        self._session = Session(api_base, proxy, is_guarded=is_guarded)
        self._bot = Bot(token, session=self._session)

    async def me(self, seconds: float) -> User:
        return await self._call(GetMe(), seconds)

    async def updates(
        self, offset: int | None, kinds: Sequence[str], wait: int, seconds: float
    ) -> list[dict[str, Any]]:
        """Those from the offset on, which forgets all before it; Telegram waits until there is one."""
        return await self._call(FetchUpdates(offset=offset, timeout=wait, allowed_updates=list(kinds)), seconds)

    async def send(self, message: "SendText", seconds: float) -> int:
        """The number of the message in its chat."""
        return int((await self._call(message, seconds))["message_id"])

    async def type(self, chat_id: int, topic: int | None, seconds: float) -> None:
        await self._call(SendChatAction(chat_id=chat_id, message_thread_id=topic, action="typing"), seconds)

    async def hear(self, callback_query_id: str, seconds: float) -> None:
        """Ends the waiting of somebody who has pressed a button."""
        await self._call(AnswerCallbackQuery(callback_query_id=callback_query_id), seconds)

    async def webhook(self, seconds: float) -> WebhookInfo:
        return await self._call(GetWebhookInfo(), seconds)

    async def set_webhook(self, url: str, secret: str, kinds: Sequence[str], seconds: float) -> None:
        await self._call(SetWebhook(url=url, secret_token=secret, allowed_updates=list(kinds)), seconds)

    async def delete_webhook(self, seconds: float) -> None:
        await self._call(DeleteWebhook(), seconds)

    async def path_of(self, file_id: str, seconds: float) -> str:
        found = (await self._call(GetFile(file_id=file_id), seconds)).file_path
        if not found:
            raise Permanent("Telegram does not give the file")
        return found

    async def download(self, path: str, most_bytes: int, seconds: float) -> AsyncIterator[bytes]:
        """Raises Permanent after `most_bytes`."""
        session = await self._session.create_session()
        url = self._session.api.file_url(self._bot.token, path)
        left = most_bytes
        try:
            async with session.get(
                url, timeout=_limits(seconds), allow_redirects=False, raise_for_status=True
            ) as response:
                async for piece in response.content.iter_chunked(65_536):
                    left -= len(piece)
                    if left < 0:
                        raise Permanent("the file is too large")
                    yield piece
        except FAILURES as error:
            raise download_error(error) from None

    async def close(self) -> None:
        await self._session.close()

    async def _call(self, method: TelegramMethod[_T], seconds: float) -> _T:
        try:
            return await self._bot(method, request_timeout=cast("int", seconds))
        except FAILURES as error:  # what the errors of aiohttp quote may hold the token
            raise send_error(error) from None


class FetchUpdates(TelegramMethod[list[dict[str, Any]]]):
    """As they came: aiogram refuses a whole batch for one field that it does not know."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    timeout: int
    allowed_updates: list[str]


class SendText(TelegramMethod[dict[str, Any]]):
    """Its answer is not examined: what was sent must not look as if it was not."""

    __returning__ = dict[str, Any]
    __api_method__ = "sendMessage"

    chat_id: int
    text: str
    message_thread_id: int | None = None
    parse_mode: str | None = None
    reply_parameters: dict[str, Any] | None = None
    reply_markup: dict[str, Any] | None = None
    link_preview_options: dict[str, Any]


class Session(AiohttpSession):
    """Bounded in time and size, never sent elsewhere; `is_guarded`: connects to public addresses alone."""

    def __init__(self, api_base: str, proxy: str | None, *, is_guarded: bool) -> None:
        super().__init__(proxy=_for_socks(proxy), api=TelegramAPIServer.from_base(api_base))
        if proxy is None and is_guarded:
            self._connector_init["socket_factory"] = _public_socket
        if proxy is not None and proxy.startswith("https:"):
            self._connector_init["proxy_ssl"] = ssl.create_default_context(cafile=certifi.where())

    async def make_request(self, bot: Bot, method: TelegramMethod[_T], timeout: float | None = None) -> _T:  # noqa: ASYNC109
        session = await self.create_session()
        url = self.api.api_url(token=bot.token, method=method.__api_method__)
        form = self.build_form_data(bot=bot, method=method)
        async with session.post(url, data=form, timeout=_limits(timeout), allow_redirects=False) as response:
            content = await _text_of(response)
        checked = self.check_response(bot=bot, method=method, status_code=response.status, content=content)
        return cast("_T", checked.result)


def _limits(seconds: float | None) -> ClientTimeout:
    return ClientTimeout(total=seconds, connect=CONNECT_SECONDS)


async def _text_of(response: ClientResponse) -> str:
    content = bytearray()
    async for piece in response.content.iter_chunked(65_536):
        content += piece
        if len(content) > _MOST_BYTES:
            raise ClientError("the answer is too long")
    return content.decode("utf-8", "replace")


def _for_socks(proxy: str | None) -> str | None:
    """The scheme as aiohttp-socks knows it; it lets every proxy look up names."""
    return None if proxy is None else proxy.replace("socks5h:", "socks5:", 1).replace("https:", "http:", 1)


def _public_socket(address: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    """For the very address that is connected to, so that no later answer of the name server is believed."""
    family, kind, proto, _, place = address
    if not is_public(str(place[0])):
        raise OSError(f"{place[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=proto)
