"""The other side of the generic channel: takes signed answers over a real socket, keeps them, and fails on demand."""

import asyncio
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
from aiohttp import web

from asissto.channels.signed_http import sign

NOTHING: Mapping[str, str] = {}
SECRET = "whsec_" + "A" * 32
Fault = int | Literal["drop", "reset", "stall"]
"""A status; `drop` takes the answer and ends the connection, `reset` ends it before, `stall` says nothing."""


class Gateway:
    """`async with Gateway() as gateway:` serves at `gateway.url`; `taken` are the bodies in the order they came.

    Like any receiver of Standard Webhooks it takes each `webhook-id` once; `copies` counts how often each came.
    """

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.copies: dict[str, int] = {}
        self.times: list[float] = []
        self.unsigned = 0
        self._faults: dict[str, deque[tuple[Fault, Mapping[str, str]]]] = {}
        self.files: dict[str, list[bytes | int]] = {}
        """What is given out for a name, one after the other: content, or a status; the last one stays."""
        self._came = asyncio.Condition()

    def fail(self, conversation: str, fault: Fault, headers: Mapping[str, str] = NOTHING, *, times: int = 1) -> None:
        """The next answers to that conversation."""
        self._faults.setdefault(conversation, deque()).extend([(fault, headers)] * times)

    def forget_faults(self) -> None:
        self._faults.clear()

    def said(self, conversation: str) -> list[str]:
        return [body["text"] for body in self.taken if body["conversation"] == conversation]

    async def wait_for(self, count: int, seconds: float = 60.0) -> list[dict[str, Any]]:
        """Until so many answers were taken."""
        async with asyncio.timeout(seconds), self._came:
            await self._came.wait_for(lambda: len(self.taken) >= count)
        return self.taken

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/answers", self._take)
        app.router.add_get("/files/{name}", self._give)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.place = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = f"{self.place}/answers"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        name, sent = request.headers["webhook-id"], int(request.headers["webhook-timestamp"])
        if request.headers["webhook-signature"] != sign(SECRET, name, sent, raw):
            self.unsigned += 1
            return web.Response(status=401)
        body = msgspec.json.decode(raw)
        if body["type"] == "ping":
            return web.Response()
        waiting = self._faults.get(body["conversation"])
        fault, headers = waiting.popleft() if waiting else (200, NOTHING)
        if fault == "reset":
            return self._end(request)
        if fault == "stall":
            await asyncio.sleep(600)
        if isinstance(fault, int) and fault != 200:
            return web.Response(status=fault, headers=headers)
        await self._keep(name, body)
        return self._end(request) if fault == "drop" else web.Response()

    async def _give(self, request: web.Request) -> web.StreamResponse:
        given = self.files.get(request.match_info["name"], [404])
        content = given.pop(0) if len(given) > 1 else given[0]
        return web.Response(status=content) if isinstance(content, int) else web.Response(body=content)

    async def _keep(self, name: str, body: dict[str, Any]) -> None:
        self.copies[name] = self.copies.get(name, 0) + 1
        if self.copies[name] == 1:
            self.taken.append(body)
            self.times.append(asyncio.get_running_loop().time())
            async with self._came:
                self._came.notify_all()

    def _end(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
