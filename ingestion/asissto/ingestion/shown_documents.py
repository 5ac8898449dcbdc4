"""Documents as the API and its events show them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import chunk_sizes, explain, newest_versions, pipeline_sha
from asissto.ingestion.tables import Collection, Document, DocumentVersion
from asissto.platform.texts import Language


class DocumentOut(msgspec.Struct, frozen=True, kw_only=True):
    """State of the newest version; `searchable` tells whether any version can be found now.

    `stage` is the last step reached, `done` of `total` its progress; `reason` and `detail` say why it failed, or why it
    waits until `retry_at`. `outdated` passages were made in another way than new ones would be: reprocess the document.
    """

    id: UUID
    collection_id: UUID
    kind: str
    source_id: UUID | None
    url: str | None
    title: str
    tags: list[str]
    metadata: dict[str, Any]
    audience: list[str]
    file_name: str
    media_type: str
    size: int
    state: str
    stage: str
    done: int
    total: int
    attempts: int
    reason: str | None
    detail: str | None
    warnings: list[str]
    searchable: bool
    outdated: bool
    created_at: datetime
    retry_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, document: Document, version: DocumentVersion, language: Language, pipeline: bytes) -> Self:
        same = ("file_name", "media_type", "size", "state", "stage", "done", "total", "attempts", "reason", "warnings")
        return cls(
            **{name: getattr(document, name) for name in _OWN},
            metadata=document.metadata_,
            **{name: getattr(version, name) for name in (*same, "created_at", "retry_at", "started_at", "finished_at")},
            detail=explain(version, language),
            searchable=document.active_version_id is not None,
            outdated=version.state == "ready" and version.pipeline_sha != pipeline,
        )


_OWN = ("id", "collection_id", "kind", "source_id", "url", "title", "tags", "audience")


async def show_documents(
    session: AsyncSession, tenant_id: UUID, documents: Sequence[Document], language: Language
) -> dict[UUID, DocumentOut]:
    versions = await newest_versions(session, tenant_id, [document.id for document in documents])
    theirs = (Collection.tenant_id == tenant_id, Collection.id.in_({document.collection_id for document in documents}))
    collections = await session.scalars(select(Collection).where(*theirs))
    pipelines = {row.id: pipeline_sha(chunk_sizes(row)) for row in collections}
    return {
        document.id: DocumentOut.of(document, versions[document.id], language, pipelines[document.collection_id])
        for document in documents
    }
