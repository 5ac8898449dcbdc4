"""Prism: a server made from an official interface description, which refuses what the description does not allow."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from npm import free_port, installed, running

HERE = Path(__file__).with_name("prism")
SPECS = Path(__file__).resolve().parents[2] / "shared/specs"


def spec(name: str) -> Path:
    """A file of the descriptions, which are not part of this repository; skips where they are missing."""
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"shared/specs/{name}, the provider's own description, is not beside this repository")
    return path


@contextmanager
def running_prism(description: Path) -> Iterator[str]:
    """The address of the server; skips with a reason where Prism cannot be installed.

    A request that breaks the description is answered with a 4xx; a header `Prefer: example=NAME` or `Prefer: code=404`
    chooses among the described answers.
    """
    script = installed(HERE) / "node_modules/@stoplight/prism-cli/dist/index.js"
    port = free_port()
    options = ["mock", "-h", "127.0.0.1", "-p", str(port), str(description)]
    with running(script, options, lambda: _listens(port)):
        yield f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
