"""Where questions stand on a map: cheap, the same for the same input, and hardly moved by a refresh."""

import numpy as np

from asissto.retrieval.topics.nearest import NONE, Labels, Mask, Vectors

NEAR = 3
"""Topics that draw a question towards them."""
SHARPNESS = 20.0
SPREAD = 0.35
"""How far questions lie around their place, in distances to the next topic."""
_SEED = 20_261_125


def place_topics(centroids: Vectors, before: Vectors | None = None) -> Vectors:
    """(k, 2), in a square of about -1 to 1. `before` (k, 2) are old places, NaN for topics that have none.

    t-SNE (van der Maaten and Hinton 2008) of the centroids, begun at the old places and turned back onto them.
    """
    if len(centroids) < 3:
        line = np.zeros((len(centroids), 2), np.float32)
        line[:, 0] = np.linspace(-0.5, 0.5, len(centroids))
        return line if before is None or np.isnan(before).any() else before
    begin = _principal(centroids)
    if before is not None:
        begin = _begun(begin, centroids, before)
    places = _settled(centroids, begin, is_warm=before is not None)
    return places if before is None else _turned_back(places, before)


def place_questions(vectors: Vectors, labels: Labels, centroids: Vectors, places: Vectors) -> Vectors:
    """(n, 2): between the nearest topics by their cosines, and a little aside as the question differs from its topic.

    Needs nothing but the topics, so that it is the same on arrival.
    """
    found = np.zeros((len(vectors), 2), np.float32)
    if not len(centroids):
        return found
    aside = np.random.default_rng(_SEED).standard_normal((vectors.shape[1], 2)).astype(np.float32)
    room = _room(places)
    for start in range(0, len(vectors), 8_192):
        part = slice(start, start + 8_192)
        cosines = vectors[part] @ centroids.T
        mine = np.where(labels[part] == NONE, cosines.argmax(1), labels[part])
        cosines[np.arange(len(mine)), mine] = cosines.max(1)
        near = np.argpartition(-cosines, min(NEAR, len(places)) - 1, axis=1)[:, :NEAR]
        weights = np.exp(SHARPNESS * (np.take_along_axis(cosines, near, 1) - cosines.max(1, keepdims=True)))
        weights /= weights.sum(1, keepdims=True)
        middle = np.einsum("nk,nkd->nd", weights, places[near])
        found[part] = middle + SPREAD * room * np.tanh((vectors[part] - centroids[mine]) @ aside)
    return found


def _principal(centroids: Vectors) -> Vectors:
    """Two principal components, with signs that do not depend on the machine."""
    _, _, axes = np.linalg.svd(centroids - centroids.mean(0), full_matrices=False)
    found = (centroids - centroids.mean(0)) @ axes[:2].T
    signs = np.sign(found[np.abs(found).argmax(0), [0, 1]])
    return np.asarray(found * np.where(signs == 0, 1, signs), np.float32)


def _begun(begin: Vectors, centroids: Vectors, before: Vectors) -> Vectors:
    """Old places, and for new topics that of the nearest old one."""
    known = _known(before)
    if not known.any():
        return begin
    nearest = np.flatnonzero(known)[(centroids @ centroids[known].T).argmax(1)]
    jitter = (begin - begin.mean(0)) * 1e-2
    return np.where(known[:, None], before, before[nearest] + jitter).astype(np.float32)


def _known(before: Vectors) -> Mask:
    return np.asarray(~np.isnan(before).any(axis=1), np.bool_)


def _settled(centroids: Vectors, begin: Vectors, *, is_warm: bool) -> Vectors:
    from sklearn.manifold import TSNE

    scale = 10.0 if is_warm else 1e-2
    first = begin / max(float(begin.std()), 1e-9) * scale
    model = TSNE(
        2,
        perplexity=min(15.0, (len(centroids) - 1) / 3),
        early_exaggeration=1.0 if is_warm else 12.0,
        max_iter=250 if is_warm else 750,
        init=first.astype(np.float32),
        metric="cosine",
        method="exact" if len(centroids) < 300 else "barnes_hut",
        random_state=_SEED,
    )
    return _within(np.asarray(model.fit_transform(centroids), np.float32))


def _within(places: Vectors) -> Vectors:
    centred = places - places.mean(0)
    return np.asarray(centred / max(float(np.abs(centred).max()), 1e-9), np.float32)


def _turned_back(places: Vectors, before: Vectors) -> Vectors:
    """Rotated, mirrored and scaled onto the old places (Schönemann 1966)."""
    known = _known(before)
    if known.sum() < 3:
        return places
    ours, theirs = places[known] - places[known].mean(0), before[known] - before[known].mean(0)
    left, stretch, right = np.linalg.svd(ours.T @ theirs)
    scale = stretch.sum() / max(float((ours**2).sum()), 1e-9)
    turned = scale * (places - places[known].mean(0)) @ (left @ right) + before[known].mean(0)
    return np.asarray(turned, np.float32)


def _room(places: Vectors) -> float:
    """The usual distance to the next topic."""
    if len(places) < 2:
        return 0.5
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return float(np.median(gaps.min(1)))
