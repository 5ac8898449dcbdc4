"""Through the pages of a site: which of them, in which order, by whose rules, and what they say."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec import structs

from asissto.ingestion.crawling import Crawl, Plan
from asissto.ingestion.fetching import Fetched, Validators
from asissto.ingestion.robots import LONGEST_DELAY, read_robots
from asissto.ingestion.sitemaps import listed_pages, parse_sitemap
from asissto.ingestion.visiting import Known, Visit
from asissto.ingestion.web_pages import MOST_LINKS, read_page
from asissto.platform.errors import (
    AsisstoError,
    CrawlPageLimit,
    CrawlSilent,
    PageGone,
    PageStatus,
    PageTimeout,
    RobotsUnavailable,
    SitemapUnreadable,
)

ROOT = "http://h/"


class Web:
    """Pages by address, redirects as `-> target`, and errors; keeps what was asked for."""

    def __init__(self, pages: Mapping[str, str | bytes | AsisstoError]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    async def get(
        self,
        url: str,
        known: Validators = Validators(),  # noqa: B008 - frozen
        *,
        check_target: Callable[[str], None] = lambda _: None,
        limit_mb: int | None = None,
    ) -> Fetched:
        self.asked.append(url)
        page = self.pages.get(url, PageGone(url=url, status=404))
        if isinstance(page, AsisstoError):
            raise page
        if isinstance(page, str) and page.startswith("-> "):
            check_target(page[3:])
            return await self.get(page[3:])
        return html(page, url)


def html(page: str | bytes, url: str = ROOT, charset: str | None = None) -> Fetched:
    return Fetched(
        url=url,
        media_type="text/html",
        charset=charset,
        validators=Validators(),
        robots_tag="",
        body=page.encode() if isinstance(page, str) else page,
    )


def links(*paths: str) -> str:
    return "<p>text</p>" + "".join(f'<a href="{path}">x</a>' for path in paths)


def plan(**more: Any) -> Plan:
    return Plan(**{"kind": "site", "url": ROOT, "depth": 3, "max_pages": 100, **more})


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else visits the site."""
    monkeypatch.setattr("asissto.ingestion.crawling.PAUSE_SECONDS", 0)


async def crawled(
    web: Web, plan: Plan, known: Mapping[str, Known] | None = None, *, seen: list[Visit] | None = None
) -> list[Visit]:
    """The visits, which also come into `seen` before the crawl fails."""
    crawl = Crawl(web, plan, known or {})
    visits = [] if seen is None else seen
    async for visit in crawl.visits(await crawl.seeds()):
        visits.append(visit)
    return visits


async def paths(web: Web, plan: Plan, known: Mapping[str, Known] | None = None) -> list[str]:
    """Of the pages that were read, in order."""
    return [visit.url.removeprefix("http://h") for visit in await crawled(web, plan, known) if visit.content]


async def test_pages_come_breadth_first_to_their_depth() -> None:
    """A page that is linked from afar as well is as near as its nearest link."""
    web = Web(
        {
            ROOT: links("/a", "/b"),
            "http://h/a": links("/c"),
            "http://h/b": links("/c", "/d"),
            "http://h/c": links("/e"),
            "http://h/d": "<p>d</p>",
            "http://h/e": "<p>e</p>",
        }
    )
    found = {depth: await paths(web, plan(depth=depth)) for depth in range(4)}
    assert found == {
        0: ["/"],
        1: ["/", "/a", "/b"],
        2: ["/", "/a", "/b", "/c", "/d"],
        3: ["/", "/a", "/b", "/c", "/d", "/e"],
    }


async def test_other_sites_are_left_alone() -> None:
    """`www.` and the bare host are one site; a subdomain is another, and pictures are no pages."""
    web = Web(
        {
            ROOT: links("http://www.h/a", "http://shop.h/b", "//elsewhere/c", "/d.png", "mailto:a@h"),
            "http://www.h/a": "<p>a</p>",
        }
    )
    assert [visit.url for visit in await crawled(web, plan())] == [ROOT, "http://www.h/a"]
    assert {url.split("/")[2] for url in web.asked} == {"h", "www.h"}


async def test_a_source_that_redirects_to_another_site_means_that_one() -> None:
    """A business that moved to a new host; a page that redirects away is not followed."""
    web = Web({ROOT: "-> http://new/", "http://new/": links("/a", "http://h/b"), "http://new/a": "-> http://far/"})
    assert [(visit.url, visit.error and visit.error.code) for visit in await crawled(web, plan())] == [
        (ROOT, "page_duplicate"),
        ("http://new/", None),
        ("http://new/a", "page_elsewhere"),
    ]


