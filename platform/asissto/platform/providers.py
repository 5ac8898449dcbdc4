"""Model providers of a tenant: endpoints of its own, whose secrets are sealed and never shown again."""

import base64
import re
from collections.abc import Collection, Mapping
from typing import Annotated
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.endpoint import Connection
from asissto.platform.errors import InvalidInput, NameTaken, NotFound, ProviderError
from asissto.platform.keys import KeyRing
from asissto.platform.model_tables import ModelProvider
from asissto.platform.public_addresses import is_public
from asissto.platform.settings import Settings
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase

MOST_HEADERS = 20

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Address = Annotated[str, Meta(min_length=1, max_length=500)]
Secret = Annotated[str, Meta(min_length=1, max_length=2_000)]
Headers = Annotated[dict[str, Secret], Meta(max_length=MOST_HEADERS)]
FirstTokenSeconds = Annotated[int, Meta(ge=1, le=60)]
AnswerSeconds = Annotated[int, Meta(ge=1, le=60)]

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
_OURS = frozenset(("host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"))


class ProviderIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    base_url: Address
    api_key: Secret | None = None
    headers: Headers = {}
    first_token_seconds: FirstTokenSeconds = 15
    answer_seconds: AnswerSeconds = 45
    enabled: bool = True


class ProviderPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is; headers are replaced as a whole."""

    name: Name | UnsetType = UNSET
    base_url: Address | UnsetType = UNSET
    api_key: Secret | UnsetType | None = UNSET
    headers: Headers | UnsetType = UNSET
    first_token_seconds: FirstTokenSeconds | UnsetType = UNSET
    answer_seconds: AnswerSeconds | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class Sealing(msgspec.Struct, frozen=True):
    """What is needed to judge and to seal what a tenant gives: the key ring, and whether private addresses may be."""

    keys: KeyRing
    private: bool


async def create_provider(session: AsyncSession, sealing: Sealing, tenant_id: UUID, what: ProviderIn) -> ModelProvider:
    """Raises InvalidInput and NameTaken."""
    check_address(what.base_url, private=sealing.private)
    await _check_name(session, tenant_id, what.name)
    plain = ("name", "base_url", "first_token_seconds", "answer_seconds", "enabled")
    row = ModelProvider(tenant_id=tenant_id, id=new_id(), **{name: getattr(what, name) for name in plain})
    row.api_key = _seal_key(sealing.keys, row, what.api_key)
    row.headers = _seal_headers(sealing.keys, row, what.headers)
    session.add(row)
    await session.flush()
    return row


async def change_provider(
    session: AsyncSession, sealing: Sealing, row: ModelProvider, what: ProviderPatch
) -> ModelProvider:
    """A new host has to be given the secrets anew: they were given for the old one. Raises InvalidInput, NameTaken."""
    changes = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not UNSET}
    if "base_url" in changes:
        check_address(changes["base_url"], private=sealing.private)
        if _origin(changes["base_url"]) != _origin(row.base_url):
            _require_secrets_anew(row, changes)
    if changes.get("name", row.name) != row.name:
        await _check_name(session, row.tenant_id, changes["name"])
    if "api_key" in changes:
        changes["api_key"] = _seal_key(sealing.keys, row, changes["api_key"])
    if "headers" in changes:
        changes["headers"] = _seal_headers(sealing.keys, row, changes["headers"])
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = func.now()
    await session.flush()
    return row


async def find_provider(session: AsyncSession, tenant_id: UUID, provider_id: UUID) -> ModelProvider:
    found = await session.get(ModelProvider, (tenant_id, provider_id))
    if found is None:
        raise NotFound(kind="provider")
    return found


async def usable_connections(
    session: AsyncSession, keys: KeyRing, settings: Settings, tenant_id: UUID, provider_ids: Collection[UUID]
) -> dict[UUID, Connection]:
    """Of those that exist, are enabled, and whose secrets the key ring still opens."""
    mine = (ModelProvider.tenant_id == tenant_id, ModelProvider.id.in_(provider_ids), ModelProvider.enabled)
    connections = {}
    for row in await session.scalars(select(ModelProvider).where(*mine)):
        try:
            connections[row.id] = connection_of(keys, settings, row)
        except ProviderError:
            continue
    return connections


def connection_of(keys: KeyRing, settings: Settings, row: ModelProvider) -> Connection:
    """Raises ProviderError where the key ring opens the secrets no more."""
    try:
        key = None if row.api_key is None else keys.decrypt(row.api_key, about=_about(row, "api_key"))
        sealed = {name: base64.b64decode(value) for name, value in row.headers.items()}
        headers = {name: keys.decrypt(value, about=_about(row, f"headers.{name}")) for name, value in sealed.items()}
    except (InvalidTag, KeyError):
        raise ProviderError(permanent=True, reason="key_unreadable") from None
    return Connection(
        base_url=row.base_url,
        api_key=key,
        headers=tuple(headers.items()),
        provider_id=row.id,
        provider=row.name,
        guarded=not settings.provider_private_addresses,
        first_token_seconds=row.first_token_seconds,
        answer_seconds=row.answer_seconds,
    )


def check_address(address: str, *, private: bool) -> None:
    """What the spelling shows; what the name stands for is judged when it is connected to. Raises InvalidInput."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = SplitResult("", "", "", "", ""), None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidInput(field="base_url", detail=Phrase("invalid.base_url"))
    if any(not 32 < ord(letter) < 127 for letter in address):
        raise InvalidInput(field="base_url", detail=Phrase("invalid.base_url"))
    if private:
        return
    if parts.scheme != "https":
        raise InvalidInput(field="base_url", detail=Phrase("invalid.https"))
    if _is_private_literal(host):
        raise InvalidInput(field="base_url", detail=Phrase("provider.private_address"))


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _require_secrets_anew(row: ModelProvider, changes: Mapping[str, object]) -> None:
    for field, has_one in (("api_key", row.api_key is not None), ("headers", bool(row.headers))):
        if has_one and field not in changes:
            raise InvalidInput(field=field, detail=Phrase("invalid.secret_again"))


def _seal_key(keys: KeyRing, row: ModelProvider, key: str | None) -> bytes | None:
    if key is None:
        return None
    if not _HEADER_VALUE.fullmatch(key):  # a pasted С instead of C could not even be sent
        raise InvalidInput(field="api_key", detail=Phrase("invalid.header"))
    return keys.encrypt(key, about=_about(row, "api_key"))


def _seal_headers(keys: KeyRing, row: ModelProvider, headers: Mapping[str, str]) -> dict[str, str]:
    if len({name.lower() for name in headers}) < len(headers):
        raise InvalidInput(field="headers", detail=Phrase("invalid.header"))
    for name, value in headers.items():
        if name.lower() in _OURS or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput(field="headers", detail=Phrase("invalid.header"))
    sealed = {name: keys.encrypt(value, about=_about(row, f"headers.{name}")) for name, value in headers.items()}
    return {name: base64.b64encode(value).decode() for name, value in sealed.items()}


def _about(row: ModelProvider, field: str) -> str:
    return f"{row.tenant_id}|model_providers|{row.id}|{field}"


async def _check_name(session: AsyncSession, tenant_id: UUID, name: str) -> None:
    same = select(ModelProvider.id).where(ModelProvider.tenant_id == tenant_id, ModelProvider.name == name)
    if await session.scalar(same):
        raise NameTaken(name=name, field="name")
