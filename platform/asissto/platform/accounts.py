"""People and their workspaces: register, sign in, stay signed in, sign out, follow the first administrator's link."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import Row, Select, and_, bindparam, func, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.attempts import forgive, knock, network_of, take_back
from asissto.platform.audit import Actor, record
from asissto.platform.credentials import Grant, Visitor, close_session, open_session, rotate
from asissto.platform.errors import (
    EmailTaken,
    Forbidden,
    InvalidInput,
    LinkSpent,
    RegistrationClosed,
    SignInFailed,
    TenantSuspended,
    TokenInvalid,
    TokenReused,
)
from asissto.platform.links import make_link, spend_link
from asissto.platform.mailed_links import mail_link
from asissto.platform.passwords import (
    NOBODYS,
    Password,
    check_strength,
    hash_password,
    is_outdated,
    verify_password,
)
from asissto.platform.permissions import Role
from asissto.platform.referring import note_referral
from asissto.platform.second_factor import Code, How, prove
from asissto.platform.services import Services
from asissto.platform.tables import Membership, Tenant, User, new_id
from asissto.platform.texts import Language, Phrase

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Email = Annotated[str, Meta(max_length=254)]
Token = Annotated[str, Meta(max_length=200)]
TenantHooks = Sequence[Callable[[AsyncSession, UUID, str], Awaitable[None]]]
"""What the components do for a new tenant, in its transaction: its knowledge base, its first assistant, its channel."""

_CHAR = r"[^@\s\x00-\x1f\x7f]"
_NOBODY = UUID(int=0)
_EMAIL = re.compile(rf"{_CHAR}+@(?:(?!\.){_CHAR})+(?:\.(?:(?!\.){_CHAR})+)+")


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`referral_code` is that of the partner whose link was followed at `referral_clicked_at`, else typed just now.

    A code that brings nobody hinders nobody either.
    """

    name: Name
    email: Email
    password: Password
    workspace: Name | None = None
    language: Language = "en"
    cookies: bool = False
    referral_code: Annotated[str, Meta(max_length=100)] | None = None
    referral_clicked_at: Annotated[datetime, Meta(tz=True)] | None = None


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token: Token
    name: Name
    email: Email
    password: Password
    cookies: bool = False


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `tenant_id` it is the workspace that the person joined first; `code` is that of the second factor."""

    email: Email
    password: Password
    code: Code | None = None
    tenant_id: UUID | None = None
    cookies: bool = False


class OpenedSession(msgspec.Struct, frozen=True):
    grant: Grant
    role: Role


async def register(services: Services, what: Registration, hooks: TenantHooks, visitor: Visitor) -> OpenedSession:
    """A new person with a new workspace; raises RegistrationClosed, TooManyRequests, and what `new_user` does."""
    if services.settings.registration != "open":
        raise RegistrationClosed
    await knock(services, ("register", network_of(visitor.ip)))
    person = await new_user(what.name, what.email, what.password, what.language)
    async with services.database.system() as session:
        await add_user(session, person)
        tenant_id = await create_tenant(session, what.workspace or what.name, what.language, hooks)
        if what.referral_code:
            await note_referral(session, person, tenant_id, what.referral_code, what.referral_clicked_at)
        if services.settings.has_mail:
            await mail_link(session, services, person, tenant_id, "confirm")
        return await join_and_sign_in(session, person, (tenant_id, "owner"), "auth.register", visitor)


async def set_up(services: Services, what: Setup, visitor: Visitor) -> OpenedSession:
    """The first administrator, who follows the link; raises LinkSpent, InvalidInput, WeakPassword, EmailTaken."""
    person = await new_user(what.name, what.email, what.password, services.settings.language, role="admin")
    async with services.database.system() as session:
        link = await spend_link(session, what.token, "admin")
        if link.tenant_id is None:
            raise LinkSpent
        await add_user(session, person)
        return await join_and_sign_in(session, person, (link.tenant_id, "owner"), "auth.setup", visitor)


async def sign_in(services: Services, what: SignIn, visitor: Visitor) -> OpenedSession:
    """Raises what `prove_password` and `prove_rest` do, TenantSuspended, and Forbidden for strangers."""
    user_id = await prove_password(services, what.email, what.password, visitor)
    async with services.database.system() as session:
        factor = await prove_rest(session, services, user_id, what, visitor)
        joined = await _membership(session, user_id, what.tenant_id)
        if joined is None:
            raise Forbidden
        grant = await open_session(session, user_id, joined.tenant_id, visitor)
        await _record(session, grant, "auth.sign_in", visitor, **factor)
        return OpenedSession(grant, cast("Role", joined.role))


async def prove_password(services: Services, email: str, password: str, visitor: Visitor) -> UUID:
    """Raises SignInFailed, and TooManyRequests after many failures."""
    await knock(services, ("address", network_of(visitor.ip)), ("login", email.lower()))
    async with services.database.system() as session:
        user_id, stored = (await session.execute(_SOMEBODY, {"email": email.lower()})).one()
    if not await verify_password(password, stored) or user_id == _NOBODY:
        raise SignInFailed
    if is_outdated(stored):
        fresh_hash = await hash_password(password)
        async with services.database.system() as session:
            (await session.get_one(User, user_id)).password_hash = fresh_hash
    return user_id


def _somebody() -> Select[UUID, str]:
    """Id and hash of an active person, or of nobody in a row that looks alike, so that reading it takes as long."""
    always = select(literal(1).label("row")).subquery()
    known = and_(User.email == bindparam("email"), User.status == "active")
    found = func.coalesce(User.id, _NOBODY), func.coalesce(User.password_hash, NOBODYS)
    return select(*found).select_from(always.outerjoin(User, known))


_SOMEBODY = _somebody()


async def prove_rest(
    session: AsyncSession, services: Services, user_id: UUID, what: SignIn, visitor: Visitor
) -> dict[str, How]:
    """How the second factor was proven, where there is one, for the trail; whoever comes in was no guesser.

    Raises SecondFactorRequired, SecondFactorWrong.
    """
    factor = await prove(session, services.keys, user_id, what.code)
    await forgive(session, services.keys, "login", what.email.lower())
    await take_back(session, services.keys, "address", network_of(visitor.ip))
    return {} if factor is None else {"second_factor": factor}


async def refresh(services: Services, token: str, visitor: Visitor) -> OpenedSession:
    """Raises TokenInvalid, TokenExpired, and TokenReused when the session was closed because of it."""
    async with services.database.system() as session:
        grant = await rotate(session, token, visitor)
        joined = None if grant is None else await _membership(session, grant.user_id, grant.tenant_id)
    if grant is None:
        raise TokenReused
    if joined is None:
        raise TokenInvalid
    return OpenedSession(grant, cast("Role", joined.role))


async def sign_out(services: Services, actor: Actor, session_id: UUID) -> None:
    """Closes the session: its refresh tokens and its access token are worth nothing from now on."""
    async with services.database.system() as session:
        await close_session(session, session_id)
        action = "auth.sign_out" if actor.impersonator_id is None else "impersonations.end"
        await record(session, actor, action, "user", actor.user_id)


async def create_tenant(session: AsyncSession, name: str, language: str, hooks: TenantHooks) -> UUID:
    """In a system transaction; every component prepares its part."""
    tenant = Tenant(id=new_id(), name=name, language=language)
    session.add(tenant)
    await session.flush()
    for prepare in hooks:
        await prepare(session, tenant.id, language)
    return tenant.id


async def make_admin_link(session: AsyncSession, tenant_id: UUID) -> str:
    """The token that belongs behind `/setup#token=`; it works once, for 72 hours."""
    return await make_link(session, "admin", tenant_id=tenant_id)


def normal_email(email: str) -> str:
    """In lower case; raises InvalidInput."""
    if not _EMAIL.fullmatch(email):
        raise InvalidInput(field="email", detail=Phrase("invalid.email"))
    return email.lower()


async def new_user(name: str, email: str, password: str, language: Language, role: str = "user") -> User:
    """Raises InvalidInput and WeakPassword."""
    email = normal_email(email)
    check_strength(password)
    hashed = await hash_password(password)
    return User(id=new_id(), name=name, email=email, password_hash=hashed, language=language, role=role)


async def add_user(session: AsyncSession, person: User) -> None:
    """Raises EmailTaken; the unique index decides between two who come at once with the same address."""
    session.add(person)
    try:
        await session.flush()
    except IntegrityError:
        raise EmailTaken(field="email") from None


async def join_and_sign_in(
    session: AsyncSession, person: User, joins: tuple[UUID, Role], action: str, visitor: Visitor
) -> OpenedSession:
    """The first session of a new member of a tenant, with a role in it."""
    tenant_id, role = joins
    session.add(Membership(tenant_id=tenant_id, user_id=person.id, role=role))
    grant = await open_session(session, person.id, tenant_id, visitor)
    await _record(session, grant, action, visitor)
    return OpenedSession(grant, role)


async def _membership(session: AsyncSession, user_id: UUID, tenant_id: UUID | None) -> Row[UUID, str, str] | None:
    """The workspace asked for, or the first that is not suspended; raises TenantSuspended."""
    found = (
        select(Membership.tenant_id, Membership.role, Tenant.status)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.user_id == user_id, User.status == "active")
        .order_by(Tenant.status != "active", Membership.created_at, Membership.tenant_id)
        .limit(1)
    )
    if tenant_id is not None:
        found = found.where(Membership.tenant_id == tenant_id)
    joined = (await session.execute(found)).one_or_none()
    if joined is not None and joined.status != "active":
        raise TenantSuspended
    return joined


async def _record(session: AsyncSession, grant: Grant, action: str, visitor: Visitor, **changes: str) -> None:
    actor = visitor.as_actor(grant.tenant_id, grant.user_id)
    await record(session, actor, action, "user", grant.user_id, **changes)