async def test_redirects_in_a_circle_are_met_once() -> None:
    """Each address is a page of its own, so a circle ends by itself."""
    web = Web({ROOT: links("/a"), "http://h/a": "-> http://h/b", "http://h/b": "-> http://h/a"})
    assert [visit.url for visit in await crawled(web, plan())] == [ROOT, "http://h/a", "http://h/b"]


async def test_paths_are_read_or_left() -> None:
    """By their beginnings; the first page is read in any case."""
    web = Web({ROOT: links("/help/a", "/help/old/b", "/shop"), "http://h/help/a": "<p>a</p>"})
    assert await paths(web, plan(include=("/help/",), exclude=("/help/old",))) == ["/", "/help/a"]
    assert web.asked == ["http://h/robots.txt", ROOT, "http://h/help/a"]


async def test_the_page_limit_ends_a_crawl_that_has_more() -> None:
    """And only such a one."""
    web = Web({ROOT: links("/a", "/b", "/c"), **{f"http://h/{name}": "<p>x</p>" for name in "abc"}})
    assert len(await paths(web, plan(max_pages=4))) == 4
    seen: list[Visit] = []
    with pytest.raises(CrawlPageLimit):
        await crawled(web, plan(max_pages=3), seen=seen)
    assert len(seen) == 3


async def test_a_calendar_without_an_end_stops_at_the_limit() -> None:
    """Each page leads to the next."""

    class Calendar(Web):
        async def get(self, url: str, *_: Any, **__: Any) -> Fetched:
            if url.endswith("robots.txt"):
                raise PageGone(url=url, status=404)
            day = int(url.partition("day=")[2] or 0)
            return html(links(f"/?day={day + 1}"), url)

    seen: list[Visit] = []
    with pytest.raises(CrawlPageLimit):
        await crawled(Calendar({}), plan(depth=10, max_pages=5), seen=seen)
    assert len(seen) == 5


async def test_a_site_that_falls_silent_is_left() -> None:
    """After five failures in a row, not after five in all."""
    down: dict[str, str | bytes | AsisstoError] = {f"http://h/{n}": PageTimeout(url="", seconds=1) for n in range(9)}
    web = Web({ROOT: links(*map(str, range(9))), **down})
    with pytest.raises(CrawlSilent):
        await crawled(web, plan())
    mixed = {f"http://h/{n}": "<p>up</p>" if n % 2 else PageStatus(url="", status=500) for n in range(9)}
    assert len(await crawled(Web({**web.pages, **mixed}), plan())) == 10


async def test_what_this_sync_has_met_is_not_asked_for_again() -> None:
    """Its links are followed, and so are redirects, also to another site."""
    known = {
        ROOT: Known(Validators(), ["http://new/"], visited=True, moved=True),
        "http://new/": Known(Validators(), ["http://new/a"], visited=True),
    }
    web = Web({"http://new/a": "<p>a</p>"})
    assert [visit.url for visit in await crawled(web, plan(), known)] == ["http://new/a"]
    assert web.asked == ["http://h/robots.txt", "http://new/robots.txt", "http://new/a"]


RULES = """User-agent: *
Disallow: /

User-agent: asissto
Disallow: /*.php$
Disallow: /no
Allow: /no/yes
"""


async def test_robots_are_obeyed() -> None:
    """The longest rule counts, with wildcards, for our name before all others; nofollow holds for a page and a link."""
    web = Web(
        {
            "http://h/robots.txt": RULES,
            ROOT: links("/a.php", "/no/b", "/no/yes", "/c") + '<a rel="nofollow" href="/d">x</a>',
            "http://h/no/yes": "<p>yes</p>",
            "http://h/c": '<meta name="robots" content="nofollow">' + links("/e"),
        }
    )
    assert await paths(web, plan()) == ["/", "/no/yes", "/c"]
    assert web.asked == ["http://h/robots.txt", ROOT, "http://h/no/yes", "http://h/c"]


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (PageGone(url="", status=404), True),
        (PageStatus(url="", status=403), True),
        ("<html>Not found</html>", True),
        ("User-agent: *\nDisallow: /", False),
    ],
)
async def test_a_site_without_rules_allows_everything(answer: str | AsisstoError, allowed: bool) -> None:
    """Whatever it answers in their place."""
    assert (await read_robots(Web({"http://h/robots.txt": answer}), "http://h/a?b")).allows("http://h/a") is allowed


