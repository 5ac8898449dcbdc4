"""What can be counted: each figure is a number over the rows of one view. docs/reference/analytics.md defines them."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Float, cast, func, true

from asissto.retrieval.figure_rows import TABLES, View

Kind = Literal["count", "sum", "mean", "quantile", "share"]
Unit = Literal["count", "share", "seconds", "micros", "tokens", "points"]
Columns = Any
"""Those of a view, by name."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """`where` chooses its rows. A share has the figures that it is made of instead; money is told by currency."""

    view: View
    kind: Kind = "count"
    unit: Unit = "count"
    where: Callable[[Columns], ColumnElement[bool]] = lambda _c: true()
    amount: str = ""
    at: float = 0.0
    part: str = ""
    whole: str = ""

    @property
    def is_money(self) -> bool:
        return self.unit == "micros"

    def value(self) -> ColumnElement[Any]:
        """Over the rows of a group; not for shares."""
        columns = TABLES[self.view].c
        rows = self.where(columns)
        if self.kind == "count":
            return func.count().filter(rows)
        amount = columns[self.amount]
        if self.kind == "sum":
            return func.coalesce(func.sum(amount).filter(rows), 0)
        if self.kind == "mean":
            return cast(func.avg(amount).filter(rows), Float)
        return func.percentile_cont(self.at).within_group(amount).filter(rows)


def _share(view: View, part: str, whole: str, where: Callable[[Columns], ColumnElement[bool]]) -> Figure:
    return Figure(view=view, kind="share", unit="share", part=part, whole=whole, where=where)


def _result(name: str) -> Callable[[Columns], ColumnElement[bool]]:
    return lambda c: c.result == name


def _money(where: Callable[[Columns], ColumnElement[bool]]) -> Figure:
    return Figure(view="calls", kind="sum", unit="micros", amount="cost_micros", where=where)


def _tokens(name: str) -> Figure:
    return Figure(view="calls", kind="sum", unit="tokens", amount=name)


def _quantile(at: float) -> Figure:
    return Figure(
        view="inquiries",
        kind="quantile",
        unit="seconds",
        amount="first_reply_seconds",
        at=at,
        where=lambda c: c.first_reply_seconds.is_not(None),
    )


FIGURES: dict[str, Figure] = {
    "questions": Figure(view="turns", where=lambda c: c.is_question),
    "answered": Figure(view="turns", where=_result("answered")),
    "clarified": Figure(view="turns", where=_result("clarified")),
    "abstained": Figure(view="turns", where=_result("abstained")),
    "handed_over": Figure(view="turns", where=_result("handed_over")),
    "asked_for_person": Figure(view="turns", where=_result("asked_for_person")),
    "courtesies": Figure(view="turns", where=_result("courtesy")),
    "answered_share": _share("turns", "answered", "questions", _result("answered")),
    "abstained_share": _share("turns", "abstained", "questions", _result("abstained")),
    "inquiries": Figure(view="inquiries"),
    "finished": Figure(view="inquiries", where=lambda c: c.is_finished),
    "resolved": Figure(view="inquiries", where=lambda c: c.is_resolved),
    "settled": Figure(view="inquiries", where=lambda c: c.is_settled),
    "durable": Figure(view="inquiries", where=lambda c: c.is_durable),
    "reopened": Figure(view="inquiries", where=lambda c: c.is_reopened),
    "hand_overs": Figure(view="inquiries", where=lambda c: c.is_handed_over),
    "resolved_share": _share("inquiries", "resolved", "finished", lambda c: c.is_resolved),
    "durable_share": _share("inquiries", "durable", "settled", lambda c: c.is_durable),
    "reopened_share": _share("inquiries", "reopened", "settled", lambda c: c.is_reopened),
    "hand_over_share": _share("inquiries", "hand_overs", "inquiries", lambda c: c.is_handed_over),
    "first_reply_p50": _quantile(0.5),
    "first_reply_p95": _quantile(0.95),
    "thumbs": Figure(view="feedback", where=lambda c: c.thumb.is_not(None)),
    "thumbs_up": Figure(view="feedback", where=lambda c: c.thumb == 1),
    "thumbs_down": Figure(view="feedback", where=lambda c: c.thumb == -1),
    "thumbs_up_share": _share("feedback", "thumbs_up", "thumbs", lambda c: c.thumb == 1),
    "comments": Figure(view="feedback", where=lambda c: c.comment != ""),
    "ratings": Figure(view="feedback", where=lambda c: c.rating.is_not(None)),
    "satisfied": Figure(view="feedback", where=lambda c: c.rating >= 4),
    "csat": _share("feedback", "satisfied", "ratings", lambda c: c.rating >= 4),
    "rating_mean": Figure(
        view="feedback", kind="mean", unit="points", amount="rating", where=lambda c: c.rating.is_not(None)
    ),
    "calls": Figure(view="calls"),
    "failed_calls": Figure(view="calls", where=lambda c: c.is_failed),
    "calls_without_price": Figure(view="calls", where=lambda c: c.cost_micros.is_(None)),
    "prompt_tokens": _tokens("prompt_tokens"),
    "cached_tokens": _tokens("cached_tokens"),
    "completion_tokens": _tokens("completion_tokens"),
    "cost": _money(lambda c: c.cost_micros.is_not(None)),
    "cost_exact": _money(lambda c: c.confidence == "exact"),
    "cost_estimated": _money(lambda c: c.confidence == "estimated"),
    "sms": Figure(view="segments"),
    "sms_segments": Figure(view="segments", kind="sum", amount="segments"),
}

DIMENSIONS: dict[str, str] = {
    "assistant": "assistant_id",
    "version": "assistant_version",
    "channel": "channel_id",
    "channel_type": "channel_type",
    "model": "model",
    "language": "language",
    "day": "day",
    "hour": "hour",
    "result": "result",
    "mode": "mode",
    "reason": "reason",
    "purpose": "purpose",
    "provider": "provider",
    "confidence": "confidence",
    "currency": "currency",
}
"""By what figures can be broken down and narrowed, and the column; which of them a figure has its view decides."""

LABELS = {"assistant": "assistant", "version": "assistant", "channel": "channel"}
"""The column that says a key in words."""


def dimensions_of(view: View) -> list[str]:
    columns = TABLES[view].c
    return [name for name, column in DIMENSIONS.items() if column in columns]
