"""What analysts change of topics, kept so that it can be taken back; later runs leave it as it is."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import Conflict, InvalidInput, NotFound
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase
from asissto.retrieval.topics.tables import Topic, TopicEdit

Title = Annotated[str, Meta(min_length=1, max_length=200)]
_FIELDS = ("own_title", "is_pinned", "is_hidden", "merged_into")


class TopicPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    title: Title | UnsetType | None = UNSET
    """The analyst's own; null: the question in the middle again."""
    pinned: bool | UnsetType = UNSET
    hidden: bool | UnsetType = UNSET


class TopicMergeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    into: UUID


async def change_topic(
    session: AsyncSession, tenant_id: UUID, topic_id: UUID, what: TopicPatch, by: UUID | None
) -> TopicEdit:
    """Raises NotFound, and InvalidInput where nothing is to be changed."""
    wanted = {"own_title": what.title, "is_pinned": what.pinned, "is_hidden": what.hidden}
    if isinstance(what.title, str):
        wanted["own_title"] = " ".join(what.title.split())
        if not wanted["own_title"]:
            raise InvalidInput(field="title", detail=Phrase("invalid.missing"))
    changed = {name: value for name, value in wanted.items() if value is not UNSET}
    if not changed:
        raise InvalidInput(field="title", detail=Phrase("invalid.missing"))
    return await _edit(session, await find_topic(session, tenant_id, topic_id), changed, by)


async def merge_topic(session: AsyncSession, tenant_id: UUID, topic_id: UUID, into: UUID, by: UUID | None) -> TopicEdit:
    """From now on it is shown as a part of the other. Raises NotFound, and InvalidInput for a circle."""
    topic, target = await find_topic(session, tenant_id, topic_id), await find_topic(session, tenant_id, into)
    seen: Topic | None = target
    for _ in range(100):
        if seen is None or seen.merged_into is None:
            break
        seen = await session.get(Topic, (tenant_id, seen.merged_into))
        if seen is topic:
            break
    if target is topic or seen is topic:
        raise InvalidInput(field="into", detail=Phrase("invalid.same_topic"))
    return await _edit(session, topic, {"merged_into": target.id}, by)


async def undo_edit(session: AsyncSession, tenant_id: UUID, edit_id: UUID) -> TopicEdit:
    """Raises NotFound, and Conflict where it was undone already or something else was changed on top of it."""
    edit = await session.get(TopicEdit, (tenant_id, edit_id), with_for_update=True)
    if edit is None:
        raise NotFound(kind="topic_edit")
    topic = await find_topic(session, tenant_id, edit.topic_id)
    if edit.undone_at is not None or _state(topic, edit.after) != edit.after:
        raise Conflict(detail=Phrase("conflict.edited_since"))
    _write(topic, edit.before)
    edit.undone_at = func.now()
    await session.flush()
    await session.refresh(edit)
    return edit


async def find_topic(session: AsyncSession, tenant_id: UUID, topic_id: UUID) -> Topic:
    """Locked, so that edits come one after the other. Raises NotFound."""
    found = await session.get(Topic, (tenant_id, topic_id), with_for_update=True)
    if found is None:
        raise NotFound(kind="topic")
    return found


async def _edit(session: AsyncSession, topic: Topic, changed: dict[str, Any], by: UUID | None) -> TopicEdit:
    before = _state(topic, changed)
    _write(topic, changed)
    edit = TopicEdit(
        tenant_id=topic.tenant_id,
        id=new_id(),
        topic_id=topic.id,
        before=before,
        after=_state(topic, changed),
        made_by=by,
    )
    session.add(edit)
    await session.flush()
    await session.refresh(edit)
    return edit


def _state(topic: Topic, names: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = msgspec.to_builtins({name: getattr(topic, name) for name in _FIELDS if name in names})
    return state


def _write(topic: Topic, values: dict[str, Any]) -> None:
    for name, value in values.items():
        is_id = name == "merged_into" and isinstance(value, str)
        setattr(topic, name, UUID(value) if is_id else value)
    topic.updated_at = func.now()
