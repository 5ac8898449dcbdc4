"""The arithmetic of confidence: how well it orders, how well it keeps its word, and what few questions can show."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

CERTAINTY = 0.95
"""How certain a bound is to hold on further questions of the same kind."""

_BINS = 10


class Bin(msgspec.Struct, frozen=True):
    """Questions of about the same confidence: what was promised on average, and what share was answerable."""

    questions: int
    promised: float
    answerable: float


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a positive scores above a negative, ties counting half (Mann and Whitney)."""
    above = np.subtract.outer(np.array(positive), np.array(negative))
    return float((above > 0).mean() + (above == 0).mean() / 2)


def upper_bound(false_answers: int, unanswerable: int) -> float:
    """The share that, with CERTAINTY, is not exceeded (Clopper and Pearson, one-sided); 1 where nothing is known."""
    if false_answers >= unanswerable:
        return 1.0
    low, high = false_answers / unanswerable, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(false_answers, unanswerable, middle) > 1 - CERTAINTY else (low, middle)
    return high


def questions_needed(budget: float) -> int:
    """How many unanswerable questions show that a budget is kept, if none of them is answered."""
    return math.ceil(math.log(1 - CERTAINTY) / math.log(1 - budget))


def calibration_error(sure: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    gaps = [each.questions * abs(each.promised - each.answerable) for each in bins(sure, labels)]
    return float(sum(gaps) / len(labels))


def bins(sure: NDArray[np.float64], labels: NDArray[np.bool_]) -> list[Bin]:
    """Ten of equal width, without the empty ones."""
    which = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    members = [which == number for number in range(_BINS)]
    return [
        Bin(int(each.sum()), float(sure[each].mean()), float(labels[each].mean())) for each in members if each.any()
    ]


def platt(odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept by Newton's method, with the smoothed targets of Platt (1999); the slope is never negative.

    The penalty keeps the slope finite where confidence parts the labels without a fault.
    """
    positives, negatives = labels.sum(), (~labels).sum()
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([odds, np.ones_like(odds)], axis=1)
    found = np.array([1.0, 0.0])
    start, penalty = found.copy(), np.diag([1.0, 0.0]) * 0.1
    for _ in range(100):
        promised = sigmoid(design @ found)
        gradient = design.T @ (targets - promised) - penalty @ (found - start)
        curvature = (design * (promised * (1 - promised))[:, None]).T @ design + penalty + 1e-9 * np.eye(2)
        step = np.clip(np.linalg.solve(curvature, gradient), -2, 2)
        found = found + step
        if np.abs(step).max() < 1e-8:
            break
    return max(0.0, float(found[0])), float(found[1])


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float64)


def _at_most(count: int, trials: int, chance: float) -> float:
    """The binomial probability of at most `count` hits; logarithms, because the terms leave the range of floats."""
    hits = np.arange(1, count + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((trials - hits + 1) / hits))])
    hits = np.arange(count + 1)
    return float(np.exp(ways + hits * math.log(chance) + (trials - hits) * math.log1p(-chance)).sum())
