"""Question sets, their cases, runs and results as the API shows them."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec

from asissto.platform.texts import Language
from asissto.retrieval.judging import Failure
from asissto.retrieval.quality_tables import QuestionCase, QuestionSet, SetResult, SetRun
from asissto.retrieval.question_sets import CitedDocument, SaidIn


class SetOut(msgspec.Struct, frozen=True, kw_only=True):
    """`revision` grows with each change of its cases."""

    id: UUID
    name: str
    description: str
    assistant_id: UUID | None
    revision: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: QuestionSet) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class CaseOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    set_id: UUID
    question: str
    history: list[SaidIn]
    expected: str
    must_contain: list[str]
    must_not_contain: list[str]
    must_cite: list[CitedDocument]
    note: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: QuestionCase) -> Self:
        return msgspec.convert({name: getattr(row, name) for name in cls.__struct_fields__}, cls)


class RunOut(msgspec.Struct, frozen=True, kw_only=True):
    """`done` of `total` cases were asked; `figures` come with the end. `reason` is the code of what it failed with."""

    id: UUID
    set_id: UUID
    assistant_id: UUID
    version: int | None
    draft_revision: int | None
    set_revision: int
    state: str
    total: int
    done: int
    passed: int
    figures: dict[str, Any] | None
    reason: str | None
    created_by: UUID | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: SetRun) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class FailureOut(msgspec.Struct, frozen=True):
    code: str
    detail: str


class ResultOut(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a case; `cited` tells whether an expected document was cited, where one is expected."""

    case_id: UUID
    question: str
    expected: str
    passed: bool
    failures: list[FailureOut]
    outcome: str
    mode: str
    answer: str
    citations: list[dict[str, Any]]
    cited: bool | None
    confidence: float
    latency_ms: float
    usage: list[dict[str, Any]]
    notes: list[str]
    details: dict[str, Any]

    @classmethod
    def of(cls, row: SetResult, language: Language) -> Self:
        failures = msgspec.convert(row.failures, list[Failure])
        same = (name for name in cls.__struct_fields__ if name != "failures")
        said = [FailureOut(each.code, each.sentence(language)) for each in failures]
        return cls(**{name: getattr(row, name) for name in same}, failures=said)
