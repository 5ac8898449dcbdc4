"""The way to an OpenAI-compatible endpoint: one client, and one error for all that can go wrong on it."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from asissto.platform.errors import ProviderError
from asissto.platform.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_SECONDS = 3.0


class Endpoint:
    """The connection to the OpenAI-compatible endpoint of the settings, opened at the first call."""

    def __init__(self, settings: Settings, *, seconds: float, retries: int) -> None:
        self._settings = settings
        self._seconds = seconds
        self._retries = retries
        self._client: AsyncOpenAI | None = None

    async def client(self) -> "AsyncOpenAI":
        if self._client is None:
            openai = await asyncio.to_thread(import_module, "openai")  # takes 1.6 s the first time
            self._client = self._client or openai.AsyncOpenAI(
                api_key=self._settings.openai_api_key or "none",  # local servers want no key, the SDK insists on one
                base_url=self._settings.openai_base_url,
                timeout=openai.Timeout(self._seconds, connect=CONNECT_SECONDS),
                max_retries=self._retries,
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None


@contextmanager
def provider_errors(*, streaming: bool = False) -> Iterator[None]:
    """Whatever the SDK raises or lets through becomes a ProviderError, without its words: they may quote the key.

    `retry_after` among its params is the pause that the provider asked for, in seconds, or None.
    """
    import httpx2
    import openai

    try:
        yield
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as error:
        permanent, reason = _verdict(error, streaming=streaming)
        raise ProviderError(permanent=permanent, reason=reason, retry_after=_retry_after(error)) from None


def _verdict(error: Exception, *, streaming: bool) -> tuple[bool, str]:
    """Whether the same call would fail again, and why it failed."""
    import httpx2
    import openai

    permanent, reason = False, "broken_stream" if streaming else "server_error"
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
    response = getattr(error, "response", None)
    header = response.headers.get("retry-after", "") if response is not None else ""
    return float(header) if re.fullmatch(r"\d+(\.\d+)?", header) else None
