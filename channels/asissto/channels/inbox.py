"""Takes events in: each once, with whatever it leads to in the same transaction, so that a crash loses nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels import receipts
from asissto.channels.contract import Event
from asissto.channels.limits import may_be_answered
from asissto.channels.notifying import is_teams
from asissto.channels.opinions import take_pressed
from asissto.channels.outbox import cancel_queue, silence_assistant
from asissto.channels.revisions import delete_message, edit_message
from asissto.channels.storable import storable
from asissto.channels.tables import Channel, InboundEvent, StoredAttachment, Thread
from asissto.channels.telling import language_for, tell
from asissto.channels.threads import OPEN, find_thread, move_thread, open_thread
from asissto.platform import jobs
from asissto.platform.counting import count
from asissto.platform.events import announce
from asissto.platform.tables import new_id
from asissto.platform.texts import Language
from asissto.retrieval.answering import MOST_CHARACTERS
from asissto.retrieval.assistants import AssistantSettings
from asissto.retrieval.changing_hands import reopen, take_over
from asissto.retrieval.conversations import TOPIC
from asissto.retrieval.tables import Assistant, Conversation, Message
from asissto.retrieval.who_said import FROM

ANSWER, FETCH = "channels.answer", "channels.fetch"
_STATES = {"": "waiting", "mail_too_large": "too_large"}
"""Of an attachment, by its problem."""

_HEARD = timedelta(minutes=1)  # every message would lock the channel's row until its transaction ends


async def take_in(session: AsyncSession, channel: Channel, events: Sequence[Event]) -> int:
    """How many of them were new. The caller's transaction is of the channel's tenant."""
    new = 0
    for event in map(storable, events):
        row_id = await _remember(session, channel, event)
        if row_id is not None:
            new += 1
            await _act(session, channel, event, row_id)
    now = datetime.now(UTC)
    if new and (channel.heard_at is None or now - channel.heard_at > _HEARD):
        channel.heard_at = now
    return new


async def _remember(session: AsyncSession, channel: Channel, event: Event) -> UUID | None:
    """None where it was taken before. Of two at once the second waits for the first to commit."""
    row_id = new_id()
    row = insert(InboundEvent).values(
        tenant_id=channel.tenant_id,
        id=row_id,
        channel_id=channel.id,
        key=event.key,
        kind=event.kind,
        external_id=event.external_id or None,
    )
    same = ["tenant_id", "channel_id", "key"]
    inserted = await session.execute(row.on_conflict_do_nothing(index_elements=same).returning(InboundEvent.id))
    return None if inserted.first() is None else row_id


async def _act(session: AsyncSession, channel: Channel, event: Event, row_id: UUID) -> None:
    if event.kind == "message":
        await _take_message(session, channel, event, row_id)
    elif event.kind == "edit":
        if not await edit_message(session, channel, event):  # what it changes is not here yet: it is the message itself
            await _take_message(session, channel, event, row_id)
    elif event.kind == "delete":
        await delete_message(session, channel, event)
    elif event.kind == "receipt":
        await receipts.take_receipt(session, channel, event)
    elif event.kind == "echo":
        await _take_echo(session, channel, event, row_id)
    elif event.kind == "pressed":
        await take_pressed(session, channel, event)
    elif event.kind == "moved":
        await move_thread(session, channel, event.thread, event.moved_to)
    elif event.kind in ("blocked", "unblocked"):
        await _change_reach(session, channel, event)


async def _take_message(session: AsyncSession, channel: Channel, event: Event, row_id: UUID) -> None:
    thread, conversation = await open_thread(session, channel, event)
    await reopen(session, conversation)
    thread.heard_at, thread.address = func.now(), event.address
    if thread.reach not in (OPEN, "opted_out"):  # whoever writes can be written to
        thread.reach = OPEN
    is_heard = conversation.status == "bot" and thread.reach == OPEN and not is_teams(channel, event.thread)
    is_for_bot = is_heard and event.wants_answer and bool(event.text.strip())
    limit = await may_be_answered(session, channel, thread) if is_for_bot else None
    message = _message(event, conversation, waits=is_for_bot and limit is None)
    session.add(message)
    await session.flush()
    await _link(session, row_id, channel, conversation.id, message.id)
    await _keep_attachments(session, event, message)
    conversation.updated_at = func.now()
    if is_heard and event.notice and limit is None:
        await tell(session, thread, conversation, event.notice, _language(event))
    if message.waits:
        await _ask_for_answer(session, conversation)
    elif limit is not None and limit.is_first:
        await tell(session, thread, conversation, "channel.too_many", _language(event))
    elif (
        is_heard and event.attachments and not (event.text.strip() or event.notice) and await _is_first(session, thread)
    ):
        await tell(session, thread, conversation, "channel.only_text", _language(event))
    await announce(session, channel.tenant_id, TOPIC, conversation.id)


async def _is_first(session: AsyncSession, thread: Thread) -> bool:
    """Of the attachments of this minute: ten photos of an album are ten messages."""
    return await count(session, thread.tenant_id, f"only_text {thread.id}", "minute") == 1


def _message(event: Event, conversation: Conversation, *, waits: bool) -> Message:
    metadata: dict[str, object] = {}
    if event.attachments:
        metadata["attachments"] = msgspec.to_builtins(event.attachments)
    if len(event.text) > MOST_CHARACTERS:
        metadata["cut_from"] = len(event.text)
    if event.reason and not event.wants_answer:
        metadata["unanswered"] = event.reason
    return Message(
        tenant_id=conversation.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="contact",
        sender_id=conversation.contact_id,
        content=event.text[:MOST_CHARACTERS],
        metadata_=metadata,
        waits=waits,
    )


async def _link(session: AsyncSession, row_id: UUID, channel: Channel, conversation_id: UUID, message_id: UUID) -> None:
    own = (InboundEvent.tenant_id == channel.tenant_id, InboundEvent.id == row_id)
    values = {"conversation_id": conversation_id, "message_id": message_id}
    await session.execute(update(InboundEvent).where(*own).values(**values))


async def _keep_attachments(session: AsyncSession, event: Event, message: Message) -> None:
    for attachment in event.attachments:
        row = StoredAttachment(
            tenant_id=message.tenant_id,
            id=new_id(),
            message_id=message.id,
            content=msgspec.to_builtins(attachment),
            state=_STATES.get(attachment.problem, "failed"),
            error=attachment.problem or None,
        )
        session.add(row)
        await session.flush()
        if attachment.ref:
            await jobs.enqueue(session, message.tenant_id, FETCH, str(row.id), {"attachment_id": str(row.id)})


async def _ask_for_answer(session: AsyncSession, conversation: Conversation) -> None:
    """Once the customer has probably stopped writing; the job itself looks whether that is so."""
    mine = (Assistant.tenant_id == conversation.tenant_id, Assistant.id == conversation.assistant_id)
    window = await session.scalar(select(Assistant.settings["burst_seconds"].as_float()).where(*mine))
    run_at = datetime.now(UTC) + timedelta(seconds=AssistantSettings().burst_seconds if window is None else window)
    payload = {"conversation_id": str(conversation.id)}
    await jobs.enqueue(session, conversation.tenant_id, ANSWER, str(conversation.id), payload, run_at=run_at)


async def _take_echo(session: AsyncSession, channel: Channel, event: Event, row_id: UUID) -> None:
    """A person answered in the provider's own app: the assistant is silent from now on."""
    if await receipts.is_ours(session, channel, event):
        return
    thread, conversation = await open_thread(session, channel, msgspec.structs.replace(event, sender=None))
    await take_over(session, conversation, None)
    await silence_assistant(session, channel.tenant_id, thread.id)
    message = Message(
        tenant_id=channel.tenant_id,
        id=new_id(),
        conversation_id=conversation.id,
        sender_kind="user",
        content=event.text[:MOST_CHARACTERS],
        metadata_={FROM: "provider"},
    )
    conversation.updated_at = func.now()
    session.add(message)
    await session.flush()
    await _link(session, row_id, channel, conversation.id, message.id)
    await announce(session, channel.tenant_id, TOPIC, conversation.id)


async def _change_reach(session: AsyncSession, channel: Channel, event: Event) -> None:
    thread: Thread | None = await find_thread(session, channel, event.thread)
    if thread is None:
        return
    thread.reach = OPEN if event.kind == "unblocked" else event.reason or "blocked"
    if thread.reach != OPEN:
        await cancel_queue(session, channel.tenant_id, thread.id, thread.reach)
    await announce(session, channel.tenant_id, TOPIC, thread.id)


def _language(event: Event) -> Language:
    return language_for(event.text, event.sender.language if event.sender is not None else None)
