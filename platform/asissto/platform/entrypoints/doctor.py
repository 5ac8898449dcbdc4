"""`asissto doctor`: looks at everything that a working installation needs, and says what to do where it lacks."""

import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
import psutil
from sqlalchemy import text as sql

from asissto.platform.entrypoints.screen import print_json, screen
from asissto.platform.errors import AsisstoError
from asissto.platform.health import check_ready
from asissto.platform.log import configure_log
from asissto.platform.mail import check_mail
from asissto.platform.postgres import USES
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings, read_settings


class Finding(msgspec.Struct, frozen=True):
    """`detail` is the value found, or the sentence that says what to do."""

    check: str
    state: Literal["ok", "failed"]
    detail: str


class Report(msgspec.Struct, frozen=True):
    ok: bool
    findings: list[Finding]


async def examine(*, as_json: bool) -> bool:
    """Prints the findings; whether all is well."""
    findings = [Finding("python", "ok", f"{platform.python_version()} on {sys.platform}")]
    try:
        settings = read_settings()
        configure_log(settings)
        findings.append(Finding("data folder", "ok", str(settings.data_dir)))
        await _examine_services(settings, findings)
    except AsisstoError as error:
        findings.append(Finding("start", "failed", error.sentence("en")))
    report = Report(all(finding.state == "ok" for finding in findings), findings)
    if as_json:
        print_json(report)
    else:
        for finding in findings:
            screen.print(f"{finding.state:7} {finding.check:12} {finding.detail}")
    return report.ok


async def _examine_services(settings: Settings, findings: list[Finding]) -> None:
    async with open_services(settings) as services:
        checks: dict[str, Callable[[Services], Awaitable[str]]] = {
            "database": _database,
            "schema": _schema,
            "jobs": _jobs,
            "file store": _files,
            "embedder": _embedder,
            "chat model": _chat,
            "mail": _mail,
            "memory": _memory,
        }
        for name, check in checks.items():
            try:
                findings.append(Finding(name, "ok", await check(services)))
            except AsisstoError as error:
                findings.append(Finding(name, "failed", error.sentence(settings.language)))


async def _database(services: Services) -> str:
    query = "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
    async with services.database.system() as session:
        server, vector = (await session.execute(sql(query))).one()
    place = "outside" if services.settings.database_url else "embedded"
    return f"PostgreSQL {server}, pgvector {vector}, {place}"


async def _schema(services: Services) -> str:
    await check_ready(services.database)
    return "current"


async def _jobs(services: Services) -> str:
    soon = "run_at < now() + interval '1 hour'"  # what is planned for another day waits for nothing
    query = f"SELECT state, count(*) FROM jobs WHERE state <> 'done' AND {soon} GROUP BY state"  # noqa: S608
    async with services.database.system() as session:
        rows = (await session.execute(sql(query))).all()
    return ", ".join(f"{count} {state}" for state, count in rows) or "none waiting"


async def _files(services: Services) -> str:
    return await services.files.check()


async def _embedder(services: Services) -> str:
    await services.embedder.embed(["warm up"])
    started = time.perf_counter()
    await services.embedder.embed(["How long does it take to embed a question?"])
    languages = ", ".join(sorted(services.embedder.languages or ["all languages"]))
    return f"{services.embedder.model} ({languages}), {(time.perf_counter() - started) * 1000:.0f} ms a question"


async def _chat(services: Services) -> str:
    if services.chat is None:
        return "none: answers are quoted (set OPENAI_API_KEY or OPENAI_BASE_URL to have them generated)"
    from asissto.platform.chat import ChatMessage

    async for _ in services.chat.stream([ChatMessage("user", "Say ok.")], max_tokens=16):
        pass
    return services.chat.name


async def _mail(services: Services) -> str:
    return await check_mail(services.settings)


async def _memory(services: Services) -> str:
    """Of all that runs on this data folder but this command; shared pages count once (proportional set size)."""
    return f"{sum(map(_proportional_bytes, _processes(services.settings.data_dir))) >> 20} MB"


def _processes(folder: Path) -> set[psutil.Process]:
    """Users of the embedded database hold its file of uses open; its own processes work in its folder."""
    found = set[psutil.Process]()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_user = any(file.path == str(folder / USES) for file in process.open_files())
            if process.pid != os.getpid() and is_user:
                found |= {process, *process.children(recursive=True)}
            elif process.name() == "postgres" and Path(process.cwd()).is_relative_to(folder):
                found.add(process)
    return found


def _proportional_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0
