"""The job that erases a person: after it no row and no file of a workspace names them or has their words."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.personal_data import contacts_of, conversations_of, files_of
from asissto.channels.privacy_tables import PrivacyRequest
from asissto.channels.tables import Contact, InboundEvent, StoredAttachment
from asissto.platform import jobs
from asissto.platform.errors import AsisstoError
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.platform.tables import Job
from asissto.retrieval.tables import Conversation, Message

ERASE = "privacy.erase"
AT_ONCE = 100
"""Conversations in one transaction; with thousands of them the job takes a while and holds nobody up."""


async def erase(services: Services, job: ClaimedJob) -> None:
    """May run twice: what is gone stays gone. Files go first, so that none is left without a row that knows it."""
    subject, subject_id = job.payload["subject"], UUID(job.payload["subject_id"])
    while await _erase_some(services, job, subject, subject_id):
        pass
    async with services.database.tenant(job.tenant_id) as session:
        if subject == "contact":
            ids = await contacts_of(session, job.tenant_id, subject_id, lock=True)
            await forget(session, job.tenant_id, await _conversations(session, job.tenant_id, subject, ids))
            mine = (Contact.tenant_id == job.tenant_id, Contact.id.in_(ids))
            await session.execute(delete(Contact).where(*mine))
        row = await session.get(PrivacyRequest, (job.tenant_id, UUID(job.payload["request_id"])))
        if row is not None:
            row.state, row.finished_at = "done", func.now()
        await jobs.remove(session, job)


async def give_up(session: AsyncSession, job: ClaimedJob, error: AsisstoError) -> None:
    row = await session.get(PrivacyRequest, (job.tenant_id, UUID(job.payload["request_id"])))
    if row is not None:
        row.state, row.error, row.finished_at = "failed", error.code, func.now()


async def forget(session: AsyncSession, tenant_id: UUID, ids: list[UUID]) -> None:
    """Conversations with all that hangs on them, cases of question sets that were made of them among it."""
    if not ids:
        return
    events = (InboundEvent.tenant_id == tenant_id, InboundEvent.conversation_id.in_(ids))
    await session.execute(delete(InboundEvent).where(*events))
    await _forget_jobs(session, tenant_id, ids)
    await session.execute(delete(Conversation).where(Conversation.tenant_id == tenant_id, Conversation.id.in_(ids)))


async def _forget_jobs(session: AsyncSession, tenant_id: UUID, ids: list[UUID]) -> None:
    """Also those that are dead: the word of a provider about what failed may name the customer."""
    messages = select(Message.id).where(Message.tenant_id == tenant_id, Message.conversation_id.in_(ids))
    sent = select(StoredAttachment.id).where(StoredAttachment.tenant_id == tenant_id)
    sent = sent.where(StoredAttachment.message_id.in_(messages))
    keys = [str(each) for each in (*ids, *await session.scalars(sent))]
    about = or_(Job.payload["conversation_id"].astext.in_(keys), Job.key.in_(keys))
    await session.execute(delete(Job).where(Job.tenant_id == tenant_id, Job.state != "doing", about))


async def _erase_some(services: Services, job: ClaimedJob, subject: str, subject_id: UUID) -> bool:
    """Whether there may be more."""
    async with services.database.tenant(job.tenant_id) as session:
        ids = await contacts_of(session, job.tenant_id, subject_id) if subject == "contact" else [subject_id]
        some = await _conversations(session, job.tenant_id, subject, ids)
        keys = [*await files_of(session, job.tenant_id, some), *await _exports_of(session, job.tenant_id, ids)]
    for key in keys:
        await services.files.delete(key)
    async with services.database.tenant(job.tenant_id) as session:
        await forget(session, job.tenant_id, some)
        await _forget_exports(session, job.tenant_id, ids)
    return len(some) == AT_ONCE


async def _conversations(session: AsyncSession, tenant_id: UUID, subject: str, ids: Iterable[UUID]) -> list[UUID]:
    return list(await session.scalars(conversations_of(tenant_id, subject, ids).limit(AT_ONCE)))


async def _exports_of(session: AsyncSession, tenant_id: UUID, ids: list[UUID]) -> list[str]:
    mine = (PrivacyRequest.tenant_id == tenant_id, PrivacyRequest.subject_id.in_(ids))
    return [key for key in await session.scalars(select(PrivacyRequest.file_key).where(*mine)) if key is not None]


async def _forget_exports(session: AsyncSession, tenant_id: UUID, ids: list[UUID]) -> None:
    mine = (PrivacyRequest.tenant_id == tenant_id, PrivacyRequest.subject_id.in_(ids))
    await session.execute(delete(PrivacyRequest).where(*mine, PrivacyRequest.kind == "export"))
