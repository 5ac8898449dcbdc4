"""One page of a source: asked for if it may be, taken apart, and told what it comes to."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import msgspec
from yarl import URL

from asissto.ingestion.fetching import Fetched, Validators
from asissto.ingestion.robots import Gets, Robots
from asissto.ingestion.sniffing import SUPPORTED
from asissto.ingestion.web_addresses import same_site
from asissto.ingestion.web_pages import page_text, read_page
from asissto.platform.errors import (
    AddressRefused,
    AddressUnusable,
    AsisstoError,
    DocumentCorrupt,
    PageDisallowed,
    PageDuplicate,
    PageElsewhere,
    PageEmpty,
    PageGone,
    PageHidden,
    PageStatus,
    PageTooLarge,
    PageTypeUnknown,
    SourceProblem,
)

LARGEST_PAGE_MB = 10
"""Of HTML, which is taken apart in memory; files have the limit of uploads."""


class Known(msgspec.Struct, frozen=True):
    """A page of a sync before; `visited` in this one, then it is not asked for again and its links are followed.

    `moved` where it redirects to the one that it links to.
    """

    validators: Validators
    links: Sequence[str]
    visited: bool = False
    moved: bool = False


class Content(msgspec.Struct, frozen=True):
    """What is to be stored of a page."""

    data: bytes
    suffix: str


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Either content, or an error, or neither where the page is the same as before."""

    url: str
    first: bool = False
    content: Content | None = None
    error: AsisstoError | None = None
    validators: Validators = Validators()
    links: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """An address to go to; `first` is the source's own and where that one redirects to."""

    url: str
    depth: int
    first: bool = False


class Moved(Exception):
    """The page redirects: its target is looked at as a page of its own, by all the rules for pages."""

    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__(target)


async def visit_page(web: Gets, robots: Robots, step: Step, known: Known | None, near: Callable[[str], bool]) -> Visit:
    """Errors are a part of what is told; `near` says whether an address belongs to the site."""
    try:
        return await _read(web, robots, step, known, near)
    except Moved as moved:
        return _moved(step, moved.target, near)
    except (SourceProblem, AddressRefused, AddressUnusable, DocumentCorrupt) as error:
        links = () if known is None or isinstance(error, PageGone) else tuple(known.links)
        return Visit(url=step.url, first=step.first, error=error, links=links)


def _moved(step: Step, target: str, near: Callable[[str], bool]) -> Visit:
    if step.first or near(target):
        error: SourceProblem = PageDuplicate(url=step.url, target=target)
        return Visit(url=step.url, first=step.first, error=error, links=(target,))
    return Visit(url=step.url, error=PageElsewhere(url=step.url, target=target))


async def _read(web: Gets, robots: Robots, step: Step, known: Known | None, near: Callable[[str], bool]) -> Visit:
    if not robots.allows(step.url):
        raise PageDisallowed(url=step.url)
    page = await web.get(step.url, known.validators if known else Validators(), check_target=_stop)
    if page.body is None:
        if known is None:
            raise PageStatus(url=step.url, status=304)
        return Visit(url=step.url, first=step.first, links=tuple(known.links))
    suffix = _suffix(page)
    if suffix == ".html":
        return await asyncio.to_thread(_take_apart, step, page, near)
    data = page_text(page).encode() if suffix in _TEXT else page.body
    return Visit(url=step.url, first=step.first, validators=page.validators, content=Content(data, suffix))


def _take_apart(step: Step, page: Fetched, near: Callable[[str], bool]) -> Visit:
    if len(page.body or b"") > LARGEST_PAGE_MB << 20:
        raise PageTooLarge(url=step.url, limit_mb=LARGEST_PAGE_MB)
    found = read_page(page, keep_footer=step.first)
    if found.canonical is not None and _is_variant(step.url, found.canonical):
        raise Moved(found.canonical)
    error: SourceProblem | None = None
    if found.hidden:
        error = PageHidden(url=step.url)
    elif found.content is None:
        error = PageEmpty(url=step.url)
    return Visit(
        url=step.url,
        first=step.first,
        content=Content(found.content, ".html") if found.content and error is None else None,
        error=error,
        validators=page.validators,
        links=tuple(url for url in found.links if near(url)),
    )


def _stop(target: str) -> None:
    raise Moved(target)


def _is_variant(url: str, canonical: str) -> bool:
    """A canonical address is believed where only the query differs: many templates name the start page on all."""
    here, there = URL(url), URL(canonical)
    same = here.raw_path == there.raw_path and same_site(url, canonical)
    return same and bool(here.raw_query_string) and here.query != there.query


_READ = {
    suffix: type_ for suffix, type_ in SUPPORTED.items() if not type_.startswith("image/")
}  # sites are full of them
_SUFFIXES = {type_: suffix for suffix, type_ in reversed(list(_READ.items()))} | {"application/xhtml+xml": ".html"}
_TEXT = {".txt", ".md", ".csv"}
_UNTOLD = {"text/plain", "application/octet-stream", "binary/octet-stream"}


def _suffix(page: Fetched) -> str:
    """By the type that the site names, and where that says little by the address. Raises PageTypeUnknown."""
    named = PurePosixPath(URL(page.url).path).suffix.lower()
    if page.media_type in _UNTOLD and named in _READ:
        return named
    if page.media_type not in _SUFFIXES:
        raise PageTypeUnknown(url=page.url, media_type=page.media_type)
    return ".html" if _SUFFIXES[page.media_type] == ".htm" else _SUFFIXES[page.media_type]
