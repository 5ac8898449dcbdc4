"""The routes of answering: assistants, and the conversations they had."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.documents import sweep_later
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import NotFound
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first, page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.retrieval import (
    analytics_routes,
    case_file_routes,
    citation_routes,
    draft_routes,
    feedback_routes,
    gate_routes,
    playground_routes,
    question_set_routes,
    report_routes,
    run_routes,
)
from asissto.retrieval.assistants import AssistantIn, check_included, create_assistant, find_assistant, published
from asissto.retrieval.conversations import find_conversation
from asissto.retrieval.publishing import AssistantPatch, change_at_once
from asissto.retrieval.shown_assistants import AssistantOut
from asissto.retrieval.shown_conversations import ConversationOut
from asissto.retrieval.tables import Assistant, Conversation, Message, Receipt
from asissto.retrieval.topics import gap_routes, topic_routes

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]


class ReceiptOut(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer came about; timings in milliseconds, `details` by the stage that tells them."""

    message_id: UUID
    question: str
    outcome: str
    confidence: float
    passages: list[dict[str, Any]]
    timings: dict[str, float]
    usage: list[dict[str, Any]]
    details: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: Receipt) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class AssistantController(Controller):
    path = "/api/v1/assistants"
    tags = ("assistants",)

    @get(operation_id="assistants.list", guards=[need("assistants.read")])
    async def list(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[AssistantOut]:
        mine = select(Assistant).where(Assistant.tenant_id == principal.tenant_id)
        return (await page(session, mine, Assistant.id, limit, after)).map(AssistantOut.of)

    @post(operation_id="assistants.create", guards=[need("assistants.write")])
    async def create(
        self, data: JSONBody[AssistantIn], services: Open, principal: Caller, session: Session
    ) -> AssistantOut:
        row = await create_assistant(session, principal.tenant_id, data, principal.user_id)
        await check_included(session, services.settings, principal.tenant_id, published(row))
        await record(session, principal, "assistants.create", "assistant", row.id, name=row.name)
        return AssistantOut.of(row)

    @get("/{assistant_id:uuid}", operation_id="assistants.read", guards=[need("assistants.read")])
    async def read(self, assistant_id: FromPath[UUID], principal: Caller, session: Session) -> AssistantOut:
        return AssistantOut.of(await find_assistant(session, principal.tenant_id, assistant_id))

    @patch("/{assistant_id:uuid}", operation_id="assistants.update", guards=[need("assistants.write")])
    async def update(
        self,
        assistant_id: FromPath[UUID],
        data: JSONBody[AssistantPatch],
        services: Open,
        principal: Caller,
        session: Session,
    ) -> AssistantOut:
        """What is changed here is published at once; it is refused where there is a draft or a gate."""
        row = await change_at_once(session, principal.tenant_id, assistant_id, data, principal.user_id)
        await check_included(session, services.settings, principal.tenant_id, published(row))
        changes = {name: value for name, value in msgspec.to_builtins(data).items() if value is not UNSET}
        await record(session, principal, "assistants.update", "assistant", row.id, **changes)
        return AssistantOut.of(row)

    @delete("/{assistant_id:uuid}", operation_id="assistants.delete", guards=[need("assistants.write")])
    async def remove(self, assistant_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        """Its conversations go with it."""
        row = await find_assistant(session, principal.tenant_id, assistant_id)
        await session.delete(row)
        await sweep_later(session, principal.tenant_id)
        await record(session, principal, "assistants.delete", "assistant", row.id, name=row.name)


class ConversationController(Controller):
    path = "/api/v1/conversations"
    tags = ("conversations",)

    @get(operation_id="conversations.list", guards=[need("conversations.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        assistant_id: FromQuery[UUID | None] = None,
    ) -> Page[ConversationOut]:
        """Newest first."""
        mine = select(Conversation).where(Conversation.tenant_id == principal.tenant_id)
        if assistant_id is not None:
            mine = mine.where(Conversation.assistant_id == assistant_id)
        return (await newest_first(session, mine, Conversation.id, limit, after)).map(ConversationOut.of)

    @get("/{conversation_id:uuid}", operation_id="conversations.read", guards=[need("conversations.read")])
    async def read(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        return ConversationOut.of(await find_conversation(session, principal.tenant_id, conversation_id))

    @get(
        "/{conversation_id:uuid}/messages/{message_id:uuid}/receipt",
        operation_id="conversations.receipt",
        guards=[need("conversations.read")],
    )
    async def receipt(
        self, conversation_id: FromPath[UUID], message_id: FromPath[UUID], principal: Caller, session: Session
    ) -> ReceiptOut:
        mine = select(Receipt).join(
            Message, (Message.tenant_id == Receipt.tenant_id) & (Message.id == Receipt.message_id)
        )
        mine = mine.where(Receipt.tenant_id == principal.tenant_id, Receipt.message_id == message_id)
        found = await session.scalar(mine.where(Message.conversation_id == conversation_id))
        if found is None:
            raise NotFound(kind="receipt")
        return ReceiptOut.of(found)


HANDLERS: list[ControllerRouterHandler] = [
    AssistantController,
    ConversationController,
    *citation_routes.HANDLERS,
    *draft_routes.HANDLERS,
    *playground_routes.HANDLERS,
    *question_set_routes.HANDLERS,
    *case_file_routes.HANDLERS,
    *run_routes.HANDLERS,
    *gate_routes.HANDLERS,
    *topic_routes.HANDLERS,
    *gap_routes.HANDLERS,
    *analytics_routes.HANDLERS,
    *feedback_routes.HANDLERS,
    *report_routes.HANDLERS,
]
