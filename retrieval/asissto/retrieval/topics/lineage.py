"""What became of topics when they were found anew: kept, parted, merged, retired."""

import msgspec
import numpy as np

from asissto.retrieval.topics.nearest import NONE, Labels, Sizes, Vectors

ALIKE = 0.8
"""Cosine of two centroids that are taken for the same topic where they share no questions."""


class Descent(msgspec.Struct, frozen=True, kw_only=True):
    """`origins` and `parted_from` of each new topic, `merged_into` of each old one, by numbers; NONE: of none."""

    origins: tuple[int, ...]
    parted_from: tuple[int, ...]
    merged_into: tuple[int, ...]


def descend(old: Labels, new: Labels, before: Vectors, after: Vectors) -> Descent:
    """By the questions that have had a topic in both, and by the centroids where there are none.

    Each old topic goes to at most one new one so that most questions keep theirs (Kuhn 1955); a pair counts where it
    shares at least half of the smaller. What is left was parted from, or has merged into, whoever has most of it.
    """
    shared = _shared(old, new, len(before), len(after))
    ours, theirs = shared.sum(1), shared.sum(0)
    origins = _pair(shared, ours, theirs, before, after)
    parted_from = [
        NONE if is_kept else _most_of(shared[:, at]) for at, is_kept in enumerate(origin != NONE for origin in origins)
    ]
    merged_into = [NONE if at in origins else _most_of(shared[at]) for at in range(len(before))]
    return Descent(origins=tuple(origins), parted_from=tuple(parted_from), merged_into=tuple(merged_into))


def _most_of(shared: Sizes) -> int:
    """Who has at least half of its questions."""
    return int(shared.argmax()) if len(shared) and 0 < shared.sum() <= 2 * shared.max() else NONE


def _shared(old: Labels, new: Labels, before: int, after: int) -> Sizes:
    both = (old != NONE) & (new != NONE)
    cells = old[both].astype(np.int64) * after + new[both]
    return np.bincount(cells, minlength=before * after).reshape(before, after)


def _pair(shared: Sizes, ours: Sizes, theirs: Sizes, before: Vectors, after: Vectors) -> list[int]:
    from scipy.optimize import linear_sum_assignment

    origins = [NONE] * len(after)
    if not shared.size:
        return origins
    likeness = before @ after.T
    for one, other in zip(*linear_sum_assignment(-(shared + likeness.clip(0) / 2)), strict=True):
        smaller = min(ours[one], theirs[other])
        is_same = 2 * shared[one, other] >= smaller if smaller else likeness[one, other] >= ALIKE
        if is_same:
            origins[int(other)] = int(one)
    return origins
