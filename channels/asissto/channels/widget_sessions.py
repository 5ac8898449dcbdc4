"""Sessions of the widget's visitors: a signed token says who writes, and a site may sign who its visitor is."""

import base64
import hmac
import time
from typing import Annotated
from uuid import UUID, uuid4, uuid5

import msgspec
from msgspec import Meta

from asissto.platform.errors import IdentityRefused, TokenExpired, TokenInvalid
from asissto.platform.keys import KeyRing

KNOWN = "user:"


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`signature` is the hexadecimal HMAC-SHA256 of `user_id`; `name` is shown to the operators and proves nothing.

    With `expires_at`, in seconds since 1970, it is that of both with a line feed between them, and no session begins
    by it any more after that time.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
    signature: Annotated[str, Meta(max_length=200)]
    expires_at: Annotated[int, Meta(ge=0, le=1 << 53)] | None = None
    name: Annotated[str, Meta(max_length=100)] = ""

    @property
    def signed(self) -> str:
        """Of an id without control characters it is never the id of somebody else."""
        return self.user_id if self.expires_at is None else f"{self.user_id}\n{self.expires_at}"


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. `visitor_id` is the site's own id of the visitor where `is_known`, else one of ours.

    `expires_at` in seconds since 1970.
    """

    tenant_id: UUID
    channel_id: UUID
    visitor_id: str
    is_known: bool
    expires_at: int
    name: str = ""

    @property
    def thread(self) -> str:
        """The conversation of the visitor; what a site signs can never name an anonymous one."""
        return f"{KNOWN if self.is_known else 'visitor:'}{self.visitor_id}"

    @property
    def live_id(self) -> UUID:
        """What live streams hear of before there is a conversation."""
        return uuid5(self.channel_id, self.thread)


class Lock(msgspec.Struct, frozen=True):
    """What the tokens of one widget are signed with; they end with its secret."""

    keys: KeyRing
    tenant_id: UUID
    channel_id: UUID
    identity_secret: str | None


def begin_session(lock: Lock, hours: int, identity: Identity | None, before: Visitor | None) -> Visitor:
    """The next session of whoever was there before, or a new visitor. Raises IdentityRefused.

    One who is known stays for longer only where the site signs it anew.
    """
    expires_at = int(time.time()) + 3600 * hours
    if identity is not None:
        check_identity(lock, identity)
        return _visitor(lock, identity.user_id, expires_at, is_known=True, name=identity.name)
    if before is None:
        return _visitor(lock, str(uuid4()), expires_at, is_known=False)
    return before if before.is_known else msgspec.structs.replace(before, expires_at=expires_at)


def check_identity(lock: Lock, identity: Identity) -> None:
    """Raises IdentityRefused, also where the widget has no secret to compare with."""
    if lock.identity_secret is None:
        raise IdentityRefused
    if identity.expires_at is not None and identity.expires_at <= time.time():
        raise IdentityRefused
    expected = hmac.digest(lock.identity_secret.encode(), identity.signed.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), identity.signature.lower().encode()):
        raise IdentityRefused


def sign_session(lock: Lock, visitor: Visitor) -> str:
    """`key.payload.signature`; the key ring tells which key it was, so that keys can be changed."""
    name = lock.keys.keys[0][0]
    payload = _encode(msgspec.json.encode(visitor))
    return f"{name}.{payload}.{_encode(_mac(lock, name, payload))}"


def read_session(lock: Lock, token: str) -> Visitor:
    """Raises TokenInvalid, also for the token of another widget, and TokenExpired."""
    try:
        name, payload, signature = token.rsplit(".", 2)
        if not hmac.compare_digest(_encode(_mac(lock, name, payload)).encode(), signature.encode()):
            raise TokenInvalid
        visitor = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="), type=Visitor)
    except (ValueError, KeyError, msgspec.DecodeError):
        raise TokenInvalid from None
    if (visitor.tenant_id, visitor.channel_id) != (lock.tenant_id, lock.channel_id):
        raise TokenInvalid
    if visitor.expires_at <= time.time():
        raise TokenExpired
    return visitor


def _visitor(lock: Lock, visitor_id: str, expires_at: int, *, is_known: bool, name: str = "") -> Visitor:
    return Visitor(
        tenant_id=lock.tenant_id,
        channel_id=lock.channel_id,
        visitor_id=visitor_id,
        is_known=is_known,
        expires_at=expires_at,
        name=name,
    )


def _mac(lock: Lock, name: str, payload: str) -> bytes:
    """Raises KeyError for a key that left the ring."""
    ring = KeyRing(((name, dict(lock.keys.keys)[name]),))
    own = hmac.digest(ring.derive("widget session"), (lock.identity_secret or "").encode(), "sha256")
    return hmac.digest(own, payload.encode(), "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
