"""The routes from an answer to the place that it cites, and from a passage to the answers that stand on it."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.editing import find_passage
from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.retrieval.opening import OpenedCitationOut, open_citation
from asissto.retrieval.tables import Citation, Message


class PassageCitationOut(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that quoted the passage; `quote` is the text of that version of the document from `start` to `end`."""

    id: UUID
    conversation_id: UUID
    message_id: UUID
    version_id: UUID
    quote: str
    start: int
    end: int
    created_at: datetime


class OpenedCitationController(Controller):
    path = "/api/v1/conversations/{conversation_id:uuid}/messages/{message_id:uuid}/citations/{number:int}"
    tags = ("conversations",)

    @get(operation_id="conversations.citation", guards=[need("conversations.read")])
    async def read(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        number: FromPath[int],
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
    ) -> OpenedCitationOut:
        """Opens a citation as the passage in its document."""
        said = and_(Message.tenant_id == principal.tenant_id, Message.id == Citation.message_id)
        mine = select(Citation).join(Message, said).where(Citation.tenant_id == principal.tenant_id)
        place = (Citation.message_id == message_id, Citation.number == number)
        citation = await session.scalar(mine.where(*place, Message.conversation_id == conversation_id))
        if citation is None:
            raise NotFound(kind="citation")
        return await open_citation(session, citation)


class CitationController(Controller):
    path = "/api/v1/documents/{document_id:uuid}/passages/{chunk_id:uuid}/citations"
    tags = ("passages",)

    @get(operation_id="passages.citations", guards=[need("conversations.read")])
    async def list(
        self,
        document_id: FromPath[UUID],
        chunk_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PassageCitationOut]:
        """Newest first; also answers that quoted these words from an earlier version of the document."""
        passage = await find_passage(session, principal.tenant_id, document_id, chunk_id)
        mine = (Citation.tenant_id == principal.tenant_id, Citation.document_id == document_id)
        same = or_(Citation.chunk_id == chunk_id, func.strpos(literal(passage.text), Citation.quote) > 0)
        found = await newest_first(session, select(Citation).where(*mine, same), Citation.id, limit, after)
        ids = [citation.message_id for citation in found.items]
        messages = await _messages(session, principal.tenant_id, ids)
        return found.map(lambda citation: _show(citation, messages[citation.message_id]))


HANDLERS: list[ControllerRouterHandler] = [OpenedCitationController, CitationController]


async def _messages(session: AsyncSession, tenant_id: UUID, ids: "list[UUID]") -> dict[UUID, Message]:
    rows = await session.scalars(select(Message).where(Message.tenant_id == tenant_id, Message.id.in_(ids)))
    return {row.id: row for row in rows}


def _show(citation: Citation, message: Message) -> PassageCitationOut:
    same = {name: getattr(citation, name) for name in ("id", "message_id", "version_id", "quote")}
    return PassageCitationOut(
        **same,
        conversation_id=message.conversation_id,
        start=citation.start_offset,
        end=citation.end_offset,
        created_at=message.created_at,
    )
