"""The poller: fetches events of channels that cannot reach us, each by one process at a time."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import and_, func, or_, select, update

from asissto.channels.accounts import connector_of
from asissto.channels.calling import check_proxy
from asissto.channels.contract import Connector
from asissto.channels.events import TOPIC
from asissto.channels.inbox import take_in
from asissto.channels.outcomes import break_channel
from asissto.channels.polling_troubles import Troubles, words_for_owner
from asissto.channels.send_errors import ChannelBroken, RateLimited, SendError
from asissto.channels.tables import Channel
from asissto.channels.threads import lock_channel
from asissto.platform.errors import AsisstoError, DatabaseDown
from asissto.platform.events import announce
from asissto.platform.services import Services
from asissto.platform.tables import new_id

LEASE = timedelta(seconds=15)
_LOOK_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
log = structlog.get_logger()


class Polled(msgspec.Struct, frozen=True):
    tenant_id: UUID
    channel_id: UUID


class LostChannel(Exception):
    """Another process polls it, or its settings have changed."""


class Poller:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._id = new_id()
        self._running: dict[Polled, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled; then others may take its channels at once."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for polled in await self._take_channels():
                        if polled not in self._running:
                            task = group.create_task(self._poll(polled))
                            self._running[polled] = task
                            task.add_done_callback(partial(self._forget, polled))
                    await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await asyncio.shield(self._release())

    def _forget(self, polled: Polled, _done: object) -> None:
        self._running.pop(polled, None)

    async def _release(self) -> None:
        with suppress(DatabaseDown):
            async with self._services.database.system() as session:
                mine = update(Channel).where(Channel.polled_by == self._id)
                await session.execute(mine.values(polled_by=None, polled_until=None))

    async def _take_channels(self) -> list[Polled]:
        """Those that nobody polls, and renews the lease of our own."""
        free = or_(Channel.polled_until.is_(None), Channel.polled_until < func.now(), Channel.polled_by == self._id)
        due = and_(Channel.polls, Channel.status == "active", free)
        mine = select(Channel.tenant_id, Channel.id).where(due).with_for_update(skip_locked=True).cte("mine")
        taken = (
            update(Channel)
            .where(Channel.tenant_id == mine.c.tenant_id, Channel.id == mine.c.id)
            .values(polled_by=self._id, polled_until=func.now() + LEASE)
            .returning(Channel.tenant_id, Channel.id)
        )
        try:
            async with self._services.database.system() as session:
                rows = (await session.execute(taken, execution_options={"synchronize_session": False})).all()
        except Exception as error:  # the database may be away for a while: the loop outlives it
            log.error("channels cannot be taken", error=repr(error))  # noqa: TRY400
            return []
        return [Polled(*row) for row in rows]

    async def _poll(self, polled: Polled) -> None:
        """Until the channel is no longer ours to poll."""
        connector: Connector | None = None
        with structlog.contextvars.bound_contextvars(tenant=str(polled.tenant_id), channel=str(polled.channel_id)):
            try:
                channel = await self._channel(polled)
                connector = connector_of(self._services, channel)
                await check_proxy(connector.account)
                await self._keep_polling(polled, connector, channel.revision)
            except LostChannel:
                return
            except ChannelBroken as error:
                await self._break(polled, error, channel.revision)
            except Exception as error:  # a fault of ours in one connector leaves the others alone
                log.exception("a channel cannot be polled", error=repr(error))
                await self._tell_owner(polled, words_for_owner(error))
                await asyncio.sleep(_LONGEST_PAUSE)
            finally:
                if connector is not None:
                    await connector.close()

    async def _keep_polling(self, polled: Polled, connector: Connector, revision: int) -> None:
        """Until it raises LostChannel or ChannelBroken; all else passes, and the owner sees what takes long to."""
        pause, troubles = _FIRST_PAUSE, Troubles()
        while True:
            try:
                channel = await self._once(polled, connector, revision)
                pause = _FIRST_PAUSE
                if troubles.are_over() and channel.problem is not None:
                    await self._tell_owner(polled, None, revision)
            except ChannelBroken:
                raise
            except (SendError, AsisstoError) as error:
                log.warning("polling failed", error=repr(error))
                if troubles.must_be_told(error):
                    await self._tell_owner(polled, words_for_owner(error), revision)
                await asyncio.sleep(max(pause, error.seconds if isinstance(error, RateLimited) else 0))
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _once(self, polled: Polled, connector: Connector, revision: int) -> Channel:
        """The channel as it was before; events and cursor are stored together, or neither."""
        before = await self._channel(polled, revision)
        events, next_cursor = await connector.poll(before.cursor)
        if not events and next_cursor == before.cursor:
            return before
        async with self._services.database.tenant(polled.tenant_id) as session:
            channel = self._checked(await lock_channel(session, polled.tenant_id, polled.channel_id), revision)
            await take_in(session, channel, events)
            channel.cursor = next_cursor
        return before

    async def _tell_owner(self, polled: Polled, problem: str | None, revision: int | None = None) -> None:
        """The channel stays active: what it sends goes out, and it is polled again."""
        with suppress(DatabaseDown, LostChannel):
            async with self._services.database.tenant(polled.tenant_id) as session:
                channel = self._checked(await lock_channel(session, polled.tenant_id, polled.channel_id), revision)
                if channel.problem != problem:
                    channel.problem = problem
                    await announce(session, polled.tenant_id, TOPIC, polled.channel_id)

    async def _channel(self, polled: Polled, revision: int | None = None) -> Channel:
        async with self._services.database.tenant(polled.tenant_id) as session:
            channel = await session.get(Channel, (polled.tenant_id, polled.channel_id))
        return self._checked(channel, revision)

    def _checked(self, channel: Channel | None, revision: int | None = None) -> Channel:
        if channel is None or channel.polled_by != self._id or channel.status != "active" or not channel.polls:
            raise LostChannel
        if revision is not None and channel.revision != revision:
            raise LostChannel
        return channel

    async def _break(self, polled: Polled, error: ChannelBroken, revision: int) -> None:
        async with self._services.database.tenant(polled.tenant_id) as session:
            await break_channel(session, polled.tenant_id, polled.channel_id, error, revision)
