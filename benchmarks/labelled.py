"""Makes what answer.py stores and asks: passages with questions of their own, among others that do not answer them."""

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import workload
from workload import Workload

from asissto.platform.minilm import MiniLM

ASKED_SETS = ("xquad_en", "squad2_en", "xquad_ru")
OTHER_SETS = ("mtragun_en", "b24_support_ru")
"""Not those that are asked: a sentence that answers must not stand in two passages."""

RUSSIAN_SHARE = 0.2  # of the passages that answer nothing
_SEED = 20261125
_MOST_SENTENCES = 3_000  # of each other set

Sentences = dict[str, list[str]]
Asked = tuple[str, int, str]


class Labelled(msgspec.Struct, frozen=True):
    """`gold` is the row that answers each question, `languages` are those of the questions."""

    work: Workload
    gold: list[int]
    languages: list[str]


async def make_labelled(rows: int, answering: int, questions: int, folder: Path) -> Labelled:
    """At most `answering` rows answer, the first ones; vectors are the built-in model's, with its graph in `folder`.

    Embedding each of the others whole takes a quarter of an hour: theirs are mixed of their sentences' vectors.
    """
    chance, embedder = random.Random(_SEED), MiniLM(folder)
    passages, asked = _passages_and_questions(chance, answering)
    sentences = _sentences(chance)
    pool = [(text, language) for language, texts in sentences.items() for text in texts]
    known = dict(zip((text for text, _ in pool), await embedder.embed([text for text, _ in pool]), strict=True))
    fillers = [_filler(chance, sentences) for _ in range(rows - len(passages))]
    mixed = np.array([_mixed([known[text] for text in chosen]) for chosen, _ in fillers])
    picked = chance.sample(asked, min(questions, len(asked)))
    work = Workload(
        texts=[text for text, _ in passages] + [" ".join(chosen) for chosen, _ in fillers],
        vectors=np.concatenate([await embedder.embed([text for text, _ in passages]), mixed]),
        questions=[question for question, _, _ in picked],
        question_vectors=await embedder.embed([question for question, _, _ in picked]),
        languages=[language for _, language in (*passages, *fillers)],
    )
    return Labelled(work, [row for _, row, _ in picked], [language for _, _, language in picked])


def repeated(work: Workload, first: int, last: int) -> Workload:
    """With these rows a second time at the end, for another tenant."""
    return Workload(
        texts=work.texts + work.texts[first:last],
        vectors=np.concatenate([work.vectors, work.vectors[first:last]]),
        questions=work.questions,
        question_vectors=work.question_vectors,
        languages=[*work.languages, *work.languages[first:last]],
    )


def hits(found: Sequence[Sequence[int]], gold: Sequence[int], depth: int) -> float:
    """The share of questions whose answering row is among the first `depth` rows."""
    return sum(row in rows[:depth] for rows, row in zip(found, gold, strict=True)) / len(gold)


def _passages_and_questions(chance: random.Random, most: int) -> tuple[list[tuple[str, str]], list[Asked]]:
    """(text, language) of the passages, and (question, row, language)."""
    passages: list[tuple[str, str]] = []
    asked: list[Asked] = []
    for name in ASKED_SETS:
        rows = {}
        for line in _lines(name, "passages.jsonl"):
            rows[line["id"]] = len(passages)
            passages.append((line["text"], line["lang"]))
        asked += [
            (line["question"], rows[line["gold_passages"][0]], line["lang"])
            for line in _lines(name, "questions.jsonl")
            if line["answerable"] and len(line["gold_passages"]) == 1
        ]
    if passages:
        return passages[:most], [each for each in asked if each[1] < most]
    texts = [" ".join(workload.invented_sentences(chance, 8)) for _ in range(min(300, most))]
    return [(text, "en") for text in texts], [(_words(chance, text), row, "en") for row, text in enumerate(texts)]


def _words(chance: random.Random, text: str) -> str:
    return " ".join(chance.sample(text.lower().replace(".", "").split(), 6)) + "?"


def _sentences(chance: random.Random) -> Sentences:
    found: Sentences = {}
    for name in OTHER_SETS:
        for line in _lines(name, "passages.jsonl"):
            texts = found.setdefault(line["lang"], [])
            if len(texts) < _MOST_SENTENCES:
                texts += [each for each in re.split(r"(?<=[.!?])\s+", line["text"]) if 30 < len(each) < 400]
    return found or {"en": list(workload.invented_sentences(chance, 60))}


def _filler(chance: random.Random, sentences: Sentences) -> tuple[list[str], str]:
    """About 130 words, which is what a passage of 200 tokens holds, and their language."""
    language = "ru" if "ru" in sentences and chance.random() < RUSSIAN_SHARE else "en"
    chosen: list[str] = []
    while sum(map(len, chosen)) < 750:
        chosen.append(chance.choice(sentences[language]))
    return chosen, language


def _mixed(vectors: Sequence[workload.Floats]) -> workload.Floats:
    """Each counts half of the one before: means of equal weights lie in one heap, where no HNSW finds its way."""
    total = np.average(vectors, axis=0, weights=0.5 ** np.arange(len(vectors)))
    mixed: workload.Floats = (total / np.linalg.norm(total)).astype(np.float32)
    return mixed


def _lines(name: str, file: str) -> list[dict[str, Any]]:
    path = workload.SETS / name / file
    return list(map(json.loads, path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
