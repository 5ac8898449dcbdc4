"""What watchers of a workspace are told of its documents."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import TOPIC, newest_versions
from asissto.ingestion.routes import DocumentOut
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
    found = {document.id: document for document in await session.scalars(mine)}
    versions = await newest_versions(session, tenant_id, list(found))
    return [
        DocumentOut.of(found[each], versions[each], language) if each in versions else DocumentGone(each)
        for each in ids
    ]


TOPICS = {TOPIC: Topic("documents.read", "document", render_documents)}
