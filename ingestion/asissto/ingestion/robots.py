"""What a site's robots.txt asks of its visitors (RFC 9309)."""

from collections.abc import Callable
from typing import Protocol

import msgspec
from protego import Protego
from yarl import URL

from asissto.ingestion.fetching import AGENT, Fetched, Validators
from asissto.platform.errors import PageGone, PageStatus, RobotsUnavailable, SourceProblem

LONGEST_DELAY = 10.0
"""Seconds between two requests: a site that asks for more would take a day for 5,000 pages."""

_LIMIT_MB = 1


class Gets(Protocol):
    """What fetches a page, as Fetcher does."""

    async def get(
        self,
        url: str,
        known: Validators = ...,
        *,
        check_target: Callable[[str], None] = ...,
        limit_mb: int | None = None,
    ) -> Fetched: ...


class Robots(msgspec.Struct, frozen=True):
    rules: Protego

    def allows(self, url: str) -> bool:
        return self.rules.can_fetch(url, AGENT)

    @property
    def delay(self) -> float:
        """Seconds between two requests."""
        return min(self.rules.crawl_delay(AGENT) or 0.0, LONGEST_DELAY)

    @property
    def sitemaps(self) -> list[str]:
        return list(self.rules.sitemaps)


async def read_robots(web: Gets, url: str) -> Robots:
    """The rules of the site that the address belongs to; a site without them allows everything.

    Raises RobotsUnavailable, AddressRefused.
    """
    address = str(URL(url).with_path("/robots.txt").with_query(None))
    try:
        found = await web.get(address, limit_mb=_LIMIT_MB)
    except PageGone:
        return Robots(Protego.parse(""))
    except PageStatus as error:
        if 400 <= error.answered < 500:
            return Robots(Protego.parse(""))
        raise RobotsUnavailable(detail=str(error)) from error
    except SourceProblem as error:
        raise RobotsUnavailable(detail=str(error)) from error
    return Robots(Protego.parse((found.body or b"").decode("utf-8", "replace")))
