"""Parses each file in a process of its own, so that a hostile file harms neither the worker nor the machine."""

import asyncio
import multiprocessing
import os
import resource
import signal
import tempfile
from contextlib import suppress
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


class Limits(msgspec.Struct, frozen=True):
    """Of one parse; what is in its folder goes with it."""

    seconds: int
    memory_mb: int
    folder: str


async def parse_apart(path: Path, name: str, *, seconds: int, memory_mb: int) -> ParsedDocument:
    """`parse` under a limit of wall time, and of memory on top of what the parsers themselves take.

    Raises what `parse` raises, DocumentParseTimeout and DocumentParseMemory. Cancelling it kills the child.
    """
    stopped, stop = _FORKS.Pipe(duplex=False)
    with stop:
        task = asyncio.create_task(asyncio.to_thread(_run, path, name, seconds, memory_mb, stopped))
        try:
            answer, exit_code = await asyncio.shield(task)
        except asyncio.CancelledError:
            stop.close()
            await asyncio.wait([task])
            raise
    if not answer:
        raise _cause_of_death(exit_code, name, seconds, memory_mb)
    outcome = msgspec.msgpack.decode(answer, type=Success | Refusal)
    if isinstance(outcome, Refusal):
        raise _ERRORS[outcome.code](**outcome.params)
    return outcome.document


_ERRORS = {error.code: error for error in DocumentRefused.__subclasses__()}


def _run(path: Path, name: str, seconds: int, memory_mb: int, stopped: Connection) -> tuple[bytes, int | None]:
    """The child's answer, empty where it died or was stopped, and its exit code."""
    receiver, sender = _FORKS.Pipe(duplex=False)
    with TemporaryDirectory(prefix="asissto-parse-", ignore_cleanup_errors=True) as folder, receiver, stopped:
        child = _FORKS.Process(
            target=_answer, args=(sender, path, name, Limits(seconds, memory_mb, folder)), daemon=True
        )
        with sender:
            child.start()
        ready = wait([receiver, stopped])
        if stopped in ready and child.is_alive():
            child.kill()
        try:
            answer = receiver.recv_bytes()
        except (EOFError, OSError):  # it died before, or in the middle of its answer
            answer = b""
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


def _answer(sender: Connection, path: Path, name: str, limits: Limits) -> None:
    signal.alarm(limits.seconds)  # kills this process whatever it is doing, also when the worker is gone
    os.setpgid(0, 0)
    # Of what it starts, which has no alarm and outlives a killed worker.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds + 5, limits.seconds + 5))
    tempfile.tempdir = limits.folder
    _limit_memory(limits.memory_mb)
    outcome: Success | Refusal
    try:
        outcome = Success(parse(path, name, TimeLimit(limits.seconds)))
    except DocumentRefused as error:
        outcome = Refusal(error.code, error.params)
    except MemoryError:
        outcome = Refusal(DocumentParseMemory.code, {"name": name, "limit_mb": limits.memory_mb})
    sender.send_bytes(msgspec.msgpack.encode(outcome))


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
