"""`asissto up`: database, migrations, API and worker in one go, then the address, a link and a first answer."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable
from uuid import UUID

import structlog
from sqlalchemy import func, select

from asissto.ingestion.documents import FINISHED
from asissto.ingestion.tables import DocumentVersion
from asissto.platform.accounts import make_admin_link
from asissto.platform.entrypoints.asking import ask_here, show_answer
from asissto.platform.entrypoints.screen import progress, screen
from asissto.platform.entrypoints.serving import STOP_SIGNALS, check_port, make_server
from asissto.platform.entrypoints.workspace import first_workspace, load_guide
from asissto.platform.links import link_address
from asissto.platform.log import configure_log
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings
from asissto.platform.tables import User
from asissto.platform.texts import text

_SAMPLE_QUESTIONS = {"en": "Which file types can I upload?", "ru": "Какие файлы можно загрузить?"}
_LOOK_AGAIN = 0.2
_RESTART_SECONDS = 2
log = structlog.get_logger()


async def up(settings: Settings) -> None:
    """Until SIGINT or SIGTERM; raises PortInUse before anything is started."""
    check_port(settings)
    configure_log(settings)
    async with open_services(settings) as services:
        server = make_server(services)
        for stop in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(stop, server.stop)
        workers = [asyncio.create_task(keep_worker()) for _ in range(settings.workers)]
        greeting = asyncio.create_task(greet(services, server.wait_until_started()))
        try:
            await server.serve()
        finally:
            for task in (greeting, *workers):
                task.cancel()
            await asyncio.gather(greeting, *workers, return_exceptions=True)


async def keep_worker() -> None:
    """The worker is a process of its own, so that reading a file never slows an answer; a dead one is replaced."""
    command = (sys.executable, "-m", "asissto.platform.entrypoints.cli", "work", "--with-parent")
    while True:
        process = await asyncio.create_subprocess_exec(*command, start_new_session=True)
        try:
            status = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
        log.warning("worker ended, starting another", status=status)
        await asyncio.sleep(_RESTART_SECONDS)


async def greet(services: Services, started: Awaitable[None]) -> None:
    """Says where everything is, once there is something to see."""
    settings, language = services.settings, services.settings.language
    tenant_id = await first_workspace(services)
    nobody_yet = not await _has_users(services)
    if nobody_yet and settings.sample:
        await load_guide(services, tenant_id)
        await _wait_for_documents(services, tenant_id)
    await started
    address = settings.address
    screen.print(text("up.address", language, address=address))
    if nobody_yet:
        screen.print(text("up.link", language, link=await admin_link(services, tenant_id)))
    if nobody_yet and settings.sample:
        question = _SAMPLE_QUESTIONS[language]
        show_answer(question, await ask_here(services, tenant_id, question), language)
    screen.print(text("up.stop", language))


async def admin_link(services: Services, tenant_id: UUID) -> str:
    async with services.database.system() as session:
        token = await make_admin_link(session, tenant_id)
    return link_address(services.settings, "admin", token)


async def _has_users(services: Services) -> bool:
    async with services.database.system() as session:
        return bool(await session.scalar(select(func.count()).select_from(User)))


async def _wait_for_documents(services: Services, tenant_id: UUID) -> None:
    everything = select(func.count()).where(DocumentVersion.tenant_id == tenant_id)
    with progress(text("up.sample", services.settings.language)) as report:
        while True:
            async with services.database.tenant(tenant_id) as session:
                total = await session.scalar(everything) or 0
                done = await session.scalar(everything.where(DocumentVersion.state.in_(FINISHED))) or 0
            report(done, total)
            if done == total:
                return
            await asyncio.sleep(_LOOK_AGAIN)
