"""Calibrates the confidence of an assistant on labelled questions, within a stated budget of false answers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import CalibrationUnsupported
from asissto.platform.services import Services
from asissto.retrieval.answering import answer_question
from asissto.retrieval.assistants import find_assistant, settings_of
from asissto.retrieval.confidence import Calibration, log_odds
from asissto.retrieval.generation import Turn
from asissto.retrieval.publishing import AssistantPatch, change_at_once
from asissto.retrieval.reliability import (
    Bin,
    auroc,
    bins,
    calibration_error,
    platt,
    questions_needed,
    sigmoid,
    upper_bound,
)
from asissto.retrieval.scopes import Scope, workspace_scope
from asissto.retrieval.tables import Assistant

BUDGET = 0.05
"""Of the unanswerable questions at most this share may be answered."""

_FOLDS = 5
_SHOWN = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Labelled(msgspec.Struct, frozen=True):
    """A question, whether the documents answer it, and what was said before."""

    question: str
    answerable: bool = True
    history: list[Turn] = []


class Threshold(msgspec.Struct, frozen=True):
    """What happens when questions below `confidence` are not answered; `chosen` marks the one within the budget."""

    confidence: float
    answered_share: float
    false_answers: int
    false_share: float
    upper_bound: float
    chosen: bool = False


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration and the figures of it.

    `error` is the mean gap between promised and true shares (expected calibration error), each question judged by a fit
    on the others; `supported_budget` is the least budget that so many unanswerable questions can show to be kept. Where
    it is above the budget that was asked for, `calibration` is None.
    """

    calibration: Calibration | None
    questions: int
    unanswerable: int
    budget: float
    supported_budget: float
    auroc: float
    error_before: float
    error: float
    thresholds: list[Threshold]
    bins: list[Bin]


async def calibrate(
    services: Services, tenant_id: UUID, assistant_id: UUID, labelled: Sequence[Labelled], budget: float = BUDGET
) -> Fitted:
    """Asks an assistant in its own documents, without its model. Raises NotFound and CalibrationUnsupported."""
    return await calibrate_in(services, await scope_of(services, tenant_id, assistant_id), labelled, budget)


async def scope_of(services: Services, tenant_id: UUID, assistant_id: UUID) -> Scope:
    """Where and how the assistant looks for answers; its texts are for a model and not in it. Raises NotFound."""
    async with services.database.tenant(tenant_id) as session:
        scope = await workspace_scope(session, services, tenant_id)
        settings = settings_of(await find_assistant(session, tenant_id, assistant_id))
    return msgspec.structs.replace(scope, settings=settings)


