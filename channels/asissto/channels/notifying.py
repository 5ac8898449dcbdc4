"""Tells the team in its own chat on the channel that a customer waits for a person."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.tables import Channel, Thread
from asissto.channels.telling import say
from asissto.channels.threads import OPEN, find_thread
from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.tables import Tenant, new_id
from asissto.platform.texts import known_language, text
from asissto.retrieval.conversations import lock_conversation
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.who_said import by_customer

NOTIFY = "channels.notify"
SHOWN_CHARACTERS = 300


def is_teams(channel: Channel, thread: str) -> bool:
    """What the team says in its own chat is nothing for the assistant."""
    return thread in channel.settings.get("notify", ())


async def notify_team(
    session: AsyncSession, channel: Channel, conversation: Conversation, public_url: str | None
) -> None:
    """In the transaction of the hand-over, whose conversation is locked. Chats that never wrote are left out."""
    for key in channel.settings.get("notify", ()):
        thread = await find_thread(session, channel, key)
        if thread is None or thread.id == conversation.id:
            continue
        team = await lock_conversation(session, channel.tenant_id, thread.id)
        await session.refresh(thread)
        if thread.reach != OPEN:
            continue
        message = Message(
            tenant_id=channel.tenant_id,
            id=new_id(),
            conversation_id=team.id,
            sender_kind="system",
            content=await _notice(session, conversation, public_url),
            metadata_={"event": "notified", "conversation_id": str(conversation.id)},
        )
        await say(session, thread, message)


async def notify_later(session: AsyncSession, conversation: Conversation) -> None:
    """For whoever does not know the server's own address: `notify` tells the team."""
    conversation_id = str(conversation.id)
    await jobs.enqueue(session, conversation.tenant_id, NOTIFY, conversation_id, {"conversation_id": conversation_id})


async def notify(services: Services, job: ClaimedJob) -> None:
    """The job: nothing where the conversation was deleted, or given back or closed meanwhile."""
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.remove(session, job)
        thread = await session.get(Thread, (job.tenant_id, UUID(job.payload["conversation_id"])))
        if thread is None:
            return
        conversation = await lock_conversation(session, job.tenant_id, thread.id)
        if conversation.status == "pending":
            channel = await session.get_one(Channel, (job.tenant_id, thread.channel_id))
            await notify_team(session, channel, conversation, services.settings.public_url)


async def _notice(session: AsyncSession, conversation: Conversation, public_url: str | None) -> str:
    """Why, and what the customer said last, in the language of the workspace."""
    workspace = await session.get_one(Tenant, conversation.tenant_id)
    language = known_language(workspace.language)
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id)
    newest = select(Message.content).where(*mine, by_customer()).order_by(Message.id.desc()).limit(1)
    question = (await session.scalar(newest) or "")[:SHOWN_CHARACTERS]
    reason = text(f"reason.{conversation.handed_over_reason}", language)
    said = text("hand_over.notice", language, reason=reason, question=question)
    return f"{said}\n{public_url}/inbox/{conversation.id}" if public_url else said
