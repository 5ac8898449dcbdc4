"""`asissto serve` and the web server inside `asissto up`."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Iterator

import uvicorn

from asissto.platform.entrypoints.web import build_app
from asissto.platform.errors import BadSetting, PortInUse
from asissto.platform.events import Hub
from asissto.platform.log import configure_log
from asissto.platform.services import Services, open_services
from asissto.platform.settings import Settings

_GRACE_SECONDS = 5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve(settings: Settings) -> None:
    """Until SIGINT or SIGTERM; raises PortInUse before the database is touched."""
    check_port(settings)
    configure_log(settings)
    async with open_services(settings) as services:
        server = make_server(services)
        for stop in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(stop, server.stop)
        await server.serve()


class WebServer(uvicorn.Server):
    """Leaves signals to the entry point: uvicorn would raise them again before the database is closed."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True
        self._hub.close()

    async def wait_until_started(self) -> None:
        while not self.started and not self.should_exit:
            await asyncio.sleep(0.02)


def make_server(services: Services) -> WebServer:
    settings = services.settings
    app = build_app(services)
    return WebServer(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
        ),
        app.state.hub,
    )


def check_port(settings: Settings) -> None:
    """Raises PortInUse, and BadSetting for a host that is none of this machine."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise PortInUse(port=settings.port) from None
            raise BadSetting(name="ASISSTO_HOST", detail=error.strerror or str(error)) from None
