"""Following the link of an invitation: as somebody new, with an account, or while signed in."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import (
    Name,
    OpenedSession,
    SignIn,
    Token,
    add_user,
    join_and_sign_in,
    new_user,
    prove_password,
    prove_rest,
)
from asissto.platform.attempts import knock, network_of
from asissto.platform.authentication import Principal
from asissto.platform.credentials import Visitor, token_sha
from asissto.platform.errors import Conflict, InvitationForAnother, LinkSpent, NotFound, RegistrationClosed
from asissto.platform.passwords import Password
from asissto.platform.people_tables import Invitation
from asissto.platform.permissions import Role, holders
from asissto.platform.plan_limits import check_room
from asissto.platform.second_factor import Code
from asissto.platform.services import Services
from asissto.platform.tables import Membership, Tenant, User
from asissto.platform.texts import Language, Phrase


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token: Token


class Joining(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who is signed in; with `cookies` the browser goes over to the workspace."""

    token: Token
    cookies: bool = False


class NewPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The address is that of the invitation."""

    token: Token
    name: Name
    password: Password
    language: Language = "en"
    cookies: bool = False


class KnownPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token: Token
    password: Password
    code: Code | None = None
    cookies: bool = False


class InvitedTo(msgspec.Struct, frozen=True, kw_only=True):
    workspace: str
    email: str
    role: Role
    expires_at: datetime


class _Open(msgspec.Struct, frozen=True):
    tenant_id: UUID
    email: str
    role: Role
    mailed: bool


async def show_invitation(services: Services, token: str, visitor: Visitor) -> InvitedTo:
    """To whoever has the link; raises LinkSpent, TooManyRequests."""
    await knock(services, ("link", network_of(visitor.ip)))
    found = select(Tenant.name, Invitation.email, Invitation.role, Invitation.expires_at)
    found = found.join(Tenant, Tenant.id == Invitation.tenant_id).where(*_followed(token))
    async with services.database.system() as session:
        row = (await session.execute(found)).one_or_none()
    if row is None:
        raise LinkSpent
    return msgspec.convert(
        {"workspace": row.name, "email": row.email, "role": row.role, "expires_at": row.expires_at}, InvitedTo
    )


async def join_as_new(services: Services, what: NewPerson, visitor: Visitor) -> OpenedSession:
    """Raises LinkSpent, RegistrationClosed, WeakPassword, EmailTaken, PlanLimit, TooManyRequests."""
    if services.settings.registration == "closed":
        raise RegistrationClosed
    await knock(services, ("register", network_of(visitor.ip)))
    invited = await show_invitation(services, what.token, visitor)
    person = await new_user(what.name, invited.email, what.password, what.language)
    async with services.database.system() as session:
        invitation = await _accept(session, what.token)
        await add_user(session, person)
        return await _join(services, session, person, invitation, visitor)


async def join_as_known(services: Services, what: KnownPerson, visitor: Visitor) -> OpenedSession:
    """Raises LinkSpent, Conflict for a member, PlanLimit, and what signing in does."""
    invited = await show_invitation(services, what.token, visitor)
    signing_in = SignIn(email=invited.email, password=what.password, code=what.code)
    user_id = await prove_password(services, signing_in.email, signing_in.password, visitor)
    async with services.database.system() as session:
        await prove_rest(session, services, user_id, signing_in, visitor)
        invitation = await _accept(session, what.token)
        return await _join(services, session, await session.get_one(User, user_id), invitation, visitor)


async def join_signed_in(services: Services, principal: Principal, token: str, visitor: Visitor) -> OpenedSession:
    """Raises NotFound for a link that is spent, InvitationForAnother, Conflict for a member, PlanLimit."""
    async with services.database.system() as session:
        person = await session.get_one(User, principal.user_id)
        try:
            invitation = await _accept(session, token)
        except LinkSpent:
            raise NotFound(kind="invitation") from None
        if invitation.email != person.email:
            raise InvitationForAnother
        return await _join(services, session, person, invitation, visitor)


async def _accept(session: AsyncSession, token: str) -> _Open:
    """Of two who follow the link at once the first joins; raises LinkSpent."""
    accepted = (
        update(Invitation)
        .where(*_followed(token))
        .values(accepted_at=func.now())
        .returning(Invitation.tenant_id, Invitation.email, Invitation.role, Invitation.mailed)
    )
    row = (await session.execute(accepted)).one_or_none()
    if row is None:
        raise LinkSpent
    return msgspec.convert(row._asdict(), _Open)


async def _join(
    services: Services, session: AsyncSession, person: User, invitation: _Open, visitor: Visitor
) -> OpenedSession:
    """The link came to the address, so whoever follows it reads its mail.

    Raises PlanLimit where the seat that was kept is gone: the plan has become a smaller one.
    """
    if await session.get(Membership, (invitation.tenant_id, person.id)) is not None:
        raise Conflict(field="token", detail=Phrase("conflict.member"))
    if invitation.mailed and person.confirmed_at is None:
        person.confirmed_at = datetime.now(UTC)
    joins = (invitation.tenant_id, invitation.role)
    opened = await join_and_sign_in(session, person, joins, "invitations.accept", visitor)
    await check_room(session, services.settings, invitation.tenant_id, "members")
    return opened


def _followed(token: str) -> tuple[ColumnElement[bool], ...]:
    """An open invitation of a workspace that is in use, by somebody who could still make it."""
    inviter = select(Membership.user_id).where(
        Membership.tenant_id == Invitation.tenant_id,
        Membership.user_id == Invitation.invited_by,
        Membership.role.in_(holders("invitations.write")),
    )
    in_use = select(Tenant.id).where(Tenant.id == Invitation.tenant_id, Tenant.status == "active")
    return (
        Invitation.token_sha == token_sha(token),
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
        Invitation.expires_at > func.now(),
        inviter.correlate(Invitation).exists(),
        in_use.correlate(Invitation).exists(),
    )
