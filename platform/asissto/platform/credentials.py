"""What proves who somebody is between two requests: access tokens, refresh tokens, CSRF tokens, one-time links."""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import msgspec
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from asissto.platform.errors import LinkSpent, TokenExpired, TokenInvalid
from asissto.platform.keys import KeyRing
from asissto.platform.tables import OneTimeLink, RefreshToken, new_id

ACCESS_LIFE = timedelta(minutes=15)
REFRESH_LIFE = timedelta(days=30)
# Two tabs that wake at once send the same token: the later one is not a thief yet.
REUSE_GRACE = timedelta(seconds=10)
LINK_LIFE = timedelta(hours=72)
AUDIENCE = "asissto"


class Claims(msgspec.Struct, frozen=True):
    """Who (`sub`) acts in which tenant (`tid`), as what, and in which session (`sid`)."""

    sub: UUID
    tid: UUID
    role: str
    sid: UUID


class Grant(msgspec.Struct, frozen=True):
    """A refresh token that was just given out; `session_id` is the id of the first of its family."""

    session_id: UUID
    user_id: UUID
    tenant_id: UUID
    refresh_token: str


def sign_access_token(keys: KeyRing, claims: Claims) -> str:
    now = datetime.now(UTC)
    payload = msgspec.to_builtins(claims) | {"aud": AUDIENCE, "iat": now, "exp": now + ACCESS_LIFE}
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


async def open_session(session: AsyncSession, user_id: UUID, tenant_id: UUID) -> Grant:
    return await _grant(session, user_id, tenant_id, None)


async def rotate(session: AsyncSession, token: str) -> Grant | None:
    """Spends a refresh token for the next one, or None when it was stolen and its session has just been closed.

    Raises TokenInvalid and TokenExpired.
    """
    first = aliased(RefreshToken)
    is_open = select(first.id).where(first.id == RefreshToken.family_id, first.revoked_at.is_(None)).exists()
    spent = (
        update(RefreshToken)
        .where(RefreshToken.token_sha == _sha(token), RefreshToken.expires_at > func.now(), is_open)
        .where(or_(RefreshToken.used_at.is_(None), RefreshToken.used_at > func.now() - REUSE_GRACE))
        .values(used_at=func.coalesce(RefreshToken.used_at, func.now()))
        .returning(RefreshToken.user_id, RefreshToken.tenant_id, RefreshToken.family_id)
    )
    row = (await session.execute(spent)).one_or_none()
    if row is not None:
        return await _grant(session, *row)
    found = await session.scalar(select(RefreshToken).where(RefreshToken.token_sha == _sha(token)))
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


async def make_link(session: AsyncSession, tenant_id: UUID, purpose: str) -> str:
    """The token of a link that can be followed once within 72 hours."""
    token, expires = _new_token(), datetime.now(UTC) + LINK_LIFE
    session.add(OneTimeLink(purpose=purpose, token_sha=_sha(token), tenant_id=tenant_id, expires_at=expires))
    return token


async def spend_link(session: AsyncSession, token: str, purpose: str) -> UUID:
    """The tenant that the link was made for; raises LinkSpent."""
    unused = (OneTimeLink.used_at.is_(None), OneTimeLink.expires_at > func.now())
    spent = (
        update(OneTimeLink)
        .where(OneTimeLink.token_sha == _sha(token), OneTimeLink.purpose == purpose, *unused)
        .values(used_at=func.now())
        .returning(OneTimeLink.tenant_id)
    )
    tenant_id = await session.scalar(spent)
    if tenant_id is None:
        raise LinkSpent
    return tenant_id


async def _grant(session: AsyncSession, user_id: UUID, tenant_id: UUID, family_id: UUID | None) -> Grant:
    token, token_id = _new_token(), new_id()
    session.add(
        RefreshToken(
            id=token_id,
            family_id=family_id or token_id,
            user_id=user_id,
            tenant_id=tenant_id,
            token_sha=_sha(token),
            expires_at=datetime.now(UTC) + REFRESH_LIFE,
        )
    )
    return Grant(family_id or token_id, user_id, tenant_id, token)


def _new_token() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def _sha(token: str) -> bytes:
    """Plain SHA-256: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
