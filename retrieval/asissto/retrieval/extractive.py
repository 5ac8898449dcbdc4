"""Answers with the documents' own sentences: the ones that cover the question best, quoted to the letter."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from asissto.ingestion.lexemes import lexemes
from asissto.ingestion.sentences import sentence_spans
from asissto.retrieval.coverage import Ask, ask, has_new_number, matches
from asissto.retrieval.passages import Passage

READ_PASSAGES = 5
MOST_CANDIDATES = 8  # twelve gave the same hits and AUROC on xquad_en, and each costs 2 ms to embed
MOST_QUOTES = 3

# Fitted on xquad_ru, xquad_en, squad2_en and b24_support_ru together, then rounded.
_HEADER = 0.8
_SENTENCE_BEFORE = 0.5
_INTRODUCTION_BEFORE = 0.9
_RANK = 0.5
_NEW_NUMBER = 0.2
_INTRODUCES = -0.5
_COSINE = 0.7
_AFTER_BEST = 0.15
_BEFORE_BEST = 0.05
_WORTH_ADDING = 0.5
_SAME_WORDS = 0.8

_CELL_EDGE = " | "


class Sentence(msgspec.Struct, frozen=True):
    """A sentence or table row of a passage; `start` counts in the passage's text."""

    start: int
    text: str
    words: frozenset[str]

    @property
    def is_row(self) -> bool:
        return _CELL_EDGE in self.text