async def test_a_second_host_without_rules_costs_its_own_pages_only() -> None:
    """Old links by http to a site that answers https alone are no reason to give up."""
    web = Web(
        {
            "https://h/": links("http://h/old", "/new"),
            "https://h/new": "<p>new</p>",
            "http://h/robots.txt": PageTimeout(url="", seconds=1),
        }
    )
    visits = await crawled(web, plan(url="https://h/"))
    assert [(visit.url, visit.error and visit.error.code) for visit in visits] == [
        ("https://h/", None),
        ("http://h/old", "robots_unavailable"),
        ("https://h/new", None),
    ]


@pytest.mark.parametrize("error", [PageStatus(url="", status=500), PageTimeout(url="", seconds=1)])
async def test_rules_that_cannot_be_read_forbid_everything(error: AsisstoError) -> None:
    """For now."""
    with pytest.raises(RobotsUnavailable):
        await read_robots(Web({"http://h/robots.txt": error}), ROOT)


async def test_a_delay_is_kept_up_to_a_limit() -> None:
    """In seconds."""
    rules = {seconds: f"User-agent: *\nCrawl-delay: {seconds}" for seconds in (0, 2, 600)}
    delays = [(await read_robots(Web({"http://h/robots.txt": text}), ROOT)).delay for text in rules.values()]
    assert delays == [0, 2, LONGEST_DELAY]


def listing(*addresses: str, kind: str = "urlset", item: str = "url") -> str:
    places = "".join(f"<{item}><loc> {address} </loc></{item}>" for address in addresses)
    return f'<?xml version="1.0"?><{kind} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</{kind}>'


async def test_sitemaps_may_list_sitemaps() -> None:
    """In their order, each once, up to the limit, and no circle goes on for ever."""
    index = listing("http://h/b.xml", "http://h/c.txt", "http://h/a.xml", kind="sitemapindex", item="sitemap")
    web = Web(
        {
            "http://h/a.xml": index,
            "http://h/b.xml": listing(ROOT, "http://h/1#x"),
            "http://h/c.txt": "http://h/1\nhttp://h/2",
        }
    )
    assert await listed_pages(web, ["http://h/a.xml"], 100) == [ROOT, "http://h/1", "http://h/2"]
    assert await listed_pages(web, ["http://h/a.xml"], 1) == [ROOT]


@pytest.mark.parametrize("body", [b"", b"<html><p>Not found</p></html>", b"Not found", b"<urlset", b"\0\0"])
def test_what_is_no_sitemap_is_refused(body: bytes) -> None:
    """Or every page would look removed."""
    with pytest.raises(SitemapUnreadable):
        parse_sitemap(ROOT, body)


def test_entities_are_not_expanded() -> None:
    """Neither those that grow nor those that read files."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    places = "<urlset><url><loc>http://h/&b;</loc></url><url><loc>http://h/x&f;</loc></url></urlset>"
    assert parse_sitemap(ROOT, (bomb + places).encode()).pages == (ROOT, "http://h/x")


async def test_the_sitemaps_of_a_site_are_found_by_its_rules() -> None:
    """For a sitemap source that names the site, and beside the links for a site; there they may be broken."""
    pages: dict[str, str | bytes | AsisstoError] = {
        "http://h/robots.txt": "Sitemap: http://h/map.xml",
        "http://h/map.xml": listing("http://h/orphan", "http://far/a"),
        "http://h/orphan": "<p>Nothing leads here.</p>",
        ROOT: "<p>Home.</p>",
    }
    assert await paths(Web(pages), plan(kind="sitemap")) == ["/orphan"]
    assert await paths(Web(pages), plan()) == ["/", "/orphan"]
    assert await paths(Web({**pages, "http://h/map.xml": "broken"}), plan()) == ["/"]
    with pytest.raises(SitemapUnreadable):
        await paths(Web({**pages, "http://h/map.xml": "broken"}), plan(kind="sitemap"))


PAGE = """<!doctype html><html lang="en"><head><title> Our
 prices </title><base href="/shop/"><link rel="canonical" href="/shop/"><style>p {}</style></head>
