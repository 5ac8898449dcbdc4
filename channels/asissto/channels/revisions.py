"""Messages that their sender changes or takes back."""

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contract import Event
from asissto.channels.tables import Channel, InboundEvent, StoredAttachment
from asissto.ingestion.documents import sweep_later
from asissto.platform.events import announce
from asissto.retrieval.answering import MOST_CHARACTERS
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.tables import Message


async def edit_message(session: AsyncSession, channel: Channel, event: Event) -> bool:
    """Before it is answered the new words take the place of the old; later they are only kept. False: there is none."""
    message = await _original(session, channel, event)
    if message is None:
        return False
    words = event.text[:MOST_CHARACTERS]
    earlier = {"text": message.content, "until": datetime.now(UTC).isoformat()}
    message.metadata_ = {**message.metadata_, "revisions": [*message.metadata_.get("revisions", []), earlier]}
    message.content = words
    await announce(session, channel.tenant_id, TOPIC, message.conversation_id)
    return True


async def delete_message(session: AsyncSession, channel: Channel, event: Event) -> None:
    """Its words and attachments are gone, and where it waits it is not answered."""
    message = await _original(session, channel, event)
    if message is None:
        return
    message.content, message.waits = "", False
    message.metadata_ = {"deleted_at": datetime.now(UTC).isoformat()}
    mine = (StoredAttachment.tenant_id == channel.tenant_id, StoredAttachment.message_id == message.id)
    gone = await session.scalars(delete(StoredAttachment).where(*mine).returning(StoredAttachment.id))
    if gone.all():
        await sweep_later(session, channel.tenant_id)
    await announce(session, channel.tenant_id, TOPIC, message.conversation_id)


async def _original(session: AsyncSession, channel: Channel, event: Event) -> Message | None:
    """In the locked conversation, so that no turn takes the message meanwhile."""
    mine = (InboundEvent.tenant_id == channel.tenant_id, InboundEvent.channel_id == channel.id)
    same = (InboundEvent.external_id == event.external_id, InboundEvent.message_id.is_not(None))
    found = select(InboundEvent.message_id, InboundEvent.conversation_id).where(*mine, *same).limit(1)
    row = (await session.execute(found)).one_or_none()
    if row is None:
        return None
    await lock_conversation(session, channel.tenant_id, row.conversation_id)
    return await session.get(Message, (channel.tenant_id, row.message_id), populate_existing=True)
