"""Whether a topic is asked about more or less than before, beyond chance."""

from collections.abc import Sequence
from math import erfc, exp, lgamma, log, sqrt

FALSE_SHARE = 0.05
"""Of the changes that are called significant, at most so many are chance."""
LEAST_ASKED = 10
"""In both periods together; with fewer nothing is said."""
_EXACT = 10_000


def change_p(now: int, before: int, share_now: float) -> float:
    """Two-sided p that a topic with so many questions in both periods has changed its share of all questions.

    The conditional test of two Poisson rates (Przyborowski and Wilenski 1940): given their sum, the questions of now
    are binomial with `share_now`, the part of all questions of both periods that was asked now. Exact by the tails of
    the binomial, doubled; above 10,000 questions by the normal approximation with continuity correction.
    """
    both = now + before
    if both < LEAST_ASKED or not 0 < share_now < 1:
        return 1.0
    if both > _EXACT:
        gap = max(0.0, abs(now - both * share_now) - 0.5)
        return erfc(gap / sqrt(2 * both * share_now * (1 - share_now)))
    tail = range(now + 1) if now <= both * share_now else range(now, both + 1)
    return min(1.0, 2 * sum(exp(_log_chance(count, both, share_now)) for count in tail))


def discoveries(p_values: Sequence[float], false_share: float = FALSE_SHARE) -> list[bool]:
    """Which of many tests to believe so that at most that share of them is chance (Benjamini and Hochberg 1995)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    believed = 0
    for rank, at in enumerate(order, start=1):
        if p_values[at] <= false_share * rank / len(order):
            believed = rank
    chosen = set(order[:believed])
    return [at in chosen for at in range(len(p_values))]


def _log_chance(count: int, both: int, share: float) -> float:
    ways = lgamma(both + 1) - lgamma(count + 1) - lgamma(both - count + 1)
    return ways + count * log(share) + (both - count) * log(1 - share)
