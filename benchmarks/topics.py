"""Topics beside BERTopic's default recipe on the same vectors: agreement with people, stable ids, time and memory."""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from asissto.platform.minilm import MiniLM
from asissto.retrieval.topics.clustering import Clustering, Known, cluster, refresh
from asissto.retrieval.topics.mapping import place_questions, place_topics
from asissto.retrieval.topics.nearest import NONE, nearest, normalised
from asissto.retrieval.topics.tree import cut_tree, grow_tree
from asissto.retrieval.topics.word_vectors import word_vectors

ROOT = Path(__file__).resolve().parents[1]
SETS = ROOT.parent / "shared" / "sets" / "clusters"
NAMES = ("banking77_train_sample", "clinc150_val", "bitext_support", "support_ru_synth")
RUSSIAN = "support_ru_synth"
SIZES, MORE_SIZES = (3_000, 10_000, 30_000, 100_000), (300_000, 1_000_000)
PEER_SIZES = 10_000
PEER = ROOT / ".venv-topics"
NOISE = 0.03
Vectors = NDArray[np.float32]
Figures = dict[str, Any]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--full", action="store_true", help="up to a million questions: some 2 GB")
    asked.add_argument("--sizes", type=int, nargs="*", default=None)
    asked.add_argument("--without-peer", action="store_true")
    wanted = asked.parse_args()
    sizes = wanted.sizes if wanted.sizes is not None else [*SIZES, *(MORE_SIZES if wanted.full else ())]
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        peer = None if wanted.without_peer else peer_python()
        sets = asyncio.run(read_sets(Path(folder)))
        quality = [row for name, (vectors, truth) in sets.items() for row in judge(name, vectors, truth, peer)]
        base = np.concatenate([sets[name][0] for name in NAMES if name != RUSSIAN])
        truth = [f"{name} {label}" for name in NAMES if name != RUSSIAN for label in sets[name][1]]
        np.savez(Path(folder) / "base.npz", vectors=base, truth=np.unique(truth, return_inverse=True)[1])
        scale = [row for size in sizes for row in measure_apart(Path(folder), size, peer)]
    if wanted.json:
        print(json.dumps({"quality": quality, "scale": scale}, indent=1))
    else:
        show("Agreement with the labels of people", quality)
        show("Time on one thread, memory, ids", scale)


