"""Assistants, their drafts and their versions as the API shows them."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec

from asissto.retrieval.assistants import AssistantSettings, Snapshot, settings_of
from asissto.retrieval.drafts import draft_of
from asissto.retrieval.tables import Assistant, AssistantVersion


class AssistantOut(msgspec.Struct, frozen=True, kw_only=True):
    """What is published; `revision` grows with each change of it and of its draft, and goes back with an edit."""

    id: UUID
    name: str
    description: str
    role: str
    status: str
    prompt: str
    instructions: str
    model: str | None
    settings: AssistantSettings
    version: int
    revision: int
    has_draft: bool
    created_at: datetime

    @classmethod
    def of(cls, row: Assistant) -> Self:
        same = (name for name in cls.__struct_fields__ if name not in ("settings", "has_draft"))
        return cls(
            **{name: getattr(row, name) for name in same}, settings=settings_of(row), has_draft=row.draft is not None
        )


class DraftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant is to become; `version` is what is published now."""

    assistant_id: UUID
    revision: int
    version: int
    draft: Snapshot
    edited_by: UUID | None
    edited_at: datetime | None

    @classmethod
    def of(cls, row: Assistant) -> Self:
        return cls(
            assistant_id=row.id,
            revision=row.revision,
            version=row.version,
            draft=msgspec.convert(draft_of(row), Snapshot),
            edited_by=row.draft_by,
            edited_at=row.draft_at,
        )


class VersionOut(msgspec.Struct, frozen=True, kw_only=True):
    """`snapshot` is what was published, word for word; `restored_from` the version that it repeats."""

    number: int
    snapshot: dict[str, Any]
    note: str
    restored_from: int | None
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: AssistantVersion) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})
