"""Asks customers what they think, on channels that have buttons, and takes what they press."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels import outbox
from asissto.channels.accounts import connector_of
from asissto.channels.contract import Event, Said
from asissto.channels.registry import connector_type
from asissto.channels.send_errors import ChannelBroken
from asissto.channels.tables import Channel, Thread
from asissto.channels.telling import language_for
from asissto.channels.threads import OPEN, find_thread
from asissto.platform import jobs
from asissto.platform.errors import InvalidInput, NotFound
from asissto.platform.events import announce
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import text
from asissto.platform.worker import Handler
from asissto.retrieval.analytics_tables import Inquiry
from asissto.retrieval.assistants import AssistantSettings, find_assistant, on_channel, settings_of
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.feedback import RATING, Opinion, take_opinion
from asissto.retrieval.remembering import result_of
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.turns import Told
from asissto.retrieval.who_said import by_customer

ASK_RATING = "channels.ask_rating"
_PRESSED = re.compile(r"([+-]|[1-5]):([0-9a-f]{32})")


async def take_pressed(session: AsyncSession, channel: Channel, event: Event) -> None:
    """Of a message of the customer's own conversation; whatever else somebody sends changes nothing."""
    thread = await find_thread(session, channel, event.thread)
    read = _PRESSED.fullmatch(event.text)
    if thread is None or read is None:
        return
    message = await session.get(Message, (channel.tenant_id, UUID(read[2])))
    if message is None or message.conversation_id != thread.id:
        return
    told = read[1]
    opinion = Opinion(thumb="up" if told == "+" else "down") if told in "+-" else Opinion(rating=int(told))
    try:
        await take_opinion(session, channel.tenant_id, message.id, opinion)
    except (NotFound, InvalidInput):
        return
    await announce(session, channel.tenant_id, TOPIC, thread.id)


async def ask_for_opinions(
    session: AsyncSession, thread: Thread, settings: AssistantSettings, said: Said, told: Told
) -> Said:
    """What is said, with thumbs below it where the assistant wants them; a rating is asked for later."""
    await ask_later(session, settings, thread.tenant_id, thread.id)
    if settings.ask_thumbs and result_of(told.answer) != "courtesy":
        return structs.replace(said, asks="thumb", about=told.message_id)
    return said


async def ask_later(session: AsyncSession, settings: AssistantSettings, tenant_id: UUID, conversation_id: UUID) -> None:
    """After the silence that the assistant waits for."""
    if settings.ask_rating:
        due = datetime.now(UTC) + timedelta(minutes=settings.rating_after_minutes)
        payload = {"conversation_id": str(conversation_id)}
        await jobs.enqueue(session, tenant_id, ASK_RATING, str(conversation_id), payload, run_at=due)


async def ask_at_end(session: AsyncSession, conversation: Conversation) -> None:
    """Of a conversation that was just closed."""
    key = str(conversation.id)
    assistant = await find_assistant(session, conversation.tenant_id, conversation.assistant_id)
    if settings_of(assistant).ask_rating:
        await jobs.withdraw(session, conversation.tenant_id, ASK_RATING, key)
        await jobs.enqueue(session, conversation.tenant_id, ASK_RATING, key, {"conversation_id": key})


async def ask_rating(services: Services, job: ClaimedJob) -> None:
    """Once in a conversation, when it is over: closed, or silent after an answer."""
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.remove(session, job)
        try:
            conversation = await lock_conversation(session, job.tenant_id, UUID(job.payload["conversation_id"]))
        except NotFound:
            return
        thread = await session.get(Thread, (job.tenant_id, conversation.id))
        channel = await session.get(Channel, (job.tenant_id, conversation.channel_id))
        if (
            thread is None
            or channel is None
            or thread.reach != OPEN
            or not connector_type(channel.type).capabilities.rates
        ):
            return
        assistant = await find_assistant(session, job.tenant_id, conversation.assistant_id)
        settings = on_channel(settings_of(assistant), channel.type)
        if settings.ask_rating and not await _was_asked(session, conversation):
            if await _is_over(session, conversation, timedelta(minutes=settings.rating_after_minutes)):
                await _ask(session, services, channel, thread, conversation)
            elif conversation.status == "bot":
                await ask_later(session, settings, job.tenant_id, conversation.id)


async def _ask(
    session: AsyncSession, services: Services, channel: Channel, thread: Thread, conversation: Conversation
) -> None:
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id)
    newest = select(Message.content).where(*mine, by_customer(), Message.content != "").order_by(Message.id.desc())
    language = language_for(await session.scalar(newest.limit(1)) or "", None)
    message = Message(
        tenant_id=conversation.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="assistant",
        sender_id=conversation.assistant_id,
        content=text(RATING, language),
        metadata_={"notice": RATING},
    )
    try:
        connector = connector_of(services, channel, language)
    except ChannelBroken:
        return
    session.add(message)
    await session.flush()
    said = Said(text=message.content, language=language, asks="rating", about=message.id)
    await outbox.put(session, thread, message.id, connector.render(said))
    await announce(session, conversation.tenant_id, TOPIC, conversation.id)


async def _was_asked(session: AsyncSession, conversation: Conversation) -> bool:
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id)
    asked = Message.metadata_["notice"].as_string() == RATING
    return await session.scalar(select(Message.id).where(*mine, asked).limit(1)) is not None


async def _is_over(session: AsyncSession, conversation: Conversation, silence: timedelta) -> bool:
    if conversation.status == "closed":
        return True
    mine = (Inquiry.tenant_id == conversation.tenant_id, Inquiry.conversation_id == conversation.id)
    newest = await session.scalar(select(Inquiry).where(*mine).order_by(Inquiry.id.desc()).limit(1))
    if newest is None or conversation.status != "bot" or datetime.now(UTC) - conversation.updated_at < silence:
        return False
    return newest.last_result == "answered" and newest.handed_over_at is None


HANDLERS = {ASK_RATING: Handler(ask_rating)}
