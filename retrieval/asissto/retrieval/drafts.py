"""Drafts: what an assistant is to become. No channel sees one, and two editors do not overwrite each other."""

from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import NoDraft, VersionConflict
from asissto.platform.tables import Json
from asissto.retrieval.assistants import SnapshotPatch, check_snapshot, hold_assistant, published
from asissto.retrieval.tables import Assistant


class DraftPatch(SnapshotPatch, forbid_unknown_fields=True, kw_only=True):
    """`revision` is that of the assistant when the editor loaded it."""

    revision: int


async def edit_draft(
    session: AsyncSession, tenant_id: UUID, assistant_id: UUID, what: DraftPatch, by: UUID | None
) -> Assistant:
    """Begins a draft where there is none. Raises NotFound, VersionConflict, and what `check_snapshot` does."""
    assistant = await hold_assistant(session, tenant_id, assistant_id)
    check_revision(assistant, what.revision)
    draft = what.changed(assistant.draft or published(assistant))
    await check_snapshot(session, tenant_id, draft)
    return await write_draft(session, assistant, draft, by)


async def discard_draft(session: AsyncSession, tenant_id: UUID, assistant_id: UUID, revision: int | None) -> Assistant:
    """Raises NotFound, NoDraft and VersionConflict."""
    assistant = await hold_assistant(session, tenant_id, assistant_id)
    check_revision(assistant, UNSET if revision is None else revision)
    draft_of(assistant)
    assistant.revision += 1
    drop_draft(assistant)
    await session.flush()
    await session.refresh(assistant)
    return assistant


async def write_draft(session: AsyncSession, assistant: Assistant, draft: Json, by: UUID | None) -> Assistant:
    assistant.draft, assistant.draft_by, assistant.draft_at = draft, by, func.now()
    assistant.revision += 1
    await session.flush()
    await session.refresh(assistant)
    return assistant


def drop_draft(assistant: Assistant) -> None:
    assistant.draft = assistant.draft_by = assistant.draft_at = None


def draft_of(assistant: Assistant) -> Json:
    """Raises NoDraft."""
    if assistant.draft is None:
        raise NoDraft
    return assistant.draft


def check_revision(assistant: Assistant, revision: int | UnsetType) -> None:
    """Raises VersionConflict where somebody has changed the assistant since it was loaded."""
    if revision is not UNSET and revision != assistant.revision:
        raise VersionConflict(field="revision")
