"""A real S3-compatible server for the tests: SeaweedFS, whose binary the development group brings."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from asissto.platform.files import FileStore, make_file_store
from asissto.platform.settings import Settings

BUCKET = "asissto"
ACCESS_KEY, SECRET_KEY = "tester", "a secret that nobody logs"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
_STRANGER = {"name": "anonymous", "actions": ["Read", "List"]}
"""May look without a signature, so that the tests see the bucket with other eyes than the product's."""


class S3Server:
    def __init__(self, process: "subprocess.Popen[bytes]", address: str) -> None:
        self.process = process
        self.address = address

    def settings(self, prefix: str, **changes: str) -> Settings:
        keys = {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
        place = {"files_url": f"s3://{BUCKET}/{prefix}", "s3_endpoint": self.address}
        return msgspec.convert(place | keys | changes, Settings)

    def store(self, prefix: str, **changes: str) -> FileStore:
        return make_file_store(self.settings(prefix, **changes))

    def keys(self, prefix: str) -> list[str]:
        """Of the objects that are there."""
        return self._look(prefix, "list-type=2")

    def uploads(self, prefix: str) -> list[str]:
        """Keys of the uploads that have begun and are neither whole nor aborted."""
        return self._look(prefix, "uploads")

    def _look(self, prefix: str, query: str) -> list[str]:
        response = httpx.get(f"{self.address}/{BUCKET}?{query}&prefix={prefix}/")
        return re.findall(r"<Key>(?:[^/<]+/)(.+?)</Key>", response.raise_for_status().text)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running_s3_server(folder: Path) -> Iterator[S3Server]:
    ports = {name: _free_port() for port in _PORTS for name in (port, f"{port}.grpc")}
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "HOME": str(folder)}
        process = subprocess.Popen(_command(folder, ports), stdout=log, stderr=log, env=environment)
    server = S3Server(process, f"http://127.0.0.1:{ports['s3.port']}")
    try:
        _wait(server, folder / "log")
        yield server
    finally:
        server.kill()
        for port in ports.values():  # it takes no other folder for these
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def _command(folder: Path, ports: dict[str, int]) -> list[str]:
    identity = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    tester = {"name": "tester", "credentials": [identity], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_bytes(msgspec.json.encode({"identities": [tester, _STRANGER]}))
    options = {
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "dir": folder,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 100,
        "s3.config": folder / "s3.json",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
    }
    weed = str(Path(sys.executable).with_name("weed"))
    given = [f"-{name}={value}" for name, value in (ports | options).items()]
    return [weed, "-logtostderr", "server", "-filer", "-s3", *given]


def _wait(server: S3Server, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            httpx.get(server.address, timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
