"""Signed links to the page of one answer, as short as they can be: they travel in SMS."""

import base64
import re
import struct
import time
from uuid import UUID

import msgspec

from asissto.platform.keys import KeyRing
from asissto.platform.services import Services

DAYS = 7
"""For which a link is good."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")
_FORM = struct.Struct(">16s16sI")
_MAC_BYTES = 12
_PURPOSE = "answer links"
"""96 bits of HMAC-SHA256: nobody guesses them over a network, and 48 bytes are 64 letters."""


class Linked(msgspec.Struct, frozen=True):
    """What a link leads to; `expires` is in seconds since 1970."""

    tenant_id: UUID
    message_id: UUID
    expires: int

    @property
    def is_expired(self) -> bool:
        return time.time() >= self.expires


def answer_link(services: Services, tenant_id: UUID, message_id: UUID) -> str:
    """The address of the page, good for DAYS; empty where the server has no public address."""
    base = services.settings.public_url
    if not base:
        return ""
    linked = Linked(tenant_id, message_id, int(time.time()) + DAYS * 86_400)
    return f"{base.rstrip('/')}/api/v1/answers/{make_token(services.keys, linked)}"


def make_token(keys: KeyRing, linked: Linked) -> str:
    packed = _FORM.pack(linked.tenant_id.bytes, linked.message_id.bytes, linked.expires)
    return base64.urlsafe_b64encode(packed + keys.sign(_PURPOSE, packed)[:_MAC_BYTES]).decode()


def read_token(keys: KeyRing, token: str) -> Linked | None:
    """None for a token that we did not make; the time is the caller's matter."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = base64.urlsafe_b64decode(token)
    packed, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not keys.is_signed(_PURPOSE, packed, mac):
        return None
    tenant_id, message_id, expires = _FORM.unpack(packed)
    return Linked(UUID(bytes=tenant_id), UUID(bytes=message_id), expires)
