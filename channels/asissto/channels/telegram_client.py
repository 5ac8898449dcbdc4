"""Telegram's Bot API through aiogram, one call at a time; whoever imports this file loads aiogram and pydantic."""

import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any, TypeVar, cast

import certifi
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import TelegramMethod
from aiohttp import ClientConnectorError, ClientError, ClientResponseError, ClientTimeout, ConnectionTimeoutError
from aiohttp.client_reqrep import ClientResponse
from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Malformed,
    Moved,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)
from asissto.platform.public_addresses import is_public

CONNECT_SECONDS = 6.0
FLOOD_SECONDS = 30.0
"""Where Telegram does not say how long to wait."""

CONFLICT_SECONDS = 30.0
"""How long another program that fetches the same bot's messages is left alone."""

_MOST_BYTES = 16_000_000  # getUpdates ends after 4 MB (telegram-bot-api, JsonUpdates)
_NOT_SENT = (ClientConnectorError, ConnectionTimeoutError, ProxyError, ProxyConnectionError, ProxyTimeoutError)
_FAILED = (AiogramError, ClientError, TimeoutError, OSError, *_NOT_SENT)
_T = TypeVar("_T")

_REFUSED = {
    "chat not found": "unreachable",
    "user not found": "unreachable",
    "peer_id_invalid": "unreachable",
    "message thread not found": "unreachable",
    "topic_deleted": "unreachable",
    "topic_closed": "not_allowed",
    "not enough rights": "not_allowed",
    "have no rights": "not_allowed",
    "chat_write_forbidden": "not_allowed",
    "chat_restricted": "not_allowed",
    "user_is_blocked": "blocked",
    "blocked by the user": "blocked",
    "kicked": "blocked",
    "not a member": "blocked",
    "deactivated": "unreachable",
    "was deleted": "unreachable",
}
"""What Telegram says in lower case, and why the customer cannot be written to."""


class HookIsSet(Retryable):
    """Updates cannot be fetched while Telegram brings them."""


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
        limits = ClientTimeout(total=timeout, connect=CONNECT_SECONDS)
        async with session.post(url, data=form, timeout=limits, allow_redirects=False) as response:
            content = await _text_of(response)
        checked = self.check_response(bot=bot, method=method, status_code=response.status, content=content)
        return cast("_T", checked.result)


async def call(bot: Bot, method: TelegramMethod[_T], seconds: float) -> _T:
    """Raises SendError, of which HookIsSet is one."""
    try:
        return await bot(method, request_timeout=cast("int", seconds))
    except TelegramConflictError as error:
        if "webhook is active" in error.message or "setWebhook" in error.message:
            raise HookIsSet from None
        raise RateLimited(CONFLICT_SECONDS, "channel", error.message) from None
    except _FAILED as error:  # what the errors of aiohttp quote may hold the token
        raise send_error(error) from None


async def download(bot: Bot, path: str, most_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    """Raises SendError, also for more bytes than `most_bytes`."""
    session = await cast("Session", bot.session).create_session()
    url = bot.session.api.file_url(bot.token, path)
    limits = ClientTimeout(total=seconds, connect=CONNECT_SECONDS)
    left = most_bytes
    try:
        async with session.get(url, timeout=limits, allow_redirects=False, raise_for_status=True) as response:
            async for piece in response.content.iter_chunked(65_536):
                left -= len(piece)
                if left < 0:
                    raise Permanent("the file is too large")
                yield piece
    except ClientResponseError as error:
        raise (Permanent if error.status < 500 else Retryable)(f"HTTP {error.status}") from None
    except _FAILED as error:
        raise Retryable(type(error).__name__) from None


def send_error(error: Exception) -> SendError:
    """What a failed call means for what was to be sent."""
    if isinstance(error, TelegramAPIError):
        return _from_telegram(error)
    if isinstance(error, ClientDecodeError):  # the page of some proxy, after which nobody knows
        return Uncertain("the answer is not Telegram's")
    if isinstance(error, _NOT_SENT):
        return Retryable(_why_not_sent(error))
    return Uncertain(type(error).__name__)


def _why_not_sent(error: Exception) -> str:
    """Names hosts and never the path, in which the token is."""
    if isinstance(error, ConnectionTimeoutError):
        return type(error).__name__
    return f"{type(error).__name__}: {error.os_error if isinstance(error, ClientConnectorError) else error}"


def _from_telegram(error: TelegramAPIError) -> SendError:
    said = error.message
    if isinstance(error, TelegramRetryAfter):
        return RateLimited(error.retry_after, "chat" if getattr(error.method, "chat_id", None) else "channel", said)
    if isinstance(error, TelegramMigrateToChat):
        return Moved(str(error.migrate_to_chat_id), said)
    if isinstance(error, TelegramUnauthorizedError | TelegramNotFound):
        return ChannelBroken(said)
    return _from_words(error, said)


def _from_words(error: TelegramAPIError, said: str) -> SendError:
    if isinstance(error, TelegramForbiddenError):
        return Blocked(_reason(said) or "not_allowed", said)
    if isinstance(error, TelegramBadRequest):
        return _from_bad_request(said)
    if isinstance(error, TelegramServerError):
        return _from_server(said)
    return RateLimited(FLOOD_SECONDS, "channel", said) if "Too Many Requests" in said else Permanent(said)


def _from_bad_request(said: str) -> SendError:
    if "can't parse entities" in said:
        return Malformed(said)
    reason = _reason(said)
    return Permanent(said) if reason is None else Blocked(reason, said)


def _from_server(said: str) -> SendError:
    """The server's word that it did not do it, except where it was ended in the middle of it."""
    if "immediately deleted" in said:
        return Permanent(said)
    return (Uncertain if "restart" in said or "aborted" in said else Retryable)(said)


def _reason(said: str) -> str | None:
    return next((reason for words, reason in _REFUSED.items() if words in said.lower()), None)


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
