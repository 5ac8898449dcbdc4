"""Finds pairs of claims that speak of the same thing and give different values, or say yes and no."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

from asissto.ingestion.claim_words import CASES, NEUTRAL, RATES
from asissto.ingestion.claims import Claim
from asissto.ingestion.values import Value, agree, differ, fold

ALIKE_ENOUGH = 0.5
"""Share of the weight of their words that two claims have in common; see benchmarks/findings.py."""

ALIKE_WITH_DETAILS = 0.4
ALIKE_WHERE_NARROWER = 0.7
ALIKE_ENOUGH_TO_DENY = 0.7
RAREST = 4
MOST_POSTINGS = 300
MOST_PARTNERS = 12
MOST_TWINS = 3
"""What comes with more values than that is a list of prices, branches or sources."""


OF_THE_HOUSE = {"time", "weekdays", "phone", "email", "year"}
"""What a business has one of: `работаем с 9 до 18` needs no other word to be about the same thing."""


MAKES_A_CASE = {"count", "duration", "weekdays", "date"}
"""Where one side alone gives such a value, it speaks of another case."""


EVERY_WEEKDAY = "0123456"


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
        light = 0.15 if word in NEUTRAL else 1.0
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
            for word in claim.subject - NEUTRAL or {""}:
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
    """Words and kinds of value of what is said with many values: `Retrieved …` of each source, `Price …` of all."""
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
    values = _different_values(one, other)
    if values is None and not _denied(one, other):
        return None
    if values is not None:
        listed = any((frozenset(claim.order), values[0].kind) in listings for claim in (one, other))
        if listed or bool(one.denied) != bool(other.denied):
            return None
    score = _covered(one, other, weights) if values is None else _alike(one, other, weights)
    if score < _enough(one, other, values) or _another_case(one, other, values) or _another_place(one, other, values):
        return None
    return Contradiction(one, other, values, round(score, 3))


def _enough(one: Claim, other: Claim, values: tuple[Value, Value] | None) -> float:
    """Words that one side alone adds are more often a detail than words of both."""
    if values is None:
        return ALIKE_ENOUGH_TO_DENY
    if any(_narrows(mine, others) for mine, others in ((one, other), (other, one))):
        return ALIKE_WHERE_NARROWER
    return ALIKE_ENOUGH if _extra(one, other) - NEUTRAL and _extra(other, one) - NEUTRAL else ALIKE_WITH_DETAILS


def _narrows(mine: Claim, others: Claim) -> bool:
    """`gift card` is not any card: a word of one side alone right before one of both."""
    extra, common = _extra(mine, others) - NEUTRAL, others.around - NEUTRAL
    return any(word in extra and after in common for word, after in mine.pairs)


def _same_place(one: Claim, other: Claim) -> bool:
    """Also what a passage repeats from the one before it, and sections of one document that go by other names."""
    if one.passage.version_id != other.passage.version_id:
        return False
    starts = one.passage.start + one.start, other.passage.start + other.start
    if starts[0] == starts[1] or one.passage.heading_path != other.passage.heading_path:
        return True
    return one.leans or other.leans or min(len(_own(one)), len(_own(other))) < 2


def _different_values(one: Claim, other: Claim) -> tuple[Value, Value] | None:
    """The one pair of values that cannot both be true, where everything else that both give is the same."""
    pairs: list[tuple[Value, Value]] = []
    for kind in {value.kind for value in one.values} & {value.kind for value in other.values}:
        left, right = _rest(one.values, other.values, kind), _rest(other.values, one.values, kind)
        if not left or not right:
            continue
        if len(left) != len(right) or (len(left) > 1 and len(left) == len(one.values)):
            return None
        pairs += zip(left, right, strict=True)
    if len(pairs) != 1 or not differ(*pairs[0]) or not _comparable(*pairs[0]):
        return None
    left_value, right_value = pairs[0]
    if _says_too(other, left_value, right_value) or _says_too(one, right_value, left_value):
        return None
    return None if _conditional(one, other, pairs[0]) else pairs[0]


def _says_too(claim: Claim, value: Value, own: Value) -> bool:
    """Whether the claim's sentence gives that value as well, beside its `own`."""
    others = [each for each in claim.beside if each.kind == value.kind and each.start != own.start]
    return any(_comparable(value, each) and agree(value, each) for each in others)


def _rest(mine: Sequence[Value], others: Sequence[Value], kind: str) -> list[Value]:
    there = [value for value in others if value.kind == kind]
    return [v for v in mine if v.kind == kind and not any(_comparable(v, o) and agree(v, o) for o in there)]


def _comparable(one: Value, other: Value) -> bool:
    """A price that is nothing is compared with any currency; minutes of one and months of another are two things."""
    if one.kind in {"money", "count"} and one.unit != other.unit:
        return one.kind == "money" and 0 in {one.low, other.low}
    return one.kind != "address"


