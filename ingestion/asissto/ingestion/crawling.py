"""Goes through the pages of a source: which of them, in which order, and no faster than the site likes."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import PurePosixPath

import msgspec
from yarl import URL

from asissto.ingestion.robots import Gets, Robots, read_robots
from asissto.ingestion.sitemaps import listed_pages
from asissto.ingestion.source_tables import Kind
from asissto.ingestion.visiting import Known, Step, Visit, visit_page
from asissto.ingestion.web_addresses import same_site, worth_a_visit
from asissto.platform.errors import (
    AddressRefused,
    AsisstoError,
    CrawlPageLimit,
    CrawlSilent,
    PageBusy,
    PageDuplicate,
    PageStatus,
    PageTimeout,
    PageUnreachable,
    SourceProblem,
)

AT_ONCE = 2
"""Requests to one site at the same time."""

PAUSE_SECONDS = 0.2
"""Between two requests, where robots.txt asks for no more."""

MOST_SILENCE = 5
"""Failures in a row after which the site counts as down."""

LARGEST_PAGE_MB = 10
"""Of HTML, which is taken apart in memory; files have the limit of uploads."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be read; `include` and `exclude` are beginnings of paths, and the first page is read in any case."""

    kind: Kind
    url: str
    depth: int
    max_pages: int
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Crawl:
    def __init__(self, web: Gets, plan: Plan, known: Mapping[str, Known]) -> None:
        self._web = web
        self._plan = plan
        self._known = known
        self._home = plan.url
        self._robots: dict[str, Robots] = {}
        self._waiting: deque[Step] = deque()
        self._seen: set[str] = set()
        self._visited = 0

    async def seeds(self) -> list[str]:
        """What the sitemaps list: the given one, or those that robots.txt names. Raises SourceProblem."""
        robots = await self._rules(self._plan.url)
        if self._plan.kind == "page":
            return []
        if self._plan.kind == "site":
            return await self._listed_by_the_way(robots.sitemaps)
        if PurePosixPath(URL(self._plan.url).path).suffix in {".xml", ".gz", ".txt"}:
            return await self._listed([self._plan.url])
        return await self._listed(robots.sitemaps or [str(URL(self._plan.url).join(URL("/sitemap.xml")))])

    async def _listed_by_the_way(self, sitemaps: list[str]) -> list[str]:
        """A site is found by its links; sitemaps that cannot be read take nothing away from that."""
        try:
            return await self._listed(sitemaps)
        except SourceProblem:
            return []

    async def _listed(self, sitemaps: list[str]) -> list[str]:
        found = await listed_pages(self._web, sitemaps, 2 * self._plan.max_pages)
        return [url for url in found if self._wanted(url)]

    async def visits(self, seeds: Sequence[str]) -> AsyncGenerator[Visit, None]:
        """Breadth first. Raises CrawlPageLimit and CrawlSilent where it ends before the last page."""
        if self._plan.kind != "sitemap":
            self._add(Step(self._plan.url, 0, first=True))
        for url in seeds:
            self._add(Step(url, min(1, self._plan.depth)))
        silence = 0
        while batch := self._next_batch():
            for step, visit in zip(batch, await asyncio.gather(*map(self._visit, batch)), strict=True):
                self._follow(step, visit.links, moved=isinstance(visit.error, PageDuplicate))
                yield visit
                silence = silence + 1 if _is_silence(visit.error) else 0
                if silence >= MOST_SILENCE:
                    raise CrawlSilent(count=silence)
            await asyncio.sleep(max(PAUSE_SECONDS, self._delay(batch[0].url)))

    def _next_batch(self) -> list[Step]:
        """The next pages that this sync has not met yet; those that it has met are passed, and their links followed."""
        batch: list[Step] = []
        while self._waiting and len(batch) < AT_ONCE:
            if self._visited >= self._plan.max_pages:
                if batch:
                    break
                raise CrawlPageLimit(limit=self._plan.max_pages)
            step = self._waiting.popleft()
            known = self._known.get(step.url)
            self._visited += 1
            if known is not None and known.visited:
                self._follow(step, known.links, moved=known.moved)
                continue
            batch.append(step)
            if step.first or self._delay(step.url):
                break
        return batch

    def _follow(self, step: Step, links: Sequence[str], *, moved: bool) -> None:
        """Where the source's own address redirects to another site, that one is meant."""
        if moved and step.first:
            self._home = links[0]
            self._add(Step(links[0], step.depth, first=True))
        elif moved:
            self._add(Step(links[0], step.depth))
        elif self._plan.kind == "site" and step.depth < self._plan.depth:
            for url in links:
                if self._wanted(url):
                    self._add(Step(url, step.depth + 1))

    def _add(self, step: Step) -> None:
        if step.url not in self._seen and len(self._seen) <= 10 * self._plan.max_pages:
            self._seen.add(step.url)
            self._waiting.append(step)

    def _near(self, url: str) -> bool:
        return same_site(url, self._home) and worth_a_visit(url)

    def _wanted(self, url: str) -> bool:
        path = URL(url).path
        included = not self._plan.include or path.startswith(self._plan.include)
        return included and not path.startswith(self._plan.exclude) and self._near(url)

    def _delay(self, url: str) -> float:
        """Zero where the rules of that host are not known: its first page asks for them."""
        robots = self._robots.get(str(URL(url).origin()))
        return robots.delay if robots else 0.0

    async def _rules(self, url: str) -> Robots:
        site = str(URL(url).origin())
        if site not in self._robots:
            self._robots[site] = await read_robots(self._web, url)
        return self._robots[site]

    async def _visit(self, step: Step) -> Visit:
        try:
            robots = await self._rules(step.url)
        except (SourceProblem, AddressRefused) as error:
            return Visit(url=step.url, first=step.first, error=error)
        return await visit_page(self._web, robots, step, self._known.get(step.url), self._near)


def _is_silence(error: AsisstoError | None) -> bool:
    broken = isinstance(error, PageStatus) and error.answered >= 500
    return broken or isinstance(error, (PageUnreachable, PageTimeout, PageBusy))
