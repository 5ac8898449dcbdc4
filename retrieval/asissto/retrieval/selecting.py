"""Chooses from the ranked passages those that an answer stands on: neighbours in one, no repeats, within a budget."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from asissto.ingestion.lexemes import folded
from asissto.platform.tokens import count_tokens
from asissto.retrieval.passages import Part, Passage
from asissto.retrieval.search import MOST_SURROUNDED, SHORT_TOKENS

MOST_PER_DOCUMENT = 3
"""While others have something: a long document must not hide what they say."""

MOST_SECTION_TOKENS = 800

_SAME_ORDER = 0.8  # of three words in a row
_IN_A_ROW = 3
_WORD = re.compile(r"\w+")

Why = Literal["duplicate", "limit", "budget"]


class Left(msgspec.Struct, frozen=True):
    """A passage among the best that the answer does not stand on, and why."""

    passage: Passage
    why: Why


class Selection(msgspec.Struct, frozen=True):
    """What the answer stands on, best first, and what of the best was left out."""

    kept: tuple[Passage, ...]
    left: tuple[Left, ...]


def select_passages(found: Sequence[Passage], most: int, most_tokens: int) -> Selection:
    """At most so many passages and so many tokens of them; the best one is kept whatever its length."""
    left: list[Left] = []
    ranked = _distinct(join_neighbours(found[: max(MOST_SURROUNDED, most)]), left)
    kept: list[Passage] = []
    room = most_tokens
    for passage in _spread(ranked):
        size = token_count(passage)
        if len(kept) == most or (kept and size > room):
            left.append(Left(passage, "limit" if len(kept) == most else "budget"))
        else:
            kept.append(passage)
            room -= size
    kept.sort(key=ranked.index)
    return Selection(tuple(_outside(_widened(kept, room), left)), tuple(left))


def join_neighbours(ranked: Sequence[Passage]) -> list[Passage]:
    """Chunks of one section that overlap or follow each other become one passage in the place of the best of them."""
    runs: list[list[Passage]] = []
    for passage in sorted(ranked, key=lambda passage: (passage.version_id, passage.start)):
        if runs and _follows(runs[-1], passage):
            runs[-1].append(passage)
        else:
            runs.append([passage])
    place = {passage.chunk_id: number for number, passage in enumerate(ranked)}
    joined = [_joined(run, min(run, key=lambda passage: place[passage.chunk_id])) for run in runs]
    return sorted(joined, key=lambda passage: place[passage.chunk_id])


def token_count(passage: Passage) -> int:
    return count_tokens(passage.text) if passage.tokens is None else passage.tokens


def _follows(run: Sequence[Passage], passage: Passage) -> bool:
    last, around, its = run[-1], run[-1].around, passage.around
    if around is None or its is None or around.edited or its.edited:
        return False
    if last.version_id != passage.version_id or passage.start >= around.end or passage.end <= last.end:
        return False
    gap = passage.start - last.end
    if gap > 0 and not (around.following or "")[:gap].isspace():
        return False
    return sum(map(token_count, (*run, passage))) <= MOST_SECTION_TOKENS


def _joined(run: Sequence[Passage], best: Passage) -> Passage:
    if len(run) == 1:
        return best
    text = run[0].text
    for last, passage in pairwise(run):
        gap = passage.start - last.end
        following = last.around.following if last.around else None
        text += (following or "")[:gap] + passage.text if gap > 0 else passage.text[-gap:]
    parts = tuple(Part(passage.chunk_id, passage.start, passage.end, passage.page) for passage in run)
    tokens = count_tokens(text)
    return msgspec.structs.replace(
        best, text=text, start=run[0].start, end=run[-1].end, tokens=tokens, around=None, parts=parts
    )


def _distinct(ranked: Sequence[Passage], left: list[Left]) -> list[Passage]:
    """Without those that say nothing which a better one does not say: each word stands there, and most in a row."""
    kept: list[Passage] = []
    seen: list[tuple[set[str], list[str]]] = []
    for passage in ranked:
        words = _WORD.findall(folded(passage.text))
        if any(known.issuperset(words) and _in_same_order(words, text) for known, text in seen):
            left.append(Left(passage, "duplicate"))
        else:
            kept.append(passage)
            seen.append((set(words), words))
    return kept


def _in_same_order(words: Sequence[str], others: Sequence[str]) -> bool:
    rows = _rows(words)
    return len(rows & _rows(others)) >= _SAME_ORDER * len(rows)


def _rows(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + _IN_A_ROW]) for at in range(max(1, len(words) - _IN_A_ROW + 1))}


def _spread(ranked: Sequence[Passage]) -> list[Passage]:
    """Those after the third of a document come last."""
    counts = Counter[object]()
    within, beyond = list[Passage](), list[Passage]()
    for passage in ranked:
        counts[passage.document_id] += 1
        (within if counts[passage.document_id] <= MOST_PER_DOCUMENT else beyond).append(passage)
    return within + beyond


def _widened(kept: Sequence[Passage], room: int) -> Iterator[Passage]:
    """Short ones with the section around them, as far as there is room."""
    for passage in kept:
        around, size = passage.around, token_count(passage)
        section = around.section if around and size < SHORT_TOKENS else None
        if around is None or section is None:
            yield passage
            continue
        wider = msgspec.structs.replace(
            passage, text=section, start=around.start, end=around.end, tokens=count_tokens(section), parts=around.parts
        )
        fits = token_count(wider) <= min(MOST_SECTION_TOKENS, size + room)
        room -= token_count(wider) - size if fits else 0
        yield wider if fits else passage


def _outside(passages: Iterator[Passage], left: list[Left]) -> Iterator[Passage]:
    """Without those that another one contains since it was widened."""
    every = list(passages)
    for passage in every:
        if any(other is not passage and _contains(other, passage) for other in every):
            left.append(Left(passage, "duplicate"))
        else:
            yield passage


def _contains(one: Passage, other: Passage) -> bool:
    longer = one.end - one.start > other.end - other.start
    return longer and one.version_id == other.version_id and one.start <= other.start and other.end <= one.end
