"""Channels: for now the one that every tenant has, the API."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.tables import Channel
from asissto.platform.errors import NotFound

API = "api"


async def api_channel(session: AsyncSession, tenant_id: UUID) -> UUID:
    """The id of the channel by which programs, the page and the command line ask."""
    mine = select(Channel.id).where(Channel.tenant_id == tenant_id, Channel.type == API)
    return (await session.scalars(mine)).one()


async def find_channel(session: AsyncSession, tenant_id: UUID, channel_id: UUID) -> Channel:
    found = await session.get(Channel, (tenant_id, channel_id))
    if found is None:
        raise NotFound(kind="channel")
    return found


async def prepare_tenant(session: AsyncSession, tenant_id: UUID, _language: str) -> None:
    """Gives a new tenant its API channel."""
    session.add(Channel(tenant_id=tenant_id, name="API", type=API))
