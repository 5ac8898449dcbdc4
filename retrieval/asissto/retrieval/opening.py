"""Opens a citation as the passage in its document, with the text around it."""

from uuid import UUID

import msgspec
from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.tables import Document, DocumentVersion
from asissto.retrieval.tables import Citation

AROUND = 1_000
"""Characters shown on either side of a quote: about a page on a telephone."""


class OpenedCitationOut(msgspec.Struct, frozen=True, kw_only=True):
    """The place that an answer cites: `quote` from `start` to `end` of the version's text, and what stands around it.

    `current` says whether the document still answers with this version; where the version is gone, only the quote is
    left, and `before` and `after` are empty.
    """

    number: int
    document_id: UUID
    version_id: UUID
    title: str
    url: str | None
    locator: str
    page: int | None
    before: str
    quote: str
    after: str
    start: int
    end: int
    current: bool


async def open_citation(session: AsyncSession, citation: Citation, around: int = AROUND) -> OpenedCitationOut:
    start, end = citation.start_offset, citation.end_offset
    first = max(start - around, 0)
    of_document = and_(Document.tenant_id == DocumentVersion.tenant_id, Document.id == DocumentVersion.document_id)
    stored = DocumentVersion.text
    context = select(
        Document.url,
        Document.active_version_id == DocumentVersion.id,
        func.substr(stored, first + 1, start - first),
        func.substr(stored, end + 1, around),
    ).join(Document, of_document)
    version = (DocumentVersion.tenant_id == citation.tenant_id, DocumentVersion.id == citation.version_id)
    found = (await session.execute(context.where(*version))).one_or_none()
    url, current, before, after = found or (None, False, "", "")
    same = ("number", "document_id", "version_id", "title", "locator", "page", "quote")
    return OpenedCitationOut(
        **{name: getattr(citation, name) for name in same},
        url=url,
        before=before or "",
        after=after or "",
        start=start,
        end=end,
        current=bool(current),
    )
