"""Circuit breakers: a model that keeps failing is left alone for a while, then tried with one request."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

from asissto.platform.model_calls import ModelCall

FAILURES = 5
WITHIN_SECONDS = 60.0
OPEN_SECONDS = 30.0
MOST_CIRCUITS = 10_000

# What says something of the endpoint; a refused question or a wrong key says nothing of the next one.
_COUNTED = frozenset(("timeout", "server_error", "unreachable", "broken_stream", "rate_limited"))


class Circuit:
    """Open after five answers that failed within a minute, for half a minute; then one request may try."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._closed_again_at: float | None = None

    def lets_through(self) -> bool:
        """The one that may try closes the door behind itself until it is told how the try ended."""
        if self._closed_again_at is None:
            return True
        if self._clock() < self._closed_again_at:
            return False
        self._closed_again_at = self._clock() + OPEN_SECONDS
        return True

    def note(self, calls: Sequence[ModelCall]) -> None:
        """The attempts at one answer count once, by how the last of them ended."""
        if not calls:
            return
        if calls[-1].error is None:
            self._failures.clear()
            self._closed_again_at = None
        elif calls[-1].error in _COUNTED:
            self._fail(self._clock())

    def _fail(self, now: float) -> None:
        self._failures.append(now)
        if len(self._failures) == FAILURES and now - self._failures[0] <= WITHIN_SECONDS:
            self._closed_again_at = now + OPEN_SECONDS


class Circuits:
    """One for each model of each provider, as long as the process lives."""

    def __init__(self) -> None:
        self._circuits: dict[tuple[UUID | None, str], Circuit] = {}

    def of(self, provider_id: UUID | None, model: str) -> Circuit:
        if len(self._circuits) >= MOST_CIRCUITS:  # names are the tenants' to invent
            self._circuits.clear()
        return self._circuits.setdefault((provider_id, model), Circuit())
