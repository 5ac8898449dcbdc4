"""Two processes on one server: each side runs in an environment of its own and does what it is told, line by line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

Method = Callable[..., Any]


class Side:
    """A process whose methods are called from here; its client memory is its own."""

    def __init__(self, python: Path, script: Path, *arguments: str, path: str = "") -> None:
        environment = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [python, script, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, method: str, **arguments: Any) -> Any:
        """What the method returns; ends the benchmark where the process has failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()
        reply = self._process.stdout.readline()
        if not reply:
            sys.exit(f"{self._process.args!r} failed in {method!r}: its error stands above.")
        return json.loads(reply)

    def close(self) -> None:
        self._process.communicate(timeout=30)


def serve(call: Method) -> None:
    """The process's own end: `call(method, **arguments)` for each line until there are no more."""
    replies = _take_standard_output()
    for line in sys.stdin:
        method, arguments = json.loads(line)
        replies.write(json.dumps(call(method, **arguments)) + "\n")
        replies.flush()


def peak_mb() -> float:
    """The most memory this process has held. `ru_maxrss` would start with what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _take_standard_output() -> IO[str]:
    """Whatever a library prints goes to the standard error, so that the replies stay whole lines."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies
