"""Tells in the receipt what was looked for, why each passage was found, and what became of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from asissto.ingestion.lexemes import lexemes_of_word
from asissto.retrieval.passages import Passage
from asissto.retrieval.ranking import likeness
from asissto.retrieval.search import Found
from asissto.retrieval.selecting import Selection


def explain(asked: str, meant: str, found: Found, selection: Selection) -> dict[str, Any]:
    """Plain values: `meant` only where the question was read in the other layout, `read_as` by term of the question."""
    idf = found.idf()
    told: dict[str, Any] = {"meant": meant} if meant != asked else {}
    return told | {
        "terms": {term: round(weight * idf[term], 3) for term, weight in found.terms.items()},
        "read_as": dict(found.read_as),
        "kept": [_kept(passage, found, idf) for passage in selection.kept],
        "left": [_place(left.passage) | {"why": left.why} for left in selection.left],
    }


def _kept(passage: Passage, found: Found, idf: Mapping[str, float]) -> dict[str, Any]:
    scores = passage.scores
    return _place(passage) | {
        "lexical": round(scores.lexical, 4),
        "dense": None if scores.dense is None else round(scores.dense, 4),
        "fused": round(scores.fused, 4),
        "rerank": None if scores.rerank is None else round(scores.rerank, 4),
        "parts": [str(part.chunk_id) for part in passage.parts],
        "matched": list(_matched(passage, found, idf)),
    }


def _place(passage: Passage) -> dict[str, Any]:
    return {"chunk_id": str(passage.chunk_id), "start": passage.start, "end": passage.end}


def _matched(passage: Passage, found: Found, idf: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """By term: the word of the passage or of its headings that stands for it best, and what it weighs there."""
    words = dict[str, dict[str, str]]({term[:4]: {} for term in found.terms})
    for word in dict.fromkeys(" ".join((passage.title, *passage.heading_path, passage.text)).split()):
        for lexeme in lexemes_of_word(word):
            if lexeme[:4] in words:
                words[lexeme[:4]].setdefault(lexeme, word.strip(_AROUND_WORDS))
    origins = {read: term for term, read in found.read_as.items()}
    for term, weight in found.terms.items():
        near = words[term[:4]]
        like, lexeme = max(((likeness(term, lexeme), lexeme) for lexeme in near), default=(0, ""))
        if like > 0:
            weighs = round(weight * like * idf[term], 3)
            yield {"term": origins.get(term, term), "as": near[lexeme], "weight": weighs}


_AROUND_WORDS = ".,:;!?()[]{}«»\"'|*_`…—–"
