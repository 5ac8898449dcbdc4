"""Sums up a run: how much of it passed, how well it knows what it does not know, how long it took and what it used."""

from collections.abc import Sequence

import msgspec
import numpy as np

from asissto.retrieval.quality_tables import SetResult
from asissto.retrieval.reliability import auroc


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts, shares in [0, 1], milliseconds, tokens, millionths of a currency.

    `false_answers` were given where none was expected, `citation_hits` are of the cases that expect documents; `auroc`
    tells how well the confidence parts the cases that expect an answer from those that do not. None: nothing to count.
    """

    cases: int
    passed: int
    pass_rate: float | None
    answered: int
    abstained: int
    handed_over: int
    false_answers: int
    missed_answers: int
    citations_expected: int
    citation_hits: int
    auroc: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    prompt_tokens: int
    completion_tokens: int
    cost_micros: int | None


def figures_of(results: Sequence[SetResult]) -> RunFigures:
    outcomes = [result.outcome for result in results]
    latencies = [result.latency_ms for result in results]
    passed = sum(result.passed for result in results)
    wanted = [result for result in results if result.expected == "answer"]
    return RunFigures(
        cases=len(results),
        passed=passed,
        pass_rate=round(passed / len(results), 4) if results else None,
        answered=outcomes.count("answer"),
        abstained=outcomes.count("abstain"),
        handed_over=outcomes.count("hand_over"),
        false_answers=sum(result.outcome == "answer" for result in results if result.expected != "answer"),
        missed_answers=sum(result.outcome != "answer" for result in wanted),
        citations_expected=sum(result.cited is not None for result in results),
        citation_hits=sum(result.cited is True for result in results),
        auroc=_auroc(results),
        latency_ms_p50=_percentile(latencies, 50),
        latency_ms_p95=_percentile(latencies, 95),
        prompt_tokens=_used(results, "prompt_tokens"),
        completion_tokens=_used(results, "completion_tokens"),
        cost_micros=_cost(results),
    )


def _auroc(results: Sequence[SetResult]) -> float | None:
    good = [result.confidence for result in results if result.expected == "answer"]
    bad = [result.confidence for result in results if result.expected != "answer"]
    return round(auroc(good, bad), 4) if good and bad else None


def _percentile(values: Sequence[float], percent: int) -> float | None:
    return round(float(np.percentile(values, percent)), 2) if values else None


def _used(results: Sequence[SetResult], tokens: str) -> int:
    return sum(int(usage.get(tokens, 0)) for result in results for usage in result.usage)


def _cost(results: Sequence[SetResult]) -> int | None:
    """Millionths of the currency of the prices, where the calls of the model know theirs."""
    spent = (usage.get("cost_micros") for result in results for usage in result.usage)
    known = [int(cost) for cost in spent if cost is not None]
    return sum(known) if known else None
