"""Live events of channels: whoever may read them hears when one breaks or is repaired."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.shown_channels import ChannelGone, ChannelOut
from asissto.channels.tables import Channel
from asissto.platform.events import Topic
from asissto.platform.texts import Language

TOPIC = "channels"


async def render_channels(
    session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID], _language: Language
) -> list[ChannelOut | ChannelGone]:
    mine = select(Channel).where(Channel.tenant_id == tenant_id, Channel.id.in_(ids))
    shown = {row.id: ChannelOut.of(row) for row in await session.scalars(mine)}
    return [shown.get(each) or ChannelGone(each) for each in ids]


TOPICS = {TOPIC: Topic("channels.read", "channel", render_channels)}
