"""Compares two periods: the change of a figure, whether a share really changed, and who has a part in the change."""

import math
from collections.abc import Mapping

import msgspec

from asissto.retrieval.figures import Figure
from asissto.retrieval.reckoning import Number, Value

ALPHA = 0.05
FEWEST_EXPECTED = 5.0
_NOTHING = Value(None)


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a period beside that of the period before; money in millionths of `currency`.

    `p_value` is that of a test of two shares, null where it is no share or there is nothing to compare.
    """

    figure: str
    unit: str
    currency: str | None
    value: float | None
    before: float | None
    change: float | None
    p_value: float | None
    is_significant: bool | None


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """`contribution` is the part that a group has in the whole change: the contributions add up to it.

    Of a share it is the change of the group's own share (`rate_effect`) and of its weight (`mix_effect`).
    """

    key: str
    label: str | None
    value: float | None
    before: float | None
    change: float | None
    contribution: float | None
    rate_effect: float | None
    mix_effect: float | None


def card(name: str, figure: Figure, now: Value, before: Value | None) -> Card:
    p_value = None if before is None else p_value_of(now, before)
    return Card(
        figure=name,
        unit=figure.unit,
        currency=now.currency,
        value=now.value,
        before=None if before is None else before.value,
        change=_change(now, before),
        p_value=p_value,
        is_significant=None if p_value is None else p_value < ALPHA,
    )


def p_value_of(now: Value, before: Value) -> float | None:
    """Two-sided, of the two shares being one: a z-test with the pooled share, Fisher's exact test where rows are few.

    NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3; "few" is an expected count below five (Cochran, 1954).
    """
    if not now.whole or not before.whole or now.part is None or before.part is None:
        return None
    rows, hits = now.whole + before.whole, now.part + before.part
    if hits in (0, rows):
        return 1.0
    if min(now.whole, before.whole) * min(hits, rows - hits) / rows < FEWEST_EXPECTED:
        return _fisher(now.part, now.whole, hits, rows)
    pooled = hits / rows
    error = math.sqrt(pooled * (1 - pooled) * (1 / now.whole + 1 / before.whole))
    z = abs(now.part / now.whole - before.part / before.whole) / error
    return math.erfc(z / math.sqrt(2))


def _fisher(part: int, whole: int, hits: int, rows: int) -> float:
    """The probability of all tables that are no likelier than the one there is, their margins being as they are."""
    possible = range(max(0, whole - (rows - hits)), min(whole, hits) + 1)
    chance = {each: _log_choose(hits, each) + _log_choose(rows - hits, whole - each) for each in possible}
    seen = chance[part] + 1e-9
    return min(1.0, sum(math.exp(each - _log_choose(rows, whole)) for each in chance.values() if each <= seen))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def contributions(
    figure: Figure, now: Mapping[str, tuple[str | None, Value]], before: Mapping[str, tuple[str | None, Value]]
) -> list[Contribution]:
    """The greatest part first. A median has no parts."""
    wholes = (sum(each.whole or 0 for _, each in now.values()), sum(each.whole or 0 for _, each in before.values()))
    shares = (_overall(now), _overall(before))
    found = []
    for key in {**now, **before}:
        label, this = now.get(key) or (before[key][0], _absent(figure))
        that = before[key][1] if key in before else _absent(figure)
        rate, mix = (None, None)
        part = None if figure.kind in ("quantile", "mean") else float(_change(this, that) or 0)
        if figure.kind == "share":
            rate, mix = _effects(this, that, wholes, shares)
            part = rate + mix if all(wholes) else None
        found.append(
            Contribution(
                key=key,
                label=label,
                value=this.value,
                before=that.value,
                change=_change(this, that),
                contribution=part,
                rate_effect=rate if all(wholes) else None,
                mix_effect=mix if all(wholes) else None,
            )
        )
    return sorted(found, key=lambda each: (-abs(each.contribution or 0), -float(each.value or 0), each.key))


def _effects(this: Value, that: Value, wholes: tuple[int, int], shares: tuple[float, float]) -> tuple[float, float]:
    """The decomposition of Kitagawa, "Components of a Difference Between Two Rates" (JASA 50, 1955), by one factor.

    What a group has in the mix is measured from the overall share, so that growing with a poor share counts as loss.
    """
    weight, weight_before = (this.whole or 0) / (wholes[0] or 1), (that.whole or 0) / (wholes[1] or 1)
    share = this.value if this.value is not None else that.value or 0.0
    share_before = that.value if that.value is not None else share
    rate = (weight + weight_before) / 2 * (share - share_before)
    middle = (share + share_before) / 2 - sum(shares) / 2
    return rate, (weight - weight_before) * middle


def _overall(groups: Mapping[str, tuple[str | None, Value]]) -> float:
    whole = sum(each.whole or 0 for _, each in groups.values())
    return sum(each.part or 0 for _, each in groups.values()) / whole if whole else 0.0


def _absent(figure: Figure) -> Value:
    if figure.kind == "share":
        return Value(None, part=0, whole=0)
    return Value(0) if figure.kind in ("count", "sum") else _NOTHING


def _change(now: Value, before: Value | None) -> Number | None:
    return None if before is None or now.value is None or before.value is None else now.value - before.value
