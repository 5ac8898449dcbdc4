"""A forgotten password and an unproven address: the links that are mailed, and what following them does."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import Email, Token, normal_email
from asissto.platform.attempts import forgive, knock, network_of
from asissto.platform.audit import Actor, record
from asissto.platform.credentials import Visitor, close_sessions
from asissto.platform.errors import LinkSpent, MailMissing, NotFound
from asissto.platform.links import Purpose, end_links, link_address, make_link, spend_link
from asissto.platform.mailed_links import home_of, mail_link
from asissto.platform.passwords import Password, check_strength, hash_password
from asissto.platform.services import Services
from asissto.platform.tables import User


class ResetAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    email: Email


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token: Token
    password: Password


class Followed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token: Token


async def check_reset(services: Services, email: str, visitor: Visitor) -> None:
    """Whether a link may be asked for, which is the same for known and unknown addresses.

    Raises InvalidInput, MailMissing, TooManyRequests.
    """
    normal_email(email)
    if not services.settings.has_mail:
        raise MailMissing
    await knock(services, ("link", network_of(visitor.ip)), ("mail", email.lower()))


async def mail_reset(services: Services, email: str, visitor: Visitor) -> None:
    """Belongs behind the answer: whoever waits for it must not see by the time that there is such a person."""
    async with services.database.system() as session:
        known = select(User).where(User.email == email.lower(), User.status == "active")
        user = await session.scalar(known)
        home = None if user is None else await home_of(session, user.id)
        if user is None or home is None:
            return
        await mail_link(session, services, user, home, "reset")
        await record(session, visitor.as_actor(home, user.id), "auth.reset_ask", "user", user.id)


async def reset_password(services: Services, what: NewPassword, visitor: Visitor) -> None:
    """Every session ends, and a lock of the login opens; raises LinkSpent, WeakPassword, TooManyRequests."""
    check_strength(what.password)
    await knock(services, ("link", network_of(visitor.ip)))
    hashed = await hash_password(what.password)
    async with services.database.system() as session:
        user = await _follow(session, what.token, "reset")
        user.password_hash = hashed
        await close_sessions(session, user.id)
        await forgive(session, services.keys, "login", user.email)
        home = await home_of(session, user.id)
        if home is not None:
            await record(session, visitor.as_actor(home, user.id), "auth.reset", "user", user.id)


async def confirm_address(services: Services, what: Followed, visitor: Visitor) -> None:
    """Raises LinkSpent, TooManyRequests."""
    await knock(services, ("link", network_of(visitor.ip)))
    async with services.database.system() as session:
        user = await _follow(session, what.token, "confirm")
        home = await home_of(session, user.id)
        if home is not None:
            await record(session, visitor.as_actor(home, user.id), "auth.confirm", "user", user.id)


async def mail_confirmation(services: Services, actor: Actor, user_id: UUID) -> None:
    """Once more, to whoever is signed in; raises MailMissing, TooManyRequests."""
    async with services.database.system() as session:
        user = await session.get_one(User, user_id)
    await check_reset(services, user.email, Visitor(ip=actor.ip))
    async with services.database.system() as session:
        await mail_link(session, services, user, actor.tenant_id, "confirm")
        await record(session, actor, "auth.confirm_ask", "user", user_id)


async def print_link(services: Services, purpose: Purpose, email: str) -> str:
    """For an operator without mail. It does not prove that the person reads the address, unless it is to do just that.

    Raises NotFound, InvalidInput.
    """
    async with services.database.system() as session:
        user = await session.scalar(select(User).where(User.email == normal_email(email)))
        if user is None:
            raise NotFound(kind="user")
        proves = user.email if purpose == "confirm" else None
        token = await make_link(session, purpose, user_id=user.id, email=proves)
        home = await home_of(session, user.id)
        if home is not None:
            actor = Actor(tenant_id=home, kind="command line")
            await record(session, actor, f"auth.{purpose}_ask", "user", user.id)
    return link_address(services.settings, purpose, token)


async def _follow(session: AsyncSession, token: str, purpose: Purpose) -> User:
    """Following a link that was mailed proves the address as well."""
    link = await spend_link(session, token, purpose)
    user = None if link.user_id is None else await session.get(User, link.user_id)
    if user is None or user.status != "active":
        raise LinkSpent
    if link.email == user.email and user.confirmed_at is None:
        user.confirmed_at = datetime.now(UTC)
        await end_links(session, user.id, "confirm")
    return user
