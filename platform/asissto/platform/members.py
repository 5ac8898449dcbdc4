"""A workspace and who is in it: joining, roles, leaving, and the people behind the members."""

from datetime import datetime
from typing import Annotated, Self, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import Email, Name, normal_email
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.errors import Conflict, Forbidden, LastOwner, NotFound
from asissto.platform.permissions import Role
from asissto.platform.plan_limits import check_room
from asissto.platform.services import Services
from asissto.platform.tables import Membership, Tenant, User
from asissto.platform.texts import Language, Phrase


class MemberIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`email` is that of a person who has registered."""

    email: Email
    role: Role


class MemberPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    role: Role


class UserPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    phone: Name | UnsetType | None = UNSET
    language: Language | UnsetType = UNSET


class TenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """`balance` is in minor units of `currency`."""

    id: UUID
    name: str
    status: str
    language: str
    timezone: str
    plan: str
    balance: int
    currency: str
    created_at: datetime

    @classmethod
    def of(cls, tenant: Tenant) -> Self:
        return cls(**{field: getattr(tenant, field) for field in cls.__struct_fields__})


class TenantPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`timezone` is a name of the IANA list, as Europe/Moscow: days and hours of the figures are told in it."""

    name: Name | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=60)] | UnsetType = UNSET


class MemberOut(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime

    @classmethod
    def of(cls, member: Membership, user: User) -> Self:
        return cls(
            user_id=user.id,
            name=user.name,
            email=user.email,
            role=cast("Role", member.role),
            joined_at=member.created_at,
        )


class UserOut(msgspec.Struct, frozen=True, kw_only=True):
    """`plan` and `balance` are those of the workspace, the balance in minor units of its currency."""

    id: UUID
    name: str
    email: str
    phone: str | None
    role: str
    status: str
    language: str
    plan: str
    balance: int
    referrer_id: UUID | None
    manager_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, user: User, tenant: Tenant) -> Self:
        own = {field: getattr(user, field) for field in cls.__struct_fields__ if field not in ("plan", "balance")}
        return cls(plan=tenant.plan, balance=tenant.balance, **own)


async def add_member(services: Services, session: AsyncSession, principal: Principal, what: MemberIn) -> MemberOut:
    """Raises NotFound for somebody who has not registered, Conflict for a member, and PlanLimit.

    Where the server sends mail, the address has to be proven: else a stranger could wait under somebody's name.
    """
    async with services.database.system() as whole_platform:
        known = select(User).where(User.email == normal_email(what.email))
        user = await whole_platform.scalar(known)
    if user is None or (services.settings.has_mail and user.confirmed_at is None):
        raise NotFound(kind="user")
    key = (principal.tenant_id, user.id)
    if await session.get(Membership, key) is not None:
        raise Conflict(field="email", detail=Phrase("conflict.member"))
    member = Membership(tenant_id=principal.tenant_id, user_id=user.id, role=what.role)
    session.add(member)
    await check_room(session, services.settings, principal.tenant_id, "seats")
    await record(session, principal, "members.add", "member", user.id, role=what.role)
    await session.flush()
    await session.refresh(member)
    return MemberOut.of(member, user)


async def change_role(session: AsyncSession, principal: Principal, user_id: UUID, role: Role) -> MemberOut:
    """Raises NotFound and LastOwner."""
    member = await _find_member(session, principal, user_id)
    if member.role == "owner" and role != "owner":
        await _check_other_owner(session, principal, user_id)
    member.role = role
    await record(session, principal, "members.update", "member", user_id, role=role)
    return MemberOut.of(member, await find_user(session, user_id))


async def remove_member(session: AsyncSession, principal: Principal, user_id: UUID) -> None:
    """The person is out at once, with every session they have here; raises NotFound and LastOwner."""
    member = await _find_member(session, principal, user_id)
    if member.role == "owner":
        await _check_other_owner(session, principal, user_id)
    await session.delete(member)
    await record(session, principal, "members.remove", "member", user_id)


async def change_user(session: AsyncSession, principal: Principal, user_id: UUID, what: UserPatch) -> User:
    """Everybody changes their own account; raises NotFound, and Forbidden for somebody else's."""
    user = await find_user(session, user_id)
    if user.id != principal.user_id:
        raise Forbidden
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    for name, value in changes.items():
        setattr(user, name, value)
    await record(session, principal, "users.update", "user", user_id, fields=sorted(changes))
    return user


async def find_user(session: AsyncSession, user_id: UUID) -> User:
    """Row-level security leaves only the members of the session's tenant to be found."""
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound(kind="user")
    return user


async def _find_member(session: AsyncSession, principal: Principal, user_id: UUID) -> Membership:
    member = await session.get(Membership, (principal.tenant_id, user_id))
    if member is None:
        raise NotFound(kind="member")
    return member


async def _check_other_owner(session: AsyncSession, principal: Principal, user_id: UUID) -> None:
    """Two owners who demote each other at once wait for one another here."""
    owners = select(Membership.user_id).where(Membership.tenant_id == principal.tenant_id, Membership.role == "owner")
    held = await session.scalars(owners.order_by(Membership.user_id).with_for_update())
    if set(held) <= {user_id}:
        raise LastOwner
