"""The people of the platform: who they are, what they may do on it, and who is shut out."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import normal_email
from asissto.platform.audit import Actor, record
from asissto.platform.errors import LastAdmin, NotFound
from asissto.platform.paging import Page, page
from asissto.platform.permissions import PlatformRole
from asissto.platform.tables import Membership, Tenant, TenantManager, User


class PlatformUserPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    role: PlatformRole | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET


class PlatformUserOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    email: str
    role: str
    status: str
    language: str
    created_at: datetime


class JoinedOut(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    name: str
    role: str


class PlatformUserDetails(PlatformUserOut, frozen=True, kw_only=True):
    """`manages` are the ids of the tenants that a manager looks after."""

    workspaces: list[JoinedOut]
    manages: list[UUID]


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of people is narrowed to; `text` is a part of a name or an address, in whatever case."""

    role: PlatformRole | None = None
    status: str | None = None
    text: str | None = None


async def list_users(session: AsyncSession, sought: Sought, limit: int, after: str | None) -> Page[PlatformUserOut]:
    """Oldest first."""
    found = select(User)
    if sought.role is not None:
        found = found.where(User.role == sought.role)
    if sought.status is not None:
        found = found.where(User.status == sought.status)
    if sought.text is not None:
        parts = (column.icontains(sought.text, autoescape=True) for column in (User.name, User.email))
        found = found.where(or_(*parts))
    return (await page(session, found, User.id, limit, after)).map(show_user)


async def read_user(session: AsyncSession, user_id: UUID) -> PlatformUserDetails:
    """With the workspaces that they are in; raises NotFound."""
    user = await _find(session, user_id)
    joined = select(Tenant, Membership.role).join(Membership, Membership.tenant_id == Tenant.id)
    workspaces = await session.execute(joined.where(Membership.user_id == user_id).order_by(Membership.created_at))
    manages = await session.scalars(select(TenantManager.tenant_id).where(TenantManager.user_id == user_id))
    return PlatformUserDetails(
        **msgspec.structs.asdict(show_user(user)),
        workspaces=[JoinedOut(tenant_id=tenant.id, name=tenant.name, role=role) for tenant, role in workspaces],
        manages=sorted(manages),
    )


async def change_user(session: AsyncSession, actor: Actor, user_id: UUID, what: PlatformUserPatch) -> User:
    """Counts from their next request on; raises NotFound, and LastAdmin for the one who cannot be spared."""
    user = await _find(session, user_id)
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    before = {name: getattr(user, name) for name in changes}
    stays = changes.get("role", user.role) == "admin" and changes.get("status", user.status) == "active"
    if user.role == "admin" and user.status == "active" and not stays:
        await check_other_admin(session, user_id)
    for name, value in changes.items():
        setattr(user, name, value)
    if user.role != "manager":
        await session.execute(delete(TenantManager).where(TenantManager.user_id == user_id))
    await record(session, actor, "platform.users.update", "user", user_id, before=before, after=changes)
    return user


async def grant_role(session: AsyncSession, email: str, role: PlatformRole) -> User:
    """By whoever has the command line; the row of the audit log lies in the first workspace of the person.

    Raises InvalidInput, NotFound and LastAdmin.
    """
    first = select(User.id, Membership.tenant_id).join(Membership, Membership.user_id == User.id)
    first = first.where(User.email == normal_email(email)).order_by(Membership.created_at).limit(1)
    found = (await session.execute(first)).one_or_none()
    if found is None:
        raise NotFound(kind="user")
    actor = Actor(tenant_id=found.tenant_id, kind="command line")
    return await change_user(session, actor, found.id, PlatformUserPatch(role=role))


def show_user(user: User) -> PlatformUserOut:
    return PlatformUserOut(**{field: getattr(user, field) for field in PlatformUserOut.__struct_fields__})


async def _find(session: AsyncSession, user_id: UUID) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound(kind="user")
    return user


async def check_other_admin(session: AsyncSession, user_id: UUID) -> None:
    """Raises LastAdmin; two administrators who dismiss each other at once wait for one another here."""
    admins = select(User.id).where(User.role == "admin", User.status == "active").order_by(User.id)
    if set(await session.scalars(admins.with_for_update())) <= {user_id}:
        raise LastAdmin
