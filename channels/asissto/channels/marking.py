"""What members put to a conversation for one another: notes, who takes care of it, tags."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.replying import checked_words
from asissto.platform.errors import NotFound
from asissto.platform.events import announce
from asissto.platform.tables import Membership, new_id
from asissto.retrieval.changing_hands import mark
from asissto.retrieval.conversations import TOPIC
from asissto.retrieval.tables import Conversation, Message


async def note(session: AsyncSession, conversation: Conversation, words: str, by: UUID) -> Message:
    """Raises InvalidInput where there are no words."""
    message = Message(
        tenant_id=conversation.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="note",
        sender_id=by,
        content=checked_words(words),
    )
    session.add(message)
    conversation.updated_at = func.now()
    await session.flush()
    await session.refresh(message)
    await announce(session, conversation.tenant_id, TOPIC, conversation.id)
    return message


async def assign(session: AsyncSession, conversation: Conversation, user_id: UUID | None, by: UUID) -> None:
    """Raises NotFound for somebody who is no member."""
    if user_id is not None and await session.get(Membership, (conversation.tenant_id, user_id)) is None:
        raise NotFound(kind="member")
    if conversation.assignee_id != user_id:
        conversation.assignee_id = user_id
        assignee = None if user_id is None else str(user_id)
        await mark(session, conversation, "assigned", by, assignee_id=assignee)


def tag(conversation: Conversation, tags: Sequence[str]) -> None:
    """Each once, without blanks around it."""
    stripped = (each.strip() for each in tags)
    conversation.tags = list(dict.fromkeys(each for each in stripped if each))
