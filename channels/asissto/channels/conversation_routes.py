"""What members do in a conversation: answer, take it over, give it back, close and reopen it, note, assign and tag."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.marking import assign, note, tag
from asissto.channels.opinions import ask_at_end
from asissto.channels.outbox import silence_assistant
from asissto.channels.replying import MOST_CHARACTERS, ReplyIn, reply
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.events import announce
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import need
from asissto.platform.services import Services
from asissto.retrieval.changing_hands import close, give_back, lock_open, reopen, take_over
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.shown_conversations import ConversationOut
from asissto.retrieval.shown_messages import MessageOut, read_messages
from asissto.retrieval.tables import Conversation

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]
Open = SkipValidation[NamedDependency[Services]]
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200)]
WRITE = [need("conversations.write")]


class NoteIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: Annotated[str, Meta(max_length=MOST_CHARACTERS)]


class AssignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null: nobody takes care of it."""

    user_id: UUID | None


class TagsIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=50)]], Meta(max_length=20)]


class ConversationMembersController(Controller):
    """An answer that is being made meanwhile is not delivered: whoever takes over ends its turn."""

    path = "/api/v1/conversations/{conversation_id:uuid}"
    tags = ("conversations",)

    @get("/messages", operation_id="conversations.messages", guards=[need("conversations.read")])
    async def messages(
        self,
        conversation_id: FromPath[UUID],
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[MessageOut]:
        """In the order in which they were said, with notes and messages of the system."""
        return await read_messages(session, principal.tenant_id, conversation_id, limit, after)

    @post("/messages", operation_id="conversations.reply", guards=WRITE)
    async def reply(
        self,
        conversation_id: FromPath[UUID],
        data: JSONBody[ReplyIn],
        services: Open,
        principal: Caller,
        session: Session,
        idempotency_key: Key = None,
    ) -> MessageOut:
        """A member's words for the customer; whoever says them has the conversation from then on."""
        if data.key is None and idempotency_key is not None:
            data = msgspec.structs.replace(data, key=idempotency_key)
        message = await reply(session, services, principal, conversation_id, data)
        return MessageOut.of(message, [])

    @post("/notes", operation_id="conversations.note", guards=WRITE)
    async def note(
        self, conversation_id: FromPath[UUID], data: JSONBody[NoteIn], principal: Caller, session: Session
    ) -> MessageOut:
        """For members alone: it is never sent, and no model reads it."""
        row = await lock_conversation(session, principal.tenant_id, conversation_id)
        message = await note(session, row, data.text, principal.user_id)
        await record(session, principal, "conversations.note", "conversation", conversation_id, message_id=message.id)
        return MessageOut.of(message, [])

    @post("/hand-over", operation_id="conversations.hand_over", status_code=200, guards=WRITE)
    async def hand_over(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """A person has it from now on, and the assistant says nothing."""
        row = await lock_open(session, principal.tenant_id, conversation_id)
        await take_over(session, row, principal.user_id)
        await silence_assistant(session, principal.tenant_id, conversation_id)
        return await _changed(session, principal, row, "conversations.hand_over", status=row.status)

    @post("/return", operation_id="conversations.return", status_code=200, guards=WRITE)
    async def give_back(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """The assistant answers the messages that come from now on."""
        row = await lock_open(session, principal.tenant_id, conversation_id)
        await give_back(session, row, principal.user_id)
        return await _changed(session, principal, row, "conversations.return", status=row.status)

    @post("/close", operation_id="conversations.close", status_code=200, guards=WRITE)
    async def close(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """Through the API no message is taken in it any more; on other channels the customer's next one opens it."""
        row = await lock_open(session, principal.tenant_id, conversation_id)
        await close(session, row, principal.user_id)
        await ask_at_end(session, row)
        return await _changed(session, principal, row, "conversations.close", status=row.status)

    @post("/reopen", operation_id="conversations.reopen", status_code=200, guards=WRITE)
    async def reopen(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """The assistant has it again, and messages are taken; one that is open stays as it is."""
        row = await lock_conversation(session, principal.tenant_id, conversation_id)
        await reopen(session, row, principal.user_id)
        return await _changed(session, principal, row, "conversations.reopen", status=row.status)

    @post("/assign", operation_id="conversations.assign", status_code=200, guards=WRITE)
    async def assign(
        self, conversation_id: FromPath[UUID], data: JSONBody[AssignIn], principal: Caller, session: Session
    ) -> ConversationOut:
        """To a member of the workspace, or to nobody."""
        row = await lock_conversation(session, principal.tenant_id, conversation_id)
        await assign(session, row, data.user_id, principal.user_id)
        return await _changed(session, principal, row, "conversations.assign", assignee_id=data.user_id)

    @put("/tags", operation_id="conversations.tag", guards=WRITE)
    async def tag(
        self, conversation_id: FromPath[UUID], data: JSONBody[TagsIn], principal: Caller, session: Session
    ) -> ConversationOut:
        """In the place of those that it has."""
        row = await lock_conversation(session, principal.tenant_id, conversation_id)
        tag(row, data.tags)
        # Their number alone: nobody can take a customer's name out of the audit trail again.
        return await _changed(session, principal, row, "conversations.tag", tags=len(row.tags))


HANDLERS: list[ControllerRouterHandler] = [ConversationMembersController]


async def _changed(
    session: AsyncSession, principal: Principal, row: Conversation, action: str, **told: object
) -> ConversationOut:
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    await record(session, principal, action, "conversation", row.id, **told)
    await announce(session, principal.tenant_id, TOPIC, row.id)
    return ConversationOut.of(row)
