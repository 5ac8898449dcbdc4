"""The courier: takes parts out of the outbox, sends them, and writes down what became of each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import structlog

from asissto.channels import outbox
from asissto.channels.accounts import connector_of
from asissto.channels.calling import check_proxy
from asissto.channels.contract import SEND_SECONDS, Connector, Sent
from asissto.channels.outbox import Claimed
from asissto.channels.outcomes import Errand, Outcome, prepare, settle
from asissto.channels.send_errors import ChannelBroken, Permanent, SendError, Uncertain
from asissto.channels.tables import Channel
from asissto.platform.errors import DatabaseDown
from asissto.platform.listening import listen
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.platform.waking import happens

PLACES = 32
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_Found = TypeVar("_Found")
log = structlog.get_logger()


class Courier:
    """Sends `places` parts at once, each conversation's in their order."""

    def __init__(self, services: Services, *, places: int = PLACES) -> None:
        self._services = services
        self._places = asyncio.Semaphore(places)
        self._id = new_id()
        self._wake = asyncio.Event()
        self._connectors: dict[tuple[UUID, UUID], tuple[int, Connector]] = {}

    async def run(self) -> None:
        """Until cancelled; what is on its way then is finished by whoever claims it next."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(self._services.database, outbox.CHANNEL, self._hear, self._hear))
                group.create_task(self._work(group))
        finally:
            for _, connector in self._connectors.values():
                await connector.close()

    def _hear(self, _news: object) -> None:
        self._wake.set()

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._places.acquire()
            self._wake.clear()  # before the look, so that what comes during it is not missed
            claimed = await self._claim()
            if claimed is None:
                self._places.release()
                await happens(self._wake, _LOOK_SECONDS)
            else:
                group.create_task(self._deliver(claimed)).add_done_callback(self._free)

    def _free(self, _done: object) -> None:
        self._places.release()
        self._wake.set()  # the next part of the conversation is first now

    async def send_one(self) -> bool:
        """The next part that is due; False where there is none."""
        claimed = await self._claim()
        if claimed is not None:
            await self._deliver(claimed)
        return claimed is not None

    async def _claim(self) -> Claimed | None:
        try:
            async with self._services.database.system() as session:
                return await outbox.claim(session, self._id)
        except Exception as error:  # the database may be away for a while: the loop outlives it
            log.error("the outbox cannot be read", error=repr(error))  # noqa: TRY400
            return None

    async def _deliver(self, claimed: Claimed) -> None:
        with structlog.contextvars.bound_contextvars(tenant=str(claimed.tenant_id), part=str(claimed.id)):
            try:
                found = await _patiently(lambda: self._errand(claimed))
                if found is not None:
                    outcome = await _send(*found)
                    await _patiently(lambda: self._finish(*found, outcome))
            except Exception as error:  # its lease runs out, and another attempt finds out what became of it
                log.exception("a part was not delivered", error=repr(error))

    async def _errand(self, claimed: Claimed) -> tuple[Errand, Connector] | None:
        async with self._services.database.tenant(claimed.tenant_id) as session:
            channel = await session.get_one(Channel, (claimed.tenant_id, claimed.channel_id))
            try:
                connector = self._connector(channel)
            except ChannelBroken as error:
                await settle(session, claimed, error, revision=channel.revision)
                return None
            errand = await prepare(session, claimed, channel.revision, connector)
        return None if errand is None else (errand, connector)

    def _connector(self, channel: Channel) -> Connector:
        """One for each channel, made anew when its settings change, while the old one ends its sends."""
        key = (channel.tenant_id, channel.id)
        revision, connector = self._connectors.get(key, (0, None))
        if connector is not None and revision == channel.revision:
            return connector
        if connector is not None:
            asyncio.get_running_loop().call_later(2 * SEND_SECONDS, _close, connector)
        fresh = connector_of(self._services, channel)
        self._connectors[key] = (channel.revision, fresh)
        return fresh

    async def _finish(self, errand: Errand, connector: Connector, outcome: Outcome) -> None:
        can = connector.capabilities
        pause = can.lookup_after if can.again == "lookup" else 0.0
        async with self._services.database.tenant(errand.claimed.tenant_id) as session:
            await settle(session, errand.claimed, outcome, revision=errand.revision, lookup_after=pause)


def _close(connector: Connector) -> None:
    asyncio.ensure_future(connector.close())  # noqa: RUF006 - it ends by itself


async def _send(errand: Errand, connector: Connector) -> Outcome:
    """Never raises and never takes much longer than SEND_SECONDS."""
    try:
        async with asyncio.timeout(SEND_SECONDS + _GRACE_SECONDS):
            return await _once(errand, connector)
    except TimeoutError:
        return Uncertain("no answer in time")
    except SendError as error:
        return error
    except Exception as error:  # a fault of ours in a connector: nobody knows whether it was sent
        log.exception("a connector failed", error=repr(error))
        return Uncertain(type(error).__name__)


async def _once(errand: Errand, connector: Connector) -> Sent:
    if errand.is_stale:
        raise Permanent("stale")
    await check_proxy(connector.account)
    if errand.must_look:
        found = await connector.find_sent(errand.to, errand.content, errand.key, errand.since)
        if found is not None:
            return found
    return await connector.send(errand.to, errand.content, errand.key)


async def _patiently(attempt: Callable[[], Awaitable[_Found]]) -> _Found:
    """While the database is away: what was sent must not be forgotten as long as the lease lasts."""
    loop = asyncio.get_running_loop()
    until = loop.time() + outbox.LEASE.total_seconds()
    while True:
        try:
            return await attempt()
        except DatabaseDown:
            if loop.time() > until:
                raise
            await asyncio.sleep(0.2)
