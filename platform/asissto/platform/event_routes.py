"""The stream of what changes in a workspace, as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, SkipValidation
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.types import ControllerRouterHandler

from asissto.platform.authentication import Principal, current_standing
from asissto.platform.database import Database
from asissto.platform.errors import DatabaseDown, Forbidden, InvalidInput
from asissto.platform.events import Change, Hub, Topics, Watcher
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import Permission, need
from asissto.platform.texts import Language, Phrase
from asissto.platform.web import UNCOMPRESSED

HEARTBEAT_SECONDS = 15.0
PAUSE_SECONDS = 0.25
"""Between two looks, so that an object is told at most four times a second, however often it changes."""

_RECONNECT_MS = 2000
_DATABASE_PAUSE = 1.0


class Reader(msgspec.Struct, frozen=True):
    """For whom the stream is."""

    database: Database
    principal: Principal
    topics: Topics
    language: Language


@get(
    "/api/v1/events",
    operation_id="events.stream",
    guards=[need("me.read")],
    tags=["events"],
    opt={UNCOMPRESSED: True, MEDIA_TYPES: ("text/event-stream",)},
)
async def stream(
    hub: SkipValidation[NamedDependency[Hub]],
    principal: NamedDependency[Principal],
    language: NamedDependency[Language],
    topics: FromQuery[list[str]],
) -> ServerSentEvent:
    """Begins with `reset`: read everything now, then follow. Each topic asks for the permission to read its objects."""
    if not set(topics) <= set(hub.topics):
        raise InvalidInput(field="topics", detail=Phrase("invalid.choice"))
    wanted = {name: hub.topics[name] for name in topics}
    if not _may_hear(principal.permissions, wanted):
        raise Forbidden
    return ServerSentEvent(_events(hub, Reader(hub.database, principal, wanted, language)))


HANDLERS: list[ControllerRouterHandler] = [stream]


async def _events(hub: Hub, reader: Reader) -> AsyncIterator[ServerSentEventMessage]:
    yield ServerSentEventMessage(
        data=None, retry=_RECONNECT_MS
    )  # at once, so that the reader sees that it is connected
    checked = time.monotonic()
    async with hub.watch(reader.principal.tenant_id, reader.topics.keys()) as watcher:
        while not watcher.has_ended:
            await watcher.wait(HEARTBEAT_SECONDS)
            if time.monotonic() - checked > HEARTBEAT_SECONDS:
                checked = time.monotonic()
                if not await _is_still_in(reader):
                    return
                yield ServerSentEventMessage(data=None, comment="")
            async for event in _told(watcher, reader):
                yield event
            await asyncio.sleep(0 if watcher.has_ended else PAUSE_SECONDS)


async def _told(watcher: Watcher, reader: Reader) -> AsyncIterator[ServerSentEventMessage]:
    must_reset, changes = watcher.take()
    if must_reset:
        yield _event("reset", {})
    for topic, ids in changes.items():
        about = reader.topics[topic]
        try:
            async with reader.database.tenant(reader.principal.tenant_id) as session:
                found = await about.render(session, reader.principal.tenant_id, ids, reader.language)
        except DatabaseDown:
            for object_id in ids:
                watcher.hear(Change(reader.principal.tenant_id, topic, object_id))
            await asyncio.sleep(_DATABASE_PAUSE)
        else:
            for each in found:
                yield _event(about.event, each)


async def _is_still_in(reader: Reader) -> bool:
    """Whoever was removed or signed out hears nothing more; without a database nobody can tell, or has news."""
    try:
        who = reader.principal
        now = await current_standing(reader.database, who.tenant_id, who.user_id, who.session_id)
    except DatabaseDown:
        return True
    return now is not None and _may_hear(now.permissions, reader.topics)


def _may_hear(permissions: frozenset[Permission], topics: Topics) -> bool:
    return all(topic.permission in permissions for topic in topics.values())


def _event(name: str, data: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=name, data=msgspec.json.encode(data).decode())