<body class="x"><div class="cookie-banner">We use cookies.</div><header><h1>Prices</h1>Logo</header><nav>Menu</nav>
<main id="m"><p onclick="x()">A bicycle costs <b>12</b> euros.</p><aside>Advertisement</aside><p hidden>Draft</p>
<p style="display: none">Unseen</p><table><tr><td colspan="2">Week</td></tr></table><footer>Note</footer>
<form><label>Days</label><input value="token-1"><button>Send</button></form><a href="week#x">Week</a></main>
<footer>Call 555-0199.</footer><script>track()</script></body></html>"""


def test_a_page_is_its_title_and_its_own_text() -> None:
    """Without menu, header, advertisement, banners, scripts, and what nobody sees."""
    page = read_page(html(PAGE))
    assert page.content is not None
    text = page.content.decode()
    kept = ("<title>Our prices</title>", "12", '<td colspan="2">Week', "Note", "Days")
    dropped = ("cookie", "Logo", "Menu", "Advert", "Draft", "Unseen", "token", "Send", "555", "track", "onclick", "id=")
    assert [part for part in kept if part not in text] == []
    assert [part for part in dropped if part in text] == []
    assert page.links == ("http://h/shop/week",)
    assert (page.canonical, page.hidden) == ("http://h/shop/", False)


def test_the_footer_is_kept_where_it_is_asked_for() -> None:
    """Phone and address stand nowhere else."""
    page = read_page(html(PAGE), keep_footer=True)
    assert page.content is not None
    assert b"Call 555-0199." in page.content
    assert b"Logo" not in page.content


def test_a_page_without_a_main_part_keeps_its_first_heading() -> None:
    """Also where that stands in the header."""
    page = read_page(html("<header><a>Logo</a><h1>Prices</h1></header><p>A bicycle costs 12 euros.</p>"))
    assert page.content is not None
    assert b"<h1>Prices</h1>" in page.content
    assert b"Logo" not in page.content


@pytest.mark.parametrize("page", ["", "   ", "<!-- x -->", "<html></html>", "<script>x()</script>", "<nav>Menu</nav>"])
def test_a_page_without_text_says_so(page: str) -> None:
    """Such as one that a browser would have to put together."""
    assert read_page(html(page)).content is None


def test_what_stands_behind_the_end_of_a_page_is_read() -> None:
    """Broken templates close the page too early, and browsers show all of it."""
    page = read_page(html("<html><body><p>One.</p></body></html><p>Two.</p><a href='/x'>x</a>"))
    assert (b"Two." in (page.content or b""), page.links) == (True, ("http://h/x",))


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<p>Цена</p>".encode("cp1251"), "windows-1251"),
        ('<meta charset="koi8-r"><p>Цена</p>'.encode("koi8-r"), None),
        ('<meta charset="utf-8"><p>Цена проката</p>'.encode("cp1251"), "utf-8"),
        ("<p>Цена</p>".encode(), "no-such-charset"),
    ],
)
def test_a_page_is_decoded_as_it_is_written(body: bytes, charset: str | None) -> None:
    """By what the site declares, unless that is wrong."""
    assert "Цена" in (read_page(html(body, charset=charset)).content or b"").decode()


@pytest.mark.parametrize(
    ("header", "meta", "hidden", "followed"),
    [
        ("", "index, follow", False, True),
        ("noindex", "", True, True),
        ("", "NOINDEX", True, True),
        ("", "none", True, False),
        ("asissto: nofollow", "", False, False),
        ("otherbot: noindex", "", False, True),
    ],
)
def test_a_page_may_ask_to_be_left_out(header: str, meta: str, hidden: bool, followed: bool) -> None:
    """By a header or by itself; what is said to another robot is not said to us."""
    fetched = html(f'<meta name="Robots" content="{meta}"><p>text</p><a href="/x">x</a>')
    page = read_page(structs.replace(fetched, robots_tag=header))
    assert (page.hidden, bool(page.links)) == (hidden, followed)


def test_links_of_a_page_are_counted() -> None:
    """A page of a million links is a trap."""
    assert len(read_page(html(links(*map(str, range(2 * MOST_LINKS))))).links) == MOST_LINKS


def test_a_deeply_nested_page_is_read() -> None:
    """Or said to have no text; never does it take the process with it."""
    page = read_page(html("<div>" * 100_000 + "deep" + "</div>" * 100_000))
    assert page.content is None or b"<body>" in page.content
