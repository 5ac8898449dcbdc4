"""The routes of this component, and the API channel itself: a question comes in, a cited answer goes out."""

from collections.abc import AsyncIterator
from typing import Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.types import ControllerRouterHandler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels import (
    answer_page_routes,
    attachment_routes,
    channel_routes,
    contact_routes,
    conversation_routes,
    delivery_routes,
    hook_routes,
    inbox_routes,
    privacy_routes,
    widget_page_routes,
    widget_routes,
)
from asissto.channels.channels import api_channel
from asissto.ingestion.labels import DocumentFilter, LabelList
from asissto.platform.authentication import Principal
from asissto.platform.errors import AsisstoError
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import need
from asissto.platform.problems import translate
from asissto.platform.services import Services
from asissto.platform.texts import Language
from asissto.retrieval.answering import check_question
from asissto.retrieval.answers import Piece
from asissto.retrieval.assistants import Variables
from asissto.retrieval.conversations import Asked
from asissto.retrieval.handing_over import HandOver
from asissto.retrieval.passages import Citation
from asissto.retrieval.turns import Told, ask, ask_in_pieces

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]
Open = SkipValidation[NamedDependency[Services]]
EVENT_STREAM = "text/event-stream"
STATEMENT_SECONDS = 5.0
"""Of one statement of an answer, which takes milliseconds: whoever waits longer is better told to try again."""


class AskIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without a conversation a new one begins."""

    question: str
    conversation_id: UUID | None = None
    filter: DocumentFilter = msgspec.field(default_factory=DocumentFilter)
    """Narrows what the assistant may use."""
    audience: LabelList = []
    """Who asks: documents with an audience are found for those alone."""
    variables: Variables = {}
    """What variables of the assistant stand for in this answer."""
    more_may_come: bool = False
    """Wait `burst_seconds` for what the customer is still typing, and answer all of it once."""


class CitedOut(msgspec.Struct, frozen=True, kw_only=True):
    """`quote` is `text[start:end]` of the document's version."""

    number: int
    document_id: UUID
    version_id: UUID
    document: str
    locator: str
    page: int | None
    quote: str
    start: int
    end: int

    @classmethod
    def of(cls, citation: Citation) -> Self:
        passage = citation.passage
        return cls(
            number=citation.number,
            document_id=passage.document_id,
            version_id=passage.version_id,
            document=passage.title,
            locator=citation.locator,
            page=passage.page,
            quote=citation.quote,
            start=citation.start,
            end=citation.end,
        )


class AnswerOut(msgspec.Struct, frozen=True, kw_only=True):
    """`mode` tells whose the text is: a model's (generated), the documents' (quoted), an approved answer (pair).

    It is canned for greetings, thanks and calls for a person, and silent while a person has the conversation: then
    nothing is to be shown as the assistant's, and `message_id` is the customer's own message.
    """

    conversation_id: UUID
    message_id: UUID
    answered: bool
    mode: str
    text: str
    language: Language
    confidence: float
    citations: list[CitedOut]
    latency_ms: float
    hand_over: HandOver | None

    @classmethod
    def of(cls, told: Told) -> Self:
        answer = told.answer
        return cls(
            conversation_id=told.conversation_id,
            message_id=told.message_id,
            answered=answer.answered,
            mode=answer.mode,
            text=answer.text,
            language=answer.language,
            confidence=answer.confidence,
            citations=[CitedOut.of(citation) for citation in answer.citations],
            latency_ms=answer.latency_ms,
            hand_over=answer.hand_over,
        )


class AskController(Controller):
    path = "/api/v1/assistants/{assistant_id:uuid}/ask"
    tags = ("assistants",)

    @post(
        operation_id="assistants.ask",
        status_code=200,
        guards=[need("ask")],
        opt={MEDIA_TYPES: ("application/json", EVENT_STREAM)},
    )
    async def ask(
        self,
        assistant_id: FromPath[UUID],
        data: JSONBody[AskIn],
        request: Request[Any, Any, Any],
        services: Open,
        principal: Caller,
        language: NamedDependency[Language],
    ) -> Response[AnswerOut] | ServerSentEvent:
        """With `Accept: text/event-stream` the answer comes in `delta` events, and whole in a `final` one."""
        check_question(data.question)
        services = services.impatient(STATEMENT_SECONDS)
        async with services.database.tenant(principal.tenant_id) as session:
            channel_id = await api_channel(session, principal.tenant_id)
        asked = Asked(
            tenant_id=principal.tenant_id,
            assistant_id=assistant_id,
            channel_id=channel_id,
            question=data.question,
            conversation_id=data.conversation_id,
            user_id=principal.user_id,
            filter=data.filter,
            audience=data.audience,
            variables=data.variables,
            more_may_come=data.more_may_come,
        )
        if EVENT_STREAM in request.headers.get("accept", ""):
            return ServerSentEvent(_events(services, asked, request, language))
        return Response(AnswerOut.of(await ask(services, asked)))


HANDLERS: list[ControllerRouterHandler] = [
    AskController,
    *channel_routes.HANDLERS,
    *hook_routes.HANDLERS,
    *answer_page_routes.HANDLERS,
    *inbox_routes.HANDLERS,
    *conversation_routes.HANDLERS,
    *delivery_routes.HANDLERS,
    *attachment_routes.HANDLERS,
    *contact_routes.HANDLERS,
    *widget_page_routes.HANDLERS,
    *widget_routes.HANDLERS,
    *privacy_routes.HANDLERS,
]


async def _events(
    services: Services, asked: Asked, request: Request[Any, Any, Any], language: Language
) -> AsyncIterator[ServerSentEventMessage]:
    try:
        async for event in ask_in_pieces(services, asked):
            if isinstance(event, Piece):
                yield _event("delta", event)
            else:
                yield _event("final", AnswerOut.of(event))
    except (AsisstoError, DBAPIError) as raised:  # the status line is gone by now: the stream itself has to say it
        error = translate(request, raised)
        if error is None:
            raise
        yield _event("error", {"code": error.code, "detail": error.sentence(language)})


def _event(name: str, data: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=name, data=msgspec.json.encode(data).decode())
