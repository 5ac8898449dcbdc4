"""The jobs of channels: answering what waits in a conversation, and fetching what customers send besides words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels import attachments, erasing, exporting, leaving, outbox, retention
from asissto.channels.accounts import connector_of
from asissto.channels.answer_links import answer_link
from asissto.channels.contract import Connector, Destination
from asissto.channels.inbox import ANSWER, FETCH
from asissto.channels.notifying import NOTIFY, notify, notify_later, notify_team
from asissto.channels.opinions import HANDLERS as OPINIONS
from asissto.channels.opinions import ask_for_opinions
from asissto.channels.saying import said_of
from asissto.channels.send_errors import SendError
from asissto.channels.tables import Channel, Thread
from asissto.channels.telling import language_for, tell
from asissto.channels.threads import destination
from asissto.platform import jobs
from asissto.platform.errors import AnswersPaused, AsisstoError, AssistantPaused
from asissto.platform.events import announce
from asissto.platform.jobs import ClaimedJob
from asissto.platform.metering import may_answer
from asissto.platform.services import Services
from asissto.platform.texts import Language
from asissto.platform.worker import Handler
from asissto.retrieval.bursts import withdraw
from asissto.retrieval.changing_hands import hand_over
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.handing_over import HandOverReason
from asissto.retrieval.tables import Conversation, Message
from asissto.retrieval.turns import SILENT, Told, collect_turn, open_turn
from asissto.retrieval.who_said import by_customer

_TYPING_SECONDS = 5.0
_PAUSED = timedelta(minutes=1)
_UNPAID = timedelta(minutes=10)


async def answer(services: Services, job: ClaimedJob) -> None:
    """Everything that waits in the conversation, and the parts of the answer in the outbox, in one transaction."""
    async with services.database.tenant(job.tenant_id) as session:
        place = await _place(session, job)
        if place is None:  # deleted meanwhile, with its channel perhaps
            await jobs.remove(session, job)
            return
        thread, channel, conversation = place
        try:
            turn = await open_turn(session, services, conversation, channel.type)
        except AssistantPaused:  # the customer waits for it to be woken
            await jobs.remove(session, job)
            again = datetime.now(UTC) + _PAUSED
            await jobs.enqueue(session, job.tenant_id, ANSWER, job.key, job.payload, run_at=again)
            return
    connector = connector_of(services, channel)

    async def write_parts(session: AsyncSession, told: Told) -> None:
        await jobs.remove(session, job)
        if told.answer.mode == SILENT or not told.answer.text:
            return
        await announce(session, job.tenant_id, TOPIC, thread.id)
        if told.answer.hand_over is not None and told.answer.hand_over.is_done:
            handed = await session.get_one(Conversation, (job.tenant_id, thread.id))
            await notify_team(session, channel, handed, services.settings.public_url)
        link = answer_link(services, job.tenant_id, told.message_id)
        said = await said_of(session, job.tenant_id, told.answer, connector.account.settings.hours, link)
        if connector.capabilities.rates:
            said = await ask_for_opinions(session, thread, turn.speaker.scope(channel.type, {}).settings, said, told)
        await outbox.put(session, thread, told.message_id, connector.render(said))

    try:
        async with typing(connector, destination(thread)):
            told = await collect_turn(services, turn, write_parts)
    except AnswersPaused as error:  # the customer waits for as long as it takes
        async with services.database.tenant(job.tenant_id) as session:
            await jobs.rest(session, job, error.code, _UNPAID)
            if await may_answer(session, job.tenant_id):  # the money came between the look and this
                await jobs.wake(session, job.tenant_id, error.code)
        return
    finally:
        await connector.close()
    if told is None:
        async with services.database.tenant(job.tenant_id) as session:
            await jobs.remove(session, job)


async def _place(session: AsyncSession, job: ClaimedJob) -> Row[Thread, Channel, Conversation] | None:
    mine = (Thread.tenant_id == job.tenant_id, Thread.id == UUID(job.payload["conversation_id"]))
    of_tenant = (Channel.tenant_id == Thread.tenant_id, Conversation.tenant_id == Thread.tenant_id)
    places = select(Thread, Channel, Conversation).where(*mine, *of_tenant)
    places = places.where(Channel.id == Thread.channel_id, Conversation.id == Thread.id)
    return (await session.execute(places)).one_or_none()


async def hand_to_person(session: AsyncSession, job: ClaimedJob, _error: AsisstoError) -> None:
    """An answer that fails again and again: the customer is told, a person has the conversation, and the team hears."""
    thread = await session.get(Thread, (job.tenant_id, UUID(job.payload["conversation_id"])))
    if thread is None:
        return
    conversation = await lock_conversation(session, job.tenant_id, thread.id)
    if conversation.status != "bot":
        return
    await withdraw(session, conversation)
    await tell(session, thread, conversation, "hand_over.done", await _language(session, conversation))
    await hand_over(session, conversation, HandOverReason.REPEATED_FAILURE)
    await notify_later(session, conversation)
    await announce(session, job.tenant_id, TOPIC, conversation.id)


async def _language(session: AsyncSession, conversation: Conversation) -> Language:
    """Of what the customer wrote last."""
    mine = (Message.tenant_id == conversation.tenant_id, Message.conversation_id == conversation.id)
    newest = select(Message.content).where(*mine, by_customer()).order_by(Message.id.desc())
    return language_for(await session.scalar(newest.limit(1)) or "", None)


@asynccontextmanager
async def typing(connector: Connector, to: Destination) -> AsyncIterator[None]:
    """Shows that somebody is writing, where the channel can; that it fails disturbs nobody."""
    if not connector.capabilities.types:
        yield
        return
    showing = asyncio.create_task(_show_typing(connector, to))
    try:
        yield
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


async def _show_typing(connector: Connector, to: Destination) -> None:
    with suppress(SendError):
        while True:
            await connector.show_typing(to)
            await asyncio.sleep(_TYPING_SECONDS)


HANDLERS = {
    ANSWER: Handler(answer, hand_to_person, lane="turns"),
    FETCH: Handler(attachments.fetch, attachments.give_up),
    exporting.EXPORT: Handler(exporting.export, erasing.give_up, lane="slow"),
    exporting.DROP_EXPORT: Handler(exporting.drop_export),
    erasing.ERASE: Handler(erasing.erase, erasing.give_up, lane="slow"),
    leaving.CLOSE: Handler(leaving.close_workspace, lane="slow"),
    retention.RETAIN: Handler(retention.retain, lane="slow"),
    NOTIFY: Handler(notify),
    **OPINIONS,
}
