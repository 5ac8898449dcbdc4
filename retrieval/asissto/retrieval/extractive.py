"""Answers with the documents' own sentences: the ones that cover the question best, quoted to the letter."""

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from asissto.ingestion.lexemes import distinct_lexemes, is_stop
from asissto.ingestion.sentences import sentence_spans
from asissto.retrieval.coverage import Ask, ask, matches
from asissto.retrieval.passages import Passage

READ_PASSAGES = 5
MOST_CANDIDATES = 8  # twelve gave the same hits and AUROC on xquad_en, and each costs 2 ms to embed
MOST_QUOTES = 3

# Fitted on xquad_ru, xquad_en, squad2_en, b24_support_ru and docs together, then rounded.
_HEADER = 0.8
_SENTENCE_BEFORE = 0.5
_HEAD_BEFORE = 0.9
_PASSAGE = 0.25
_RANK = 0.5
_GIVES = 0.25
_HEADS = -0.4
_NO_NEWS = -0.3
_COSINE = 0.6
# First sentences with and without word pieces, weights fitted on the other of the two sets: xquad_en .797, .781;
# squad2_en .823, .802. These two weights lie on the plateau of .3 to .6 and 1.5 to 2.5.
_COSINE_BESIDE_PIECES = 0.3
_AGREEMENT = 2.0
_AFTER_BEST = 0.15
_BEFORE_BEST = 0.05
_MOST_BEHIND = 0.6
_MOST_BEHIND_BY_PIECES = 0.8  # they part sentences further: as many are quoted as without them
_SAME_WORDS = 0.8

_LONGEST_HEADING = 100
_FEW_WORDS = 2
_NO_END = re.compile(r"[^.!?…;:,]\Z")

CELL_EDGE = " | "
LIST_SIGN = re.compile(r"(?:[-–—•*·▪◦]|\d{1,2}[.)]|[a-zа-яё]\))\s+\S", re.IGNORECASE)


class Sentence(msgspec.Struct, frozen=True):
    """A sentence or table row of a passage; `start` counts in the passage's text.

    `heads` tells that it stands above others, as headings, questions and heads of tables do.
    """

    start: int
    text: str
    words: frozenset[str]
    heads: bool

    @property
    def is_row(self) -> bool:
        return CELL_EDGE in self.text


