"""The live stream of a widget: what is said in the visitor's conversation, each part once, wherever it was cut off."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
from litestar.response import ServerSentEventMessage

from asissto.channels.outbox import SENT
from asissto.channels.widget_access import Widget, open_widget
from asissto.channels.widget_messages import (
    MOST_AT_ONCE,
    Seen,
    State,
    WidgetMessage,
    glance,
    place,
    said_after,
    seen_until,
)
from asissto.platform.errors import DatabaseDown, Forbidden, NotReady, NotSignedIn
from asissto.platform.events import Hub
from asissto.platform.services import Services
from asissto.retrieval.conversations import TOPIC as CONVERSATIONS

WRITTEN = "widget"
"""Topic of what a visitor has written; the id is the visitor's `live_id`."""

HEARTBEAT_SECONDS = 15.0
PAUSE_SECONDS = 0.1
LONGEST_SECONDS = 3600.0
"""Then the browser comes again, which costs nothing, and a stream that nobody reads any more is gone."""

MOST_STREAMS = 100
"""Of one network address in one process."""

_RECONNECT_MS = 2000
_DATABASE_PAUSE = 1.0


class Stream:
    """What one open page has seen; the rows are what counts, and notifications only say when to look."""

    def __init__(self, services: Services, widget: Widget, token: str, last_event: str) -> None:
        self._services = services
        self._widget = widget
        self._token = token
        self._visitor = widget.visitor(token)
        self._last_event = last_event
        self._state: State | None = None
        self.only = {self._visitor.live_id}

    async def events(self, hub: Hub) -> AsyncIterator[ServerSentEventMessage]:
        yield ServerSentEventMessage(data=None, retry=_RECONNECT_MS)
        end = time.monotonic() + min(LONGEST_SECONDS, self._visitor.expires_at - time.time())
        beaten = time.monotonic()
        topics = (CONVERSATIONS, SENT, WRITTEN)
        async with hub.watch(self._visitor.tenant_id, topics, self.only, self._widget.reader) as watcher:
            while True:
                await watcher.wait(min(HEARTBEAT_SECONDS, max(0.0, end - time.monotonic())))
                if watcher.has_ended or time.monotonic() >= end:
                    return
                watcher.take()
                if time.monotonic() - beaten >= HEARTBEAT_SECONDS:
                    beaten = time.monotonic()
                    if not await self._is_still_welcome():
                        return
                    yield ServerSentEventMessage(data=None, comment="")
                try:
                    async for event in self._news():
                        yield event
                except DatabaseDown:
                    watcher.reset()
                    await asyncio.sleep(_DATABASE_PAUSE)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _news(self) -> AsyncIterator[ServerSentEventMessage]:
        """The state comes after the messages that led to it."""
        while True:
            state, conversation_id, rows = await self._look()
            for seen, message in rows:
                assert conversation_id is not None
                self._last_event = place(conversation_id, seen)
                yield _event("message", message, self._last_event)
            if len(rows) < MOST_AT_ONCE:
                break
        if state != self._state:
            self._state = state
            yield _event("state", state)

    async def _look(self) -> tuple[State, UUID | None, list[tuple[Seen, WidgetMessage]]]:
        visitor = self._visitor
        async with self._services.database.tenant(visitor.tenant_id) as session:
            now = await glance(session, visitor)
            if now.conversation_id is None:
                return now.state, None, []
            self.only.add(now.conversation_id)
            seen = seen_until(now.conversation_id, self._last_event)
            return now.state, now.conversation_id, await said_after(session, visitor, now.conversation_id, seen)

    async def _is_still_welcome(self) -> bool:
        """Neither the channel nor the origin nor the secret is gone; without a database nobody can tell."""
        channel, origin = self._widget.channel, self._widget.origin
        try:
            async with self._services.database.tenant(channel.tenant_id) as session:
                widget = await open_widget(session, self._services, channel.tenant_id, channel.id, origin)
            widget.visitor(self._token)
        except DatabaseDown:
            return True
        except (Forbidden, NotSignedIn, NotReady):
            return False
        return True


def _event(name: str, data: msgspec.Struct, at: str | None = None) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=name, id=at, data=msgspec.json.encode(data).decode())
