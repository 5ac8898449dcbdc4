"""Calls to a provider over HTTP, whose failures are told apart by whether the request may have been carried out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2

from asissto.channels.contract import SEND_SECONDS, Account
from asissto.channels.send_errors import ChannelBroken, Permanent, RateLimited, Retryable, Uncertain
from asissto.platform.errors import AddressRefused
from asissto.platform.guarded_transport import GuardedTransport, public_addresses_of

_LONGEST_PAUSE = 3_600.0
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


def make_client(account: Account, *, is_own_address: bool = False, **options: Any) -> httpx2.AsyncClient:
    """`is_own_address`: the tenant names the host, so that it must be a public one unless the settings allow others."""
    proxy = account.secrets.proxy
    if is_own_address and account.guarded and proxy is None:
        options["transport"] = GuardedTransport()
    return httpx2.AsyncClient(proxy=proxy, timeout=SEND_SECONDS, follow_redirects=False, **options)


async def check_proxy(account: Account) -> None:
    """Raises ChannelBroken for a proxy inside the operator's network: a tenant could reach into it through its port."""
    if account.secrets.proxy is None or not account.guarded:
        return
    address = httpx2.URL(account.secrets.proxy)
    try:
        await public_addresses_of(address.host, address.port)
    except (AddressRefused, httpx2.ConnectError) as error:
        raise ChannelBroken("the proxy has no public address") from error


async def call(client: httpx2.AsyncClient, method: str, url: str, **options: Any) -> httpx2.Response:
    """Raises Retryable where nothing was sent, and Uncertain where no answer came; statuses are the caller's matter."""
    try:
        return await client.request(method, url, **options)
    except (*_NOT_SENT, AddressRefused) as error:
        raise Retryable(type(error).__name__) from error
    except httpx2.HTTPError as error:
        raise Uncertain(type(error).__name__) from error


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """All within has SEND_SECONDS, also an answer that comes drop by drop; raises Uncertain."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise Uncertain("TimeoutError") from error


Keys = tuple[str, str] | None
"""Name and password of an account."""


def no_keys(_url: httpx2.URL) -> Keys:
    return None


async def download(
    client: httpx2.AsyncClient, url: str, *, most_hops: int = 0, keys_for: Callable[[httpx2.URL], Keys] = no_keys
) -> AsyncIterator[bytes]:
    """The content in pieces, from behind at most so many redirects; `keys_for` each address says who asks there.

    Asking again harms nobody: raises Retryable, RateLimited where a pause is named, and Permanent where it is refused.
    """
    address = _url(url)
    for _ in range(most_hops + 1):
        async with _opened(client, address, keys_for(address)) as response:
            if not (most_hops and response.has_redirect_location):
                async with aclosing(_content(response)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            # Not from response.url, where the guard has put an address in place of the name.
            address = address.join(_url(response.headers["location"]))
    raise Permanent("too many redirects")


def _url(address: str) -> httpx2.URL:
    try:
        return httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise Permanent("InvalidURL") from error


@asynccontextmanager
async def _opened(client: httpx2.AsyncClient, url: httpx2.URL, keys: Keys) -> AsyncIterator[httpx2.Response]:
    """Raises as `download` does, also where the answer breaks off."""
    try:
        async with client.stream("GET", url, auth=keys, follow_redirects=False) as response:
            yield response
    except (httpx2.UnsupportedProtocol, AddressRefused) as error:
        raise Permanent(type(error).__name__) from error
    except httpx2.HTTPError as error:
        raise Retryable(type(error).__name__) from error


async def _content(response: httpx2.Response) -> AsyncGenerator[bytes]:
    status = response.status_code
    detail = f"HTTP {status}"
    if status == 429 and (pause := response.headers.get("retry-after", "")).isdecimal():
        raise RateLimited(min(float(pause), _LONGEST_PAUSE), "channel", detail)
    if status in (408, 429) or status >= 500:
        raise Retryable(detail)
    if not response.is_success:
        raise Permanent(detail)
    async for piece in response.aiter_bytes():
        yield piece
