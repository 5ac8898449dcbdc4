"""The tenants of the platform, for those who run it: administrators see all, managers the ones assigned to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, structs
from sqlalchemy import Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import Email, Name, TenantHooks, create_tenant, normal_email
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import InvalidInput, NotFound
from asissto.platform.jobs import CHANNEL
from asissto.platform.notices import notify
from asissto.platform.paging import Page, page
from asissto.platform.tables import Job, Membership, Tenant, TenantManager, User
from asissto.platform.texts import Language, Phrase

Reason = Annotated[str, Meta(min_length=10, max_length=1000)]
MOST_MANAGERS = 50


class TenantIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`owner_email` is that of a person who has registered; they become the first owner."""

    name: Name
    owner_email: Email
    language: Language = "en"


class SuspendIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`reason` is kept with the tenant and in its audit log."""

    reason: Reason


class ManagersIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All managers of the tenant from now on."""

    user_ids: Annotated[list[UUID], Meta(max_length=MOST_MANAGERS)]


class PersonOut(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    name: str
    email: str


class StaffOut(PersonOut, frozen=True, kw_only=True):
    role: str


class PlatformTenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """`balance` is in minor units of `currency`."""

    id: UUID
    number: int
    name: str
    status: str
    suspended_reason: str | None
    language: str
    plan: str
    balance: int
    currency: str
    created_at: datetime


class PlatformTenantDetails(PlatformTenantOut, frozen=True, kw_only=True):
    members: list[StaffOut]
    managers: list[PersonOut]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of tenants is narrowed to; `name` is a part of it, in whatever case."""

    status: str | None = None
    name: str | None = None


async def list_tenants(
    session: AsyncSession, principal: Principal, wanted: Wanted, limit: int, after: str | None
) -> Page[PlatformTenantOut]:
    """Oldest first."""
    found = _seen_by(principal)
    if wanted.status is not None:
        found = found.where(Tenant.status == wanted.status)
    if wanted.name is not None:
        found = found.where(Tenant.name.icontains(wanted.name, autoescape=True))
    return (await page(session, found, Tenant.id, limit, after)).map(show_tenant)


async def read_tenant(session: AsyncSession, principal: Principal, tenant_id: UUID) -> PlatformTenantDetails:
    """With who is in it and who looks after it; raises NotFound."""
    tenant = await find_tenant(session, principal, tenant_id)
    joined = select(User, Membership.role).join(Membership, Membership.user_id == User.id)
    members = await session.execute(joined.where(Membership.tenant_id == tenant_id).order_by(Membership.created_at))
    looking_after = select(User).join(TenantManager, TenantManager.user_id == User.id)
    managers = await session.scalars(looking_after.where(TenantManager.tenant_id == tenant_id).order_by(User.id))
    return PlatformTenantDetails(
        **structs.asdict(show_tenant(tenant)),
        members=[StaffOut(user_id=user.id, name=user.name, email=user.email, role=role) for user, role in members],
        managers=[PersonOut(user_id=user.id, name=user.name, email=user.email) for user in managers],
    )


async def create(session: AsyncSession, principal: Principal, what: TenantIn, hooks: TenantHooks) -> Tenant:
    """Raises InvalidInput, and NotFound for an owner who has not registered."""
    owner_id = await session.scalar(select(User.id).where(User.email == normal_email(what.owner_email)))
    if owner_id is None:
        raise NotFound(kind="user")
    tenant_id = await create_tenant(session, what.name, what.language, hooks)
    session.add(Membership(tenant_id=tenant_id, user_id=owner_id, role="owner"))
    await record(session, principal.within(tenant_id), "platform.tenants.create", "tenant", tenant_id, owner=owner_id)
    return await session.get_one(Tenant, tenant_id, populate_existing=True)


async def suspend(session: AsyncSession, principal: Principal, tenant_id: UUID, reason: str) -> Tenant:
    """Nobody gets in and nothing is answered from now on; what customers write is kept until the tenant goes on."""
    return await _set_status(session, principal, tenant_id, "suspended", reason)


async def resume(session: AsyncSession, principal: Principal, tenant_id: UUID) -> Tenant:
    """What has waited is done now."""
    tenant = await _set_status(session, principal, tenant_id, "active", None)
    waiting = select(Job.kind).where(Job.tenant_id == tenant_id, Job.state == "todo").distinct()
    for kind in await session.scalars(waiting):
        notify(session, CHANNEL, f"{kind} 0.0")
    return tenant


async def assign_managers(
    session: AsyncSession, principal: Principal, tenant_id: UUID, user_ids: Sequence[UUID]
) -> None:
    """Raises NotFound for a tenant or a person, and InvalidInput for somebody who is no manager."""
    await find_tenant(session, principal, tenant_id)
    for user_id in dict.fromkeys(user_ids):
        user = await session.get(User, user_id)
        if user is None:
            raise NotFound(kind="user")
        if user.role != "manager":
            raise InvalidInput(field="user_ids", detail=Phrase("invalid.no_manager"))
    await session.execute(delete(TenantManager).where(TenantManager.tenant_id == tenant_id))
    session.add_all(TenantManager(tenant_id=tenant_id, user_id=user_id) for user_id in dict.fromkeys(user_ids))
    actor = principal.within(tenant_id)
    await record(session, actor, "platform.tenants.managers", "tenant", tenant_id, managers=sorted(set(user_ids)))


async def find_tenant(session: AsyncSession, principal: Principal, tenant_id: UUID) -> Tenant:
    """Raises NotFound, also for a manager whom nobody has assigned to it."""
    tenant = await session.scalar(_seen_by(principal).where(Tenant.id == tenant_id))
    if tenant is None:
        raise NotFound(kind="tenant")
    return tenant


async def _set_status(
    session: AsyncSession, principal: Principal, tenant_id: UUID, status: str, reason: str | None
) -> Tenant:
    tenant = await find_tenant(session, principal, tenant_id)
    await session.execute(
        update(Tenant).where(Tenant.id == tenant_id).values(status=status, suspended_reason=reason),
        execution_options={"synchronize_session": False},
    )
    action = "platform.tenants.resume" if reason is None else "platform.tenants.suspend"
    changes = {"before": tenant.status, "after": status} | ({"reason": reason} if reason else {})
    await record(session, principal.within(tenant_id), action, "tenant", tenant_id, **changes)
    await session.refresh(tenant)
    return tenant


def _seen_by(principal: Principal) -> Select[Tenant]:
    if principal.platform_role == "admin":
        return select(Tenant)
    mine = select(TenantManager.tenant_id).where(TenantManager.user_id == principal.user_id)
    return select(Tenant).where(Tenant.id.in_(mine))


def show_tenant(tenant: Tenant) -> PlatformTenantOut:
    return PlatformTenantOut(**{field: getattr(tenant, field) for field in PlatformTenantOut.__struct_fields__})
