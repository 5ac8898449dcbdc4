"""The route to the page of one answer: whoever has the link may read it, until it expires."""

from http import HTTPStatus
from uuid import UUID

from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.types import ControllerRouterHandler
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.answer_links import read_token
from asissto.channels.answer_pages import STYLE, answer_page, sorry_page
from asissto.channels.contract import Cited, Said
from asissto.ingestion.tables import Document
from asissto.platform.languages import language_of
from asissto.platform.openapi import PROBLEM_PAGES
from asissto.platform.permissions import open_to_all
from asissto.platform.services import Services
from asissto.retrieval.tables import Citation, Message

Open = SkipValidation[NamedDependency[Services]]
_SHOWN = ("assistant", "user")
"""Whose words a customer may be led to: notes are for members alone."""


class AnswerPageController(Controller):
    path = "/api/v1/answers"
    tags = ("answers",)

    @get("/style.css", include_in_schema=False, guards=[open_to_all])
    async def style(self) -> Response[str]:
        """The policy of contents allows no style in the page itself."""
        return Response(STYLE, media_type=MediaType.CSS)

    @get(
        "/{token:str}",
        operation_id="answers.read",
        guards=[open_to_all],
        media_type=MediaType.HTML,
        opt={PROBLEM_PAGES: True},
    )
    async def read(self, token: FromPath[str], services: Open) -> Response[str]:
        """A page for people, also where the link is not good: 404, or 410 where it has expired."""
        linked = read_token(services.keys, token)
        if linked is None:
            return _sorry("answer_page.unknown", HTTPStatus.NOT_FOUND)
        if linked.is_expired:
            return _sorry("answer_page.expired", HTTPStatus.GONE)
        async with services.database.tenant(linked.tenant_id) as session:
            said = await _said(session, linked.tenant_id, linked.message_id)
        if said is None:
            return _sorry("answer_page.unknown", HTTPStatus.NOT_FOUND)
        return Response(answer_page(said), media_type=MediaType.HTML)


HANDLERS: list[ControllerRouterHandler] = [AnswerPageController]


def _sorry(key: str, status: HTTPStatus) -> Response[str]:
    return Response(sorry_page(key), status_code=status, media_type=MediaType.HTML)


async def _said(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> Said | None:
    message = await session.get(Message, (tenant_id, message_id))
    if message is None or message.sender_kind not in _SHOWN:
        return None
    return Said(
        text=message.content,
        language="ru" if language_of(message.content) == "ru" else "en",
        is_markdown=message.metadata_.get("mode") == "generated",
        citations=tuple(await _cited(session, tenant_id, message_id)),
    )


async def _cited(session: AsyncSession, tenant_id: UUID, message_id: UUID) -> list[Cited]:
    """The address of a document is the one of today; where the document is gone, the quote remains."""
    document = and_(Document.tenant_id == Citation.tenant_id, Document.id == Citation.document_id)
    mine = (Citation.tenant_id == tenant_id, Citation.message_id == message_id)
    cited = select(Citation, Document.url).outerjoin(Document, document).where(*mine).order_by(Citation.number)
    return [
        Cited(number=row.number, title=row.title, locator=row.locator, quote=row.quote, url=url)
        for row, url in await session.execute(cited)
    ]
