"""What becomes of a file that is taken in row by row, and how it is told."""

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Protocol, Self

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from asissto.platform.errors import AsisstoError
from asissto.platform.texts import Language


class BadRow(msgspec.Struct, frozen=True):
    """`line` is where the row begins in the file."""

    line: int
    error: AsisstoError


class ImportPlan(Protocol):
    """What becomes of the rows; nothing of it is written yet."""

    @property
    def new(self) -> Sized: ...
    @property
    def changed(self) -> Sized: ...
    @property
    def unchanged(self) -> Sized: ...
    @property
    def bad(self) -> list[BadRow]: ...


def audited(plan: ImportPlan) -> dict[str, int]:
    """For the audit trail."""
    return {"created": len(plan.new), "updated": len(plan.changed), "bad": len(plan.bad)}


class BadRowOut(msgspec.Struct, frozen=True, kw_only=True):
    """`line` is where the row begins in the file."""

    line: int
    field: str
    code: str
    detail: str

    @classmethod
    def of(cls, row: BadRow, language: Language) -> Self:
        error = row.error
        return cls(line=row.line, field=error.field or "", code=error.code, detail=error.sentence(language))


class ImportOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows became what; `bad` ones are left out."""

    created: int
    updated: int
    unchanged: int
    bad: list[BadRowOut]

    @classmethod
    def of(cls, plan: ImportPlan, language: Language) -> Self:
        bad = [BadRowOut.of(row, language) for row in plan.bad]
        return cls(created=len(plan.new), updated=len(plan.changed), unchanged=len(plan.unchanged), bad=bad)


def takes(*media_types: str) -> type[Operation]:
    """For `operation_class` of a route whose handler reads the body itself."""

    @dataclass
    class FileOperation(Operation):
        def __post_init__(self) -> None:
            content: dict[str, Any] = dict.fromkeys(
                media_types, OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            )
            self.request_body = RequestBody(content=content, required=True)

    return FileOperation
