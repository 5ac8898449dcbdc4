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
KINDS: tuple[Kind, ...] = ("duplicate", "near_duplicate", "contradiction", "expired")


class Place(Struct, frozen=True):
    """A quote, offsets in its version's text, and the value in it as it is written there."""

    passage: Passage
    start: int
    end: int
    quote: str
    value: str


class Finding(Struct, frozen=True):
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
        parts = sorted(f"{place.passage.document_id} {' '.join(place.quote.split())}" for place in places)
        return hashlib.sha256("\n".join((self.kind, *parts, str(self.passages))).encode()).digest()


def find_all(passages: Sequence[Passage], today: date) -> list[Finding]:
    """Contradictions between two texts that repeat each other are told as what they are: contradictions."""
    found = (claim for passage in passages for claim in claims_in(passage))
    claims = {_position(claim): claim for claim in found}
    return [
        *map(_contradiction, contradictions(list(claims.values()))),
        *map(_repeat, repeats(passages)),
        *(over for passage in passages for over in _over(passage, today)),
    ]


def _position(claim: Claim) -> tuple[object, ...]:
    """The same for what two passages repeat."""
    first = claim.values[0].start if claim.values else -1
    return claim.passage.version_id, claim.passage.start + claim.start, claim.passage.start + first, claim.order


def _contradiction(odds: Contradiction) -> Finding:
    first, second = odds.values or (None, None)
    return Finding(
        "contradiction",
        _claimed(odds.first, first),
        _claimed(odds.second, second),
        first.kind if first else "yes_no",
        odds.score,
    )


def _claimed(claim: Claim, value: Value | None) -> Place:
    said = claim.passage.text[value.start : value.end].strip() if value else ""
    return Place(claim.passage, claim.passage.start + claim.start, claim.passage.start + claim.end, claim.quote, said)


def _repeat(repeat: Repeat) -> Finding:
    kind: Kind = "duplicate" if repeat.score == 1 else "near_duplicate"
    return Finding(kind, _whole(repeat.first), _whole(repeat.second), "", repeat.score, repeat.passages)


def _whole(passage: Passage) -> Place:
    return Place(passage, passage.start, passage.start + len(passage.text), passage.text, "")


def _over(passage: Passage, today: date) -> Iterator[Finding]:
    for found in expired_in(passage.text, today):
        quote = passage.text[found.start : found.end]
        value = quote[found.value_start : found.value_end]
        place = Place(passage, passage.start + found.start, passage.start + found.end, quote, value)
        yield Finding("expired", place, None, "date", 1.0)
