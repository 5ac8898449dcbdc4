"""Calls to a provider over HTTP, whose failures are told apart by whether the request may have been carried out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from asissto.channels.contract import SEND_SECONDS, Account
from asissto.channels.send_errors import ChannelBroken, Permanent, Retryable, Uncertain
from asissto.platform.errors import AddressRefused
from asissto.platform.guarded_transport import GuardedTransport, public_addresses_of

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


async def download(client: httpx2.AsyncClient, url: str, *, follow_redirects: bool = False) -> AsyncIterator[bytes]:
    """The content in pieces. Asking again harms nobody: raises Retryable, and Permanent where it is refused."""
    try:
        async with client.stream("GET", url, follow_redirects=follow_redirects) as response:
            status = response.status_code
            if status in (408, 429) or status >= 500:
                raise Retryable(f"HTTP {status}")
            if not response.is_success:
                raise Permanent(f"HTTP {status}")
            async for piece in response.aiter_bytes():
                yield piece
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, AddressRefused) as error:
        raise Permanent(type(error).__name__) from error
    except httpx2.HTTPError as error:
        raise Retryable(type(error).__name__) from error
