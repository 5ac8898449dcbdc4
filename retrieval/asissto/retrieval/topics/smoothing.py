"""What scikit-learn and scipy do for topics: micro-clusters, Ward's tree, and the grouping of strays.

Both are imported where they are used: only the worker and the command line need them.
"""

import numpy as np

from asissto.retrieval.topics.nearest import NONE, Labels, Mask, Vectors, means_of, normalised

DIRECT = 6_000
"""So many questions are clustered one by one: 144 MB of distances, 9 s. More are put into micro-clusters first."""
MICRO = 3_000
SAMPLE = 60_000
"""What micro-clusters are made from, where there is more."""
NEIGHBOURS, ROUNDS = 10, 2
"""Ten neighbours gain 1-2 points of NMI on every set and at every cut; 5 and 15, one round and four do the same."""
LEAST_NEW = 5
"""Questions of a topic that appears among those which belonged to none."""
MOST_STRAYS = 3_000
_SEED = 20_261_125


def fine_groups(vectors: Vectors, wanted: int) -> tuple[Vectors, Labels]:
    """Points that stand for the questions, and Ward's `wanted` groups of them."""
    points = vectors if len(vectors) <= DIRECT else micro_clusters(vectors)
    return points, _ward(smooth(points), wanted)


def micro_clusters(vectors: Vectors) -> Vectors:
    """Centres of at most MICRO groups of a sample of the questions."""
    from sklearn.cluster import MiniBatchKMeans

    sample = _sample(len(vectors), SAMPLE)
    wanted = min(MICRO, len(sample) // 3)
    means = MiniBatchKMeans(
        wanted, init="random", n_init=1, batch_size=8_192, max_iter=8, reassignment_ratio=0.0, random_state=_SEED
    )
    centres = means.fit(vectors[sample]).cluster_centers_
    return normalised(np.asarray(centres, np.float32))


def smooth(points: Vectors) -> Vectors:
    """Each point moved towards its nearest neighbours, weighted by their cosines, so that groups grow denser.

    Memory of the cosines: 4 bytes for each pair.
    """
    from scipy.sparse import coo_array, eye_array

    count = min(NEIGHBOURS, len(points) - 1)
    if count < 1:
        return points
    rows, columns, weights = [], [], []
    for start in range(0, len(points), 1_024):
        cosines = points[start : start + 1_024] @ points.T
        here = np.arange(len(cosines))
        cosines[here, here + start] = -np.inf
        found = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        rows.append(np.repeat(here + start, count))
        columns.append(found.ravel())
        weights.append(np.take_along_axis(cosines, found, 1).ravel().clip(0))
    joined = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    graph = coo_array(joined, shape=(len(points), len(points))).tocsr()
    graph = (graph + graph.T) / 2 + eye_array(len(points), format="csr", dtype=np.float32)
    shares = 1 / np.asarray(graph.sum(1), np.float32)[:, None]
    moved = points
    for _ in range(ROUNDS):
        moved = (graph @ moved) * shares
    return normalised(np.asarray(moved, np.float32))


def smoothed_means(vectors: Vectors, labels: Labels, centroids: Vectors) -> Vectors:
    """Means of the topics over smoothed questions, of a sample where there are many; the tree stands on them."""
    sample = _sample(len(vectors), DIRECT)
    means = means_of(smooth(vectors[sample]), labels[sample], len(centroids))
    return np.where(means.any(1, keepdims=True), means, centroids)


def group_strays(vectors: Vectors, strays: Mask, closeness: float) -> Labels:
    """Groups of LEAST_NEW strays and more that are on average as close as the cosine `closeness`; NONE: no group."""
    from scipy.cluster.hierarchy import fcluster, linkage

    labels = np.full(len(vectors), NONE, np.int32)
    chosen = np.flatnonzero(strays)[-MOST_STRAYS:]
    if len(chosen) < LEAST_NEW:
        return labels
    joined = linkage(vectors[chosen], "average", metric="cosine")
    groups = fcluster(joined, 1 - closeness, "distance")
    names, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    numbers = np.where(sizes >= LEAST_NEW, np.cumsum(sizes >= LEAST_NEW) - 1, NONE)
    assert len(names) == len(numbers)
    labels[chosen] = numbers[groups]
    return labels


def halves(vectors: Vectors, members: Mask) -> Labels:
    """0 for the members that belong to the smaller of two halves, NONE for all others."""
    labels = np.full(len(vectors), NONE, np.int32)
    chosen = np.flatnonzero(members)
    sample = chosen[_sample(len(chosen), DIRECT // 3)]
    if len(sample) < 2:
        return labels
    groups = _ward(smooth(vectors[sample]), 2)
    first, second = normalised(means_of(vectors[sample], groups, 2))
    sides = vectors[chosen] @ first > vectors[chosen] @ second
    labels[chosen[sides if 2 * sides.sum() <= len(sides) else ~sides]] = 0
    return labels


def _ward(points: Vectors, wanted: int) -> Labels:
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(points) < 2:
        return np.zeros(len(points), np.int32)
    groups = fcluster(linkage(points, "ward"), wanted, "maxclust")
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.int32)


def _sample(count: int, most: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Numbers of at most so many questions, in their order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(_SEED).choice(count, most, replace=False))
