"""Publishing: a draft becomes the next version, an old version comes back, and every version can be read."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import DraftExists, NotFound, PublishingGuarded
from asissto.platform.tables import Json
from asissto.retrieval.assistants import (
    SnapshotPatch,
    check_snapshot,
    find_assistant,
    hold_assistant,
    published,
    put_live,
)
from asissto.retrieval.drafts import check_revision, draft_of, drop_draft
from asissto.retrieval.quality_tables import PublishingGate
from asissto.retrieval.tables import Assistant, AssistantVersion

Note = Annotated[str, Meta(max_length=2_000)]
Which = Annotated[int, Meta(ge=1)] | Literal["published", "draft"]
"""A version by its number, what is published, or the draft."""


class AssistantPatch(SnapshotPatch, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; without `revision` the change is made whatever others did meanwhile."""

    status: Annotated[str, Meta(pattern="^(active|paused)$")] | UnsetType = UNSET
    revision: int | UnsetType = UNSET


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """One state of an assistant: a version, or the draft at a revision."""

    snapshot: Json
    version: int | None = None
    draft_revision: int | None = None

    @property
    def made_by(self) -> Json:
        """As receipts name it."""
        return {"version": self.version} if self.draft_revision is None else {"draft_revision": self.draft_revision}


async def change_at_once(
    session: AsyncSession, tenant_id: UUID, assistant_id: UUID, what: AssistantPatch, by: UUID | None
) -> Assistant:
    """Publishes the change as a version of its own; pausing makes none.

    Raises NotFound, NameTaken, VersionConflict, DraftExists, PublishingGuarded, and what `check_snapshot` does.
    """
    assistant = await hold_assistant(session, tenant_id, assistant_id)
    check_revision(assistant, what.revision)
    if what.status is not UNSET:
        assistant.status = what.status
    before = published(assistant)
    after = what.changed(before)
    if after != before:
        if assistant.draft is not None:
            raise DraftExists
        if await session.get(PublishingGate, (tenant_id, assistant_id)):
            raise PublishingGuarded
        await check_snapshot(session, tenant_id, after)
        await put_live(session, assistant, after, AssistantVersion(created_by=by))
    return assistant


async def publish_draft(session: AsyncSession, assistant: Assistant, note: str, by: UUID | None) -> None:
    """Whoever calls it holds the assistant, and has asked the gate. Raises NoDraft and what `put_live` does."""
    draft = draft_of(assistant)
    drop_draft(assistant)
    await put_live(session, assistant, draft, AssistantVersion(note=note, created_by=by))


async def roll_back(
    session: AsyncSession, tenant_id: UUID, assistant_id: UUID, number: int, again: AssistantVersion
) -> Assistant:
    """Publishes that version again as `again`; no gate keeps a version from coming back. A draft stays.

    Raises NotFound, and what `put_live` does.
    """
    assistant = await hold_assistant(session, tenant_id, assistant_id)
    old = await find_version(session, tenant_id, assistant_id, number)
    again.restored_from = number
    await put_live(session, assistant, old.snapshot, again)
    return assistant


async def find_version(session: AsyncSession, tenant_id: UUID, assistant_id: UUID, number: int) -> AssistantVersion:
    """Raises NotFound."""
    mine = (AssistantVersion.tenant_id == tenant_id, AssistantVersion.assistant_id == assistant_id)
    found = await session.scalar(select(AssistantVersion).where(*mine, AssistantVersion.number == number))
    if found is None:
        raise NotFound(kind="version")
    return found


async def choose(session: AsyncSession, tenant_id: UUID, assistant_id: UUID, which: Which) -> Chosen:
    """Raises NotFound and NoDraft."""
    assistant = await find_assistant(session, tenant_id, assistant_id)
    if which == "published":
        return Chosen(snapshot=published(assistant), version=assistant.version)
    if which == "draft":
        return Chosen(snapshot=draft_of(assistant), draft_revision=assistant.revision)
    version = await find_version(session, tenant_id, assistant_id, which)
    return Chosen(snapshot=version.snapshot, version=which)
