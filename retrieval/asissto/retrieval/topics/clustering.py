"""Topics of questions from their vectors: found anew, refreshed from those that are known, or just assigned.

Rows of vectors are float32 and L2-normalised throughout. Topics go by numbers from 0; the same input gives the same.
"""

from math import sqrt

import msgspec
import numpy as np

from asissto.retrieval.topics.nearest import (
    NONE,
    Labels,
    Mask,
    Sizes,
    Vectors,
    centroids_of,
    likeness_to_others,
    nearest,
    sizes_of,
)
from asissto.retrieval.topics.smoothing import fine_groups, group_strays, halves, smoothed_means

LEAST = 3
"""Questions of a topic; what is smaller goes to its neighbours."""
MOST_TOPICS = 1_000
FLOOR_SHARE = 10.0
"""Per cent of a topic's own questions that lie farther from it than what still belongs to it on arrival."""
MOST_ROUNDS, STILL = 8, 0.002
SLACK = 0.75
"""Wide topics are parted once there are fewer than this share of those that so many questions would give anew."""


class Clustering(msgspec.Struct, frozen=True, kw_only=True):
    """`centroids` (k, d) and `sizes` (k,) of the topics, `means` (k, d) their places in the tree, `labels` (n,).

    A question whose cosine with the nearest centroid is below `floor` belongs to none. `origins` are the numbers that
    topics had before, NONE for new ones; `parted_from` the topics that new ones are a part of, by their numbers before.
    """

    centroids: Vectors
    means: Vectors
    sizes: Sizes
    labels: Labels
    floor: float
    origins: tuple[int, ...]
    parted_from: tuple[int, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Topics as they were, with the `labels` that the questions had; pinned ones never go."""

    centroids: Vectors
    floor: float
    labels: Labels
    pinned: Mask


def finest(questions: int) -> int:
    """How many topics are told apart at most: 2.7 times the root, 148 of 3,000 questions."""
    return max(1, min(MOST_TOPICS, questions // LEAST, round(2.7 * sqrt(questions))))


def usual(questions: int) -> int:
    """How many of them an overview shows: half."""
    return max(1, (finest(questions) + 1) // 2)


def cluster(vectors: Vectors) -> Clustering:
    """Topics found without knowing any."""
    if not len(vectors):
        nothing = np.empty((0, vectors.shape[1]), np.float32)
        sizes, labels = np.empty(0, np.int64), np.empty(0, np.int32)
        return Clustering(
            centroids=nothing, means=nothing, sizes=sizes, labels=labels, floor=0.0, origins=(), parted_from=()
        )
    points, groups = fine_groups(vectors, finest(len(vectors)))
    labels, _ = nearest(vectors, centroids_of(points, groups, groups.max() + 1))
    draft = _Draft(vectors, centroids_of(vectors, labels, groups.max() + 1), 0.0)
    draft.come_to_rest()
    draft.floor = draft.measured_floor()
    draft.drop_small()
    return draft.told()


def refresh(vectors: Vectors, known: Known) -> Clustering:
    """The known topics moved to where the questions are by now; what belonged to none may have become topics."""
    draft = _Draft(vectors, known.centroids, known.floor, known.pinned)
    strays = (known.labels == NONE) & (draft.likeness < known.floor)
    draft.labels[strays] = NONE
    for _ in range(2):
        draft.move()
        draft.settle(strays)
    draft.add(group_strays(vectors, draft.labels == NONE, draft.measured_closeness()))
    draft.settle(draft.labels == NONE)
    draft.part_widest(round(SLACK * finest(len(vectors))))
    draft.floor = draft.measured_floor()
    draft.drop_small()
    return draft.told()


class _Draft:
    def __init__(self, vectors: Vectors, centroids: Vectors, floor: float, pinned: Mask | None = None) -> None:
        self.vectors, self.centroids, self.floor = vectors, centroids, floor
        self.pinned = np.zeros(len(centroids), np.bool_) if pinned is None else pinned
        self.origins = np.arange(len(centroids)) if pinned is not None else np.full(len(centroids), NONE)
        self.parted_from = np.full(len(centroids), NONE)
        self.labels, self.likeness = nearest(vectors, centroids)

    def settle(self, strays: Mask | None = None) -> None:
        """Each question to the nearest topic; strays only to one that is near enough."""
        self.labels, self.likeness = nearest(self.vectors, self.centroids)
        if strays is not None:
            self.labels[strays & (self.likeness < self.floor)] = NONE

    def come_to_rest(self) -> None:
        """Until hardly a question changes its topic, so that a refresh has nothing left to move."""
        for _ in range(MOST_ROUNDS):
            before = self.labels
            self.move()
            self.settle()
            if np.mean(before != self.labels) < STILL:
                return

    def move(self) -> None:
        moved = centroids_of(self.vectors, self.labels, len(self.centroids))
        self.centroids = np.where(moved.any(1, keepdims=True), moved, self.centroids)

    def measured_floor(self) -> float:
        own = likeness_to_others(self.vectors, self.labels, len(self.centroids))
        return float(np.percentile(own, FLOOR_SHARE)) if len(own) else self.floor

    def measured_closeness(self) -> float:
        """Of a question in the midst of a topic with one at its edge: the product of their cosines with its centroid.

        With it 95 to 100 % of the questions of topics that appear are of intents that were not there before.
        """
        own = likeness_to_others(self.vectors, self.labels, len(self.centroids))
        return self.floor * (float(np.median(own)) if len(own) else 1.0)

    def add(self, groups: Labels, parent: int = NONE) -> None:
        """New topics of the questions that have a group, of which none has a number yet."""
        found = int(groups.max(initial=NONE)) + 1
        if not found:
            return
        begin = len(self.centroids)
        self.centroids = np.concatenate([self.centroids, centroids_of(self.vectors, groups, found)])
        self.labels = np.where(groups != NONE, groups + begin, self.labels).astype(np.int32)
        mine = self.labels >= begin
        self.likeness[mine] = np.einsum("nd,nd->n", self.vectors[mine], self.centroids[self.labels[mine]])
        self.pinned = np.append(self.pinned, np.zeros(found, np.bool_))
        self.origins = np.append(self.origins, np.full(found, NONE))
        self.parted_from = np.append(self.parted_from, np.full(found, parent))

    def part_widest(self, wanted: int) -> None:
        """Takes the smaller half out of the topic with the most squares within, until there are enough."""
        while len(self.centroids) < wanted:
            spread = np.bincount(self.labels[self.labels != NONE], minlength=len(self.centroids)).astype(np.float64)
            near = np.bincount(
                self.labels[self.labels != NONE],
                weights=self.likeness[self.labels != NONE],
                minlength=len(self.centroids),
            )
            widest = int(np.argmax(spread - near))
            smaller = halves(self.vectors, self.labels == widest)
            if min(np.sum(smaller == 0), spread[widest] - np.sum(smaller == 0)) < LEAST:
                return
            parent = self.origins[widest] if self.origins[widest] != NONE else self.parted_from[widest]
            self.add(smaller, int(parent))
            self.move()
            self.settle(self.labels == NONE)

    def drop_small(self) -> None:
        """Renumbers: what is left of a small topic goes to its neighbours, or to none."""
        stays = (sizes_of(self.labels, len(self.centroids)) >= LEAST) | self.pinned
        if not stays.any() and len(stays):
            stays[np.argmax(sizes_of(self.labels, len(stays)))] = True
        numbers = np.append(np.where(stays, np.cumsum(stays) - 1, NONE), NONE)
        homeless = (self.labels != NONE) & (numbers[self.labels] == NONE)
        self.labels = numbers[self.labels].astype(np.int32)
        self.centroids, self.pinned = self.centroids[stays], self.pinned[stays]
        self.origins, self.parted_from = self.origins[stays], self.parted_from[stays]
        labels, likeness = nearest(self.vectors[homeless], self.centroids)
        self.labels[homeless] = np.where(likeness >= self.floor, labels, NONE)
        self.likeness[homeless] = likeness

    def told(self) -> Clustering:
        return Clustering(
            centroids=self.centroids,
            means=smoothed_means(self.vectors, self.labels, self.centroids),
            sizes=sizes_of(self.labels, len(self.centroids)),
            labels=self.labels,
            floor=self.floor,
            origins=tuple(map(int, self.origins)),
            parted_from=tuple(map(int, self.parted_from)),
        )
