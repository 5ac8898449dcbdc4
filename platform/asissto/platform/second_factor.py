"""The second step of signing in: codes of an authenticator app (TOTP, RFC 6238), and codes for when it is lost."""

import base64
import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
import pyotp
from msgspec import Meta
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.attempts import forgive, knock
from asissto.platform.audit import Actor, record
from asissto.platform.authentication import Principal
from asissto.platform.credentials import token_sha
from asissto.platform.errors import Conflict, InvalidInput, NotFound, SecondFactorRequired, SecondFactorWrong
from asissto.platform.keys import KeyRing
from asissto.platform.mailed_links import home_of
from asissto.platform.own_password import check_own_password
from asissto.platform.passwords import Password
from asissto.platform.people_tables import RecoveryCode, SecondFactor
from asissto.platform.services import Services
from asissto.platform.tables import User, new_id
from asissto.platform.texts import Phrase

ISSUER = "Asissto"
STEP_SECONDS = 30
RECOVERY_CODES = 10
_DRIFT = (0, -1, 1)  # steps by which the clock of a telephone may be off

Code = Annotated[str, Meta(max_length=40)]
How = Literal["app", "recovery code"]


class Enrol(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    password: Password


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    code: Code


class Remove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    password: Password
    code: Code


class Enrolment(msgspec.Struct, frozen=True):
    """`uri` is what the app reads as a QR code; `secret` is for typing."""

    secret: str
    uri: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Shown this once."""

    recovery_codes: list[str]


class SecondFactorOut(msgspec.Struct, frozen=True):
    enabled: bool
    recovery_codes_left: int


async def read_second_factor(services: Services, user_id: UUID) -> SecondFactorOut:
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    async with services.database.system() as session:
        factor = await session.get(SecondFactor, user_id)
        left = await session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused))
    is_on = factor is not None and factor.confirmed_at is not None
    return SecondFactorOut(enabled=is_on, recovery_codes_left=left or 0)


async def enrol(services: Services, principal: Principal, what: Enrol) -> Enrolment:
    """A new secret, which counts once it is confirmed; raises PasswordWrong, TooManyRequests, Conflict."""
    await check_own_password(services, principal.user_id, what.password, "password")
    secret = pyotp.random_base32()
    async with services.database.system() as session:
        user = await session.get_one(User, principal.user_id)
        sealed = services.keys.encrypt(secret, about=about_secret(user.id))
        row = insert(SecondFactor).values(user_id=user.id, secret=sealed)
        anew = row.on_conflict_do_update(
            index_elements=["user_id"],
            set_={"secret": sealed, "last_step": 0},
            where=SecondFactor.confirmed_at.is_(None),
        )
        if (await session.execute(anew.returning(SecondFactor.user_id))).first() is None:
            raise Conflict(detail=Phrase("conflict.second_factor"))
        await record(session, principal, "second_factor.enrol", "user", user.id)
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER))


async def confirm(services: Services, principal: Principal, what: Confirm) -> RecoveryCodes:
    """From now on a code is asked for; raises InvalidInput, TooManyRequests, NotFound without an enrolment."""
    user_id = principal.user_id
    await knock(services, ("login", str(user_id)))
    async with services.database.system() as session:
        factor = await session.get(SecondFactor, user_id, with_for_update=True)
        if factor is None or factor.confirmed_at is not None:
            raise NotFound(kind="second_factor")
        if not await _take_app_code(session, services.keys, factor, what.code):
            raise InvalidInput(field="code", detail=Phrase("invalid.code"))
        factor.confirmed_at = datetime.now(UTC)
        codes = await _new_recovery_codes(session, user_id)
        await forgive(session, services.keys, "login", str(user_id))
        await record(session, principal, "second_factor.confirm", "user", user_id)
    return RecoveryCodes(codes)


async def renew_recovery_codes(services: Services, principal: Principal, what: Remove) -> RecoveryCodes:
    """The old ones are worth nothing; raises PasswordWrong, NotFound, InvalidInput, TooManyRequests."""
    await _prove_both(services, principal, what)
    async with services.database.system() as session:
        codes = await _new_recovery_codes(session, principal.user_id)
        await record(session, principal, "second_factor.renew", "user", principal.user_id)
    return RecoveryCodes(codes)


async def remove(services: Services, principal: Principal, what: Remove) -> None:
    """Raises PasswordWrong, NotFound, InvalidInput, TooManyRequests."""
    await _prove_both(services, principal, what)
    async with services.database.system() as session:
        await drop_second_factor(session, principal.user_id)
        await record(session, principal, "second_factor.remove", "user", principal.user_id)


async def drop_for(services: Services, email: str) -> None:
    """By the operator, for somebody who has lost telephone and recovery codes; raises NotFound."""
    async with services.database.system() as session:
        user_id = await session.scalar(select(User.id).where(User.email == email.lower()))
        if user_id is None or not await drop_second_factor(session, user_id):
            raise NotFound(kind="second_factor")
        home = await home_of(session, user_id)
        if home is not None:
            await record(session, Actor(tenant_id=home, kind="command line"), "second_factor.remove", "user", user_id)


async def drop_second_factor(session: AsyncSession, user_id: UUID) -> bool:
    """Whether there was one."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    gone = await session.execute(
        delete(SecondFactor).where(SecondFactor.user_id == user_id).returning(SecondFactor.user_id)
    )
    return gone.first() is not None


