"""The link to the file of an export: it names the request and proves that we made it."""

import base64
import re
from uuid import UUID

import msgspec

from asissto.platform.keys import KeyRing

PATH = "/api/v1/exports"
_PURPOSE, _MAC_BYTES = "export links", 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{86}")


class LinkedExport(msgspec.Struct, frozen=True):
    tenant_id: UUID
    request_id: UUID


def make_token(keys: KeyRing, linked: LinkedExport) -> str:
    packed = linked.tenant_id.bytes + linked.request_id.bytes
    return base64.urlsafe_b64encode(packed + keys.sign(_PURPOSE, packed)).decode().rstrip("=")


def read_token(keys: KeyRing, token: str) -> LinkedExport | None:
    """None for a token that we did not make."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = base64.urlsafe_b64decode(f"{token}==")
    packed, signature = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not keys.is_signed(_PURPOSE, packed, signature):
        return None
    return LinkedExport(UUID(bytes=packed[:16]), UUID(bytes=packed[16:]))
