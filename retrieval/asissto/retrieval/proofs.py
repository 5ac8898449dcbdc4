"""Finds the words of the sources that a claim stands on: those that the model quoted, else the best ones."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from asissto.ingestion.lexemes import distinct_lexemes, is_stop
from asissto.ingestion.sentences import sentence_spans
from asissto.platform.languages import language_of
from asissto.retrieval.citations import SUPPORTED, Support, content, locate, numbers, support
from asissto.retrieval.claims import Claim, Claims
from asissto.retrieval.contradictions import strange_names, swapped
from asissto.retrieval.extractive import CELL_EDGE
from asissto.retrieval.fields import ModelQuote
from asissto.retrieval.passages import Passage
from asissto.retrieval.suspicion import reads_like_an_order

MOST_QUOTES = 3
"""For one claim: whoever needs more puts together what no source says."""

_LONGEST_QUOTE = 600
_NUMBERS_COUNT = 0.3
_GAIN = 0.05
_AS_GOOD = 0.02
_OWN_SHARE = 0.7  # of what the best sentence of the sources says of the claim, for a quote to be its proof
_CLAUSE_END = re.compile(r"([.!?…;:,]+[\"'»”)]*\s+|\s[—–-]\s)")
_LEAST_OF_CLAUSE = 0.01


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of a source: `passage` counts from 0, offsets count in its text, `window` has its neighbours too."""

    passage: int
    start: int
    end: int
    text: str
    window: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of the passages (number from 0, start, end) that together say the claim; `by` is model or search."""

    spans: tuple[tuple[int, int, int], ...]
    score: float
    by: str
    cross_language: bool = False


class Located(msgspec.Struct, frozen=True):
    """What became of the quotes that the model gave."""

    spans: tuple[tuple[int, int, int], ...]
    missing: int


class Sources:
    """The passages of an answer, read once for all its claims."""

    def __init__(self, claims: Claims) -> None:
        self._supports: dict[tuple[str, tuple[Line, ...]], Support] = {}
        self.question = claims.question
        self.idf: Mapping[str, float] = claims.idf
        self.passages = claims.passages

    @cached_property
    def lines(self) -> list[Line]:
        return [line for number, passage in enumerate(self.passages) for line in _lines(number, passage)]

    @cached_property
    def places(self) -> list[str]:
        """Titles and headings: they say what a passage is about."""
        named = [(passage.title, *passage.heading_path) for passage in self.passages]
        return [" › ".join(part for part in parts if not reads_like_an_order(part)) for parts in named]

    def between(self, span: tuple[int, int, int]) -> list[Line]:
        passage, start, end = span
        return [line for line in self.lines if line.passage == passage and line.start < end and start < line.end]

    def support(self, text: str, lines: Sequence[Line]) -> Support:
        """By the sentences with their neighbours and headings, together."""
        key = text, tuple(lines)
        if key not in self._supports:
            self._supports[key] = self._support(text, lines)
        return self._supports[key]

    def _support(self, text: str, lines: Sequence[Line]) -> Support:
        texts = [line.window for line in lines] + [self.places[number] for number in {line.passage for line in lines}]
        found = support(text, texts, self.question, self.idf)
        wrong = tuple(dict.fromkeys(each for line in lines for each in swapped(text, line.text)))
        wrong += tuple(f"clause:{clause}" for clause in _stray_clauses(text, texts, self.idf))
        return msgspec.structs.replace(found, conflicts=found.conflicts + wrong) if wrong else found

    def weights(self, text: str) -> dict[Line, float]:
        """How much of the claim each sentence says by itself."""
        words = [distinct_lexemes(line.text) | distinct_lexemes(self.places[line.passage]) for line in self.lines]
        said, claimed = content(text, self.idf, frozenset[str]().union(*words)), numbers(text)
        return {
            line: said.covered_by(own)
            + (_NUMBERS_COUNT * len(claimed & numbers(line.text)) / len(claimed) if claimed else 0.0)
            for line, own in zip(self.lines, words, strict=True)
        }


def _stray_clauses(text: str, texts: Sequence[str], idf: Mapping[str, float]) -> Iterator[str]:
    """Parts of a claim that the sources do not have: true words must not carry an invention along.

    What follows a full stop is a sentence, though it begins small, and needs the support of one.
    """
    after, known = "", frozenset[str]().union(*map(distinct_lexemes, texts))
    for part in _CLAUSE_END.split(text):
        if _CLAUSE_END.fullmatch(part):
            after = part.strip()[:1]
            continue
        words = {each for each in distinct_lexemes(part) if not is_stop(each)}
        least = SUPPORTED if after and after in ".!?…" else _LEAST_OF_CLAUSE
        if len(words) > 1 - (least == SUPPORTED) and content(part, idf, known).covered_by(known) < least:
            yield part


def locate_quotes(quotes: Sequence[ModelQuote], sources: Sources) -> Located:
    """Where they stand in the source that they name, widened to its sentences."""
    spans, missing = [], 0
    for quote in quotes:
        known = quote.source <= len(sources.passages)
        span = locate(quote.quote, sources.passages[quote.source - 1].text) if known else None
        if span is None:
            missing += 1
        else:
            spans.append(_widened((quote.source - 1, *span), sources))
    return Located(tuple(dict.fromkeys(spans)), missing)


def prove(claim: Claim, sources: Sources, located: Located) -> Proof | None:
    """By the sources that the claim names; a claim that others say better is pointed to them. None: nobody says it."""
    named = {number - 1 for number in claim.sources}
    weights = sources.weights(claim.text)
    if _is_denied(claim.text, weights, sources):
        return None
    for allowed in (named, set(range(len(sources.passages))) - named if named else set(range(len(sources.passages)))):
        lines = [line for line in sources.lines if line.passage in allowed]
        if not lines:
            continue
        quoted = [span for span in located.spans if span[0] in allowed]
        proof = _by_quote(claim.text, quoted, weights, sources) or _by_search(claim.text, lines, weights, sources)
        if proof:
            return proof
    return _across_languages(claim, located, sources)


def _is_denied(text: str, weights: Mapping[Line, float], sources: Sources) -> bool:
    """Whether the sentences that have most of the claim's words all say otherwise: then no others may prove it."""
    most = max(weights.values(), default=0.0)
    best = [line for line, weight in weights.items() if weight >= most - _AS_GOOD]
    return most > 0 and all(_says_otherwise(sources.support(text, [line])) for line in best)