class Candidate(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A sentence that may answer, and where: the number of its passage in the reading, its own number there.

    `matches` tells for each term of the question how well the sentence covers it; `score` knows no cosine yet; `head`
    is the head of the table that a row belongs to.
    """

    passage: int
    ordinal: int
    sentence: Sentence
    head: Sentence | None
    matches: NDArray[np.float64]
    score: float

    @property
    def text(self) -> str:
        return self.sentence.text


class Reading(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The passages that were read for a question, and their sentences worth a closer look, best first.

    `passage_matches` has a row for each passage, header included, and a column for each term of the question.
    """

    asked: Ask
    passages: tuple[Passage, ...]
    passage_matches: NDArray[np.float64]
    candidates: tuple[Candidate, ...]


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """`text == stored_text[start:end]` of the version."""

    chunk_id: UUID
    version_id: UUID
    start: int
    end: int
    text: str
    score: float


def read(question: str, terms: Mapping[str, float], idf: Mapping[str, float], found: Sequence[Passage]) -> Reading:
    """Reads the first five passages for `follow_up_terms`; few candidates, because each may be embedded (6 ms)."""
    passages = tuple(found[:READ_PASSAGES])
    bodies = [_sentences(passage) for passage in passages]
    headers = [frozenset(lexemes(" ".join((passage.title, *passage.heading_path)))) for passage in passages]
    contents = [header.union(*(each.words for each in body)) for header, body in zip(headers, bodies, strict=True)]
    asked = ask(question, terms, idf, frozenset[str]().union(*contents))
    candidates: list[Candidate] = []
    for number, body in enumerate(bodies):
        rank = passages[number].scores.fused / passages[0].scores.fused if passages[0].scores.fused > 0 else 0.0
        candidates += _candidates(asked, number, body, matches(asked, headers[number]), rank)
    candidates.sort(key=lambda candidate: -candidate.score)
    return Reading(
        asked=asked,
        passages=passages,
        passage_matches=np.array([matches(asked, words) for words in contents]).reshape(len(passages), len(terms)),
        candidates=_distinct(candidates),
    )


def quote_answer(reading: Reading, cosines: Sequence[float] | None) -> tuple[Quote, ...]:
    """At most three quotes, best first; `reading_order` puts them as they stand in the documents.

    `cosines` compare the question with `reading.candidates`; None where no embedder knows the language. The three hold
    the answer in .917 (xquad_ru) and .951 (xquad_en) of the cases, the first alone in .745 and .791.
    """
    if not reading.candidates:
        return ()
    scores = final_scores(reading, cosines)
    best = reading.candidates[int(scores.argmax())]
    enough = _WORTH_ADDING * scores.max()
    scores += [_nearness(candidate, best) for candidate in reading.candidates]
    first, *others = np.argsort(-scores, kind="stable")[:MOST_QUOTES]
    chosen = [(index, reading.candidates[index].sentence) for index in others if scores[index] >= enough]
    if best.head is not None and best.head not in [sentence for _, sentence in chosen]:
        chosen.insert(0, (first, best.head))
    return tuple(
        _quote(reading, reading.candidates[index], sentence, float(scores[index]))
        for index, sentence in [(first, best.sentence), *chosen][:MOST_QUOTES]
    )


def reading_order(quotes: Sequence[Quote]) -> list[Quote]:
    """As they stand in the documents; the document of the best quote comes first."""
    versions = [quote.version_id for quote in quotes]
    return sorted(quotes, key=lambda quote: (versions.index(quote.version_id), quote.start))


def final_scores(reading: Reading, cosines: Sequence[float] | None) -> NDArray[np.float64]:
    """What each candidate is chosen by."""
    scores = np.array([candidate.score for candidate in reading.candidates])
    return scores if cosines is None else scores + _COSINE * np.asarray(cosines, dtype=np.float64)


def _sentences(passage: Passage) -> list[Sentence]:
    """Without the headings that stand in the text: they name the answer and do not give it."""
    headings = {name.casefold() for name in (passage.title, *passage.heading_path)}
    spans = [(start, passage.text[start:end]) for start, end in sentence_spans(passage.text)]
    return [Sentence(start, text, frozenset(lexemes(text))) for start, text in spans if text.casefold() not in headings]


def _candidates(
    asked: Ask, number: int, body: Sequence[Sentence], header: NDArray[np.float64], rank: float
) -> list[Candidate]:
    """A sentence counts for its own words, less for what its header or the sentence before it says.

    Questions and heads of tables pass on what they say and are no answers themselves.
    """
    found = []
    head: Sentence | None = None
    before = np.zeros_like(header)
    for ordinal, sentence in enumerate(body):
        own = matches(asked, sentence.words)
        is_head = _is_head(body, ordinal)
        introduces = is_head or sentence.text.endswith("?")
        head = sentence if is_head else head if sentence.is_row else None
        score = asked.weights @ np.maximum(own, np.maximum(_HEADER * header, before))
        score += _RANK * rank + _INTRODUCES * introduces
        score += _NEW_NUMBER * (asked.number and has_new_number(sentence.text, asked.words))
        if introduces or not sentence.is_row:
            before = own * (_INTRODUCTION_BEFORE if introduces else _SENTENCE_BEFORE)
        found.append(
            Candidate(
                passage=number,
                ordinal=ordinal,
                sentence=sentence,
                head=None if is_head else head,
                matches=own,
                score=float(score),
            )
        )
    return found


def _is_head(body: Sequence[Sentence], ordinal: int) -> bool:
    """Whether this is the first row of a table; heads have no digits, other rows mostly have."""
    sentence = body[ordinal]
    first = sentence.is_row and (ordinal == 0 or not body[ordinal - 1].is_row)
    more = ordinal + 1 < len(body) and body[ordinal + 1].is_row
    return first and more and not any(letter.isdigit() for letter in sentence.text)


def _distinct(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The best ones without repetitions: passages overlap, and documents copy each other."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if len(kept) == MOST_CANDIDATES:
            break
        if not any(_says_the_same(candidate, other) for other in kept):
            kept.append(candidate)
    return tuple(kept)


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    words, others = one.sentence.words, other.sentence.words
    return one.text == other.text or len(words & others) > _SAME_WORDS * len(words | others)


def _nearness(candidate: Candidate, best: Candidate) -> float:
    if candidate.passage != best.passage:
        return 0.0
    return {0: _AFTER_BEST, 1: _AFTER_BEST, -1: _BEFORE_BEST}.get(candidate.ordinal - best.ordinal, 0.0)


def _quote(reading: Reading, candidate: Candidate, sentence: Sentence, score: float) -> Quote:
    passage = reading.passages[candidate.passage]
    start = passage.start + sentence.start
    return Quote(
        chunk_id=passage.chunk_id,
        version_id=passage.version_id,
        start=start,
        end=start + len(sentence.text),
        text=sentence.text,
        score=score,
    )
