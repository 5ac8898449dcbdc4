"""Conversations as the API and the live events show them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.events import Topic
from asissto.platform.texts import Language
from asissto.retrieval.conversations import TOPIC
from asissto.retrieval.tables import Conversation


class ConversationOut(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is bot, pending (a person was called), human (a person has it) or closed."""

    id: UUID
    channel_id: UUID
    assistant_id: UUID
    user_id: UUID | None
    contact_id: UUID | None
    status: str
    handed_over_reason: str | None
    handed_over_at: datetime | None
    assignee_id: UUID | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Conversation) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class ConversationGone(msgspec.Struct, frozen=True):
    id: UUID
    status: Literal["deleted"] = "deleted"


async def render_conversations(
    session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID], _language: Language
) -> list[ConversationOut | ConversationGone]:
    """As the API shows them."""
    mine = select(Conversation).where(Conversation.tenant_id == tenant_id, Conversation.id.in_(ids))
    shown = {row.id: ConversationOut.of(row) for row in await session.scalars(mine)}
    return [shown.get(each) or ConversationGone(each) for each in ids]


TOPICS = {TOPIC: Topic("conversations.read", "conversation", render_conversations)}