async def prove(session: AsyncSession, keys: KeyRing, user_id: UUID, code: str | None) -> How | None:
    """How somebody whose password was right has proven the rest; None where nothing more is asked.

    Spends the code in the caller's transaction. Raises SecondFactorRequired, SecondFactorWrong.
    """
    factor = await session.get(SecondFactor, user_id)
    if factor is None or factor.confirmed_at is None:
        return None
    if code is None:
        raise SecondFactorRequired
    if await _take_app_code(session, keys, factor, code):
        return "app"
    if await _take_recovery_code(session, user_id, code):
        return "recovery code"
    raise SecondFactorWrong


async def _prove_both(services: Services, principal: Principal, what: Remove) -> None:
    await check_own_password(services, principal.user_id, what.password, "password")
    await knock(services, ("login", str(principal.user_id)))
    try:
        async with services.database.system() as session:
            how = await prove(session, services.keys, principal.user_id, what.code)
            await forgive(session, services.keys, "login", str(principal.user_id))
    except SecondFactorWrong:
        raise InvalidInput(field="code", detail=Phrase("invalid.code")) from None
    if how is None:
        raise NotFound(kind="second_factor")


async def _take_app_code(session: AsyncSession, keys: KeyRing, factor: SecondFactor, code: str) -> bool:
    """A code counts once: of two at the same moment one raises the step, and the other finds it raised."""
    app = pyotp.TOTP(keys.decrypt(factor.secret, about=about_secret(factor.user_id)))
    now = int(time.time()) // STEP_SECONDS
    sent = "".join(code.split()).encode()
    step = next((now + off for off in _DRIFT if hmac.compare_digest(app.generate_otp(now + off).encode(), sent)), None)
    if step is None:
        return False
    is_new = (SecondFactor.user_id == factor.user_id, SecondFactor.last_step < step)
    raised = update(SecondFactor).where(*is_new).values(last_step=step).returning(SecondFactor.user_id)
    return (await session.execute(raised)).first() is not None


async def _take_recovery_code(session: AsyncSession, user_id: UUID, code: str) -> bool:
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.code_sha == _code_sha(code), RecoveryCode.used_at.is_(None))
    spent = update(RecoveryCode).where(*unused).values(used_at=func.now()).returning(RecoveryCode.id)
    return (await session.execute(spent)).first() is not None


async def _new_recovery_codes(session: AsyncSession, user_id: UUID) -> list[str]:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(id=new_id(), user_id=user_id, code_sha=_code_sha(code)) for code in codes)
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def _code_sha(code: str) -> bytes:
    """80 random bits need no slow hash; however they are typed."""
    return token_sha("".join(char for char in code.lower() if char.isalnum()))


def about_secret(user_id: UUID) -> str:
    return f"{user_id}|second_factors|secret"
