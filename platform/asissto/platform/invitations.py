"""Asking somebody into a workspace: by a link to their address, for 72 hours, with the role that they will have."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import Email, normal_email
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.counting import count
from asissto.platform.credentials import new_token, token_sha
from asissto.platform.errors import Conflict, EmailUnconfirmed, NotFound, TooManyRequests
from asissto.platform.links import link_address
from asissto.platform.mail import Letter, mail_later
from asissto.platform.paging import Page, newest_first
from asissto.platform.people_tables import Invitation
from asissto.platform.permissions import Role
from asissto.platform.plan_limits import check_room
from asissto.platform.services import Services
from asissto.platform.tables import Tenant, User, new_id
from asissto.platform.texts import Phrase, known_language, text

LIFE = timedelta(hours=72)
MOST_A_DAY = 200
"""Of one workspace, so that nobody sends advertisements in our name."""

State = Literal["open", "accepted", "revoked", "expired"]


class InvitationIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    email: Email
    role: Role


class InvitationOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    email: str
    role: Role
    state: State
    invited_by: UUID
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: Invitation) -> Self:
        return cls(**_fields(row))


class InvitationMade(InvitationOut, frozen=True, kw_only=True):
    """`link` is for passing on where the server sends no mail, and shown this once."""

    link: str | None


async def invite(session: AsyncSession, services: Services, principal: Principal, what: InvitationIn) -> InvitationMade:
    """Takes the place of an open invitation of the same address.

    Raises InvalidInput, Conflict for a member, EmailUnconfirmed for a member who has not proven their own address,
    TooManyRequests and PlanLimit.
    """
    email = normal_email(what.email)
    inviter = await session.get_one(User, principal.user_id)
    if services.settings.has_mail and inviter.confirmed_at is None:
        raise EmailUnconfirmed
    # Row-level security leaves only members to be found.
    if await session.scalar(select(User.id).where(User.email == email)) is not None:
        raise Conflict(field="email", detail=Phrase("conflict.member"))
    if await count(session, principal.tenant_id, "invitations", "day") > MOST_A_DAY:
        raise TooManyRequests(seconds=_seconds_of_today())
    mine = (Invitation.tenant_id == principal.tenant_id, Invitation.email == email, *_is_open())
    await session.execute(update(Invitation).where(*mine).values(revoked_at=func.now()))
    token = new_token()
    row = Invitation(
        tenant_id=principal.tenant_id,
        id=new_id(),
        email=email,
        role=what.role,
        token_sha=token_sha(token),
        mailed=services.settings.has_mail,
        invited_by=principal.user_id,
        created_at=datetime.now(UTC),
        expires_at=datetime.now(UTC) + LIFE,
    )
    session.add(row)
    await check_room(session, services.settings, principal.tenant_id, "seats")
    await record(session, principal, "invitations.create", "invitation", row.id, role=what.role)
    link = link_address(services.settings, "invitation", token)
    if row.mailed:
        await _mail(session, services, row, inviter, link)
    return InvitationMade(**_fields(row), link=None if row.mailed else link)


async def list_invitations(
    session: AsyncSession, tenant_id: UUID, limit: int, after: str | None
) -> Page[InvitationOut]:
    """All that were ever made, newest first."""
    mine = select(Invitation).where(Invitation.tenant_id == tenant_id)
    return (await newest_first(session, mine, Invitation.id, limit, after)).map(InvitationOut.of)


async def revoke_invitation(session: AsyncSession, principal: Principal, invitation_id: UUID) -> None:
    """Its link is worth nothing from now on; raises NotFound for one that is not open."""
    mine = (Invitation.tenant_id == principal.tenant_id, Invitation.id == invitation_id, *_is_open())
    revoked = update(Invitation).where(*mine).values(revoked_at=func.now()).returning(Invitation.id)
    if await session.scalar(revoked) is None:
        raise NotFound(kind="invitation")
    await record(session, principal, "invitations.revoke", "invitation", invitation_id)


async def _mail(session: AsyncSession, services: Services, row: Invitation, inviter: User, link: str) -> None:
    """In the language of the workspace, for nobody knows that of the person."""
    tenant = await session.get_one(Tenant, row.tenant_id)
    language = known_language(tenant.language)
    words = {"inviter": inviter.name, "workspace": tenant.name}
    subject = text("mail.invitation.subject", language, **words)
    body = text("mail.invitation.text", language, **words, link=link)
    await mail_later(session, services, row.tenant_id, Letter(row.email, subject, body, row.expires_at))


def _is_open() -> tuple[ColumnElement[bool], ...]:
    return Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > func.now()


def _fields(row: Invitation) -> dict[str, Any]:
    names = (name for name in InvitationOut.__struct_fields__ if name != "state")
    return {name: getattr(row, name) for name in names} | {"state": _state(row)}


def _state(row: Invitation) -> State:
    if row.accepted_at is not None:
        return "accepted"
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at <= datetime.now(UTC) else "open"


def _seconds_of_today() -> int:
    now = datetime.now(UTC)
    return int((now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - now).total_seconds()) + 1
