"""Addresses that sitemaps list: XML or plain text, packed or not, one or an index of many."""

import asyncio
import zlib
from collections import deque

import msgspec
from lxml import etree  # type: ignore[import-untyped]

from asissto.ingestion.fetching import unpack
from asissto.ingestion.robots import Gets
from asissto.ingestion.web_addresses import join
from asissto.platform.errors import SitemapUnreadable

LIMIT_MB = 50
"""The most that the protocol allows for one file, unpacked."""

MOST_FILES = 50


class Sitemap(msgspec.Struct, frozen=True):
    """What one file lists: pages, or more sitemaps."""

    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()


async def listed_pages(web: Gets, sitemaps: list[str], limit: int) -> list[str]:
    """At most `limit` pages, in the order of the files. `lastmod` is not read: it is often wrong, and asking is cheap.

    Raises SitemapUnreadable and what fetching raises: half a list would look as if the other half were gone.
    """
    waiting, seen = deque(sitemaps), set(sitemaps)
    pages: dict[str, None] = {}
    while waiting and len(pages) < limit and len(seen) <= MOST_FILES:
        found = await read_sitemap(web, waiting.popleft())
        pages |= dict.fromkeys(found.pages)
        new = [each for each in found.sitemaps if each not in seen]
        waiting.extend(new)
        seen.update(new)
    return list(pages)[:limit]


async def read_sitemap(web: Gets, url: str) -> Sitemap:
    body = (await web.get(url, limit_mb=LIMIT_MB)).body or b""
    if body.startswith(b"\x1f\x8b"):
        body = _unpacked(url, body)
    return await asyncio.to_thread(parse_sitemap, url, body)


def _unpacked(url: str, body: bytes) -> bytes:
    try:
        unpacked = unpack(body, LIMIT_MB << 20)
    except zlib.error:
        raise SitemapUnreadable(url=url) from None
    if unpacked is None:
        raise SitemapUnreadable(url=url)
    return unpacked


def parse_sitemap(url: str, body: bytes) -> Sitemap:
    """Entities are not expanded, and nothing is loaded that the file names.

    Raises SitemapUnreadable, also for a part of a file, after which the rest would look removed.
    """
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _plain_list(url, body)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body.lstrip(), parser)
    except etree.XMLSyntaxError:
        raise SitemapUnreadable(url=url) from None
    kind = etree.QName(root).localname
    if kind not in {"urlset", "sitemapindex"}:
        raise SitemapUnreadable(url=url)
    places = (join(url, place.text or "") for place in root.iterfind("{*}*/{*}loc"))
    addresses = tuple(place for place in places if place)
    return Sitemap(sitemaps=addresses) if kind == "sitemapindex" else Sitemap(pages=addresses)


def _plain_list(url: str, body: bytes) -> Sitemap:
    """One address a line is a sitemap too."""
    lines = body.decode("utf-8-sig", "replace").split()
    if not lines or not all(line.startswith(("http://", "https://")) for line in lines):
        raise SitemapUnreadable(url=url)
    return Sitemap(pages=tuple(address for line in lines if (address := join(url, line))))
