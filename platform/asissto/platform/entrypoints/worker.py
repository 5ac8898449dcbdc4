"""The worker process: runs every component's jobs, polls and sends for channels, until it is told to stop."""

import asyncio
import os
import signal

from asissto.channels.contact_names import HANDLERS as NAMES
from asissto.channels.delivering import Courier
from asissto.channels.jobs import HANDLERS as CHANNELS
from asissto.channels.polling import Poller
from asissto.ingestion.jobs import HANDLERS as INGESTION
from asissto.ingestion.switching import begin_wanted_switches
from asissto.platform.commissions import pay_partners
from asissto.platform.counting import keep_forgetting
from asissto.platform.log import configure_log
from asissto.platform.mail import HANDLERS as MAIL
from asissto.platform.payment_events import keep_settling
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings
from asissto.platform.subscriptions import keep_renewing
from asissto.platform.warning_mail import HANDLERS as WARNINGS
from asissto.platform.worker import Worker
from asissto.retrieval.jobs import HANDLERS as RETRIEVAL
from asissto.retrieval.reports import keep_reporting

HANDLERS = {**INGESTION, **RETRIEVAL, **CHANNELS, **NAMES, **MAIL, **WARNINGS}


def make_worker(services: Services) -> Worker:
    return Worker(services, HANDLERS)


async def run_everything(services: Services) -> None:
    """Jobs, the fetching of events and the sending of answers, until cancelled."""
    pay_partners()
    async with asyncio.TaskGroup() as group:
        for part in (make_worker(services), Poller(services), Courier(services)):
            group.create_task(part.run())
        group.create_task(keep_forgetting(services.database))
        group.create_task(keep_settling(services))
        group.create_task(keep_reporting(services.database))
        if services.settings.billing:
            group.create_task(keep_renewing(services.database))


async def work(settings: Settings, *, with_parent: bool = False) -> None:
    """Until SIGTERM or SIGINT; jobs that are running go back into the queue."""
    configure_log(settings)
    async with open_services(settings) as services:
        await begin_wanted_switches(services)
        running = asyncio.create_task(run_everything(services))
        watching = asyncio.create_task(_end_with_parent(running)) if with_parent else None
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(stop, running.cancel)
        await asyncio.wait([running])
        if watching is not None:
            watching.cancel()
        if not running.cancelled():
            running.result()


async def _end_with_parent(running: asyncio.Task[None]) -> None:
    """A killed `asissto up` cannot stop its worker: the worker sees it by its new parent."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    running.cancel()
