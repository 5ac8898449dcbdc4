"""Asks the provider for the names of customers whose messages do not bring them: many at once, and for each once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.accounts import connector_of
from asissto.channels.contacts import CORRECTED
from asissto.channels.registry import connector_type
from asissto.channels.send_errors import RateLimited, Retryable, SendError, Uncertain
from asissto.channels.tables import Channel, Contact
from asissto.platform import jobs
from asissto.platform.events import announce
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.worker import Handler
from asissto.retrieval.conversations import TOPIC
from asissto.retrieval.tables import Conversation

NAMES = "channels.names"
MOST = 500
"""Contacts of one call."""

_ASKED = "name_asked"
"""In the metadata: the provider knew no name, and is not asked again."""

_TOGETHER = timedelta(seconds=1)
_LATER = (Retryable, RateLimited, Uncertain)
log = structlog.get_logger()


def is_nameless() -> ColumnElement[bool]:
    """Of a contact; a name that a member has emptied stays empty."""
    is_corrected = func.coalesce(Contact.metadata_[CORRECTED].has_key("name"), False)
    return and_(Contact.name.is_(None), ~Contact.metadata_.has_key(_ASKED), ~is_corrected)


async def ask_later(session: AsyncSession, channel: Channel) -> None:
    """Once, however many contacts there are by then; nothing happens where messages bring the names."""
    if connector_type(channel.type).capabilities.names:
        payload, run_at = {"channel_id": str(channel.id)}, datetime.now(UTC) + _TOGETHER
        await jobs.enqueue(session, channel.tenant_id, NAMES, str(channel.id), payload, run_at=run_at)


async def name_contacts(services: Services, job: ClaimedJob) -> None:
    """The job. Where the provider refuses, the next message of such a contact asks again."""
    async with services.database.tenant(job.tenant_id) as session:
        channel = await session.get(Channel, (job.tenant_id, UUID(job.payload["channel_id"])))
        nameless = [] if channel is None else await _nameless(session, channel)
        if channel is None or not nameless:
            await jobs.remove(session, job)
            return
    outcome = await _ask(services, channel, nameless)
    async with services.database.tenant(job.tenant_id) as session:
        if isinstance(outcome, _LATER):
            pause = outcome.seconds if isinstance(outcome, RateLimited) else 0.0
            if await jobs.postpone(session, job, repr(outcome), pause) is not None:
                return
        elif not isinstance(outcome, SendError):
            await _keep(session, channel, nameless, outcome)
            await ask_later(session, channel)  # there may be more of them
        await jobs.remove(session, job)


async def _nameless(session: AsyncSession, channel: Channel) -> Sequence[str]:
    mine = (Contact.tenant_id == channel.tenant_id, Contact.channel_id == channel.id)
    oldest = select(Contact.external_id).where(*mine, is_nameless()).order_by(Contact.id).limit(MOST)
    return (await session.scalars(oldest)).all()


async def _ask(services: Services, channel: Channel, external_ids: Sequence[str]) -> dict[str, str] | SendError:
    try:
        connector = connector_of(services, channel)
    except SendError as error:
        return error
    try:
        return await connector.names(external_ids)
    except SendError as error:
        log.warning("names were refused", error=repr(error))
        return error
    finally:
        await connector.close()


async def _keep(session: AsyncSession, channel: Channel, asked: Sequence[str], names: Mapping[str, str]) -> None:
    mine = (Contact.tenant_id == channel.tenant_id, Contact.channel_id == channel.id, is_nameless())
    for external_id, name in names.items():
        named = update(Contact).where(*mine, Contact.external_id == external_id).values(name=name)
        for contact_id in (await session.scalars(named.returning(Contact.id))).all():
            await _announce(session, channel.tenant_id, contact_id)
    marked = {Contact.metadata_: Contact.metadata_.concat({_ASKED: True})}
    await session.execute(update(Contact).where(*mine, Contact.external_id.in_(asked)).values(marked))


async def _announce(session: AsyncSession, tenant_id: UUID, contact_id: UUID) -> None:
    theirs = (Conversation.tenant_id == tenant_id, Conversation.contact_id == contact_id)
    for conversation_id in await session.scalars(select(Conversation.id).where(*theirs)):
        await announce(session, tenant_id, TOPIC, conversation_id)


HANDLERS = {NAMES: Handler(name_contacts)}
