"""Parses each file in a process of its own, so that a hostile file harms neither the worker nor the machine."""

import asyncio
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import structlog

from asissto.ingestion.parsing import ParsedDocument, TimeLimit, parse
from asissto.platform.errors import DocumentCorrupt, DocumentParseMemory, DocumentParseTimeout, DocumentRefused

log = structlog.get_logger()

# The first parse starts a server that loads the parsers once (5 CPU-s, 200 MB); every parse is then a fork of it.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["asissto.ingestion.parse_server"])


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """A DocumentRefused on its way out of the child."""

    code: str
    params: dict[str, Any]


class Success(msgspec.Struct, frozen=True, tag=True):
    document: ParsedDocument


class Step(msgspec.Struct, frozen=True, tag=True):
    """How far a parse is, in pages."""

    done: int
    total: int


class Limits(msgspec.Struct, frozen=True):
    seconds: int
    memory_mb: int


Report = Callable[[int, int], Awaitable[None]]


async def parse_apart(
    path: Path, name: str, *, seconds: int, memory_mb: int, report: Report | None = None
) -> ParsedDocument:
    """`parse` under a limit of wall time, and of memory on top of what the parsers themselves take.

    `report` is told now and then how many pages of how many are read. Raises what `parse` raises, DocumentParseTimeout
    and DocumentParseMemory. Cancelling it kills the child.
    """
    stopped, stop = _FORKS.Pipe(duplex=False)
    with stop:
        async with _telling(report) as hear:
            task = asyncio.create_task(asyncio.to_thread(_run, path, name, Limits(seconds, memory_mb), stopped, hear))
            try:
                answer, exit_code = await asyncio.shield(task)
            except asyncio.CancelledError:
                stop.close()
                await asyncio.wait([task])
                raise
    if answer is None:
        raise _cause_of_death(exit_code, name, seconds, memory_mb)
    if isinstance(answer, Refusal):
        raise _ERRORS[answer.code](**answer.params)
    return answer.document


@asynccontextmanager
async def _telling(report: Report | None) -> AsyncIterator[Callable[[Step], None]]:
    """What may be called from another thread; the report hears the newest step when it is done with the one before."""
    loop, steps = asyncio.get_running_loop(), asyncio.Queue[Step]()

    def hear(step: Step) -> None:
        loop.call_soon_threadsafe(steps.put_nowait, step)

    async def tell() -> None:
        while True:
            step = await steps.get()
            while not steps.empty():
                step = steps.get_nowait()
            if report is not None:
                await report(step.done, step.total)

    telling = asyncio.create_task(tell())
    try:
        yield hear
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        if not telling.cancelled():
            telling.result()


_ERRORS = {error.code: error for error in DocumentRefused.__subclasses__()}


def _run(
    path: Path, name: str, limits: Limits, stopped: Connection, hear: Callable[[Step], None]
) -> tuple[Success | Refusal | None, int | None]:
    """The child's answer, None where it died or was stopped, and its exit code."""
    receiver, sender = _FORKS.Pipe(duplex=False)
    with TemporaryDirectory(prefix="asissto-parse-", ignore_cleanup_errors=True) as folder, receiver, stopped:
        child = _FORKS.Process(target=_answer, args=(sender, path, name, limits, folder), daemon=True)
        with sender:
            child.start()
        answer = None
        while answer is None:
            if stopped in wait([receiver, stopped]) and child.is_alive():
                child.kill()
            try:
                message = msgspec.msgpack.decode(receiver.recv_bytes(), type=Success | Refusal | Step)
            except (EOFError, OSError):  # it died before, or in the middle of its answer
                break
            if isinstance(message, Step):
                hear(message)
            else:
                answer = message
        child.join()
        exit_code = child.exitcode
        _kill_group(child.pid)
        child.close()
    return answer, exit_code


def _kill_group(leader: int | None) -> None:
    """What a parse started and left behind, as LibreOffice; most leave nothing."""
    assert leader  # a group of 0 would be the worker's own
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _answer(sender: Connection, path: Path, name: str, limits: Limits, folder: str) -> None:
    signal.alarm(limits.seconds)  # kills this process whatever it is doing, also when the worker is gone
    os.setpgid(0, 0)
    # Of what it starts, which has no alarm and outlives a killed worker.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds + 5, limits.seconds + 5))
    tempfile.tempdir = folder  # goes with the child
    _limit_memory(limits.memory_mb)
    outcome: Success | Refusal
    try:
        outcome = Success(parse(path, name, TimeLimit(limits.seconds, report=_Teller(sender))))
    except DocumentRefused as error:
        outcome = Refusal(error.code, error.params)
    except MemoryError:
        outcome = Refusal(DocumentParseMemory.code, {"name": name, "limit_mb": limits.memory_mb})
    sender.send_bytes(msgspec.msgpack.encode(outcome))


class _Teller:
    """Tells the parent how far the parse is, at most twice a second."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender
        self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._told > _SECONDS_BETWEEN_STEPS:
            self._told = time.monotonic()
            self._sender.send_bytes(msgspec.msgpack.encode(Step(done, total)))


_SECONDS_BETWEEN_STEPS = 0.5


def _limit_memory(megabytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _cause_of_death(exit_code: int | None, name: str, seconds: int, memory_mb: int) -> DocumentRefused:
    """What a child without an answer died of; the traceback of an error in a parser stands on stderr."""
    log.warning("parse_process_died", file=name, exit_code=exit_code)
    if exit_code == -signal.SIGALRM:
        return DocumentParseTimeout(name=name, seconds=seconds)
    # The kernel kills where memory is short; C libraries abort or trap.
    if exit_code in {-signal.SIGKILL, -signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL}:
        return DocumentParseMemory(name=name, limit_mb=memory_mb)
    return DocumentCorrupt(name=name)
