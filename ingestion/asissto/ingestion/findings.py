"""Reads published passages and tells what a person should look at: repeats, contradictions, what is over."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal

from msgspec import Struct

from asissto.ingestion.claims import Claim, Passage, claims_in
from asissto.ingestion.contradictions import Contradiction, contradictions
from asissto.ingestion.expiry import expired_in
from asissto.ingestion.repeats import Repeat, repeats
from asissto.ingestion.values import Value

Kind = Literal["duplicate", "near_duplicate", "contradiction", "expired"]


class Quote(Struct, frozen=True):
    """Offsets in the version's text: of the quote, and of the value in it where one is at odds or over."""

    start: int
    end: int
    text: str
    value: str = ""
    value_start: int = 0
    value_end: int = 0


class Place(Struct, frozen=True):
    passage: Passage
    quote: Quote


class Found(Struct, frozen=True):
    """`passages` tells how many passages of the two documents are alike; it is 1 elsewhere."""

    kind: Kind
    first: Place
    second: Place | None
    value_kind: str
    score: float
    passages: int = 1

    @property
    def fingerprint(self) -> bytes:
        """The same as long as both texts are."""
        places = [place for place in (self.first, self.second) if place is not None]
        parts = sorted(f"{place.passage.document_id} {' '.join(place.quote.text.split())}" for place in places)
        return hashlib.sha256("\n".join((self.kind, *parts, str(self.passages))).encode()).digest()


def find_all(passages: Sequence[Passage], today: date) -> list[Found]:
    """Contradictions first, the surest of them first."""
    repeated = repeats(passages)
    told = (claim for passage in passages for claim in claims_in(passage))
    claims = {_position(claim): claim for claim in told}
    return [
        *map(_contradiction, contradictions(list(claims.values()))),
        *map(_repeat, repeated),
        *{found.fingerprint: found for passage in passages for found in _over(passage, today)}.values(),
    ]


def _position(claim: Claim) -> tuple[object, ...]:
    """The same for what two passages repeat."""
    first = claim.values[0].start if claim.values else -1
    return claim.passage.version_id, claim.passage.start + claim.start, claim.passage.start + first, claim.order


def _contradiction(odds: Contradiction) -> Found:
    left, right = odds.values or (None, None)
    kind = left.kind if left else "yes_no"
    return Found("contradiction", _claimed(odds.first, left), _claimed(odds.second, right), kind, odds.score)


def _claimed(claim: Claim, value: Value | None) -> Place:
    span = (value.start, value.end) if value else None
    return _place(claim.passage, claim.start, claim.end, span)


def _repeat(repeat: Repeat) -> Found:
    kind: Kind = "duplicate" if repeat.score == 1 else "near_duplicate"
    first, second = (_place(passage, 0, len(passage.text), None) for passage in (repeat.first, repeat.second))
    return Found(kind, first, second, "", repeat.score, repeat.passages)


def _over(passage: Passage, today: date) -> Iterator[Found]:
    for over in expired_in(passage.text, today):
        span = (over.start + over.value_start, over.start + over.value_end)
        yield Found("expired", _place(passage, over.start, over.end, span), None, "date", 1.0)


def _place(passage: Passage, start: int, end: int, value: tuple[int, int] | None) -> Place:
    """Spans of the passage as quotes of its version."""
    quote = Quote(passage.start + start, passage.start + end, passage.text[start:end])
    if value is None:
        return Place(passage, quote)
    said = passage.text[slice(*value)]
    first = value[0] + len(said) - len(said.lstrip())
    said = said.strip()
    at = passage.start + first
    return Place(passage, Quote(quote.start, quote.end, quote.text, said, at, at + len(said)))
