"""Fetches one address from the web: guarded, limited in size and time, and only if it has changed."""

import os
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from asissto.ingestion.connecting import guarded_connector
from asissto.ingestion.web_addresses import join
from asissto.platform.errors import (
    AddressUnusable,
    PageBusy,
    PageGone,
    PageRedirects,
    PageStatus,
    PageTimeout,
    PageTooLarge,
    PageUnreachable,
)
from asissto.platform.settings import Settings

AGENT = "Asissto"
"""The name that robots.txt may address."""

MOST_REDIRECTS = 5
USUAL_WAIT = 60.0
"""Seconds to wait where a busy site does not say how long."""


class Patience(msgspec.Struct, frozen=True):
    """Seconds."""

    connect: float = 10
    read: float = 20
    total: float = 60


class Validators(msgspec.Struct, frozen=True):
    """What the site said of the copy that is there already; it answers 304 where nothing is newer."""

    etag: str | None = None
    last_modified: str | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is where the redirects ended; `body` is None where the page has not changed."""

    url: str
    media_type: str
    charset: str | None
    validators: Validators
    robots_tag: str
    body: bytes | None


class Fetcher:
    def __init__(
        self, settings: Settings, *, patience: Patience | None = None, resolver: AbstractResolver | None = None
    ) -> None:
        waits = patience or Patience()
        self._seconds = waits.total
        self._private = settings.crawl_private_addresses
        self._limit_mb = settings.max_upload_mb
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(private=self._private, resolver=resolver),
            timeout=aiohttp.ClientTimeout(total=waits.total, sock_connect=waits.connect, sock_read=waits.read),
            headers={"User-Agent": _user_agent(settings), "Accept-Encoding": "gzip"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # ours stops at the limit, however much a few bytes unpack to
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(
        self,
        url: str,
        known: Validators = Validators(),  # noqa: B008 - frozen
        *,
        check_target: Callable[[str], None] = lambda _: None,
        limit_mb: int | None = None,
    ) -> Fetched:
        """Follows up to 5 redirects, each guarded like the first address, and `check_target` may raise for it.

        Raises AddressUnusable, AddressRefused, PageGone for 404 and 410, PageBusy for 429 and 503, PageStatus,
        PageTooLarge, PageRedirects, PageTimeout, PageUnreachable.
        """
        here = url
        for _ in range(MOST_REDIRECTS + 1):
            self._check_port(here)
            answer = await self._get_one(here, known if here == url else Validators(), limit_mb or self._limit_mb)
            if isinstance(answer, Fetched):
                return answer
            check_target(answer)
            here = answer
        raise PageRedirects(url=url)

    def _check_port(self, url: str) -> None:
        if not (self._private or URL(url).is_default_port()):
            raise AddressUnusable(url=url)

    async def _get_one(self, url: str, known: Validators, limit_mb: int) -> Fetched | str:
        """The page, or the address that it redirects to."""
        headers = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
        sent = {name: value for name, value in headers.items() if value}
        try:
            async with self._session.get(URL(url), headers=sent, allow_redirects=False) as response:
                if target := _target(url, response):
                    return target
                _check_status(url, response)
                return await _read(url, response, limit_mb)
        except aiohttp.InvalidURL:  # such as 127.1 and 0177.0.0.1
            raise AddressUnusable(url=url) from None
        except TimeoutError:
            raise PageTimeout(url=url, seconds=round(self._seconds)) from None
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            raise PageUnreachable(url=url, detail=_plain(error)) from error


async def _read(url: str, response: aiohttp.ClientResponse, limit_mb: int) -> Fetched:
    kind = Message()
    kind["Content-Type"] = response.headers.get("Content-Type", "application/octet-stream")
    body = None if response.status == 304 else await _body(url, response, limit_mb)
    return Fetched(
        url=url,
        media_type=kind.get_content_type(),
        charset=kind.get_content_charset(),
        validators=Validators(response.headers.get("ETag"), response.headers.get("Last-Modified")),
        robots_tag=", ".join(response.headers.getall("X-Robots-Tag", [])),
        body=body,
    )


async def _body(url: str, response: aiohttp.ClientResponse, limit_mb: int) -> bytes:
    pieces = response.content.iter_chunked(1 << 16)
    packed = response.headers.get("Content-Encoding", "identity").lower()
    if packed not in {"identity", "gzip", "x-gzip"}:
        raise PageUnreachable(url=url, detail=f"Content-Encoding: {packed}")
    limit = limit_mb << 20
    if (response.content_length or 0) > limit:
        raise PageTooLarge(url=url, limit_mb=limit_mb)
    body = bytearray()
    unpack = None if packed == "identity" else zlib.decompressobj(wbits=31)
    async for piece in pieces:
        body += piece if unpack is None else unpack.decompress(piece, limit + 1 - len(body))
        if len(body) > limit:
            raise PageTooLarge(url=url, limit_mb=limit_mb)
    return bytes(body)


def _target(url: str, response: aiohttp.ClientResponse) -> str | None:
    location = response.headers.get("Location", "")
    if response.status not in {301, 302, 303, 307, 308} or not location:
        return None
    target = join(url, location)
    if target is None:
        raise AddressUnusable(url=location)
    return target


def _check_status(url: str, response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in {404, 410}:
        raise PageGone(url=url, status=status)
    if status in {429, 503}:
        raise PageBusy(url=url, status=status, seconds=_wait(response.headers.get("Retry-After", "")))
    if status not in {200, 203, 304}:
        raise PageStatus(url=url, status=status)


def _wait(retry_after: str) -> float:
    """Seconds that the header asks for, which says them as a number or as a date."""
    if retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return USUAL_WAIT
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def unpack(data: bytes, limit: int) -> bytes | None:
    """What a gzip file holds; None where that is more than `limit` bytes. Raises zlib.error."""
    unpacked = zlib.decompressobj(wbits=31).decompress(data, limit + 1)
    return None if len(unpacked) > limit else unpacked


def _user_agent(settings: Settings) -> str:
    contact = f" (+{settings.public_url})" if settings.public_url else ""
    return f"{AGENT}/{version('asissto')}{contact}"


def _plain(error: Exception) -> str:
    """The cause without the words of the library around it."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return os.strerror(cause.errno)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
