"""What watchers of a workspace are told of its documents."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import TOPIC
from asissto.ingestion.shown_documents import DocumentOut, show_documents
from asissto.ingestion.tables import Document
from asissto.platform.events import Topic
from asissto.platform.texts import Language


class DocumentGone(msgspec.Struct, frozen=True):
    id: UUID
    state: Literal["deleted"] = "deleted"


async def render_documents(
    session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID], language: Language
) -> list[DocumentOut | DocumentGone]:
    """As the API shows them."""
    mine = select(Document).where(Document.tenant_id == tenant_id, Document.id.in_(ids))
    shown = await show_documents(session, tenant_id, list(await session.scalars(mine)), language)
    return [shown.get(each) or DocumentGone(each) for each in ids]


TOPICS = {TOPIC: Topic("documents.read", "document", render_documents)}
