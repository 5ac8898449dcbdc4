"""Finds pairs of claims that speak of the same thing and give different values, or say yes and no."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from asissto.ingestion.claim_values import different_values
from asissto.ingestion.claim_words import NEUTRAL
from asissto.ingestion.claims import Claim
from asissto.ingestion.same_subject import another_case, another_place, extra_words, narrows, of_the_house, own_words
from asissto.ingestion.values import Value, fold

ALIKE_ENOUGH = 0.5
"""Share of the weight of their words that two claims have in common; see benchmarks/findings.py."""

ALIKE_WITH_DETAILS = 0.4

ALIKE_WHERE_NARROWER = 0.7

ALIKE_ENOUGH_TO_DENY = 0.7

LIGHT = 0.15
"""The weight of a word that can be said or left out, beside that of others."""

RAREST = 4

MOST_POSTINGS = 300

MOST_PARTNERS = 12

MOST_TWINS = 3
"""What comes with more values than that is a list of prices, branches or sources."""


class Contradiction(Struct, frozen=True):
    """`values` are what is at odds, one of each claim; two that say yes and no have none."""

    first: Claim
    second: Claim
    values: tuple[Value, Value] | None
    score: float


class Weights:
    """How much a word tells: much where it is rare among the claims."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self._total = len(claims)
        self.counts = Counter(word for claim in claims for word in claim.subject)

    def of(self, words: Iterable[str]) -> float:
        return sum(map(self.one, words))

    def one(self, word: str) -> float:
        light = LIGHT if word in NEUTRAL else 1.0
        return light * math.log(2 + self._total / (1 + self.counts[word]))


def contradictions(claims: Sequence[Claim]) -> list[Contradiction]:
    """The best first; each pair of claims once, each pair of quotes once."""
    weights = Weights(claims)
    listings = _listings(claims)
    found: dict[frozenset[str], Contradiction] = {}
    for one, other in _pairs(claims, weights):
        odds = _at_odds(one, other, weights, listings)
        if odds is None:
            continue
        said = frozenset(" ".join(claim.quote.casefold().split()) for claim in (one, other))
        if said not in found or found[said].score < odds.score:
            found[said] = odds
    return sorted(found.values(), key=lambda odds: -odds.score)


def _pairs(claims: Sequence[Claim], weights: Weights) -> Iterator[tuple[Claim, Claim]]:
    """Each claim with the few that share most of its rarest words, kind of value by kind of value."""
    postings: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for at, claim in enumerate(claims):
        rarest = sorted(claim.around - NEUTRAL, key=lambda word: (weights.counts[word], word))
        wanted = dict.fromkeys([*[word for word in rarest if word in claim.subject][:RAREST], *rarest[:2], ""])
        language, met = claim.passage.language, set[int]()
        for told, sought in _roles(claim):
            near: Counter[int] = Counter()
            for word in wanted:
                near.update(postings[language, sought, word][-MOST_POSTINGS:])
            met.update(other for other, _ in near.most_common(MOST_PARTNERS))
            for word in claim.subject - NEUTRAL | ({""} if claim.leans else set()):
                postings[language, told, word].append(at)
        yield from ((claims[other], claim) for other in sorted(met))


def _roles(claim: Claim) -> Iterator[tuple[str, str]]:
    """As what others find the claim, and as what it finds others: a yes looks for a no."""
    yield from ((value.kind, value.kind) for value in claim.values)
    if claim.denied:
        yield "no", "yes"
    else:
        yield "yes", "no"


def _listings(claims: Sequence[Claim]) -> set[tuple[frozenset[str], str]]:
    """Words that come with many values of a kind: `Retrieved …` of each source, `Price …` of each thing."""
    values: dict[tuple[frozenset[str], str], set[tuple[object, ...]]] = defaultdict(set)
    for claim in claims:
        for value in claim.values:
            values[frozenset(claim.order), value.kind].add((value.unit, value.low, value.high, value.key))
    return {said for said, different in values.items() if len(different) > MOST_TWINS}


