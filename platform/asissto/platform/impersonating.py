"""Signing in as a tenant, for support: with a reason, for a short time, and with both names in the audit log."""

from datetime import datetime, timedelta
from typing import Annotated, cast
from uuid import UUID

import msgspec
from msgspec import Meta, structs
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.credentials import Claims, close_session, open_acting_session, sign_access_token
from asissto.platform.database import Database
from asissto.platform.errors import NoOwner, NotFound, TenantSuspended
from asissto.platform.keys import KeyRing
from asissto.platform.permissions import Role
from asissto.platform.platform_tenants import Reason, find_tenant
from asissto.platform.tables import Membership, RefreshToken, User


class ImpersonationIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`reason` is what the owner reads in the audit log."""

    reason: Reason
    minutes: Annotated[int, Meta(ge=5, le=60)] = 30


class Impersonation(msgspec.Struct, frozen=True, kw_only=True):
    """`access_token` works until `expires_in` seconds have passed or the session is ended; it cannot be refreshed."""

    session_id: UUID
    tenant_id: UUID
    user_id: UUID
    role: Role
    expires_in: int
    access_token: str


class ImpersonatedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, and until when: for the banner that every page shows meanwhile."""

    user_id: UUID
    name: str
    until: datetime


class ActingOut(msgspec.Struct, frozen=True, kw_only=True):
    """A session in which somebody acts as a tenant at this moment."""

    session_id: UUID
    tenant_id: UUID
    user_id: UUID
    impersonator_id: UUID
    begun_at: datetime
    until: datetime


async def begin(
    session: AsyncSession, keys: KeyRing, principal: Principal, tenant_id: UUID, what: ImpersonationIn
) -> Impersonation:
    """In the place of the oldest owner; raises NotFound, TenantSuspended and NoOwner."""
    tenant = await find_tenant(session, principal, tenant_id)
    if tenant.status != "active":
        raise TenantSuspended
    owner_id = await _oldest_owner(session, tenant_id)
    life = timedelta(minutes=what.minutes)
    session_id = await open_acting_session(session, owner_id, tenant_id, principal.user_id, life)
    actor = structs.replace(principal.within(tenant_id), user_id=owner_id, impersonator_id=principal.user_id)
    about = {"session_id": session_id, "reason": what.reason, "minutes": what.minutes}
    await record(session, actor, "impersonations.begin", "user", owner_id, **about)
    claims = Claims(sub=owner_id, tid=tenant_id, role="owner", sid=session_id)
    return Impersonation(
        session_id=session_id,
        tenant_id=tenant_id,
        user_id=owner_id,
        role="owner",
        expires_in=int(life.total_seconds()),
        access_token=sign_access_token(keys, claims, life),
    )


async def end(session: AsyncSession, principal: Principal, session_id: UUID) -> None:
    """By who began it, or by any administrator; a session that is over is not found. Raises NotFound."""
    acting = await session.get(RefreshToken, session_id, with_for_update=True)
    if acting is None or not _is_running(acting) or not _may_end(principal, acting):
        raise NotFound(kind="impersonation")
    await close_session(session, session_id)
    actor = structs.replace(principal.within(acting.tenant_id), impersonator_id=acting.impersonator_id)
    ended = structs.replace(actor, user_id=acting.user_id)
    by = {} if acting.impersonator_id == principal.user_id else {"ended_by": principal.user_id}
    await record(session, ended, "impersonations.end", "user", acting.user_id, session_id=session_id, **by)


async def running(session: AsyncSession, principal: Principal) -> list[ActingOut]:
    """An administrator sees all of them, a manager their own."""
    found = select(RefreshToken).where(
        RefreshToken.impersonator_id.is_not(None),
        RefreshToken.revoked_at.is_(None),
        RefreshToken.expires_at > func.now(),
    )
    if principal.platform_role != "admin":
        found = found.where(RefreshToken.impersonator_id == principal.user_id)
    return [_show(acting) for acting in await session.scalars(found.order_by(RefreshToken.id).limit(200))]


async def impersonated_by(database: Database, principal: Principal) -> ImpersonatedBy | None:
    """None for who has signed in themselves."""
    if principal.impersonator_id is None:
        return None
    acting = select(User.id, User.name, RefreshToken.expires_at).join(User, User.id == RefreshToken.impersonator_id)
    async with database.system() as session:
        row = (await session.execute(acting.where(RefreshToken.id == principal.session_id))).one()
    return ImpersonatedBy(user_id=row.id, name=row.name, until=row.expires_at)


async def _oldest_owner(session: AsyncSession, tenant_id: UUID) -> UUID:
    owners = select(Membership.user_id).join(User, User.id == Membership.user_id)
    owners = owners.where(Membership.tenant_id == tenant_id, Membership.role == "owner", User.status == "active")
    owner_id = await session.scalar(owners.order_by(Membership.created_at, Membership.user_id).limit(1))
    if owner_id is None:
        raise NoOwner
    return owner_id


def _is_running(acting: RefreshToken) -> bool:
    is_over = acting.revoked_at is not None or acting.expires_at <= datetime.now(acting.expires_at.tzinfo)
    return acting.impersonator_id is not None and not is_over


def _may_end(principal: Principal, acting: RefreshToken) -> bool:
    return principal.platform_role == "admin" or acting.impersonator_id == principal.user_id


def _show(acting: RefreshToken) -> ActingOut:
    return ActingOut(
        session_id=acting.id,
        tenant_id=acting.tenant_id,
        user_id=acting.user_id,
        impersonator_id=cast("UUID", acting.impersonator_id),
        begun_at=acting.created_at,
        until=acting.expires_at,
    )
