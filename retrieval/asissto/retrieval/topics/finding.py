"""From vectors and texts to topics with ids, names and places: all of a run that needs no database."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np

from asissto.platform.tables import new_id
from asissto.retrieval.topics.clustering import Clustering, Known, cluster, refresh
from asissto.retrieval.topics.lineage import descend
from asissto.retrieval.topics.mapping import place_questions, place_topics
from asissto.retrieval.topics.naming import Name, name_topics
from asissto.retrieval.topics.nearest import NONE, Labels, Mask, Vectors
from asissto.retrieval.topics.tree import Merges, grow_tree


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """Topics as they are, with `places` (k, 2) on the map and `labels` (n,) of questions; no `floor`: another space."""

    ids: Sequence[UUID]
    centroids: Vectors
    places: Vectors
    pinned: Mask
    labels: Labels
    floor: float | None


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Ids: `parted` and `merged` tell from and into which topic."""

    kept: int
    appeared: list[UUID]
    parted: dict[str, UUID]
    merged: dict[str, UUID]
    retired: list[UUID]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`ids` of the topics in the order of the clustering; `spots` (n, 2) of the questions."""

    ids: list[UUID]
    clustering: Clustering
    names: list[Name]
    merges: Merges
    places: Vectors
    spots: Vectors
    lineage: Lineage


def find_topics(texts: Sequence[str], vectors: Vectors, before: Before, *, anew: bool) -> Found:
    """A refresh of what is known, or everything anew where that is wanted or nothing is known in this space."""
    if anew or before.floor is None or not len(before.ids):
        found, merged = _anew(vectors, before)
    else:
        found, merged = refresh(vectors, _known(before, before.floor)), dict[int, int]()
    ids = [new_id() if origin == NONE else before.ids[origin] for origin in found.origins]
    old = np.array([before.places[at] if at != NONE else (np.nan, np.nan) for at in found.origins], np.float32)
    places = place_topics(found.centroids, old.reshape(-1, 2) if len(before.ids) else None)
    return Found(
        ids=ids,
        clustering=found,
        names=name_topics(texts, vectors, found.labels, found.centroids),
        merges=grow_tree(found.means, found.sizes),
        places=places,
        spots=place_questions(vectors, found.labels, found.centroids, places),
        lineage=_lineage(ids, found, before.ids, merged),
    )


def _known(before: Before, floor: float) -> Known:
    return Known(centroids=before.centroids, floor=floor, labels=before.labels, pinned=before.pinned)


def _anew(vectors: Vectors, before: Before) -> tuple[Clustering, dict[int, int]]:
    """With the numbers of old topics that have merged into new ones; pinned ones come back where they were lost."""
    found = cluster(vectors)
    if not len(before.ids):
        return found, {}
    descent = descend(before.labels, found.labels, before.centroids, found.centroids)
    lost = [at for at in np.flatnonzero(before.pinned) if at not in descent.origins and before.floor is not None]
    origins, parted_from = [*descent.origins, *map(int, lost)], [*descent.parted_from, *(NONE for _ in lost)]
    if lost:
        more = Known(
            centroids=np.concatenate([found.centroids, before.centroids[lost]]),
            floor=found.floor,
            labels=found.labels,
            pinned=np.arange(len(origins)) >= len(found.sizes),
        )
        found = refresh(vectors, more)
        origins = [origins[at] if at != NONE else NONE for at in found.origins]
        parted_from = [parted_from[at] if at != NONE else NONE for at in found.origins]
    named = msgspec.structs.replace(found, origins=tuple(origins), parted_from=tuple(parted_from))
    merged = {} if lost else {old: new for old, new in enumerate(descent.merged_into) if new != NONE}
    return named, {old: new for old, new in merged.items() if old not in lost}


def _lineage(ids: Sequence[UUID], found: Clustering, old: Sequence[UUID], merged: dict[int, int]) -> Lineage:
    parted = {str(ids[at]): old[parent] for at, parent in enumerate(found.parted_from) if parent != NONE}
    kept = set(found.origins)
    return Lineage(
        kept=sum(origin != NONE for origin in found.origins),
        appeared=[each for each, origin in zip(ids, found.origins, strict=True) if origin == NONE],
        parted=parted,
        merged={str(old[gone]): ids[into] for gone, into in merged.items()},
        retired=[each for at, each in enumerate(old) if at not in kept and at not in merged],
    )
