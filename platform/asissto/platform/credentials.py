"""What proves who somebody is between two requests: access tokens, refresh tokens, CSRF tokens."""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import msgspec
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from asissto.platform.audit import Actor
from asissto.platform.errors import TokenExpired, TokenInvalid
from asissto.platform.keys import KeyRing
from asissto.platform.tables import RefreshToken, new_id

ACCESS_LIFE = timedelta(minutes=15)
REFRESH_LIFE = timedelta(days=30)
# Two tabs that wake at once send the same token: the later one is not a thief yet.
REUSE_GRACE = timedelta(seconds=10)
KEPT = timedelta(days=7)
"""How long what has expired stays, so that it is told from what never was."""

AUDIENCE = "asissto"


class Claims(msgspec.Struct, frozen=True):
    """Who (`sub`) acts in which tenant (`tid`), as what, and in which session (`sid`)."""

    sub: UUID
    tid: UUID
    role: str
    sid: UUID


class Visitor(msgspec.Struct, frozen=True):
    """Somebody who is not signed in yet; `device` is what their program calls itself."""

    ip: str | None
    request_id: str | None = None
    device: str | None = None

    def as_actor(self, tenant_id: UUID, user_id: UUID) -> Actor:
        """Once they have proved who they are."""
        return Actor(tenant_id=tenant_id, user_id=user_id, ip=self.ip, request_id=self.request_id)


class Grant(msgspec.Struct, frozen=True):
    """A refresh token that was just given out; `session_id` is the id of the first of its family."""

    session_id: UUID
    user_id: UUID
    tenant_id: UUID
    refresh_token: str


def sign_access_token(keys: KeyRing, claims: Claims, life: timedelta = ACCESS_LIFE) -> str:
    now = datetime.now(UTC)
    payload = msgspec.to_builtins(claims) | {"aud": AUDIENCE, "iat": now, "exp": now + life}
    return jwt.encode(payload, keys.derive("jwt"), algorithm="HS256", headers={"kid": keys.keys[0][0]})


def read_access_token(keys: KeyRing, token: str) -> Claims:
    """Raises TokenExpired and TokenInvalid."""
    try:
        kid = jwt.get_unverified_header(token)["kid"]
        key = KeyRing(((kid, dict(keys.keys)[kid]),)).derive("jwt")
        options: jwt.types.Options = {"require": ["exp", "iat", "sub"]}
        return msgspec.convert(jwt.decode(token, key, ["HS256"], options, audience=AUDIENCE), Claims)
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.InvalidTokenError, msgspec.ValidationError, KeyError, TypeError):
        raise TokenInvalid from None


def csrf_token(keys: KeyRing, session_id: UUID) -> str:
    """What a page must send along with its cookies; another site can make the browser send cookies, but not this."""
    return keys.sign("csrf", session_id.bytes).hex()


def is_csrf_token(keys: KeyRing, session_id: UUID, sent: str) -> bool:
    """By any key of the ring: a page that was open when the newest one was added goes on."""
    try:
        signature = bytes.fromhex(sent)
    except ValueError:
        return False
    return len(signature) == 32 and keys.is_signed("csrf", session_id.bytes, signature)


async def open_session(session: AsyncSession, user_id: UUID, tenant_id: UUID, visitor: Visitor) -> Grant:
    return await _grant(session, user_id, tenant_id, None, visitor)


async def open_acting_session(
    session: AsyncSession, user_id: UUID, tenant_id: UUID, impersonator_id: UUID, life: timedelta
) -> UUID:
    """A session in which somebody acts as the user; it cannot be refreshed, for nobody gets its refresh token."""
    session_id = new_id()
    session.add(
        RefreshToken(
            id=session_id,
            family_id=session_id,
            user_id=user_id,
            tenant_id=tenant_id,
            token_sha=token_sha(new_token()),
            impersonator_id=impersonator_id,
            expires_at=datetime.now(UTC) + life,
        )
    )
    return session_id


async def rotate(session: AsyncSession, token: str, visitor: Visitor) -> Grant | None:
    """Spends a refresh token for the next one, or None when it was stolen and its session has just been closed.

    Raises TokenInvalid and TokenExpired.
    """
    first = aliased(RefreshToken)
    is_open = select(first.id).where(first.id == RefreshToken.family_id, first.revoked_at.is_(None)).exists()
    spent = (
        update(RefreshToken)
        .where(RefreshToken.token_sha == token_sha(token), RefreshToken.expires_at > func.now(), is_open)
        .where(or_(RefreshToken.used_at.is_(None), RefreshToken.used_at > func.now() - REUSE_GRACE))
        .values(used_at=func.coalesce(RefreshToken.used_at, func.now()))
        .returning(RefreshToken.user_id, RefreshToken.tenant_id, RefreshToken.family_id)
    )
    row = (await session.execute(spent)).one_or_none()
    if row is not None:
        return await _grant(session, *row, visitor)
    found = await session.scalar(select(RefreshToken).where(RefreshToken.token_sha == token_sha(token)))
    if found is None or (await session.get_one(RefreshToken, found.family_id)).revoked_at is not None:
        raise TokenInvalid
    if found.used_at is None:
        raise TokenExpired
    await close_session(session, found.family_id)
    return None


async def close_session(session: AsyncSession, session_id: UUID) -> None:
    """The first token of a family speaks for all, also for one that is being made at this moment."""
    opened = (RefreshToken.id == session_id, RefreshToken.revoked_at.is_(None))
    await session.execute(update(RefreshToken).where(*opened).values(revoked_at=func.now()))


async def close_sessions(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> list[UUID]:
    """Those of a person, all but the one that asks; returns which."""
    opened = (RefreshToken.user_id == user_id, RefreshToken.id == RefreshToken.family_id)
    closed = update(RefreshToken).where(*opened, RefreshToken.revoked_at.is_(None)).values(revoked_at=func.now())
    if but is not None:
        closed = closed.where(RefreshToken.id != but)
    return list(await session.scalars(closed.returning(RefreshToken.id)))


async def forget_old_sessions(session: AsyncSession) -> None:
    """The tokens that expired a week ago; the first one of a session stays as long as any of the session is good."""
    newer = aliased(RefreshToken)
    cutoff = func.now() - KEPT
    goes_on = select(newer.id).where(newer.family_id == RefreshToken.id, newer.expires_at >= cutoff).exists()
    await session.execute(delete(RefreshToken).where(RefreshToken.expires_at < cutoff, ~goes_on))


async def _grant(
    session: AsyncSession, user_id: UUID, tenant_id: UUID, family_id: UUID | None, visitor: Visitor
) -> Grant:
    token, token_id = new_token(), new_id()
    session.add(
        RefreshToken(
            id=token_id,
            family_id=family_id or token_id,
            user_id=user_id,
            tenant_id=tenant_id,
            token_sha=token_sha(token),
            ip=visitor.ip,
            device=visitor.device,
            expires_at=datetime.now(UTC) + REFRESH_LIFE,
        )
    )
    return Grant(family_id or token_id, user_id, tenant_id, token)


def new_token() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def token_sha(token: str) -> bytes:
    """Plain SHA-256: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
