"""Makes and changes channels."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.accounts import checked, connector_of, plain, seal, type_of, unseal
from asissto.channels.channels import API
from asissto.channels.contract import Connector
from asissto.channels.outbox import wake
from asissto.channels.send_errors import ChannelBroken
from asissto.channels.tables import Channel
from asissto.platform.errors import Conflict, NameTaken
from asissto.platform.plan_limits import check_room
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.texts import Phrase
from asissto.retrieval.assistants import find_assistant

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ChannelIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`settings` and `secrets` are those of the type, as the reference lists them."""

    name: Name
    type: str
    assistant_id: UUID | None = None
    settings: dict[str, Any] = {}
    secrets: dict[str, Any] = {}


class ChannelPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is, also of the settings and secrets; null gives a field its usual value."""

    name: Name | UnsetType = UNSET
    assistant_id: UUID | UnsetType | None = UNSET
    status: Literal["active", "paused"] | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    secrets: dict[str, Any] | UnsetType = UNSET


async def create_channel(session: AsyncSession, services: Services, tenant_id: UUID, what: ChannelIn) -> Channel:
    """Raises InvalidInput with the field, NameTaken, NotFound (the assistant) and PlanLimit."""
    kind = type_of(what.type)
    row = Channel(tenant_id=tenant_id, id=new_id(), name=what.name, type=what.type, status="active", revision=1)
    await _check(session, row, what.name, what.assistant_id)
    row.assistant_id = what.assistant_id
    _fill(services, row, kind, what.settings, what.secrets)
    session.add(row)
    await check_room(session, services.settings, tenant_id, "channels")
    await session.flush()
    await session.refresh(row)
    return row


async def change_channel(session: AsyncSession, services: Services, row: Channel, what: ChannelPatch) -> Channel:
    """New settings put a broken channel to work again. Raises InvalidInput, NameTaken, NotFound, Conflict."""
    name = row.name if what.name is UNSET else what.name
    assistant_id = row.assistant_id if what.assistant_id is UNSET else what.assistant_id
    await _check(session, row, name, assistant_id)
    row.name, row.assistant_id = name, assistant_id
    if row.type == API:
        if not what.status is what.settings is what.secrets is UNSET:
            raise Conflict(detail=Phrase("conflict.api_channel"))
    else:
        _reset(services, row, what)
    await session.flush()
    await session.refresh(row)
    await wake(session)
    return row


def revive(row: Channel) -> None:
    """After its account was found to answer."""
    if row.status == "broken":
        row.status, row.problem = "active", None


def _reset(services: Services, row: Channel, what: ChannelPatch) -> None:
    if what.settings is not UNSET or what.secrets is not UNSET:
        kind = type_of(row.type)
        settings = row.settings if what.settings is UNSET else _merged(row.settings, what.settings)
        secrets = _known(services, row)
        _fill(services, row, kind, settings, secrets if what.secrets is UNSET else _merged(secrets, what.secrets))
        row.revision += 1
        row.paused_until = row.problem = None
        revive(row)
    if what.status is not UNSET:
        row.status, row.problem = what.status, None


def _known(services: Services, row: Channel) -> dict[str, Any]:
    """Secrets that can no longer be opened have to be given anew, all of them."""
    try:
        return unseal(services.keys, row)
    except ChannelBroken:
        return {}


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**old, **new}.items() if value is not None}


def _fill(
    services: Services, row: Channel, kind: type[Connector], settings: dict[str, Any], secrets: dict[str, Any]
) -> None:
    row.settings = plain(checked(kind.Settings, settings, "settings"))
    row.secrets = seal(services.keys, row, checked(kind.Secrets, secrets, "secrets"))
    connector = connector_of(services, row)
    row.polls = connector.polls
    if connector.polls and not row.cursor:
        row.cursor = connector.first_cursor()


async def _check(session: AsyncSession, row: Channel, name: str, assistant_id: UUID | None) -> None:
    mine = select(Channel.id).where(Channel.tenant_id == row.tenant_id, Channel.name == name, Channel.id != row.id)
    if await session.scalar(mine):
        raise NameTaken(name=name, field="name")
    if assistant_id is not None:
        await find_assistant(session, row.tenant_id, assistant_id)
