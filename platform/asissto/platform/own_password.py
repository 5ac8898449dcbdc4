"""The password of somebody who is signed in: proven once more before what matters, and changed."""

from uuid import UUID

import msgspec
from sqlalchemy import select

from asissto.platform.attempts import forgive, knock
from asissto.platform.audit import record
from asissto.platform.authentication import Principal
from asissto.platform.credentials import close_sessions
from asissto.platform.errors import PasswordWrong
from asissto.platform.passwords import Password, check_strength, hash_password, verify_password
from asissto.platform.services import Services
from asissto.platform.tables import User


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    current: Password
    password: Password


async def check_own_password(services: Services, user_id: UUID, password: str, field: str) -> None:
    """A page that was left open is not enough to take an account over; raises PasswordWrong, TooManyRequests."""
    async with services.database.system() as session:
        wanted = select(User.email, User.password_hash).where(User.id == user_id)
        user = (await session.execute(wanted)).one()
    await knock(services, ("login", user.email))
    if not await verify_password(password, user.password_hash):
        raise PasswordWrong(field=field)
    async with services.database.system() as session:
        await forgive(session, services.keys, "login", user.email)


async def change_password(services: Services, principal: Principal, what: PasswordChange) -> None:
    """Every other session of the person ends; raises WeakPassword, PasswordWrong, TooManyRequests."""
    check_strength(what.password)
    await check_own_password(services, principal.user_id, what.current, "current")
    hashed = await hash_password(what.password)
    async with services.database.system() as session:
        user = await session.get_one(User, principal.user_id)
        user.password_hash = hashed
        closed = await close_sessions(session, user.id, but=principal.session_id)
        await record(session, principal, "auth.password", "user", user.id, sessions_closed=len(closed))
