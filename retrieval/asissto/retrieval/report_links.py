"""Signed links in reports, which work without signing in: to end a report, and to its file."""

import base64
import hmac
import re
import struct
import time
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec

from asissto.platform.keys import KeyRing
from asissto.platform.services import Services

DAYS = 14
"""For which a file can be fetched; a link that ends a report is good for ever."""

Purpose = Literal["end", "file"]
_TOKEN = re.compile(r"[A-Za-z0-9_-]{80}")
_FORM = struct.Struct(">16s16sIII")
_MAC_BYTES = 16


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and of a file the period and when the link ends, in seconds since 1970."""

    tenant_id: UUID
    report_id: UUID
    since: int = 0
    until: int = 0
    expires: int = 0

    @property
    def is_expired(self) -> bool:
        return bool(self.expires) and time.time() >= self.expires


def ending_link(services: Services, tenant_id: UUID, report_id: UUID) -> str:
    token = make_token(services.keys, "end", Linked(tenant_id=tenant_id, report_id=report_id))
    return f"{services.settings.address.rstrip('/')}/api/v1/reports/{token}"


def file_link(services: Services, tenant_id: UUID, report_id: UUID, since: datetime, until: datetime) -> str:
    expires = int(time.time()) + DAYS * 86_400
    begin, end = int(since.timestamp()), int(until.timestamp())
    linked = Linked(tenant_id=tenant_id, report_id=report_id, since=begin, until=end, expires=expires)
    token = make_token(services.keys, "file", linked)
    return f"{services.settings.address.rstrip('/')}/api/v1/reports/{token}/file"


def make_token(keys: KeyRing, purpose: Purpose, linked: Linked) -> str:
    packed = _FORM.pack(linked.tenant_id.bytes, linked.report_id.bytes, linked.since, linked.until, linked.expires)
    return base64.urlsafe_b64encode(packed + _mac(keys, purpose, packed)).decode()


def read_token(keys: KeyRing, purpose: Purpose, token: str) -> Linked | None:
    """None for a token that we did not make for this purpose."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = base64.urlsafe_b64decode(token)
    packed, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(keys, purpose, packed)):
        return None
    tenant_id, report_id, since, until, expires = _FORM.unpack(packed)
    return Linked(
        tenant_id=UUID(bytes=tenant_id), report_id=UUID(bytes=report_id), since=since, until=until, expires=expires
    )


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _mac(keys: KeyRing, purpose: Purpose, packed: bytes) -> bytes:
    return hmac.digest(keys.derive(f"report links: {purpose}"), packed, "sha256")[:_MAC_BYTES]
