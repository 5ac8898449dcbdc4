"""A member leaves for good: the account goes at once, their words and the workspaces that nobody else is in follow."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.erasing import ERASE, forget
from asissto.channels.privacy_tables import PrivacyRequest
from asissto.channels.tables import Channel, Contact
from asissto.ingestion.tables import Collection
from asissto.platform import jobs
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import LastOwner
from asissto.platform.jobs import ClaimedJob
from asissto.platform.keys import KeyRing
from asissto.platform.mail import opened_letter
from asissto.platform.model_tables import ModelProvider
from asissto.platform.own_password import check_own_password
from asissto.platform.people_tables import ApiKey, Invitation
from asissto.platform.platform_users import check_other_admin
from asissto.platform.services import Services
from asissto.platform.tables import Job, Membership, Tenant, User, new_id
from asissto.retrieval.quality_tables import QuestionSet
from asissto.retrieval.tables import Assistant, Conversation

CLOSE = "privacy.close"
CLOSED = "closed"
"""The status of a workspace that is empty for ever."""

_CONTENT = (Contact, Channel, QuestionSet, Assistant, Collection, ModelProvider)
_AT_ONCE = 500


async def leave(services: Services, principal: Principal, password: str) -> None:
    """Raises PasswordWrong, TooManyRequests, LastAdmin, and LastOwner where others would be left without an owner."""
    await check_own_password(services, principal.user_id, password, "password")
    async with services.database.system() as session:
        user = await session.get_one(User, principal.user_id)
        if user.role == "admin":
            await check_other_admin(session, user.id)
        mine = select(Membership.tenant_id, Membership.role).where(Membership.user_id == principal.user_id)
        for tenant_id, role in (await session.execute(mine)).all():
            await _leave_workspace(session, tenant_id, principal.user_id, is_owner=role == "owner")
        await _take_name_off(session, Invitation.email == user.email, ApiKey.created_by == principal.user_id)
        await _withdraw_letters(session, services.keys, user.email)
        await record(session, principal, "auth.erase", "user", principal.user_id)
        await session.execute(delete(User).where(User.id == principal.user_id))


async def _leave_workspace(session: AsyncSession, tenant_id: UUID, user_id: UUID, *, is_owner: bool) -> None:
    """Two owners who leave at once wait for one another here."""
    all_of_them = select(Membership.user_id, Membership.role).where(Membership.tenant_id == tenant_id)
    members = (await session.execute(all_of_them.order_by(Membership.user_id).with_for_update())).all()
    others = [role for member_id, role in members if member_id != user_id]
    if not others:
        await session.execute(update(Tenant).where(Tenant.id == tenant_id).values(status=CLOSED, name=CLOSED))
        await _take_name_off(session, Invitation.tenant_id == tenant_id, ApiKey.tenant_id == tenant_id)
        await jobs.enqueue(session, tenant_id, CLOSE, "", {})
        return
    if is_owner and "owner" not in others:
        raise LastOwner
    request = PrivacyRequest(tenant_id=tenant_id, id=new_id(), kind="erase", subject="user", subject_id=user_id)
    session.add(request)
    payload = {"request_id": str(request.id), "subject": "user", "subject_id": str(user_id)}
    await jobs.enqueue(session, tenant_id, ERASE, str(request.id), payload)


async def _take_name_off(session: AsyncSession, invited: ColumnElement[bool], made: ColumnElement[bool]) -> None:
    """Of invitations and keys, whose rows stay for the audit trail."""
    await session.execute(update(Invitation).where(invited).values(email="", revoked_at=_revoked(Invitation)))
    await session.execute(update(ApiKey).where(made).values(name="", revoked_at=_revoked(ApiKey)))


def _revoked(kind: type[Invitation | ApiKey]) -> ColumnElement[datetime]:
    return func.coalesce(kind.revoked_at, func.now())


async def _withdraw_letters(session: AsyncSession, keys: KeyRing, email: str) -> None:
    """That wait or were given up: they are sealed, so that each has to be opened."""
    letters = select(Job).where(Job.kind == "mail", Job.state != "doing")
    for job in await session.scalars(letters):
        with suppress(InvalidTag, KeyError):  # of a key that was dropped: nobody can read it
            if opened_letter(keys, job.tenant_id, job.payload).to.lower() == email:
                await session.delete(job)


async def close_workspace(services: Services, job: ClaimedJob) -> None:
    """The job: what a workspace had, files included; the books and the audit trail stay."""
    while True:
        async with services.database.tenant(job.tenant_id) as session:
            some = select(Conversation.id).where(Conversation.tenant_id == job.tenant_id).limit(_AT_ONCE)
            ids = list(await session.scalars(some))
            await forget(session, job.tenant_id, ids)
        if not ids:
            break
    await services.files.delete_tenant(job.tenant_id)
    async with services.database.tenant(job.tenant_id) as session:
        for kind in _CONTENT:
            await session.execute(delete(kind).where(kind.tenant_id == job.tenant_id))
        exports = (PrivacyRequest.tenant_id == job.tenant_id, PrivacyRequest.kind == "export")
        await session.execute(update(PrivacyRequest).where(*exports).values(file_key=None, finished_at=func.now()))
        await session.execute(delete(Job).where(Job.tenant_id == job.tenant_id, Job.state != "doing"))
        await jobs.remove(session, job)
