"""Fetches what customers send besides words from their provider, into the store of files."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.accounts import connector_of
from asissto.channels.contract import Attachment, Connector
from asissto.channels.inbox import FETCH
from asissto.channels.send_errors import RateLimited, Retryable, SendError, Uncertain
from asissto.channels.tables import Channel, StoredAttachment, Thread
from asissto.ingestion.documents import sweep_later
from asissto.platform import jobs
from asissto.platform.errors import AsisstoError, Conflict, DocumentTooLarge
from asissto.platform.events import announce
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.stored_files import StoredFile
from asissto.platform.texts import Phrase
from asissto.retrieval.conversations import TOPIC
from asissto.retrieval.tables import Message

LARGEST_MB = 20
FETCH_SECONDS = 120.0
_LATER = (Retryable, RateLimited, Uncertain)
log = structlog.get_logger()


class Failure(msgspec.Struct, frozen=True):
    """`code` has its sentence in `texts`, as `attachment.<code>`."""

    state: str
    code: str


_TOO_LARGE = Failure("too_large", "too_large")


async def fetch(services: Services, job: ClaimedJob) -> None:
    """The job: no transaction waits for the provider, and a provider that is away is asked again later."""
    found = await _find(services, job)
    if found is None:
        return
    attachment, channel = found
    try:
        outcome = await _fetch(services, channel, attachment)
    except _LATER as error:
        await _postpone(services, job, error)
        return
    async with services.database.tenant(job.tenant_id) as session:
        if await _settle(session, job, outcome) is None and isinstance(outcome, StoredFile):
            await services.files.delete(outcome.key)  # its message was deleted meanwhile
        await jobs.remove(session, job)


async def fetch_again(session: AsyncSession, row: StoredAttachment) -> None:
    """What could not be had; the row is locked. Raises Conflict."""
    if row.state != "failed":
        raise Conflict(detail=Phrase("conflict.attachment_state"))
    row.state, row.error = "waiting", None
    await jobs.enqueue(session, row.tenant_id, FETCH, str(row.id), {"attachment_id": str(row.id)})
    await _announce(session, row)


async def give_up(session: AsyncSession, job: ClaimedJob, _error: AsisstoError) -> None:
    """A fault of ours, or a store of files that has been away for too long."""
    await _settle(session, job, Failure("failed", "fault"))


async def _find(services: Services, job: ClaimedJob) -> tuple[Attachment, Channel] | None:
    """None, and no job any more, where it is stored already, or was deleted meanwhile."""
    async with services.database.tenant(job.tenant_id) as session:
        row = await session.get(StoredAttachment, (job.tenant_id, UUID(job.payload["attachment_id"])))
        channel = None if row is None or row.state != "waiting" else await _channel_of(session, row)
        if row is None or channel is None:
            await jobs.remove(session, job)
            return None
        await sweep_later(session, job.tenant_id)
        return msgspec.convert(row.content, Attachment), channel


async def _channel_of(session: AsyncSession, row: StoredAttachment) -> Channel | None:
    same = (Channel.tenant_id == Thread.tenant_id, Channel.id == Thread.channel_id)
    spoken = (Message.tenant_id == Thread.tenant_id, Message.conversation_id == Thread.id)
    mine = select(Channel).join(Thread, and_(*same)).join(Message, and_(*spoken))
    return await session.scalar(mine.where(Message.tenant_id == row.tenant_id, Message.id == row.message_id))


async def _fetch(services: Services, channel: Channel, attachment: Attachment) -> StoredFile | Failure:
    """Raises Retryable, RateLimited and Uncertain, and what the store of files raises."""
    if (attachment.size or 0) > LARGEST_MB << 20:
        return _TOO_LARGE
    try:
        connector = connector_of(services, channel)
    except SendError as error:
        return Failure("failed", error.code)
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            return await _save(services, channel, connector, attachment)
    except DocumentTooLarge:
        return _TOO_LARGE
    except NotImplementedError:
        return Failure("failed", "unsupported")
    except TimeoutError:
        raise Uncertain("no content in time") from None
    except _LATER:
        raise
    except SendError as error:
        log.warning("an attachment was refused", error=repr(error))
        return Failure("failed", error.code)
    finally:
        await connector.close()


async def _save(services: Services, channel: Channel, connector: Connector, attachment: Attachment) -> StoredFile:
    pieces = connector.fetch(attachment)
    try:
        return await services.files.save(channel.tenant_id, attachment.name, pieces, limit_mb=LARGEST_MB)
    finally:
        if isinstance(pieces, AsyncGenerator):  # one that was left in the middle still holds its connection
            await pieces.aclose()


async def _postpone(services: Services, job: ClaimedJob, error: SendError) -> None:
    pause = error.seconds if isinstance(error, RateLimited) else 0.0
    async with services.database.tenant(job.tenant_id) as session:
        if await jobs.postpone(session, job, repr(error), pause) is None:
            await _settle(session, job, Failure("failed", error.code))
            await jobs.remove(session, job)


async def _settle(session: AsyncSession, job: ClaimedJob, outcome: StoredFile | Failure) -> StoredAttachment | None:
    """None where its message was deleted meanwhile."""
    row = await session.get(StoredAttachment, (job.tenant_id, UUID(job.payload["attachment_id"])), with_for_update=True)
    if row is None:
        return None
    if isinstance(outcome, StoredFile):
        row.state, row.file_key, row.size, row.error = "stored", outcome.key, outcome.bytes, None
    else:
        row.state, row.error = outcome.state, outcome.code
    await _announce(session, row)
    return row


async def _announce(session: AsyncSession, row: StoredAttachment) -> None:
    message = await session.get_one(Message, (row.tenant_id, row.message_id))
    await announce(session, row.tenant_id, TOPIC, message.conversation_id)
