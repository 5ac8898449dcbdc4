"""How often an address may call what needs no sign-in: a bucket of tokens for each, in the memory of the process."""

import ipaddress
import math
import time
from collections.abc import Callable
from typing import Any, Literal

from litestar.connection import ASGIConnection

from asissto.platform.errors import TooManyRequests
from asissto.platform.settings import Settings

Bucket = Literal["open", "hooks"]
BUCKET = "bucket"
"""In the `opt` of an open route: from which bucket it takes, where that is not `open`."""

MOST_ADDRESSES = 100_000
"""28 MB; past it those that have been silent the longest are forgotten."""


class AddressLimits:
    """A bucket holds the tokens of one minute and fills evenly; a new process begins with full ones."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute: dict[Bucket, int] = {
            "open": settings.open_calls_per_minute,
            "hooks": settings.hook_calls_per_minute,
        }
        self._clock = clock
        self._left: dict[tuple[Bucket, str], tuple[float, float]] = {}

    def take(self, bucket: Bucket, address: str) -> None:
        """Raises TooManyRequests, with the seconds until there is a token again."""
        now, most = self._clock(), self._per_minute[bucket]
        key = (bucket, network_of(address))
        # What was taken last stands last, so that the silent ones are found at the front.
        tokens, at = self._left.pop(key, (float(most), now))
        tokens = min(most, tokens + (now - at) * most / 60)
        self._left[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._left) > MOST_ADDRESSES:
            del self._left[next(iter(self._left))]
        if tokens < 1:
            raise TooManyRequests(seconds=max(1, math.ceil((1 - tokens) * 60 / most)))


def check_address(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Takes a token for the caller of an open route; raises TooManyRequests."""
    limits: AddressLimits = connection.app.state.limits
    bucket: Bucket = connection.route_handler.opt.get(BUCKET, "open")
    limits.take(bucket, connection.client.host if connection.client else "")


def network_of(address: str) -> str:
    """Of IPv6 the /64: whoever has one address there has them all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
