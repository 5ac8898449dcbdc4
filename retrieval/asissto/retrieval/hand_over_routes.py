"""The routes by which a person takes a conversation over, gives it back to the assistant, or closes it."""

from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import ConversationClosed
from asissto.platform.events import announce
from asissto.platform.permissions import need
from asissto.retrieval.bursts import withdraw
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.shown_conversations import ConversationOut
from asissto.retrieval.tables import Conversation

Session = NamedDependency[AsyncSession]
Caller = NamedDependency[Principal]


class HandOverController(Controller):
    """An answer that is being made meanwhile is not delivered: whoever stores it looks at the status first."""

    path = "/api/v1/conversations/{conversation_id:uuid}"
    tags = ("conversations",)

    @post(
        "/hand-over",
        operation_id="conversations.hand_over",
        status_code=200,
        guards=[need("conversations.write")],
    )
    async def hand_over(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """A person has it from now on, and the assistant says nothing."""
        row = await _open(session, principal, conversation_id)
        if row.handed_over_at is None:
            row.handed_over_at = func.now()
        return await _change(session, principal, row, "human", "conversations.hand_over")

    @post(
        "/return",
        operation_id="conversations.return",
        status_code=200,
        guards=[need("conversations.write")],
    )
    async def give_back(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """The assistant answers the messages that come from now on."""
        row = await _open(session, principal, conversation_id)
        row.handed_over_reason = row.handed_over_at = None
        row.failures = 0
        return await _change(session, principal, row, "bot", "conversations.return")

    @post(
        "/close",
        operation_id="conversations.close",
        status_code=200,
        guards=[need("conversations.write")],
    )
    async def close(self, conversation_id: FromPath[UUID], principal: Caller, session: Session) -> ConversationOut:
        """No message is taken in it any more."""
        row = await _open(session, principal, conversation_id)
        return await _change(session, principal, row, "closed", "conversations.close")


HANDLERS: list[ControllerRouterHandler] = [HandOverController]


async def _open(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Conversation:
    """Raises NotFound and ConversationClosed."""
    row = await lock_conversation(session, principal.tenant_id, conversation_id)
    if row.status == "closed":
        raise ConversationClosed
    return row


async def _change(
    session: AsyncSession, principal: Principal, row: Conversation, status: str, action: str
) -> ConversationOut:
    if status != "bot":
        await withdraw(session, row)
    row.status = status
    row.updated_at = func.now()
    await session.flush()
    await session.refresh(row)
    await record(session, principal, action, "conversation", row.id, status=status)
    await announce(session, principal.tenant_id, TOPIC, row.id)
    return ConversationOut.of(row)
