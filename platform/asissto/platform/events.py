"""Live events: whoever changes a row announces it in the same transaction, and whoever watches its tenant is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Never
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.database import Database
from asissto.platform.listening import listen
from asissto.platform.notices import notify
from asissto.platform.permissions import Permission
from asissto.platform.texts import Language
from asissto.platform.waking import happens

CHANNEL = "asissto_events"
MOST_WAITING = 1000
"""Changes that wait for a slow reader; one more, and it is told to read everything anew instead."""


class Change(msgspec.Struct, frozen=True):
    """Ids alone: Postgres shows notifications to every tenant, and takes 8,000 bytes of one."""

    tenant_id: UUID
    topic: str
    id: UUID


Render = Callable[[AsyncSession, UUID, Sequence[UUID], Language], Awaitable[Sequence[msgspec.Struct]]]
"""Reads the objects as they are now, in a transaction of the tenant, for one reader; also those that are gone."""


class Topic(msgspec.Struct, frozen=True):
    """Whoever may not do `permission` does not hear of it; `event` is the name of its events."""

    permission: Permission
    event: str
    render: Render


Topics = Mapping[str, Topic]


async def announce(session: AsyncSession, tenant_id: UUID, topic: str, object_id: UUID) -> None:
    """Belongs into the transaction of the change: both are seen or neither."""
    change = msgspec.json.encode(Change(tenant_id, topic, object_id)).decode()
    notify(session, CHANNEL, change)


class Watcher:
    """What one reader has not been told yet; an object that changes again meanwhile is told once.

    `only` are the objects that it wants to hear of, and may grow; None: all of them.
    """

    def __init__(
        self, tenant_id: UUID, topics: Collection[str], only: set[UUID] | None = None, reader: str = ""
    ) -> None:
        self._tenant_id = tenant_id
        self._topics = topics
        self.only = only
        self.reader = reader
        self._changes: dict[tuple[str, UUID], None] = {}
        self._wake = asyncio.Event()
        self.must_reset = False
        self.has_ended = False

    def hear(self, change: Change) -> None:
        if change.tenant_id != self._tenant_id or change.topic not in self._topics:
            return
        if self.only is not None and change.id not in self.only:
            return
        if len(self._changes) >= MOST_WAITING:
            self.reset()
        else:
            self._changes[change.topic, change.id] = None
            self._wake.set()

    def reset(self) -> None:
        self._changes.clear()
        self.must_reset = True
        self._wake.set()

    def end(self) -> None:
        self.has_ended = True
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something to tell, or the time is over."""
        await happens(self._wake, seconds)

    def take(self) -> tuple[bool, dict[str, list[UUID]]]:
        """Whether to begin anew, and what changed, by topic and in its order."""
        must_reset, self.must_reset = self.must_reset, False
        changes: dict[str, list[UUID]] = {}
        for topic, object_id in self._changes:
            changes.setdefault(topic, []).append(object_id)
        self._changes.clear()
        if not self.has_ended:
            self._wake.clear()
        return must_reset, changes


class Hub:
    """All readers of a process over one connection, which is there as long as somebody reads."""

    def __init__(self, database: Database, topics: Topics) -> None:
        self.database = database
        self.topics = topics
        self._watchers = set[Watcher]()
        self._listening: asyncio.Task[Never] | None = None
        self._is_connected = False
        self._is_closed = False

    @asynccontextmanager
    async def watch(
        self, tenant_id: UUID, topics: Collection[str], only: set[UUID] | None = None, reader: str = ""
    ) -> AsyncIterator[Watcher]:
        """The watcher begins with a reset, as soon as nothing can be missed any more."""
        watcher = Watcher(tenant_id, topics, only, reader)
        self._watchers.add(watcher)
        if self._is_closed:
            watcher.end()
        elif self._listening is None:
            self._listening = asyncio.create_task(listen(self.database, CHANNEL, self._hear, self._turn))
        elif self._is_connected:
            watcher.reset()
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
            if not self._watchers and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    def streams_of(self, reader: str) -> int:
        """How many somebody reads at this moment."""
        return sum(watcher.reader == reader for watcher in self._watchers)

    def close(self) -> None:
        """Ends every stream: they have no end of their own, and a server that stops would wait for them."""
        self._is_closed = True
        for watcher in self._watchers:
            watcher.end()

    def _turn(self, is_connected: bool) -> None:
        self._is_connected = is_connected
        if is_connected:
            for watcher in self._watchers:
                watcher.reset()

    def _hear(self, payload: str) -> None:
        change = msgspec.json.decode(payload, type=Change)
        for watcher in self._watchers:
            watcher.hear(change)
