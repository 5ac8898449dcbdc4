"""What a failed call to Telegram means for what was to be sent; whoever imports this file loads aiogram."""

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
from aiohttp import ClientConnectorError, ClientError, ClientResponseError, ConnectionTimeoutError
from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

from asissto.channels.send_errors import (
    Blocked,
    ChannelBroken,
    Contested,
    Malformed,
    Moved,
    Permanent,
    RateLimited,
    Retryable,
    SendError,
    Uncertain,
)

FLOOD_SECONDS = 30.0
"""Where Telegram does not say how long to wait."""

CONFLICT_SECONDS = 30.0
"""How long another program that fetches the same bot's messages is left alone."""

_NOT_SENT = (ClientConnectorError, ConnectionTimeoutError, ProxyError, ProxyConnectionError, ProxyTimeoutError)
FAILURES = (AiogramError, ClientError, TimeoutError, OSError, *_NOT_SENT)
"""All that a call may raise."""

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


def send_error(error: Exception) -> SendError:
    """What a failed call means for what was to be sent."""
    if isinstance(error, TelegramConflictError):
        is_hook = "webhook is active" in error.message or "setWebhook" in error.message
        return HookIsSet(error.message) if is_hook else Contested(CONFLICT_SECONDS, "channel", error.message)
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


def download_error(error: Exception) -> SendError:
    """Nothing was to be sent: what may go well another time is Retryable."""
    if isinstance(error, ClientResponseError):  # its own words name the address, in which the token is
        return (Permanent if error.status < 500 else Retryable)(f"HTTP {error.status}")
    return Retryable(type(error).__name__)


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
