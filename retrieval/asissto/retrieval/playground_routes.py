"""The routes of the playground: a question to any state of an assistant, and an old question to another one."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.retrieval.answers import Answer, Piece
from asissto.retrieval.conversations import find_conversation
from asissto.retrieval.past_cases import find_answer, history_before
from asissto.retrieval.playground import Circumstances, Played, PlayIn, play, play_in_pieces, prepare, show_played
from asissto.retrieval.publishing import Chosen
from asissto.retrieval.question_sets import SaidIn
from asissto.retrieval.tables import Citation, Message, Receipt

Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]
EVENT_STREAM = "text/event-stream"
_KEPT = ("outcome", "confidence", "passages", "timings", "usage", "details")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that was given then, with its receipt."""

    message_id: UUID
    text: str
    mode: str
    notes: list[str]
    citations: list[dict[str, Any]]
    outcome: str
    confidence: float
    passages: list[dict[str, Any]]
    timings: dict[str, float]
    usage: list[dict[str, Any]]
    details: dict[str, Any]
    created_at: datetime


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The same question after the same history: then, and now on another version."""

    question: str
    history: list[SaidIn]
    before: Told
    after: Played


class PlaygroundController(Controller):
    path = "/api/v1/assistants/{assistant_id:uuid}/playground"
    tags = ("assistants",)

    @post(
        operation_id="assistants.playground",
        status_code=200,
        guards=[need("ask")],
        opt={MEDIA_TYPES: ("application/json", EVENT_STREAM)},
    )
    async def play(
        self,
        assistant_id: FromPath[UUID],
        data: JSONBody[PlayIn],
        request: Request[Any, Any, Any],
        services: Open,
        principal: Caller,
    ) -> Response[Played] | ServerSentEvent:
        """Nothing of it is kept.

        With `Accept: text/event-stream` the text comes in `delta` events, and everything in a `final` one.
        """
        with_messages = _may_see_messages(principal)
        if EVENT_STREAM in request.headers.get("accept", ""):
            ready = await prepare(services, principal.tenant_id, assistant_id, data)
            pieces = play_in_pieces(services, principal.tenant_id, ready, data)
            return ServerSentEvent(_events(pieces, ready.chosen, with_messages=with_messages))
        chosen, answer = await play(services, principal.tenant_id, assistant_id, data)
        return Response(show_played(chosen, answer, with_messages=with_messages))


class ReplayController(Controller):
    path = "/api/v1/conversations/{conversation_id:uuid}/messages/{message_id:uuid}/replay"
    tags = ("conversations",)

    @post(operation_id="conversations.replay", status_code=200, guards=[need("ask")])
    async def replay(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[Circumstances],
        services: Open,
        principal: Caller,
    ) -> Replayed:
        """Filter, audience and variables are those of this call: the conversation does not keep them."""
        async with services.database.tenant(principal.tenant_id) as session:
            conversation = await find_conversation(session, principal.tenant_id, conversation_id)
            message, receipt = await find_answer(session, principal.tenant_id, message_id)
            if message.conversation_id != conversation.id:
                raise NotFound(kind="message")
            history = [
                SaidIn("assistant" if turn.role == "assistant" else "user", turn.text)
                for turn in await history_before(session, message)
            ]
            told = await _told(session, message, receipt)
        asked = PlayIn(question=receipt.question, history=history, **msgspec.structs.asdict(data))
        chosen, answer = await play(services, principal.tenant_id, conversation.assistant_id, asked)
        after = show_played(chosen, answer, with_messages=_may_see_messages(principal))
        return Replayed(question=receipt.question, history=history, before=told, after=after)


HANDLERS: list[ControllerRouterHandler] = [PlaygroundController, ReplayController]


async def _events(
    pieces: AsyncIterator[Piece | Answer], chosen: Chosen, *, with_messages: bool
) -> AsyncIterator[ServerSentEventMessage]:
    async for event in pieces:
        if isinstance(event, Piece):
            yield _event("delta", event)
        else:
            yield _event("final", show_played(chosen, event, with_messages=with_messages))


def _event(name: str, data: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=name, data=msgspec.json.encode(data).decode())


def _may_see_messages(principal: Principal) -> bool:
    """The prompt holds the instructions of the assistant and the rules of the house."""
    return "assistants.write" in principal.permissions


async def _told(session: AsyncSession, message: Message, receipt: Receipt) -> Told:
    mine = select(Citation).where(Citation.tenant_id == message.tenant_id, Citation.message_id == message.id)
    cited = [
        {"number": row.number, "document_id": str(row.document_id), "document": row.title, "quote": row.quote}
        for row in await session.scalars(mine.order_by(Citation.number))
    ]
    return Told(
        message_id=message.id,
        text=message.content,
        mode=message.metadata_.get("mode", ""),
        notes=message.metadata_.get("notes", []),
        citations=cited,
        created_at=message.created_at,
        **{name: getattr(receipt, name) for name in _KEPT},
    )
