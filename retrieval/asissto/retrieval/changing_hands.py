"""Who has a conversation: it goes from the assistant to a person and back, and messages of the system tell of it."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import ConversationClosed
from asissto.platform.tables import new_id
from asissto.retrieval.bursts import withdraw
from asissto.retrieval.conversations import lock_conversation
from asissto.retrieval.handing_over import HandOverReason
from asissto.retrieval.remembering import remember_end, remember_hand_over
from asissto.retrieval.tables import Conversation, Message

Happening = Literal["handed_over", "taken_over", "returned", "closed", "reopened", "assigned"]


async def lock_open(session: AsyncSession, tenant_id: UUID, conversation_id: UUID) -> Conversation:
    """Raises NotFound and ConversationClosed."""
    conversation = await lock_conversation(session, tenant_id, conversation_id)
    if conversation.status == "closed":
        raise ConversationClosed
    return conversation


async def hand_over(session: AsyncSession, conversation: Conversation, reason: HandOverReason) -> None:
    """The assistant has called a person, and says nothing until one gives it back. The conversation is locked."""
    conversation.status, conversation.failures = "pending", 0
    conversation.handed_over_reason, conversation.handed_over_at = str(reason), func.now()
    await mark(session, conversation, "handed_over", None, reason=str(reason))
    await remember_hand_over(session, conversation, str(reason))


async def take_over(session: AsyncSession, conversation: Conversation, by: UUID | None) -> None:
    """A person has it from now on; what waits is not answered, and an answer in the making is not stored.

    The conversation is locked. `by` is None where the person is known to the provider alone.
    """
    await withdraw(session, conversation)
    if conversation.status != "human":
        await mark(session, conversation, "taken_over", by)
        await remember_hand_over(session, conversation, None)
    conversation.status = "human"
    if conversation.handed_over_at is None:
        conversation.handed_over_at = func.now()


async def give_back(session: AsyncSession, conversation: Conversation, by: UUID) -> None:
    """The assistant answers the messages that come from now on."""
    if conversation.status != "bot":
        await mark(session, conversation, "returned", by)
    conversation.status = "bot"
    _forget_hand_over(conversation)


async def close(session: AsyncSession, conversation: Conversation, by: UUID) -> None:
    """Where a channel allows it, the customer's next message opens it again."""
    await withdraw(session, conversation)
    await mark(session, conversation, "closed", by)
    await remember_end(session, conversation)
    conversation.status = "closed"


async def reopen(session: AsyncSession, conversation: Conversation, by: UUID | None = None) -> None:
    """The assistant has it again; nothing happens where it is not closed. `by` is None where the customer wrote."""
    if conversation.status == "closed":
        conversation.status = "bot"
        _forget_hand_over(conversation)
        await mark(session, conversation, "reopened", by)


async def mark(
    session: AsyncSession, conversation: Conversation, event: Happening, by: UUID | None, **more: Any
) -> None:
    """A message without words, for whoever shows or counts what happened."""
    row = Message(
        tenant_id=conversation.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="system",
        sender_id=by,
        content="",
        metadata_={"event": event, **more},
    )
    session.add(row)
    conversation.updated_at = func.now()
    await session.flush()


def _forget_hand_over(conversation: Conversation) -> None:
    conversation.failures = 0
    conversation.handed_over_reason = conversation.handed_over_at = None
