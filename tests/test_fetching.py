"""One address of the web: never one of our own network, never more than the limits, and only what has changed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from asissto.ingestion.fetching import Fetcher, Patience, Validators
from asissto.ingestion.web_addresses import file_name, join, normalise, same_site, worth_a_visit
from asissto.platform.errors import (
    AddressRefused,
    AddressUnusable,
    AsisstoError,
    PageBusy,
    PageElsewhere,
    PageGone,
    PageRedirects,
    PageStatus,
    PageTimeout,
    PageTooLarge,
    PageUnreachable,
)
from asissto.platform.public_addresses import is_public
from asissto.platform.settings import Settings
from web_site import Answer, Site, endless, packed, redirect, running_site, status

STRICT = Settings(data_dir=Path("unused"), max_upload_mb=1, public_url="https://help.example.com")
OPEN = Settings(data_dir=Path("unused"), max_upload_mb=1, crawl_private_addresses=True)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """One that may go to 127.0.0.1."""
    async with Fetcher(OPEN) as fetcher:
        yield fetcher


class FixedResolver(AbstractResolver):
    """Every name stands for these addresses, each time for the next of them."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        address = self._addresses[self.asked % len(self._addresses)]
        self.asked += 1
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.2.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("2001:db8::1", False),
        ("2001::1", False),
        ("2002:7f00:1::", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fe80::1%1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    """Also where an IPv6 address carries an IPv4 one inside."""
    assert is_public(address) is public


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "１２７.0.0.1",
        "0",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "10.1.2.3",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ],
)
async def test_no_spelling_of_a_private_address_is_connected_to(host: str) -> None:
    """Decimal, octal, hexadecimal, shortened, of IPv6: the address that the socket would get is what counts."""
    async with Fetcher(STRICT) as fetcher:
        with pytest.raises((AddressRefused, AddressUnusable)):
            await fetcher.get(normalise(f"http://{host}/"))


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_stands_for_a_private_address_is_refused(address: str) -> None:
    """After the look-up of the name, and the refusal says which address it was."""
    async with Fetcher(STRICT, resolver=FixedResolver(address)) as fetcher:
        with pytest.raises(AddressRefused) as caught:
            await fetcher.get("http://shop.example/")
    assert caught.value.params == {"address": address}


async def test_a_name_is_looked_up_once_for_a_connection(site: Site) -> None:
    """What was checked is what is connected to: the private answer to a second look-up is never asked for."""
    resolver = FixedResolver("127.0.0.1", "10.0.0.1")
    site.pages["/"] = "<p>here</p>"
    async with Fetcher(OPEN, resolver=resolver) as fetcher:
        page = await fetcher.get(site.url("/").replace("127.0.0.1", "shop.example"))
    assert (page.body, resolver.asked) == (b"<p>here</p>", 1)


