"""Compares two runs of a set case by case, and says how likely the difference is chance."""

from collections.abc import Sequence
from math import comb
from typing import Literal
from uuid import UUID

import msgspec

from asissto.retrieval.quality_tables import SetResult

Change = Literal["better", "worse", "same"]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    passed: bool
    outcome: str
    answer: str
    confidence: float
    latency_ms: float

    @classmethod
    def of(cls, result: SetResult) -> "Side":
        return cls(**{name: getattr(result, name) for name in cls.__struct_fields__})


class ComparedCase(msgspec.Struct, frozen=True, kw_only=True):
    case_id: UUID
    question: str
    change: Change
    before: Side
    after: Side


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Of the cases that both runs have.

    `p_value` is that of McNemar's exact test, two-sided: how often cases that are no better on either side would differ
    at least so much by chance. Below 0.05 the difference is taken for real.
    """

    cases: int
    passed_before: int
    passed_after: int
    better: int
    worse: int
    p_value: float
    is_significant: bool
    items: list[ComparedCase]


def compare(before: Sequence[SetResult], after: Sequence[SetResult]) -> Comparison:
    """What got worse comes first, then what got better."""
    old = {result.case_id: result for result in before}
    both = [(old[result.case_id], result) for result in after if result.case_id in old]
    items = sorted((_case(*pair) for pair in both), key=lambda each: ("worse", "better", "same").index(each.change))
    changes = [item.change for item in items]
    better, worse = changes.count("better"), changes.count("worse")
    p_value = exact_p(better, worse)
    return Comparison(
        cases=len(items),
        passed_before=sum(first.passed for first, _ in both),
        passed_after=sum(second.passed for _, second in both),
        better=better,
        worse=worse,
        p_value=round(p_value, 4),
        is_significant=p_value < 0.05,
        items=items,
    )


def exact_p(better: int, worse: int) -> float:
    """Twice the lower tail of the binomial distribution with p = 1/2 over the cases that changed, at most 1."""
    changed = better + worse
    tail = sum(comb(changed, count) for count in range(min(better, worse) + 1))
    return float(min(1.0, 2 * tail / 2**changed))


def _case(before: SetResult, after: SetResult) -> ComparedCase:
    change: Change = "same"
    if before.passed != after.passed:
        change = "better" if after.passed else "worse"
    return ComparedCase(
        case_id=after.case_id,
        question=after.question,
        change=change,
        before=Side.of(before),
        after=Side.of(after),
    )
