"""The engine of topics: clusters, refreshes, names, a map and trends of vectors, without a database."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import binomtest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from asissto.platform.embedding import Embedder
from asissto.retrieval.topics.clustering import Known, cluster, finest, refresh, usual
from asissto.retrieval.topics.lineage import descend
from asissto.retrieval.topics.mapping import place_questions, place_topics
from asissto.retrieval.topics.naming import name_topics
from asissto.retrieval.topics.nearest import NONE, Labels, Vectors, nearest, normalised
from asissto.retrieval.topics.smoothing import DIRECT
from asissto.retrieval.topics.tree import cut_tree, grow_tree
from asissto.retrieval.topics.trends import change_p, discoveries
from asissto.retrieval.topics.word_vectors import word_vectors

SETS = Path(__file__).resolve().parents[2] / "shared" / "sets" / "clusters"
needs_sets = pytest.mark.skipif(not SETS.exists(), reason="the evaluation sets are not here")


def planted(seed: int, *sizes: int, width: int = 32, noise: float = 0.06) -> tuple[Vectors, Labels]:
    """Questions of topics of these sizes, shuffled, and the topic of each; the directions are those of seed 0."""
    centres = np.random.default_rng(0).standard_normal((len(sizes), width))
    drawn = np.random.default_rng(seed)
    labels = drawn.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    points = centres[labels] + noise * drawn.standard_normal((len(labels), width))
    return normalised(points.astype(np.float32)), labels


def known_of(vectors: Vectors, labels: Labels | None = None, pinned: tuple[int, ...] = ()) -> Known:
    found = cluster(vectors)
    mask = np.isin(np.arange(len(found.sizes)), pinned)
    return Known(
        centroids=found.centroids,
        floor=found.floor,
        labels=found.labels if labels is None else labels,
        pinned=mask,
    )


def test_planted_topics_are_found_at_their_cut_of_the_tree() -> None:
    """Of different sizes, the same each time; fewer are wanted than are there at most."""
    vectors, truth = planted(1, 40, 40, 30, 30, 30, 20)
    found = cluster(vectors)
    merges = grow_tree(found.means, found.sizes)
    lead = np.array(cut_tree(merges, len(found.sizes), 6))
    assert 6 == len(set(lead.tolist())) < len(found.sizes) <= finest(190)
    has_topic = found.labels != NONE
    assert adjusted_rand_score(truth[has_topic], lead[found.labels[has_topic]]) == pytest.approx(1.0)
    assert has_topic.mean() > 0.97
    again = cluster(vectors)
    assert np.array_equal(again.labels, found.labels)
    assert np.array_equal(again.centroids, found.centroids)


def test_the_tree_is_that_of_ward() -> None:
    """The same groups as scipy gives at every cut, for topics of one question each."""
    points, _ = planted(3, 9, 8, 7, noise=0.3)
    merges = grow_tree(points, np.ones(len(points), np.int64))
    joined = linkage(points.astype(np.float64), "ward")
    for wanted in range(1, len(points) + 1):
        ours = cut_tree(merges, len(points), wanted)
        assert adjusted_rand_score(fcluster(joined, wanted, "maxclust"), ours) == pytest.approx(1.0)
        assert len(set(ours)) == wanted


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_a_handful_of_questions_is_no_trouble(count: int) -> None:
    """Nor are as many equal ones."""
    vectors = planted(4, 20)[0][:count]
    equal = np.repeat(planted(4, 1)[0], count, axis=0)
    for some in (vectors, equal):
        found = cluster(some)
        assert found.sizes.sum() == (found.labels != NONE).sum() == count
        places = place_topics(found.centroids)
        assert place_questions(some, found.labels, found.centroids, places).shape == (count, 2)


def test_a_refresh_keeps_topics_and_finds_the_new_ones() -> None:
    """Strays that are alike become a topic; lone ones stay without; what nobody asks any more goes, unless pinned."""
    first, whose = planted(5, 40, 40, 40, 40)
    known = known_of(first)
    elsewhere = -np.stack([first[whose == topic].mean(0) for topic in (0, 1)])
    alike = normalised(np.repeat(elsewhere, (12, 1), axis=0) + 0.02 * planted(7, 13)[0])
    later = np.concatenate([first[whose > 0], alike])
    before = np.append(known.labels[whose > 0], np.full(13, NONE, np.int32))
    found = refresh(later, Known(centroids=known.centroids, floor=known.floor, labels=before, pinned=known.pinned))
    (appeared,) = set(found.labels[-13:-1].tolist())
    assert (found.origins[appeared], int(found.sizes[appeared])) == (NONE, 12)
    assert found.labels[-1] == NONE
    same = before != NONE
    origins = np.array(found.origins)
    assert np.mean(origins[found.labels[same]] == before[same]) > 0.95
    gone = [topic for topic in range(len(known.centroids)) if topic not in found.origins]
    assert gone
    pinned = Known(
        centroids=known.centroids, floor=known.floor, labels=before, pinned=np.isin(np.arange(len(known.pinned)), gone)
    )
    assert set(gone) <= set(refresh(later, pinned).origins)


def test_a_topic_that_has_grown_wide_is_parted() -> None:
    """The larger part keeps the number, the other tells what it was parted from."""
    few, _ = planted(7, 9, 9)
    known = known_of(few)
    many, truth = planted(8, 300, 300)
    labels, _ = nearest(many, known.centroids)
    found = refresh(many, Known(centroids=known.centroids, floor=known.floor, labels=labels, pinned=known.pinned))
    assert len(found.sizes) > len(known.centroids)
    parted = [topic for topic, origin in enumerate(found.origins) if origin == NONE]
    assert parted
    assert all(found.parted_from[topic] != NONE for topic in parted)
    homes = {origin: set(truth[found.labels == at].tolist()) for at, origin in enumerate(found.origins) if origin >= 0}
    assert all(homes[found.parted_from[topic]] == set(truth[found.labels == topic].tolist()) for topic in parted)


def test_topics_that_were_found_anew_know_what_they_were() -> None:
    """Kept by most of their questions; two that became one, one that became two, one that is gone, one that is new."""
    old = np.array([0] * 10 + [1] * 6 + [2] * 4 + [3] * 12 + [NONE] * 8 + [4] * 3, np.int32)
    new = np.array([1] * 10 + [0] * 6 + [0] * 4 + [2] * 7 + [3] * 5 + [4] * 8 + [NONE] * 3, np.int32)
    far = np.eye(10, dtype=np.float32)
    descent = descend(old, new, far[:5], far[5:])
    assert descent.origins == (1, 0, 3, NONE, NONE)
    assert descent.parted_from == (NONE, NONE, NONE, 3, NONE)
    assert descent.merged_into == (NONE, NONE, 0, NONE, NONE)


@needs_sets
async def test_topics_of_real_questions_agree_with_people(embedder: Embedder) -> None:
    """Normalised mutual information and adjusted Rand index at the finest cut; a refresh later, both hold."""
    texts, truth = read_set("clinc150_val")
    vectors = await embedder.embed(texts)
    found = cluster(vectors)
    agreement = normalized_mutual_info_score(truth, found.labels), adjusted_rand_score(truth, found.labels)
    assert agreement[0] >= 0.91
    assert agreement[1] >= 0.70
    shuffled = np.random.default_rng(1).permutation(len(vectors))
    window, part = int(len(vectors) * 0.82), len(vectors) - int(len(vectors) * 0.82)
    earlier = cluster(vectors[shuffled[:window]])
    before = np.append(earlier.labels[part:], np.full(part, NONE, np.int32))
    known = Known(
        centroids=earlier.centroids,
        floor=earlier.floor,
        labels=before,
        pinned=np.zeros(len(earlier.sizes), np.bool_),
    )
    later = refresh(vectors[shuffled[part:]], known)
    had = before != NONE
    assert adjusted_rand_score(before[had], later.labels[had]) >= 0.95
    assert np.mean(np.array([*later.origins, NONE])[later.labels[had]] == before[had]) >= 0.98


@needs_sets
def test_words_alone_tell_topics_roughly() -> None:
    """Better than TF-IDF with k-means (0.69 on this set), far behind an embedder: hence the notice."""
    texts, truth = read_set("clinc150_val")
    assert normalized_mutual_info_score(truth, cluster(word_vectors(texts)).labels) >= 0.77


def test_topics_are_named_by_a_question_and_by_words() -> None:
    """In any inflection, in the commonest form; words that everybody uses name nothing."""
    texts = [
        "Как оформить возврат?",
        "Возврат товара как сделать",
        "возврата нет, где заказ",
        "Сколько стоит доставка заказа?",
        "Доставка заказа в Казань сколько стоит",
        "когда доставка заказа",
    ]
    vectors = word_vectors(texts)
    labels = np.array([0, 0, 0, 1, 1, 1], np.int32)
    centroids = normalised(np.stack([vectors[:3].mean(0), vectors[3:].mean(0)]))
    refunds, delivery = name_topics(texts, vectors, labels, centroids)
    assert refunds.title in texts[:3]
    assert refunds.chips[0] == "возврат"
    assert delivery.title in texts[3:]
    assert delivery.chips[0] == "доставка заказа"
    assert sorted(delivery.examples) == [3, 4, 5]


def test_a_place_on_the_map_hardly_moves() -> None:
    """The same for the same topics; new ones come beside their likes and push nobody far."""
    vectors, _ = planted(9, *[12] * 30)
    found = cluster(vectors)
    places = place_topics(found.centroids)
    assert np.array_equal(places, place_topics(found.centroids))
    before = places.copy()
    before[-3:] = np.nan
    moved = place_topics(found.centroids, before)
    assert np.median(np.linalg.norm(moved[:-3] - places[:-3], axis=1)) < 0.15 * places.std()
    spots = place_questions(vectors, found.labels, found.centroids, places)
    own: NDArray[np.float32] = np.linalg.norm(spots - places[found.labels], axis=1)
    assert np.median(own) < np.median(np.linalg.norm(spots - places[np.roll(found.labels, 7)], axis=1)) / 3
    alone = place_questions(vectors[:1], found.labels[:1], found.centroids, places)
    assert np.allclose(alone, spots[:1], atol=1e-6)


@pytest.mark.parametrize(("now", "before", "share"), [(30, 15, 0.5), (12, 30, 0.3), (0, 12, 0.5), (9_000, 8_700, 0.5)])
def test_a_change_is_judged_by_the_exact_test(now: int, before: int, share: float) -> None:
    """Twice the smaller tail of the binomial, as scipy has it; the normal approximation agrees where it takes over."""
    both = binomtest(now, now + before, share, "less").pvalue, binomtest(now, now + before, share, "greater").pvalue
    assert change_p(now, before, share) == pytest.approx(min(1.0, 2 * min(both)), rel=0.02)


def test_few_questions_and_many_tests_prove_nothing() -> None:
    """Below ten nothing is said; of a thousand tests of nothing, none is believed."""
    assert change_p(9, 0, 0.5) == 1.0
    assert discoveries([0.001, 0.04, 0.03, 0.9]) == [True, False, False, False]
    assert not any(discoveries(np.random.default_rng(2).uniform(size=1_000).tolist()))


def test_more_than_can_be_compared_directly_is_put_into_micro_clusters() -> None:
    """Nothing is lost by it where topics are clear."""
    vectors, truth = planted(10, *[220] * 30)
    assert len(vectors) > DIRECT
    found = cluster(vectors)
    lead = np.array(cut_tree(grow_tree(found.means, found.sizes), len(found.sizes), 30))
    assert adjusted_rand_score(truth, lead[found.labels]) > 0.99
    assert usual(len(vectors)) == (finest(len(vectors)) + 1) // 2


def read_set(name: str) -> tuple[list[str], list[str]]:
    """Texts and labels; what is out of scope belongs to nothing."""
    lines = map(json.loads, (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    kept = [line for line in lines if line["label"] != "oos"]
    return [line["text"] for line in kept], [line["label"] for line in kept]
