"""Channels as the API and the live events show them: settings in the open, of secrets only that they are there."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import msgspec

from asissto.channels.tables import Channel


class ChannelOut(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is active, paused or broken. `has_secrets`: they are not shown.

    `problem` is the provider's word: why the channel is broken, or why an active one cannot fetch messages just now.
    """

    id: UUID
    name: str
    type: str
    status: str
    problem: str | None
    assistant_id: UUID | None
    settings: dict[str, Any]
    has_secrets: bool
    polls: bool
    paused_until: datetime | None
    heard_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Channel) -> Self:
        same = {name: getattr(row, name) for name in cls.__struct_fields__ if name != "has_secrets"}
        return cls(**same, has_secrets=row.secrets is not None)


class ChannelGone(msgspec.Struct, frozen=True):
    id: UUID
    status: Literal["deleted"] = "deleted"
