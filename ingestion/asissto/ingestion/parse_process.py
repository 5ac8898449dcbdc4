"""Parses each file in a process of its own, so that a hostile file harms neither the worker nor the machine."""

import asyncio
import multiprocessing
import resource
import signal
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import msgspec
import structlog

from asissto.ingestion.parsing import ParsedDocument, parse
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
    child = _FORKS.Process(target=_answer, args=(sender, path, name, seconds, memory_mb), daemon=True)
    with receiver, stopped:
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
        child.close()
    return answer, exit_code


def _answer(sender: Connection, path: Path, name: str, seconds: int, memory_mb: int) -> None:
    signal.alarm(seconds)  # kills this process whatever it is doing, also when the worker is gone
    _limit_memory(memory_mb)
    outcome: Success | Refusal
    try:
        outcome = Success(parse(path, name))
    except DocumentRefused as error:
        outcome = Refusal(error.code, error.params)
    except MemoryError:
        outcome = Refusal(DocumentParseMemory.code, {"name": name, "limit_mb": memory_mb})
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
