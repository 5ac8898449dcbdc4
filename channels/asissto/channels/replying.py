"""A member answers a customer: the words are stored, and their parts put into the outbox, in one transaction."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels import outbox
from asissto.channels.accounts import connector_of
from asissto.channels.contract import Part, Said
from asissto.channels.send_errors import REASONS, ChannelBroken
from asissto.channels.tables import Channel, Contact, Thread
from asissto.channels.telling import language_for
from asissto.channels.threads import OPEN, thread_of
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import Conflict, ConversationClosed, CustomerUnreachable, InvalidInput
from asissto.platform.events import announce
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase
from asissto.retrieval.changing_hands import take_over
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.who_said import FROM, by_person

MOST_CHARACTERS = 10_000


class ReplyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same `key` again is the same reply: it is said once."""

    text: Annotated[str, Meta(max_length=MOST_CHARACTERS)]
    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


async def reply(
    session: AsyncSession, services: Services, principal: Principal, conversation_id: UUID, what: ReplyIn
) -> Message:
    """Takes the conversation over. Raises NotFound, InvalidInput, ConversationClosed, CustomerUnreachable, Conflict."""
    words = checked_words(what.text)
    conversation = await lock_conversation(session, principal.tenant_id, conversation_id)
    said = None if what.key is None else await _said_before(session, conversation, what.key)
    if said is not None:
        if said.content != words:
            raise Conflict(field="key", detail=Phrase("conflict.other_reply"))
        return said
    if conversation.status == "closed":
        raise ConversationClosed
    thread = await thread_of(session, principal.tenant_id, conversation_id)
    if thread is not None:
        await session.refresh(thread)
        check_reach(thread)
    await take_over(session, conversation, principal.user_id)
    message = await _store(session, principal, conversation, words, what.key)
    if thread is not None:
        await outbox.silence_assistant(session, principal.tenant_id, conversation_id)
        await outbox.put(session, thread, message.id, await _parts(session, services, thread, conversation, words))
    await record(session, principal, "conversations.reply", "conversation", conversation_id, message_id=message.id)
    await announce(session, principal.tenant_id, TOPIC, conversation_id)
    return message


def checked_words(words: str) -> str:
    """Raises InvalidInput for none at all."""
    if not words.strip():
        raise InvalidInput(field="text", detail=Phrase("invalid.too_short", limit=1))
    return words.strip()


def check_reach(thread: Thread) -> None:
    """Raises CustomerUnreachable."""
    if thread.reach != OPEN:
        reason = thread.reach if thread.reach in REASONS else "unreachable"
        raise CustomerUnreachable(reason=Phrase(f"reach.{reason}"))


async def _said_before(session: AsyncSession, conversation: Conversation, key: str) -> Message | None:
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id)
    same = Message.metadata_["key"].as_string() == key
    return await session.scalar(select(Message).where(*mine, by_person(), same).limit(1))


async def _store(
    session: AsyncSession, principal: Principal, conversation: Conversation, words: str, key: str | None
) -> Message:
    message = Message(
        tenant_id=principal.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="user",
        sender_id=principal.user_id,
        content=words,
        metadata_={FROM: "member"} | ({} if key is None else {"key": key}),
    )
    session.add(message)
    await session.flush()
    await session.refresh(message)
    return message


async def _parts(
    session: AsyncSession, services: Services, thread: Thread, conversation: Conversation, words: str
) -> list[Part]:
    channel = await session.get_one(Channel, (thread.tenant_id, thread.channel_id))
    contact_id = conversation.contact_id
    contact = None if contact_id is None else await session.get(Contact, (thread.tenant_id, contact_id))
    language = language_for(words, None if contact is None else contact.language)
    try:
        connector = connector_of(services, channel, language)
    except ChannelBroken:
        raise Conflict(detail=Phrase("conflict.channel_sealed")) from None
    return connector.render(Said(text=words, language=language))
