"""A visitor signs in: what they wrote before, when nobody knew who they are, goes on as theirs."""

from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.contacts import CORRECTED, ContactPatch, lock_contact, merge
from asissto.channels.contract import Sender
from asissto.channels.tables import Channel, Contact, InboundEvent
from asissto.channels.threads import find_thread, meet
from asissto.channels.widget_sessions import KNOWN, Visitor
from asissto.channels.widget_stream import WRITTEN
from asissto.platform.events import announce
from asissto.retrieval.conversations import TOPIC, lock_conversation
from asissto.retrieval.tables import Message


async def join(session: AsyncSession, channel: Channel, guest: Visitor, known: Visitor) -> None:
    """The guest's conversation goes on as that of the known visitor, and their contacts are one person from now on.

    The caller has proved to be both. Where the known visitor has a conversation, the guest's stays another one of the
    same person, for the operators. Nothing happens where another known visitor has been that guest: two who sign in on
    one device are not one person.
    """
    theirs = await session.scalar(_contact(channel, guest))
    if theirs is None or await find_thread(session, channel, guest.thread) is None:
        return
    own = await meet(session, channel, Sender(external_id=known.thread, name=known.name or None))
    before = await lock_contact(session, channel.tenant_id, theirs)
    if await _is_somebody_elses(session, before, own):
        return
    _inherit(await merge(session, channel.tenant_id, own, theirs), before)
    if await find_thread(session, channel, known.thread) is None:
        await _move(session, channel, guest, known, own)


def _contact(channel: Channel, visitor: Visitor) -> Select[UUID]:
    mine = (Contact.tenant_id == channel.tenant_id, Contact.channel_id == channel.id)
    return select(Contact.id).where(*mine, Contact.external_id == visitor.thread)


async def _is_somebody_elses(session: AsyncSession, guest: Contact, own: UUID) -> bool:
    same = func.coalesce(Contact.person_id, Contact.id) == (guest.person_id or guest.id)
    mine = (Contact.tenant_id == guest.tenant_id, Contact.channel_id == guest.channel_id)
    others = select(Contact.id).where(*mine, same, Contact.id.not_in((guest.id, own)))
    return await session.scalar(others.where(Contact.external_id.startswith(KNOWN)).limit(1)) is not None


def _inherit(own: Contact, guest: Contact) -> None:
    """What is known of the guest alone, also what a member has set right."""
    new = [name for name in ContactPatch.__struct_fields__ if getattr(own, name) is None and getattr(guest, name)]
    for name in new:
        setattr(own, name, getattr(guest, name))
    corrected = {*own.metadata_.get(CORRECTED, []), *(set(guest.metadata_.get(CORRECTED, [])) & set(new))}
    if corrected:
        own.metadata_ = {**own.metadata_, CORRECTED: sorted(corrected)}


async def _move(session: AsyncSession, channel: Channel, guest: Visitor, known: Visitor, own: UUID) -> None:
    thread = await find_thread(session, channel, guest.thread)
    if thread is None:  # another page of theirs was quicker
        return
    conversation = await lock_conversation(session, channel.tenant_id, thread.id)
    thread.external_key, conversation.contact_id = known.thread, own
    await session.flush()
    await _rename_events(session, channel, conversation.id, guest, known)
    await announce(session, channel.tenant_id, TOPIC, conversation.id)
    for visitor in (guest, known):
        await announce(session, channel.tenant_id, WRITTEN, visitor.live_id)


async def _rename_events(
    session: AsyncSession, channel: Channel, conversation_id: UUID, guest: Visitor, known: Visitor
) -> None:
    """So that a message which the page sends once more afterwards is still the same."""
    written = select(Message.id).where(
        Message.tenant_id == channel.tenant_id, Message.conversation_id == conversation_id
    )
    mine = (InboundEvent.tenant_id == channel.tenant_id, InboundEvent.channel_id == channel.id)
    new = func.replace(InboundEvent.key, f"{guest.thread}:", f"{known.thread}:")
    used = select(InboundEvent.key).where(*mine, InboundEvent.key.startswith(f"{known.thread}:", autoescape=True))
    theirs = (*mine, InboundEvent.message_id.in_(written), new.not_in(used))
    await session.execute(update(InboundEvent).where(*theirs).values(key=new))