class Candidate(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A sentence that may answer, and where: the number of its passage in the reading, its own number there.

    `matches` tells for each term of the question how well the sentence covers it, `coverage` what share of its weight
    the sentence has with its header and the sentence before; `gives` says that it holds the kind of answer that is
    wanted, `adds` that it may follow another one in an answer; `score` knows no cosine yet.
    """

    passage: int
    ordinal: int
    sentence: Sentence
    matches: NDArray[np.float64]
    coverage: float
    gives: bool
    adds: bool
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


class Likeness(msgspec.Struct, frozen=True):
    """Of the question to each candidate of a reading: as a whole, and by word pieces where they are known."""

    cosines: Sequence[float]
    agreements: Sequence[float] | None = None


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
    headers = [distinct_lexemes(" ".join((passage.title, *passage.heading_path))) for passage in passages]
    contents = [header.union(*(each.words for each in body)) for header, body in zip(headers, bodies, strict=True)]
    asked = ask(question, terms, idf, frozenset[str]().union(*contents))
    covered = np.array([matches(asked, words) for words in contents]).reshape(len(passages), len(terms))
    candidates: list[Candidate] = []
    for number, body in enumerate(bodies):
        rank = passages[number].scores.fused / passages[0].scores.fused if passages[0].scores.fused > 0 else 0.0
        worth = _RANK * rank + _PASSAGE * float(asked.weights @ covered[number])
        candidates += _candidates(asked, number, body, matches(asked, headers[number]), worth)
    candidates.sort(key=lambda candidate: -candidate.score)
    return Reading(
        asked=asked,
        passages=passages,
        passage_matches=covered,
        candidates=_distinct(candidates),
    )


def quote_answer(reading: Reading, likeness: Likeness | None) -> tuple[Quote, ...]:
    """At most three sentences, best first; `excerpts` makes of them what can be read.

    `likeness` is None where no embedder knows the language. The three hold the answer in .917 (xquad_ru) and .948
    (xquad_en) of the cases, the first alone in .750 and .820.
    """
    if not reading.candidates:
        return ()
    scores = _fitness(reading, likeness)
    best = reading.candidates[int(scores.argmax())]
    enough = scores.max() - (_MOST_BEHIND_BY_PIECES if likeness and likeness.agreements else _MOST_BEHIND)
    scores += [_nearness(candidate, best) for candidate in reading.candidates]
    first, *others = np.argsort(-scores, kind="stable")
    more = [index for index in others if scores[index] >= enough and _adds(reading.candidates[index], best)]
    chosen = [first, *more][:MOST_QUOTES]
    return tuple(_quote(reading, reading.candidates[index], float(scores[index])) for index in chosen)


def final_scores(reading: Reading, cosines: Sequence[float] | None) -> NDArray[np.float64]:
    """What speaks for each candidate, and what confidence was fitted on."""
    scores = np.array([candidate.score for candidate in reading.candidates])
    return scores if cosines is None else scores + _COSINE * np.asarray(cosines, dtype=np.float64)


def _fitness(reading: Reading, likeness: Likeness | None) -> NDArray[np.float64]:
    """What each candidate is chosen by. Confidence does without the pieces: they made it worse on every set."""
    if likeness is None or likeness.agreements is None:
        return final_scores(reading, None if likeness is None else likeness.cosines)
    meaning = _COSINE_BESIDE_PIECES * np.asarray(likeness.cosines) + _AGREEMENT * np.asarray(likeness.agreements)
    return final_scores(reading, None) + meaning


def _sentences(passage: Passage) -> list[Sentence]:
    """Without the headings that stand in the text: they name the answer and do not give it."""
    headings = {name.casefold() for name in (passage.title, *passage.heading_path)}
    spans = sentence_spans(passage.text)
    texts = [passage.text[start:end] for start, end in spans]
    return [
        Sentence(span[0], text, distinct_lexemes(text), heads=heads(passage.text, spans, texts, at))
        for at, (span, text) in enumerate(zip(spans, texts, strict=True))
        if text.casefold() not in headings
    ]


def heads(whole: str, spans: Sequence[tuple[int, int]], texts: Sequence[str], at: int) -> bool:
    """Questions, heads of tables, and short lines that end in the middle and have an empty line below."""
    text = texts[at]
    if text.endswith(("?", ":")) or is_head(texts, at):
        return True
    if at + 1 == len(texts) or len(text) > _LONGEST_HEADING or CELL_EDGE in text or not _NO_END.search(text):
        return False
    below = whole[spans[at][1] : spans[at + 1][0]]
    return below.count("\n") > 1 and not LIST_SIGN.match(text)


def _candidates(
    asked: Ask, number: int, body: Sequence[Sentence], header: NDArray[np.float64], worth: float
) -> list[Candidate]:
    """A sentence counts for its own words, less for what its header or the sentence before it says.

    `worth` is what the passage counts for.

    Questions and heads of tables pass on what they say and are no answers themselves.
    """
    found = []
    before = np.zeros_like(header)
    for ordinal, sentence in enumerate(body):
        own = matches(asked, sentence.words)
        coverage = float(asked.weights @ np.maximum(own, np.maximum(_HEADER * header, before)))
        gives = asked.wanted.given_by(sentence.text)
        news = any(not is_stop(word) and word not in asked.wanted.known for word in sentence.words)
        score = coverage + worth + _GIVES * gives + _HEADS * (sentence.heads and not gives) + _NO_NEWS * (not news)
        if sentence.heads or not sentence.is_row:
            before = own * (_HEAD_BEFORE if sentence.heads else _SENTENCE_BEFORE)
        found.append(
            Candidate(
                passage=number,
                ordinal=ordinal,
                sentence=sentence,
                matches=own,
                coverage=coverage,
                gives=gives,
                adds=news and (gives or _stands_alone(sentence)),
                score=score,
            )
        )
    return found


def _stands_alone(sentence: Sentence) -> bool:
    """Neither a heading, nor a picture, nor what the cut of a passage has left, nor a word or two."""
    says = len(sentence.words) > _FEW_WORDS or any(letter.isdigit() for letter in sentence.text)
    return says and not (sentence.heads or sentence.text[0].islower() or sentence.text.startswith("!["))


def is_head(texts: Sequence[str], at: int) -> bool:
    """Whether this is the first row of a table; heads have no digits, other rows mostly have."""
    first = CELL_EDGE in texts[at] and (at == 0 or CELL_EDGE not in texts[at - 1])
    more = at + 1 < len(texts) and CELL_EDGE in texts[at + 1]
    return first and more and not any(letter.isdigit() for letter in texts[at])


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


def _adds(candidate: Candidate, best: Candidate) -> bool:
    """What speaks of nothing in the question may go on from the best sentence, and does not answer elsewhere."""
    goes_on = candidate.passage == best.passage and 0 < candidate.ordinal - best.ordinal <= MOST_QUOTES
    return candidate.adds and (goes_on or bool(candidate.matches.any()))


def _nearness(candidate: Candidate, best: Candidate) -> float:
    if candidate.passage != best.passage:
        return 0.0
    return {0: _AFTER_BEST, 1: _AFTER_BEST, -1: _BEFORE_BEST}.get(candidate.ordinal - best.ordinal, 0.0)


def _quote(reading: Reading, candidate: Candidate, score: float) -> Quote:
    passage, sentence = reading.passages[candidate.passage], candidate.sentence
    start = passage.start + sentence.start
    return Quote(
        chunk_id=passage.chunk_id,
        version_id=passage.version_id,
        start=start,
        end=start + len(sentence.text),
        text=sentence.text,
        score=score,
    )
