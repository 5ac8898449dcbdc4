"""Requests to endpoints that tenants name: sent to public addresses alone, and answered in moderation."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2

from asissto.platform.errors import AddressRefused
from asissto.platform.public_addresses import is_public

MOST_BYTES = 64_000_000
"""Of one response; 128 vectors of 4,000 numbers are about 10 MB."""


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Connects to the very address that was judged, so that no later answer of the name server is believed.

    Raises AddressRefused where the host stands for any address that is not public.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self._inner = inner or httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        request.extensions["sni_hostname"] = host
        request.headers["accept-encoding"] = "identity"  # what is not unpacked cannot be a bomb
        failure: Exception = httpx2.ConnectError("the name has no address", request=request)
        for address in await public_addresses_of(host, request.url.port):
            request.url = request.url.copy_with(host=address)
            try:
                return _bounded(await self._inner.handle_async_request(request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()


async def public_addresses_of(host: str, port: int | None) -> list[str]:
    """In the resolver's order; raises AddressRefused where one of them is not public, ConnectError for no such name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise httpx2.ConnectError("no such name") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if not is_public(address):
            raise AddressRefused(address=address)
    return addresses


def _bounded(response: httpx2.Response) -> httpx2.Response:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.DecodingError("the response is packed, which was not asked for")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)
    return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for part in self._stream:
            left -= len(part)
            if left < 0:
                raise httpx2.ReadError("the response is too long")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