async def test_a_redirect_into_the_private_network_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hop is guarded; here the first one stands for a public site, and the second is the metadata service."""
    monkeypatch.setattr("asissto.ingestion.connecting.is_public", lambda host: host == "127.0.0.1")
    monkeypatch.setattr("asissto.ingestion.fetching.Fetcher._check_port", lambda *_: None)
    site.pages["/"] = redirect("http://169.254.169.254/latest/meta-data/")
    async with Fetcher(STRICT) as fetcher:
        with pytest.raises(AddressRefused) as caught:
            await fetcher.get(site.url("/"))
    assert caught.value.params == {"address": "169.254.169.254"}
    assert site.agents == {"Asissto/0.1.0 (+https://help.example.com)"}


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/", "http://u:p@h/", "gopher://h/"])
async def test_a_redirect_to_no_page_is_refused(target: str, site: Site, fetcher: Fetcher) -> None:
    """Other schemes, and addresses with a password."""
    site.pages["/"] = redirect(target)
    with pytest.raises(AddressUnusable):
        await fetcher.get(site.url("/"))


async def test_other_ports_are_refused() -> None:
    """A database or a mail server is no web site."""
    async with Fetcher(STRICT) as fetcher:
        with pytest.raises(AddressUnusable):
            await fetcher.get("http://shop.example:6379/")


@pytest.mark.parametrize(
    "address",
    ["", "shop.example", "/page", "ftp://h/", "javascript:alert(1)", "http://u:p@h/", "http:///x", "http://h:99999/"],
)
def test_what_is_no_address_of_a_page_is_refused(address: str) -> None:
    """Before anything is sent."""
    with pytest.raises(AddressUnusable):
        normalise(address)


async def test_redirects_are_followed_to_their_end(site: Site, fetcher: Fetcher) -> None:
    """The address of the page is where they ended."""
    site.pages |= {"/": redirect("/a"), "/a": redirect("b?x=1"), "/b?x=1": "<p>here</p>"}
    page = await fetcher.get(site.url("/"))
    assert (page.url, page.body, page.media_type, page.charset) == (
        site.url("/b?x=1"),
        b"<p>here</p>",
        "text/html",
        "utf-8",
    )


async def test_redirects_in_a_circle_end(site: Site, fetcher: Fetcher) -> None:
    """After the sixth request."""
    site.pages |= {"/": redirect("/a"), "/a": redirect("/")}
    with pytest.raises(PageRedirects):
        await fetcher.get(site.url("/"))
    assert site.asked == ["/", "/a"] * 3


async def test_the_caller_may_forbid_a_redirect(site: Site, fetcher: Fetcher) -> None:
    """Before its target is asked for."""

    def refuse(target: str) -> None:
        raise PageElsewhere(url="/", target=target)

    site.pages |= {"/": redirect("/a"), "/a": "<p>here</p>"}
    with pytest.raises(PageElsewhere):
        await fetcher.get(site.url("/"), check_target=refuse)
    assert site.asked == ["/"]


async def test_what_has_not_changed_comes_without_a_body(site: Site, fetcher: Fetcher) -> None:
    """With the validators of the last time."""
    site.pages["/"], site.validators = "<p>here</p>", True
    first = await fetcher.get(site.url("/"))
    second = await fetcher.get(site.url("/"), first.validators)
    assert (first.body, second.body) == (b"<p>here</p>", None)
    assert second.validators == first.validators != Validators()


@pytest.mark.parametrize("page", [endless, packed(bytes(1 << 26)), b"x" * ((1 << 20) + 1)])
async def test_a_huge_body_is_refused_while_it_comes(page: Answer | bytes, site: Site, fetcher: Fetcher) -> None:
    """Without a length, as 64 KB that unpack to 64 MB, and with a length that is one byte too many."""
    site.pages["/"] = page
    async with asyncio.timeout(10):
        with pytest.raises(PageTooLarge):
            await fetcher.get(site.url("/"))


async def test_a_packed_page_is_unpacked(site: Site, fetcher: Fetcher) -> None:
    """Up to the limit."""
    site.pages["/"] = packed(bytes(1 << 20))
    assert (await fetcher.get(site.url("/"))).body == bytes(1 << 20)


@pytest.mark.parametrize("patience", [Patience(read=0.1), Patience(total=0.1)])
async def test_a_site_that_keeps_silent_is_given_up(patience: Patience, site: Site) -> None:
    """After the time limit."""
    site.pages["/"] = site.silent
    async with Fetcher(OPEN, patience=patience) as fetcher:
        with pytest.raises(PageTimeout):
            await fetcher.get(site.url("/"))


@pytest.mark.parametrize(
    ("code", "headers", "error"),
    [
        (404, {}, PageGone(url="", status=404)),
        (410, {}, PageGone(url="", status=410)),
        (403, {}, PageStatus(url="", status=403)),
        (500, {}, PageStatus(url="", status=500)),
        (204, {}, PageStatus(url="", status=204)),
        (429, {"Retry_After": "7"}, PageBusy(url="", status=429, seconds=7)),
        (503, {}, PageBusy(url="", status=503, seconds=60)),
        (503, {"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, PageBusy(url="", status=503, seconds=0)),
    ],
)
async def test_an_answer_that_is_no_page_says_what_it_is(
    code: int, headers: dict[str, str], error: AsisstoError, site: Site, fetcher: Fetcher
) -> None:
    """What is gone, what is broken, and what asks to come back later."""
    site.pages["/"] = status(code, **headers)
    with pytest.raises(type(error)) as caught:
        await fetcher.get(site.url("/"))
    assert caught.value.params == {**error.params, "url": site.url("/")}
    assert getattr(caught.value, "seconds", None) == getattr(error, "seconds", None)


async def test_a_site_that_does_not_answer_says_why(unused: int, fetcher: Fetcher) -> None:
    """In the words of the system, without those of a library."""
    with pytest.raises(PageUnreachable) as caught:
        await fetcher.get(f"http://127.0.0.1:{unused}/")
    assert "refused" in caught.value.params["detail"]  # type: ignore[operator]


@pytest.fixture
def unused() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("HTTP://Shop.Example:80", "http://shop.example/"),
        ("https://shop.example:443/a/../b#top", "https://shop.example/b"),
        ("http://shop.example/?utm_source=x&id=5&yclid=7", "http://shop.example/?id=5"),
        ("http://shop.example/a;jsessionid=1F?PHPSESSID=2", "http://shop.example/a"),
        ("https://пример.рф/цены", "https://xn--e1afmkfd.xn--p1ai/%D1%86%D0%B5%D0%BD%D1%8B"),
        ("http://shop.example/%7Ea?q=%26", "http://shop.example/~a?q=%26"),
        ("http://shop.example:8080/", "http://shop.example:8080/"),
    ],
)
def test_an_address_has_one_spelling(given: str, expected: str) -> None:
    """So that a page is one document however it was linked."""
    assert normalise(given) == expected
    assert normalise(expected) == expected


def test_links_lead_from_their_page() -> None:
    """What leads to no page is none."""
    assert [join("http://h/a/b", link) for link in ("c", "/c", "?x", "//i/d", "#top", "mailto:a@b", "tel:1")] == [
        "http://h/a/c",
        "http://h/c",
        "http://h/a/b?x",
        "http://i/d",
        "http://h/a/b",
        None,
        None,
    ]


def test_a_site_is_a_host_with_or_without_www() -> None:
    """By http or https; not its subdomains, nor other ports."""
    others = ("https://www.h/x", "http://h/", "http://shop.h/", "http://h:8080/", "http://nh/")
    assert [same_site("http://h/", other) for other in others] == [True, True, False, False, False]


def test_traps_and_pictures_are_not_worth_a_visit() -> None:
    """Endless addresses, and files without text."""
    paths = {
        "/a/b/a": True,
        "/a/b/a/b/a": False,
        "/price.PDF": True,
        "/logo.PNG": False,
        "/" + "x/" * 13: False,
        "/" + "x" * 1000: False,
        "/?a=1&b=2&c=3&d=4&e=5&f=6&g=7": False,
    }
    assert {path: worth_a_visit(f"http://h{path}") for path in paths} == paths


def test_a_stored_page_has_a_name_with_its_type() -> None:
    """By its address."""
    names = {"http://h/": "h.html", "http://h/цены": "цены.html", "http://h/c.php": "c.php.html"}
    assert {url: file_name(normalise(url), ".html") for url in names} == names
    assert file_name("http://h/a/b.PDF?x", ".pdf") == "b.pdf"