async def calibrate_in(
    services: Services,
    scope: Scope,
    labelled: Sequence[Labelled],
    budget: float = BUDGET,
    report: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Raises CalibrationUnsupported where all questions have the same label."""
    alone = msgspec.structs.replace(services, chat=None)
    scope = msgspec.structs.replace(scope, settings=msgspec.structs.replace(scope.settings, models=[]))
    raw, known = [], []
    for number, each in enumerate(labelled):
        if report is not None:
            report(number, len(labelled))
        answer = await answer_question(alone, scope, each.question, each.history)
        if "confidence" in answer.details:  # approved answers and courtesies need none
            raw.append(float(answer.details["confidence"]["raw"]))
            known.append(each.answerable)
    return fit(raw, known, budget)


async def save(
    session: AsyncSession, tenant_id: UUID, assistant_id: UUID, fitted: Fitted, by: UUID | None
) -> Assistant:
    """As a new version of the assistant.

    Raises CalibrationUnsupported where the budget is not shown, and what `change_at_once` does.
    """
    if fitted.calibration is None:
        raise unsupported(fitted)
    settings = settings_of(await find_assistant(session, tenant_id, assistant_id))
    changed = msgspec.structs.replace(settings, calibration=fitted.calibration)
    return await change_at_once(session, tenant_id, assistant_id, AssistantPatch(settings=changed), by)


def unsupported(fitted: Fitted) -> CalibrationUnsupported:
    return CalibrationUnsupported(
        unanswerable=fitted.unanswerable,
        budget=f"{fitted.budget:.3g}",
        supported=f"{fitted.supported_budget:.3g}",
        needed=questions_needed(fitted.budget),
    )


def fit(raw: Sequence[float], known: Sequence[bool], budget: float) -> Fitted:
    """From the raw confidence of each question, and whether it has an answer.

    Raises CalibrationUnsupported where all are of one kind.
    """
    scores, labels = np.array(raw, dtype=np.float64), np.array(known, dtype=bool)
    negatives = int((~labels).sum())
    if negatives in (0, len(labels)):
        raise CalibrationUnsupported(
            unanswerable=negatives, budget=f"{budget:.3g}", supported="1", needed=questions_needed(budget)
        )
    odds = np.array([log_odds(score) for score in scores])
    slope, intercept = platt(odds, labels)
    sure = sigmoid(slope * odds + intercept)
    supported = upper_bound(0, negatives)
    false_answers = _most_false_answers(negatives, budget)
    calibration = None
    if false_answers is not None:
        calibration = Calibration(
            slope=slope,
            intercept=intercept,
            least_confidence=_least(sure, labels, false_answers),
            budget=budget,
            upper_bound=upper_bound(false_answers, negatives),
            questions=len(labels),
            unanswerable=negatives,
            fitted_at=datetime.now(UTC).replace(microsecond=0),
        )
    held_out = _held_out(odds, labels)
    return Fitted(
        calibration=calibration,
        questions=len(labels),
        unanswerable=negatives,
        budget=budget,
        supported_budget=supported,
        auroc=auroc(scores[labels].tolist(), scores[~labels].tolist()),
        error_before=calibration_error(scores, labels),
        error=calibration_error(held_out, labels),
        thresholds=_thresholds(sure, labels, calibration),
        bins=bins(held_out, labels),
    )


def _held_out(odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The confidence of each question by a fit on the other folds; raw where they are too few."""
    sure = sigmoid(odds)
    fold = np.arange(len(labels)) % _FOLDS
    for number in range(_FOLDS):
        others = fold != number
        if labels[others].any() and not labels[others].all():
            slope, intercept = platt(odds[others], labels[others])
            sure[~others] = sigmoid(slope * odds[~others] + intercept)
    return sure


def _most_false_answers(unanswerable: int, budget: float) -> int | None:
    """The share falls with the threshold, so going down until the bound passes the budget keeps the certainty."""
    if upper_bound(0, unanswerable) > budget:
        return None
    allowed = 0
    while upper_bound(allowed + 1, unanswerable) <= budget:
        allowed += 1
    return allowed


def _least(sure: NDArray[np.float64], labels: NDArray[np.bool_], false_answers: int) -> float:
    """Half way from the first unanswerable question that must not be answered to the next one above it."""
    refused = float(np.sort(sure[~labels])[::-1][false_answers]) if false_answers < (~labels).sum() else 0.0
    above = sure[sure > refused]
    return (refused + float(above.min() if above.size else 1.0)) / 2


def _thresholds(
    sure: NDArray[np.float64], labels: NDArray[np.bool_], calibration: Calibration | None
) -> list[Threshold]:
    chosen = [] if calibration is None else [calibration.least_confidence]
    return [_threshold(sure, labels, at, chosen=at in chosen) for at in sorted([*_SHOWN, *chosen])]


def _threshold(sure: NDArray[np.float64], labels: NDArray[np.bool_], at: float, *, chosen: bool) -> Threshold:
    wrong, unanswerable = int((sure[~labels] >= at).sum()), int((~labels).sum())
    return Threshold(
        confidence=at,
        answered_share=float((sure[labels] >= at).mean()),
        false_answers=wrong,
        false_share=wrong / unanswerable,
        upper_bound=upper_bound(wrong, unanswerable),
        chosen=chosen,
    )