async def read_sets(folder: Path) -> dict[str, tuple[Vectors, list[str]]]:
    """Vectors and labels; what is out of scope belongs to nothing. The built-in model knows no Russian."""
    found = {}
    for name in NAMES:
        lines = [json.loads(line) for line in (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        kept = [line for line in lines if line["label"] != "oos"]
        texts = [line["text"] for line in kept]
        vectors = word_vectors(texts) if name == RUSSIAN else await MiniLM(folder / "models").embed(texts)
        found[name] = vectors, [line["label"] for line in kept]
    return found


def judge(name: str, vectors: Vectors, truth: list[str], peer: Path | None) -> Iterator[Figures]:
    """At the finest cut, at the usual one and at the number of labels; and what a moved window keeps."""
    began = time.perf_counter()
    found = cluster(vectors)
    seconds = time.perf_counter() - began
    merges = grow_tree(found.means, found.sizes)
    for what, wanted in (
        ("finest", len(found.sizes)),
        ("half", len(found.sizes) // 2),
        ("as labelled", len(set(truth))),
    ):
        lead = np.array([*cut_tree(merges, len(found.sizes), wanted), NONE])
        yield {"set": name, "who": f"Asissto, {what}", **agreement(truth, lead[found.labels]), "seconds": seconds}
    yield {"set": name, "who": "Asissto, window moved", **moved_window(vectors, truth)}
    if peer is not None:
        labels, spent = ask_peer(peer, vectors)
        yield {"set": name, "who": "UMAP + HDBSCAN", **agreement(truth, labels), "seconds": spent}


def agreement(truth: Any, labels: Any) -> Figures:
    return {
        "topics": len(set(labels.tolist()) - {NONE}),
        "nmi": normalized_mutual_info_score(truth, labels),
        "ari": adjusted_rand_score(truth, labels),
        "none_percent": 100 * float(np.mean(labels == NONE)),
    }


def moved_window(vectors: Vectors, truth: list[str]) -> Figures:
    """7,000 of 8,500 questions, moved by 1,500, or the same share of fewer: what becomes of those in both windows."""
    order = np.random.default_rng(1).permutation(len(vectors))
    part = round(len(vectors) * 1_500 / 8_500)
    first = cluster(vectors[order[:-part]])
    before = np.append(first.labels[part:], np.full(part, NONE, np.int32))
    later = refresh(vectors[order[part:]], known(first, before))
    return agreement([truth[at] for at in order[part:]], later.labels) | kept_ids(before, later)


def known(found: Clustering, labels: NDArray[np.int32]) -> Known:
    pinned = np.zeros(len(found.sizes), np.bool_)
    return Known(centroids=found.centroids, floor=found.floor, labels=labels, pinned=pinned)


def kept_ids(before: NDArray[np.int32], later: Clustering) -> Figures:
    had = before != NONE
    ids = np.array([*later.origins, NONE])[later.labels]
    return {
        "warm_ari": adjusted_rand_score(before[had], later.labels[had]),
        "same_id_percent": 100 * float(np.mean(ids[had] == before[had])),
    }


def measure_apart(folder: Path, size: int, peer: Path | None) -> Iterator[Figures]:
    """In a process of its own, for its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(measure, folder, size).result()
    if peer is not None and size <= PEER_SIZES:
        vectors, truth = drawn(folder, size)
        labels, spent = ask_peer(peer, vectors)
        yield {"questions": size, "who": "UMAP + HDBSCAN", **agreement(truth, labels), "found_s": spent}


def measure(folder: Path, size: int) -> Figures:
    with threadpool_limits(1):
        vectors, truth = drawn(folder, size)
        seconds: dict[str, float] = {}
        began = time.perf_counter()

        def lap(name: str) -> None:
            nonlocal began
            seconds[name] = time.perf_counter() - began
            began = time.perf_counter()

        found = cluster(vectors)
        lap("found_s")
        places = place_topics(found.centroids)
        place_questions(vectors, found.labels, found.centroids, places)
        lap("map_s")
        grow_tree(found.means, found.sizes)
        lap("tree_s")
        nearest(vectors, found.centroids)
        lap("assigned_s")
        before = found.labels.copy()
        before[-size // 6 :] = NONE
        began = time.perf_counter()
        later = refresh(vectors, known(found, before))
        lap("refreshed_s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = agreement(truth, found.labels) | seconds | {"memory_mb": peak} | kept_ids(before, later)
    return {"questions": size, "who": "Asissto", **told}


def drawn(folder: Path, size: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Real questions, as often as needed, each time a little aside; as many topics as the three English sets have."""
    base = np.load(folder / "base.npz")
    chance = np.random.default_rng(size)
    chosen = chance.permutation(np.resize(np.arange(len(base["truth"])), size))
    vectors = base["vectors"][chosen]
    for start in range(0, size, 50_000):
        part = vectors[start : start + 50_000]
        part += NOISE * chance.standard_normal(part.shape, np.float32)
        vectors[start : start + 50_000] = normalised(part)
    return vectors, base["truth"][chosen]


def ask_peer(python: Path, vectors: Vectors) -> tuple[NDArray[np.int64], float]:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npy", Path(folder) / "made.npz"
        np.save(given, vectors)
        script = Path(__file__).with_name("peer_topics.py")
        quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
        subprocess.run([str(python), str(script), str(given), str(made)], check=True, env=quiet)
        told = np.load(made)
        return told["labels"], float(told["seconds"])


def peer_python() -> Path:
    """The peer's interpreter; its environment is made at the first use."""
    python = PEER / "bin" / "python"
    if not python.exists():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(PEER)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(python), "umap-learn>=0.5.12,<0.6"], check=True
        )
    return python


def show(title: str, rows: list[Figures]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in columns))
    Console(width=200).print(table)


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
