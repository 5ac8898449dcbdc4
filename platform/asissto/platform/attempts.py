"""Counts what people try who are not signed in, so that guessing becomes slow: per login, and per network address."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Network, ip_address
from math import ceil
from typing import Literal

from sqlalchemy import case, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import TooManyRequests
from asissto.platform.keys import KeyRing
from asissto.platform.people_tables import Attempt
from asissto.platform.services import Services

Door = Literal["login", "address", "register", "mail", "link", "click"]
WINDOW = timedelta(minutes=15)
MOST: dict[Door, int] = {
    "login": 10,
    "address": 100,  # an office behind one address mistypes more often than one person
    "register": 20,
    "mail": 3,
    "link": 50,
    "click": 60,
}
"""Tries within the window that begins with the first of them; one more is refused until it ends."""


async def knock(services: Services, *tries: tuple[Door, str]) -> None:
    """Counts before anything is looked at, so that many at once do not slip through; raises TooManyRequests.

    Known and unknown logins are counted alike, and those that are locked out cost no hash.
    """
    counted = await count_tries(services, tries)
    waits = [since + WINDOW - datetime.now(UTC) for door, count, since in counted if count > MOST[door]]
    if waits:
        raise TooManyRequests(seconds=max(1, ceil(max(waits).total_seconds())))


async def count_tries(services: Services, tries: Sequence[tuple[Door, str]]) -> list[tuple[Door, int, datetime]]:
    """How often each was tried, this time included, and since when."""
    async with services.database.system() as session:
        return [(door, *await _count(session, _key(services.keys, door, who))) for door, who in tries]


async def forgive(session: AsyncSession, keys: KeyRing, door: Door, who: str) -> None:
    """Whoever came in was no guesser."""
    await session.execute(delete(Attempt).where(Attempt.who == _key(keys, door, who)))


async def take_back(session: AsyncSession, keys: KeyRing, door: Door, who: str) -> None:
    """One try less: the others from the same address may have been somebody else's."""
    await session.execute(
        update(Attempt).where(Attempt.who == _key(keys, door, who)).values(count=func.greatest(Attempt.count - 1, 0))
    )


async def forget_old_attempts(session: AsyncSession) -> None:
    await session.execute(delete(Attempt).where(Attempt.since < func.now() - WINDOW))


def network_of(ip: str | None) -> str:
    """Who has an IPv6 address mostly has all 2^64 of its network."""
    if ip is None:
        return ""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    return str(address) if address.version == 4 else str(IPv6Network((address, 64), strict=False))


async def _count(session: AsyncSession, key: bytes) -> tuple[int, datetime]:
    row = insert(Attempt).values(who=key, count=1, since=func.now())
    is_over = Attempt.since < func.now() - WINDOW
    more = row.on_conflict_do_update(
        index_elements=["who"],
        set_={
            "count": case((is_over, 1), else_=Attempt.count + 1),
            "since": case((is_over, func.now()), else_=Attempt.since),
        },
    )
    count, since = (await session.execute(more.returning(Attempt.count, Attempt.since))).one()
    return count, since


def _key(keys: KeyRing, door: Door, who: str) -> bytes:
    """Addresses of strangers are not kept."""
    return hmac.digest(keys.derive("attempts"), f"{door} {who}".encode(), "sha256")