def _at_odds(
    one: Claim, other: Claim, weights: Weights, listings: set[tuple[frozenset[str], str]]
) -> Contradiction | None:
    if _same_place(one, other):
        return None
    values = different_values(one, other)
    if values is None and not _denied(one, other):
        return None
    if values is not None:
        listed = any((frozenset(claim.order), values[0].kind) in listings for claim in (one, other))
        if listed or bool(one.denied) != bool(other.denied):
            return None
    score = _covered(one, other, weights) if values is None else _alike(one, other, weights)
    if score < _enough(one, other, values) or another_case(one, other, values) or another_place(one, other, values):
        return None
    return Contradiction(one, other, values, round(score, 3))


def _enough(one: Claim, other: Claim, values: tuple[Value, Value] | None) -> float:
    """Words that one side alone adds are more often a detail than words of both."""
    if values is None:
        return ALIKE_ENOUGH_TO_DENY
    if any(narrows(mine, others) for mine, others in ((one, other), (other, one))):
        return ALIKE_WHERE_NARROWER
    return (
        ALIKE_ENOUGH if extra_words(one, other) - NEUTRAL and extra_words(other, one) - NEUTRAL else ALIKE_WITH_DETAILS
    )


def _same_place(one: Claim, other: Claim) -> bool:
    """Also what a passage repeats from the one before it, and sections of one document that go by other names."""
    if one.passage.version_id != other.passage.version_id:
        return False
    starts = one.passage.start + one.start, other.passage.start + other.start
    if starts[0] == starts[1] or one.passage.heading_path != other.passage.heading_path:
        return True
    return one.leans or other.leans or min(len(own_words(one)), len(own_words(other))) < 2


def _denied(one: Claim, other: Claim) -> bool:
    """Two whole statements without conditions; within one document a `not` belongs to a case that it explains."""
    no, yes = (one, other) if one.denied else (other, one)
    if one.leans or other.leans or not no.denied or yes.denied or not no.denied & yes.affirmed:
        return False
    if min(len(own_words(one)), len(own_words(other))) < 2:
        return False
    if one.passage.version_id == other.passage.version_id or (no.values and _amounts(one) != _amounts(other)):
        return False
    return not any(
        claim.quote.rstrip().endswith(":") or _CONDITIONAL.search(fold(claim.quote)) for claim in (one, other)
    )


_CONDITIONAL = re.compile(
    r"\b(?:если|кроме|только|пока|чтобы|хотя|проверьте|убедитесь"
    r"|if|unless|except|only|until|although|whether|check that|make sure)\b"
)


def _amounts(claim: Claim) -> list[tuple[object, ...]]:
    return sorted((value.kind, value.low, value.high, value.key) for value in claim.values)


def _alike(one: Claim, other: Claim, weights: Weights) -> float:
    """Words that the other side has in its headings count as common."""
    common = (one.subject & other.around) | (other.subject & one.around)
    if of_the_house(one, other):
        return ALIKE_ENOUGH
    if len(common - NEUTRAL) < 2 and (not common - NEUTRAL or own_words(one) != own_words(other)):
        return 0.0
    shared = weights.of(common)
    return shared / (shared + sum(_added(*sides, weights) for sides in ((one, other), (other, one))))


def _added(mine: Claim, others: Claim, weights: Weights) -> float:
    """The weight of the words of one side alone; its verb may be another."""
    extra = extra_words(mine, others)
    return weights.of(extra - mine.verbs) + LIGHT * weights.of(extra & mine.verbs)


def _covered(one: Claim, other: Claim, weights: Weights) -> float:
    """How much of what is denied the other side says; it may say more: `картой, наличными и по счёту`."""
    no, yes = (one, other) if one.denied else (other, one)
    common = frozenset(no.order) & yes.subject
    enough = ALIKE_ENOUGH if extra_words(no, yes) - NEUTRAL else ALIKE_WITH_DETAILS
    if len(common - NEUTRAL) < 2 or _alike(one, other, weights) < enough:
        return 0.0
    return weights.of(common) / weights.of(no.order)
