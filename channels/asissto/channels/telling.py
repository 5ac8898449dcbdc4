"""Says something of our own in a conversation: a message and its parts in the outbox, in the caller's transaction."""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels import outbox
from asissto.channels.contract import Part
from asissto.channels.tables import Thread
from asissto.platform.languages import language_of
from asissto.platform.tables import new_id
from asissto.platform.texts import Language, text
from asissto.retrieval.tables import Conversation, Message


def language_for(words: str, fallback: str | None) -> Language:
    """That of the customer's words, else the one that their messenger tells of."""
    found = language_of(words)
    if found == "und":
        return "ru" if (fallback or "").startswith("ru") else "en"
    return found


async def tell(session: AsyncSession, thread: Thread, conversation: Conversation, key: str, language: Language) -> None:
    """A sentence out of `texts`, in the name of the assistant; the conversation is locked."""
    message = Message(
        tenant_id=conversation.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="assistant",
        sender_id=conversation.assistant_id,
        content=text(key, language),
        metadata_={"notice": key},
    )
    conversation.updated_at = func.now()
    await say(session, thread, message)


async def say(session: AsyncSession, thread: Thread, message: Message) -> None:
    """Stores a message of plain words and sends it; its conversation is locked."""
    session.add(message)
    await session.flush()
    await outbox.put(session, thread, message.id, [Part(text=message.content)])
