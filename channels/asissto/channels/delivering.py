"""The courier: takes parts out of the outbox, sends them, and writes down what became of each."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import structlog

from asissto.channels import outbox
from asissto.channels.accounts import connector_of
from asissto.channels.calling import check_proxy
from asissto.channels.contract import SEND_SECONDS, Connector, Sent
from asissto.channels.outbox import Claimed
from asissto.channels.outcomes import Errand, Outcome, errand, may_repeat, settle
from asissto.channels.send_errors import ChannelBroken, Permanent, SendError, Uncertain
from asissto.channels.tables import Channel
from asissto.platform.claiming import keep_claiming
from asissto.platform.errors import DatabaseDown
from asissto.platform.listening import listen
from asissto.platform.metering import count
from asissto.platform.services import Services
from asissto.platform.tables import new_id

PLACES = 32
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_Found = TypeVar("_Found")
log = structlog.get_logger()


class Courier:
    """Sends `places` parts at once, each conversation's in their order."""

    def __init__(self, services: Services, *, places: int = PLACES) -> None:
        self._services = services
        self._places = places
        self._id = new_id()
        self._wake = asyncio.Event()
        self._connectors: dict[tuple[UUID, UUID], tuple[int, Connector]] = {}
        self._retired = deque[Connector]()

    async def run(self) -> None:
        """Until cancelled; what is on its way then is finished by whoever claims it next."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(self._services.database, outbox.CHANNEL, self._hear, self._hear))
                wake = (self._wake, _LOOK_SECONDS)
                # The next part of the conversation is first when one has ended.
                group.create_task(keep_claiming(self._places, wake, self._claim, self._deliver, frees_more=True))
        finally:
            while self._retired:
                await self._retired.popleft().close()
            for _, connector in self._connectors.values():
                await connector.close()

    def _hear(self, _news: object) -> None:
        self._wake.set()

    async def send_one(self) -> bool:
        """The next part that is due; False where there is none."""
        found = await self._claim(1)
        for claimed in found:
            await self._deliver(claimed)
        return bool(found)

    async def _claim(self, most: int) -> list[Claimed]:
        try:
            async with self._services.database.system() as session:
                return await outbox.claim(session, self._id, most)
        except Exception as error:  # the database may be away for a while: the loop outlives it
            log.error("the outbox cannot be read", error=repr(error))  # noqa: TRY400
            return []

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
        """None where it is not to be sent now."""
        revision, connector = self._connectors.get((claimed.tenant_id, claimed.channel_id), (0, None))
        if connector is None or revision != claimed.revision:
            revision, connector = await self._new_connector(claimed)
        if connector is None:
            return None
        if claimed.may_have_arrived and connector.capabilities.again == "none":
            async with self._services.database.tenant(claimed.tenant_id) as session:
                if not await may_repeat(session, claimed):
                    return None
        return errand(claimed, revision, connector), connector

    async def _new_connector(self, claimed: Claimed) -> tuple[int, Connector | None]:
        """One for each channel, made anew when its settings change, while the old one ends its sends.

        None where its secrets cannot be opened: the channel is broken then.
        """
        key = (claimed.tenant_id, claimed.channel_id)
        async with self._services.database.tenant(claimed.tenant_id) as session:
            channel = await session.get_one(Channel, key)
            try:
                fresh = connector_of(self._services, channel)
            except ChannelBroken as error:
                await settle(session, claimed, error, revision=channel.revision)
                return channel.revision, None
        revision, old = self._connectors.get(key, (0, None))
        if old is not None and revision == channel.revision:  # made for another part meanwhile
            return revision, old
        if old is not None:
            self._retired.append(old)
            asyncio.get_running_loop().call_later(2 * SEND_SECONDS, self._close_oldest)
        self._connectors[key] = (channel.revision, fresh)
        return channel.revision, fresh

    def _close_oldest(self) -> None:
        if self._retired:
            asyncio.ensure_future(self._retired.popleft().close())  # noqa: RUF006 - it ends by itself

    async def _finish(self, errand: Errand, connector: Connector, outcome: Outcome) -> None:
        can = connector.capabilities
        pause = can.lookup_after if can.again == "lookup" else 0.0
        async with self._services.database.tenant(errand.claimed.tenant_id) as session:
            await settle(session, errand.claimed, outcome, revision=errand.revision, lookup_after=pause)
            if self._services.settings.billing and can.paid_by_segment and isinstance(outcome, Sent):
                sent = {"sms_segments": outcome.segments}
                await count(session, errand.claimed.tenant_id, f"part:{errand.claimed.id}", sent)


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
        found = await connector.find_sent(errand.to, errand.content, errand.claimed.key, errand.claimed.first_sent_at)
        if found is not None:
            return found
    return await connector.send(errand.to, errand.content, errand.claimed.key)


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
