"""A third party's OpenAI-compatible server, aimock: real sockets, its own idea of the protocol, faults by model."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from npm import free_port, installed, running

HERE = Path(__file__).with_name("aimock")


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
    script = installed(HERE) / "node_modules/@copilotkit/aimock/dist/cli.js"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="asissto-aimock-") as folder:
        first = {"match": {"model": "none"}, "response": {"content": "none"}}  # it refuses to start without any
        (Path(folder) / "first.json").write_bytes(msgspec.json.encode({"fixtures": [first]}))
        options = ["-p", str(port), "-h", "127.0.0.1", "-f", f"{folder}/first.json", "--log-level", "warn"]
        server = ModelServer(f"http://127.0.0.1:{port}")
        with running(script, options, lambda: _is_ready(server)):
            yield server


def _is_ready(server: ModelServer) -> bool:
    try:
        return httpx.get(f"{server.address}/ready", timeout=1).is_success
    except httpx.HTTPError:
        return False
