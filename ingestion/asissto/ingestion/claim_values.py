"""Finds the one pair of values that two claims cannot both be right about."""

from collections.abc import Sequence

from asissto.ingestion.claims import Claim
from asissto.ingestion.values import Value, agree, differ

MAKES_A_CASE = {"count", "duration", "weekdays", "date"}
"""Where one side alone gives such a value, it speaks of another case."""

EVERY_WEEKDAY = "0123456"


def different_values(one: Claim, other: Claim) -> tuple[Value, Value] | None:
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
