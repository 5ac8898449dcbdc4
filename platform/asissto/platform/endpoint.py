"""The way to an OpenAI-compatible endpoint: one client, and one error for all that can go wrong on it."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import Struct

from asissto.platform.errors import AddressRefused, ProviderError
from asissto.platform.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_SECONDS = 3.0
OPENAI_HOST = "api.openai.com"
SERVER = "server"
"""What calls name the endpoint of the server's settings."""


class Connection(Struct, frozen=True, kw_only=True):
    """Where an endpoint is and how it is spoken to; `guarded` ones may lie at public addresses alone.

    `first_token_seconds` and `answer_seconds` go before the defaults of chat.py. Its repr tells no secret.
    """

    base_url: str | None
    api_key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    provider_id: UUID | None = None
    provider: str = SERVER
    guarded: bool = False
    first_token_seconds: float | None = None
    answer_seconds: float | None = None

    @property
    def is_openai(self) -> bool:
        """Whether it is the vendor's own, whose list of prices holds."""
        return self.base_url is None or urlsplit(self.base_url).hostname == OPENAI_HOST

    def __repr__(self) -> str:
        return f"Connection(provider={self.provider!r})"


def operators_connection(settings: Settings) -> Connection:
    return Connection(base_url=settings.openai_base_url, api_key=settings.openai_api_key)


class Endpoint:
    """The client of a connection, opened at the first call; `seconds` may pass without a byte."""

    def __init__(self, connection: Connection, *, seconds: float, retries: int = 0) -> None:
        self.connection = connection
        self._seconds = seconds
        self._retries = retries
        self._client: AsyncOpenAI | None = None

    async def client(self) -> "AsyncOpenAI":
        if self._client is None:
            openai = await asyncio.to_thread(import_module, "openai")  # takes 1.6 s the first time
            self._client = self._client or self._open(openai)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _open(self, openai: Any) -> "AsyncOpenAI":
        timeout = openai.Timeout(self._seconds, connect=CONNECT_SECONDS)
        client: AsyncOpenAI = openai.AsyncOpenAI(
            api_key=self.connection.api_key or "none",  # local servers want no key, the SDK insists on one
            base_url=self.connection.base_url,
            timeout=timeout,
            max_retries=self._retries,
            default_headers=dict(self.connection.headers),
            http_client=_guarded_client(timeout) if self.connection.guarded else None,
        )
        return client


def _guarded_client(timeout: Any) -> Any:
    """Follows no redirect: it would take the tenant's headers along."""
    import httpx2

    from asissto.platform.guarded_transport import GuardedTransport

    return httpx2.AsyncClient(transport=GuardedTransport(), timeout=timeout, follow_redirects=False)


@contextmanager
def provider_errors(*, streaming: bool = False) -> Iterator[None]:
    """Whatever the SDK raises or lets through becomes a ProviderError, without its words: they may quote the key.

    `retry_after` among its params is the pause that the provider asked for, in seconds, or None.
    """
    import httpx2
    import openai

    try:
        yield
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, AddressRefused) as error:
        permanent, reason = _verdict(error, streaming=streaming)
        raise ProviderError(permanent=permanent, reason=reason, retry_after=_retry_after(error)) from None


def _verdict(error: Exception, *, streaming: bool) -> tuple[bool, str]:
    """Whether the same call would fail again, and why it failed."""
    import httpx2
    import openai

    permanent, reason = False, "broken_stream" if streaming else "server_error"
    if isinstance(error, AddressRefused) or isinstance(error.__cause__, AddressRefused):
        return True, "private_address"
    match error:
        case TimeoutError() | openai.APITimeoutError() | httpx2.TimeoutException():
            reason = "timeout"
        case openai.APIStatusError(status_code=status):
            permanent, reason = _verdict_of_status(status)
        case openai.APIConnectionError() | httpx2.HTTPError():
            reason = "broken_stream" if streaming else "unreachable"
        case openai.APIError():  # an error told inside the stream, after a good status
            reason = "server_error"
        case httpx2.InvalidURL():
            permanent, reason = True, "unreachable"
        case UnicodeEncodeError():  # a key with Cyrillic letters in it does not fit into a header
            permanent, reason = True, "bad_api_key"
    return permanent, reason


def _verdict_of_status(status: int) -> tuple[bool, str]:
    if status in {408, 409, 425} or status >= 500:
        return False, "server_error"
    if status == 429:
        return False, "rate_limited"
    return True, {401: "bad_api_key", 404: "unknown_model"}.get(status, "refused")


def _retry_after(error: Exception) -> float | None:
    """The header has seconds or a date."""
    response = getattr(error, "response", None)
    header = response.headers.get("retry-after", "") if response is not None else ""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", header):
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
