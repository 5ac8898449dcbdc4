"""Tells claims of the same thing from those of another case, another name, another place."""

import re
from difflib import SequenceMatcher

from asissto.ingestion.claim_text import keys, pairs_of
from asissto.ingestion.claim_words import CASES, NEUTRAL, RATES
from asissto.ingestion.claims import Claim
from asissto.ingestion.values import Value

OF_THE_HOUSE = {"time", "weekdays", "phone", "year"}
"""What a business has one of: `работаем с 9 до 18` needs no other word to be about the same thing."""


def narrows(mine: Claim, others: Claim) -> bool:
    """`gift card` is not any card: a word of one side alone right before one of both."""
    extra, common = extra_words(mine, others) - NEUTRAL - mine.verbs, others.around - NEUTRAL
    return bool(extra) and any(word in extra and after in common for word, after in pairs_of(mine.bare))


def own_words(claim: Claim) -> frozenset[str]:
    return frozenset(claim.order) - NEUTRAL - RATES


def extra_words(one: Claim, other: Claim) -> frozenset[str]:
    return frozenset(one.order) - other.around


def another_case(one: Claim, other: Claim, values: tuple[Value, Value] | None) -> bool:
    """A name, a number or a case that one side has by itself; or one word in place of another in the same sentence."""
    priced = values is not None and values[0].kind == "money" and 0 not in {values[0].high, values[1].high}
    if priced and (extra_words(one, other) | extra_words(other, one)) & RATES:
        return True
    for mine, others in ((one, other), (other, one)):
        extra = extra_words(mine, others)
        if _beside_common(mine, extra & CASES, others) or _named(mine, others):
            return True
        if (mine.cases & extra) - NEUTRAL:
            return True
    return _swapped(one, other)


def _named(mine: Claim, others: Claim) -> bool:
    """A number has to stand in the other claim itself, a name may stand in its headings."""
    alone = mine.names - others.names
    return any(name not in others.order if _DIGIT.search(name) else name in extra_words(mine, others) for name in alone)


_DIGIT = re.compile(r"\d|^-")


def _beside_common(mine: Claim, words: frozenset[str], others: Claim) -> bool:
    """Whether one of the words stands next to one that both sides have, as in `late check-out`."""
    common = others.around - NEUTRAL
    return bool(words) and any(
        (one in words and two in common) or (two in words and one in common) for one, two in pairs_of(mine.bare)
    )


def _swapped(one: Claim, other: Claim) -> bool:
    """`химчистка дивана` and `химчистка ковра`: the same words around one or two that were exchanged."""
    first, second = ([word for word in claim.order if word not in NEUTRAL | claim.verbs] for claim in (one, other))
    steps = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    changes = [(name, max(b - a, d - c)) for name, a, b, c, d in steps if name != "equal"]
    return len(changes) == 1 and changes[0] in {("replace", 1), ("replace", 2)}


def another_place(one: Claim, other: Claim, values: tuple[Value, Value] | None) -> bool:
    """Whether both stand under headings that name two different things; `три шага` are those of the text around."""
    mine, others = place_of(one, other), place_of(other, one)
    if (mine & one.place_names) | (others & other.place_names):
        return True
    if of_the_house(one, other):
        return _alternatives(one, other)
    own = (one.subject & other.subject) - NEUTRAL
    counted = values is not None and values[0].kind == "count" and not re.search(r"\d", one.quote)
    return bool(mine and others) and (counted or len(own) < 2 or _alternatives(one, other))


def of_the_house(one: Claim, other: Claim) -> bool:
    """Two such as `клиника открыта с 8 до 20`, in the same words or under headings that name nothing else."""
    kinds = {value.kind for value in one.values} & {value.kind for value in other.values}
    if not kinds & OF_THE_HOUSE or (frozenset(keys(one.bare)) | frozenset(keys(other.bare))) - NEUTRAL:
        return False
    same = frozenset(keys(one.bare)) == frozenset(keys(other.bare)) != frozenset()
    return same or not (place_of(one, other) or place_of(other, one))


def _alternatives(one: Claim, other: Claim) -> bool:
    """Headings such as `Филиал в Казани` and `Филиал в Самаре`: a word in common, and words in place of others."""
    for name in one.headings:
        for twin in other.headings:
            if name & twin and name - twin - NEUTRAL and twin - name - NEUTRAL:
                return True
    return False


def place_of(one: Claim, other: Claim) -> frozenset[str]:
    return frozenset().union(*one.headings) - frozenset(one.order) - other.around - NEUTRAL
