"""Makes what both sides store and search: passages, vectors in clusters, questions, and the exact answers."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SETS = Path(__file__).resolve().parents[2] / "shared" / "sets"
ENGLISH_SETS = ("xquad_en", "squad2_en", "mtragun_en")  # the built-in embedder and the peer's text search are English
DIMENSIONS = 384
PER_CLUSTER = 100
TENANT = "measured"
_SEED = 20261123
# Noise as long as the centre: neighbours in a cluster then have a cosine near 0.5, as related passages do in MiniLM.
_SPREAD = DIMENSIONS**-0.5


@dataclass(frozen=True)
class Workload:
    """Row i is text i with vector i, a unit vector; `question_vectors` lie near passages of the measured tenant.

    `languages` are those of the texts; none: all are English.
    """

    texts: list[str]
    vectors: Floats
    questions: list[str]
    question_vectors: Floats
    languages: list[str] = field(default_factory=list)

    def language(self, row: int) -> str:
        return self.languages[row] if self.languages else "en"


def make_workload(measured: int, others: int, questions: int) -> Workload:
    """The first `measured` rows are the measured tenant's, then come the others'; the same numbers give the same."""
    chance = random.Random(_SEED)
    sentences = _sentences() or list(invented_sentences(chance, 5_000))
    texts = [_passage(chance, sentences) for _ in range(measured + others)]
    vectors = clustered_vectors(measured + others)
    noise = np.random.default_rng(_SEED + 1)
    near = vectors[noise.integers(0, measured, questions)]
    asked = near + noise.normal(0, _SPREAD / 2, near.shape).astype(np.float32)
    pool = _questions() or [" ".join(chance.choice(texts[:measured]).split()[:8]) for _ in range(questions)]
    return Workload(texts, vectors, chance.sample(pool, questions), _normalised(asked))


def clustered_vectors(count: int) -> Floats:
    noise = np.random.default_rng(_SEED)
    centres = noise.normal(0, _SPREAD, (max(1, count // PER_CLUSTER), DIMENSIONS)).astype(np.float32)
    around = noise.normal(0, _SPREAD, (count, DIMENSIONS)).astype(np.float32)
    return _normalised(centres[noise.integers(0, len(centres), count)] + around)


def nearest(vectors: Floats, question_vectors: Floats, wanted: int) -> list[list[int]]:
    """The rows with the greatest cosine to each question, best first, by comparing with every row."""
    cosines = question_vectors @ vectors.T
    return [[int(row) for row in order[:wanted]] for order in np.argsort(-cosines, axis=1)]


def recall(found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> float:
    """The mean share of the exact rows that were found."""
    shares = [len(set(rows) & set(right)) / len(right) for rows, right in zip(found, exact, strict=True)]
    return sum(shares) / len(shares)


def documents(limit: int) -> list[str]:
    """Whole texts of at most `limit` characters together, from the sets or invented."""
    parts: dict[str, list[str]] = {}
    for passage in _lines("passages.jsonl"):
        parts.setdefault(passage["doc"], []).append(passage["text"])
    chance = random.Random(_SEED)
    found = ["\n\n".join(part) for part in parts.values()] or [
        " ".join(invented_sentences(chance, 100)) for _ in range(limit // 8_000 + 1)
    ]
    lengths = np.cumsum([len(text) for text in found])
    return found[: max(1, int(np.searchsorted(lengths, limit, "right")))]


def books(texts: Sequence[str], length: int = 50_000) -> list[str]:
    """The same texts, put together into documents of about that many characters."""
    found: list[str] = []
    for text in texts:
        if not found or len(found[-1]) > length:
            found.append(text)
        else:
            found[-1] += f"\n\n{text}"
    return found


def files() -> list[Path]:
    """Real files of every kind that can be read without recognising pictures; none where the sets are not there."""
    manifest = SETS / "docs" / "manifest.jsonl"
    if not manifest.exists():
        return []
    listed = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    return [manifest.with_name(each["file"]) for each in listed if each["expect"] == "ok"]


def save(workload: Workload, folder: Path) -> None:
    (folder / "texts.json").write_text(
        json.dumps([workload.texts, workload.questions, workload.languages]), encoding="utf-8"
    )
    np.save(folder / "vectors.npy", workload.vectors)
    np.save(folder / "questions.npy", workload.question_vectors)


def load(folder: Path) -> Workload:
    texts, questions, languages = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    return Workload(texts, np.load(folder / "vectors.npy"), questions, np.load(folder / "questions.npy"), languages)


def _passage(chance: random.Random, sentences: Sequence[str]) -> str:
    """About 130 words, which is what a passage of 200 tokens holds."""
    chosen: list[str] = []
    while sum(map(len, chosen)) < 750:
        chosen.append(chance.choice(sentences))
    return " ".join(chosen)


def _sentences() -> list[str]:
    return [
        sentence
        for passage in _lines("passages.jsonl")
        for sentence in re.split(r"(?<=[.!?])\s+", passage["text"])
        if 30 < len(sentence) < 400
    ]


def _questions() -> list[str]:
    return [question["question"] for question in _lines("questions.jsonl") if not question.get("history")]


def _lines(name: str) -> Iterator[dict[str, Any]]:
    for folder in ENGLISH_SETS:
        path = SETS / folder / name
        if path.exists():
            yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def invented_sentences(chance: random.Random, count: int) -> Iterator[str]:
    """Where the sets are not at hand; words are as unequally frequent as in a language (Zipf)."""
    consonants, vowels = "bcdfghklmnprstvz", "aeiou"
    syllables = [consonant + vowel for consonant in consonants for vowel in vowels]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(12_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    for _ in range(count):
        yield " ".join(chance.choices(words, weights, k=chance.randint(8, 20))).capitalize() + "."


def _normalised(vectors: Floats) -> Floats:
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
