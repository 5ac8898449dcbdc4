"""How long a workspace keeps things, and the daily job that deletes what is older, a batch at a time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.erasing import forget
from asissto.channels.privacy_tables import RetentionPeriods
from asissto.channels.tables import Contact, StoredAttachment
from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.services import Services
from asissto.retrieval.tables import Conversation, Message, Receipt

RETAIN = "privacy.retain"
AT_ONCE = 500
_DAY = timedelta(days=1)

Days = Annotated[int, Meta(ge=1, le=36_500)] | None
AuditDays = Annotated[int, Meta(ge=30, le=36_500)] | None


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days since a conversation's last word, since an attachment, a receipt, an audit row was made; null: for ever."""

    conversations_days: Days = None
    attachments_days: Days = None
    receipts_days: Days = None
    audit_days: AuditDays = None

    @classmethod
    def of(cls, row: RetentionPeriods | None) -> Self:
        return cls() if row is None else cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


async def change(session: AsyncSession, tenant_id: UUID, periods: Retention) -> None:
    """Valid from the next run, which is due at once."""
    row = await session.get(RetentionPeriods, tenant_id) or RetentionPeriods(tenant_id=tenant_id)
    for name, value in msgspec.structs.asdict(periods).items():
        setattr(row, name, value)
    row.updated_at = datetime.now(UTC)
    session.add(row)
    await session.flush()
    await jobs.enqueue(session, tenant_id, RETAIN, "", {})
    await jobs.bring_forward(session, tenant_id, RETAIN, "")


async def retain(services: Services, job: ClaimedJob) -> None:
    """The job: it comes again a day later as long as there is any period."""
    async with services.database.tenant(job.tenant_id) as session:
        periods = Retention.of(await session.get(RetentionPeriods, job.tenant_id))
    for name, batch in _BATCHES.items():
        days = getattr(periods, f"{name}_days")
        if days is not None:
            before = datetime.now(UTC) - timedelta(days=days)
            while await batch(services, job.tenant_id, before) == AT_ONCE:
                pass
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.remove(session, job)
        if periods != Retention():
            await jobs.enqueue(session, job.tenant_id, RETAIN, "", {}, run_at=datetime.now(UTC) + _DAY)


async def _conversations(services: Services, tenant_id: UUID, before: datetime) -> int:
    async with services.database.tenant(tenant_id) as session:
        mine = (Conversation.tenant_id == tenant_id, Conversation.updated_at < before)
        oldest = select(Conversation.id).where(*mine).order_by(Conversation.updated_at).limit(AT_ONCE)
        ids = list(await session.scalars(oldest))
    while await _drop_files(services, tenant_id, Message.conversation_id.in_(ids)) == AT_ONCE:
        pass
    async with services.database.tenant(tenant_id) as session:
        await forget(session, tenant_id, ids)
        await _forget_silent_contacts(session, tenant_id, before)
    return len(ids)


async def _forget_silent_contacts(session: AsyncSession, tenant_id: UUID, before: datetime) -> None:
    """Of whom nothing is left but the name."""
    theirs = (Conversation.tenant_id == Contact.tenant_id, Conversation.contact_id == Contact.id)
    mine = (Contact.tenant_id == tenant_id, Contact.created_at < before)
    await session.execute(delete(Contact).where(*mine, ~exists().where(*theirs)))


async def _attachments(services: Services, tenant_id: UUID, before: datetime) -> int:
    """The file goes; that there was one stays with the message."""
    return await _drop_files(services, tenant_id, StoredAttachment.created_at < before)


async def _drop_files(services: Services, tenant_id: UUID, which: ColumnElement[bool]) -> int:
    attachment = StoredAttachment
    same = (Message.tenant_id == attachment.tenant_id, Message.id == attachment.message_id)
    mine = (attachment.tenant_id == tenant_id, attachment.file_key.is_not(None), which)
    async with services.database.tenant(tenant_id) as session:
        some = select(attachment.id, attachment.file_key).join(Message, and_(*same)).where(*mine).limit(AT_ONCE)
        found = {row_id: key for row_id, key in await session.execute(some) if key is not None}
    for key in found.values():
        await services.files.delete(key)
    async with services.database.tenant(tenant_id) as session:
        only_type = func.jsonb_build_object("type", attachment.content["type"], "name", "", "mime", "")
        gone = update(attachment).where(attachment.tenant_id == tenant_id, attachment.id.in_(found))
        await session.execute(gone.values(file_key=None, state="failed", error="expired", content=only_type))
    return len(found)


async def _receipts(services: Services, tenant_id: UUID, before: datetime) -> int:
    async with services.database.tenant(tenant_id) as session:
        mine = (Receipt.tenant_id == tenant_id, Receipt.created_at < before)
        oldest = select(Receipt.message_id).where(*mine).limit(AT_ONCE).scalar_subquery()
        gone = delete(Receipt).where(Receipt.tenant_id == tenant_id, Receipt.message_id.in_(oldest))
        return len((await session.execute(gone.returning(Receipt.message_id))).all())


async def _audit(services: Services, tenant_id: UUID, before: datetime) -> int:
    """By the database's own function, which takes nothing that is younger than 30 days."""
    async with services.database.tenant(tenant_id) as session:
        asked = select(func.forget_audit(before, AT_ONCE))
        return int((await session.execute(asked)).scalar_one())


_BATCHES: dict[str, Callable[[Services, UUID, datetime], Awaitable[int]]] = {
    "conversations": _conversations,
    "attachments": _attachments,
    "receipts": _receipts,
    "audit": _audit,
}
