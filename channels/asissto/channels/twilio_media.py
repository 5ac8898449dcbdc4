"""What a customer sent besides words, read from Twilio's media store."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx2

from asissto.channels.calling import make_client
from asissto.channels.contract import Account
from asissto.channels.send_errors import Permanent, Retryable, SendError
from asissto.channels.twilio_errors import refusal
from asissto.platform.errors import AddressRefused

_MOST_HOPS = 4
"""Twilio redirects once or twice, to addresses that are good for some hours."""


async def read_media(account: Account, address: str, auth: tuple[str, str]) -> AsyncIterator[bytes]:
    """Only public hosts are asked, and only Twilio's own get the account's keys."""
    async with make_client(account, is_own_address=True) as client:
        url = _url(address)
        for _ in range(_MOST_HOPS):
            async with _opened(client, url, auth if _is_twilios(account, url) else None) as response:
                if not response.has_redirect_location:
                    async with aclosing(response.aiter_bytes()) as pieces:
                        async for piece in pieces:
                            yield piece
                    return
                # Not from response.url, where the guard has put an address in place of the name.
                url = url.join(_url(response.headers["location"]))
        raise Permanent("too many redirects")


def _url(address: str) -> httpx2.URL:
    try:
        return httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise Permanent("InvalidURL") from error


def _is_twilios(account: Account, url: httpx2.URL) -> bool:
    """Whether it is the service that we speak to anyway, or a host of Twilio's own."""
    base = account.settings.api_base
    if base:
        own = httpx2.URL(base)
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)
    return url.scheme == "https" and (url.host == "twilio.com" or url.host.endswith(".twilio.com"))


@asynccontextmanager
async def _opened(
    client: httpx2.AsyncClient, url: httpx2.URL, auth: tuple[str, str] | None
) -> AsyncIterator[httpx2.Response]:
    """Raises SendError, also where the answer breaks off; a file can always be asked for again."""
    try:
        async with client.stream("GET", url, auth=auth) as response:
            if response.is_success or response.has_redirect_location:
                yield response
            else:
                raise _refused(response)
    except (AddressRefused, httpx2.UnsupportedProtocol) as error:
        raise Permanent(type(error).__name__) from error
    except httpx2.HTTPError as error:
        raise Retryable(type(error).__name__) from error


def _refused(response: httpx2.Response) -> SendError:
    """Its keys are judged by what is sent, not by one file."""
    if response.status_code == 429:
        return refusal(response)
    detail = f"{response.status_code}"
    return Retryable(detail) if response.status_code >= 500 else Permanent(detail)
