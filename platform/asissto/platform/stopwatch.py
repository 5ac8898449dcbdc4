"""Times the steps of a piece of work."""

import time


class Stopwatch:
    """`timings` are milliseconds by step, and `total` since the start."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self.timings: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.timings[step] = round((now - self._last) * 1000, 2)
        self.timings["total"] = round((now - self._started) * 1000, 2)
        self._last = now