def _conditional(one: Claim, other: Claim, pair: tuple[Value, Value]) -> bool:
    """An amount of another kind on one side only, `от 3 000 ₽`, is a condition of what that side says."""
    kinds = [{value.kind for value in claim.values if value not in pair} for claim in (one, other)]
    alone = kinds[0] ^ kinds[1]
    rest = [value for claim in (one, other) for value in claim.values if value not in pair and value.kind in alone]
    return any(value.bound or (value.kind in MAKES_A_CASE and value.key != EVERY_WEEKDAY) for value in rest)


def _denied(one: Claim, other: Claim) -> bool:
    """Two whole statements without conditions; within one document a `not` belongs to a case that it explains."""
    if one.leans or other.leans or min(len(_own(one)), len(_own(other))) < 2:
        return False
    if not (one.denied & other.affirmed or other.denied & one.affirmed):
        return False
    no = one if one.denied else other
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
    if not (one.subject | other.subject) - NEUTRAL and not (_place(one, other) or _place(other, one)):
        kinds = {value.kind for value in one.values} & {value.kind for value in other.values}
        return ALIKE_ENOUGH if kinds & OF_THE_HOUSE else 0.0
    if len(common - NEUTRAL) < 2 and (not common - NEUTRAL or _own(one) != _own(other)):
        return 0.0
    shared = weights.of(common)
    return shared / (shared + weights.of(_extra(one, other)) + weights.of(_extra(other, one)))


def _covered(one: Claim, other: Claim, weights: Weights) -> float:
    """How much of what is denied the other side says; it may say more: `картой, наличными и по счёту`."""
    no, yes = (one, other) if one.denied else (other, one)
    common = frozenset(no.order) & yes.subject
    if len(common - NEUTRAL) < 2 or _alike(one, other, weights) < ALIKE_ENOUGH:
        return 0.0
    return weights.of(common) / weights.of(no.order)


def _own(claim: Claim) -> frozenset[str]:
    return frozenset(claim.order) - NEUTRAL - RATES


def _extra(one: Claim, other: Claim) -> frozenset[str]:
    return frozenset(one.order) - other.around


def _another_case(one: Claim, other: Claim, values: tuple[Value, Value] | None) -> bool:
    """A name, a number or a case that one side has by itself; or one word in place of another in the same sentence."""
    priced = values is not None and values[0].kind == "money" and 0 not in {values[0].high, values[1].high}
    if priced and (_extra(one, other) | _extra(other, one)) & RATES:
        return True
    for mine, others in ((one, other), (other, one)):
        extra = _extra(mine, others)
        if _beside_common(mine, extra & CASES, others) or _named(mine, others):
            return True
        if (mine.cases & extra) - NEUTRAL:
            return True
    return _swapped(one.order, other.order)


def _named(mine: Claim, others: Claim) -> bool:
    """A number has to stand in the other claim itself, a name may stand in its headings."""
    alone = mine.names - others.names
    return any(name not in others.order if _DIGIT.search(name) else name in _extra(mine, others) for name in alone)


_DIGIT = re.compile(r"\d|^-")


def _beside_common(mine: Claim, words: frozenset[str], others: Claim) -> bool:
    """Whether one of the words stands next to one that both sides have, as in `late check-out`."""
    common = others.around - NEUTRAL
    return any((one in words and two in common) or (two in words and one in common) for one, two in mine.pairs)


def _swapped(one: Sequence[str], other: Sequence[str]) -> bool:
    """`химчистка дивана` and `химчистка ковра`: the same words around one that was exchanged."""
    one, other = ([word for word in order if word not in NEUTRAL] for order in (one, other))
    changes = [
        change for change in SequenceMatcher(None, one, other, autojunk=False).get_opcodes() if change[0] != "equal"
    ]
    return len(changes) == 1 and changes[0][0] == "replace"


def _another_place(one: Claim, other: Claim, values: tuple[Value, Value] | None) -> bool:
    """Whether both stand under headings that name two different things; `три шага` are those of the text around."""
    mine, others = _place(one, other), _place(other, one)
    if (mine & one.place_names) | (others & other.place_names):
        return True
    own = (one.subject & other.subject) - NEUTRAL
    counted = values is not None and values[0].kind == "count" and not re.search(r"\d", one.quote)
    return bool(mine and others) and (counted or len(own) < 2 or _alternatives(one, other))


def _alternatives(one: Claim, other: Claim) -> bool:
    """Headings such as `Филиал в Казани` and `Филиал в Самаре`: a word in common, and words in place of others."""
    for name in one.headings:
        for twin in other.headings:
            if name & twin and name - twin - NEUTRAL and twin - name - NEUTRAL:
                return True
    return False


def _place(one: Claim, other: Claim) -> frozenset[str]:
    return frozenset().union(*one.headings) - frozenset(one.order) - other.around - NEUTRAL