def _by_quote(
    text: str, quoted: Sequence[tuple[int, int, int]], weights: Mapping[Line, float], sources: Sources
) -> Proof | None:
    """The quote that says most of the claim, if it says about as much as any sentence there."""
    most = max(weights.values())
    found = []
    for span in quoted:
        lines = sources.between(span)
        own = max((weights[line] for line in lines), default=0.0)
        verdict = sources.support(text, lines)
        if own > 0 and own >= _OWN_SHARE * most and verdict.holds:
            found.append((own, verdict.score, span))
    if not found:
        return None
    _, score, span = max(found)
    return Proof(spans=(span,), score=score, by="model")


def _by_search(text: str, lines: Sequence[Line], weights: Mapping[Line, float], sources: Sources) -> Proof | None:
    """The best sentence, then others while they add what is missing; contradictions of the first one settle it."""
    chosen = [max(lines, key=lambda line: weights[line])]
    verdict = sources.support(text, chosen)
    while not verdict.holds and len(chosen) < MOST_QUOTES and not _says_otherwise(verdict):
        more = [line for line in lines if line not in chosen]
        tried = [(sources.support(text, [*chosen, line]), line) for line in _likely(more, weights)]
        if not tried:
            break
        better, line = max(tried, key=lambda each: _merit(each[0]))
        if _merit(better) < _merit(verdict) + _GAIN:
            break
        chosen.append(line)
        verdict = better
    if not verdict.holds or max(weights[line] for line in chosen) <= 0:
        return None
    spans = tuple((line.passage, line.start, line.end) for line in chosen)
    return Proof(spans=spans, score=verdict.score, by="search")


def _likely(lines: Sequence[Line], weights: Mapping[Line, float]) -> list[Line]:
    return sorted(lines, key=lambda line: -weights[line])[:5]


def _merit(verdict: Support) -> float:
    return verdict.score - 0.5 * len(verdict.bad_numbers) - 0.5 * len(verdict.conflicts)


def _says_otherwise(verdict: Support) -> bool:
    return any(not conflict.startswith(("name:", "clause:")) for conflict in verdict.conflicts)


def _across_languages(claim: Claim, located: Located, sources: Sources) -> Proof | None:
    """Words of two languages cannot be compared: the model must quote, and numbers and codes must stand there."""
    own = language_of(claim.text)
    named = {number - 1 for number in claim.sources}
    for span in located.spans:
        lines = sources.between(span)
        window = " ".join(line.window for line in lines)
        if span[0] not in named or own == "und" or language_of(window) in {own, "und"}:
            continue
        known = [window, sources.places[span[0]], sources.question]
        if numbers(claim.text) <= numbers(" ".join(known)) and not _foreign_names(claim.text, known):
            return Proof(spans=(span,), score=0.0, by="model", cross_language=True)
    return None


def _foreign_names(text: str, known: Sequence[str]) -> list[str]:
    """Codes and Latin names that the source has not; names of the other script cannot be compared."""
    latin = language_of(text) == "ru"
    return [
        name
        for name in strange_names(text, known)
        if any(letter.isdigit() for letter in name) or (latin and language_of(name) == "en")
    ]


def _lines(number: int, passage: Passage) -> Iterator[Line]:
    spans = sentence_spans(passage.text)
    for at, (start, end) in enumerate(spans):
        first, last = spans[max(0, at - 1)][0], spans[min(len(spans) - 1, at + 1)][1]
        window = passage.text[first:last]
        if CELL_EDGE in passage.text[start:end]:
            window = f"{_head(passage.text)}\n{passage.text[start:end]}"
        yield Line(passage=number, start=start, end=end, text=passage.text[start:end], window=window)


def _head(text: str) -> str:
    """The first row of the table: it says what the cells of the others are."""
    return next((line for line in text.splitlines() if CELL_EDGE in line), "")


def _widened(span: tuple[int, int, int], sources: Sources) -> tuple[int, int, int]:
    """To the ends of its sentences, unless that is too long to be read as a quote."""
    lines = sources.between(span)
    if not lines:
        return span
    start, end = min(lines[0].start, span[1]), max(lines[-1].end, span[2])
    return (span[0], start, end) if end - start <= _LONGEST_QUOTE else span
