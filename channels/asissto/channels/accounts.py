"""Channels as they are stored and as they are used: settings checked by their type, secrets sealed, connectors made."""

from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag

from asissto.channels.contract import Account, CommonSecrets, Connector
from asissto.channels.registry import TYPES, connector_type
from asissto.channels.send_errors import ChannelBroken
from asissto.channels.tables import Channel
from asissto.platform.errors import InvalidInput
from asissto.platform.keys import KeyRing
from asissto.platform.problems import from_validation
from asissto.platform.rotation import Sealed
from asissto.platform.services import Services
from asissto.platform.texts import Language, Phrase

HOOKS = "/api/v1/hooks"
SEALED = (Sealed(Channel, "secrets"),)
"""What a new key of the ring has to seal anew."""


def type_of(name: str) -> type[Connector]:
    """Raises InvalidInput for a type that there is not, also for the API, of which each tenant has its one."""
    if name not in TYPES:
        raise InvalidInput(field="type", detail=Phrase("invalid.choice"))
    return connector_type(name)


def checked(kind: type[msgspec.Struct], values: dict[str, Any], under: str) -> Any:
    """The values as `kind`; raises InvalidInput with the path of what is wrong."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise from_validation(str(error), f"{under}.") from None


def plain(values: msgspec.Struct) -> dict[str, Any]:
    """As it is stored: a default that changes later changes the channel too."""
    defaults = {name: getattr(values, name) for name in values.__struct_fields__}
    kept = {
        field.encode_name: defaults[field.name]
        for field in msgspec.structs.fields(values)
        if field.required or defaults[field.name] != field.default
    }
    return dict(msgspec.to_builtins(kept))


def seal(keys: KeyRing, row: Channel, secrets: CommonSecrets) -> bytes:
    return keys.encrypt(msgspec.json.encode(plain(secrets)).decode(), about=_about(row))


def unseal(keys: KeyRing, row: Channel) -> dict[str, Any]:
    """Raises ChannelBroken where the key ring opens the secrets no more."""
    if row.secrets is None:
        return {}
    try:
        return dict(msgspec.json.decode(keys.decrypt(row.secrets, about=_about(row))))
    except (InvalidTag, KeyError):
        raise ChannelBroken("the key ring does not open the secrets") from None


def connector_of(services: Services, row: Channel, language: Language = "en") -> Connector:
    """Its client is opened when it is first needed, so that making one costs next to nothing. Raises ChannelBroken."""
    kind = connector_type(row.type)
    account = Account(
        tenant_id=row.tenant_id,
        channel_id=row.id,
        settings=msgspec.convert(row.settings, kind.Settings),
        secrets=msgspec.convert(unseal(services.keys, row), kind.Secrets),
        language=language,
        public_url=services.settings.public_url,
        hook_url=hook_url(services, row.tenant_id, row.id),
        guarded=not services.settings.provider_private_addresses,
    )
    return kind(account)


def hook_url(services: Services, tenant_id: UUID, channel_id: UUID) -> str | None:
    public = services.settings.public_url
    return f"{public.rstrip('/')}{HOOKS}/{tenant_id}/{channel_id}" if public else None


def _about(row: Channel) -> str:
    return f"{row.tenant_id}|channels|{row.id}|secrets"
