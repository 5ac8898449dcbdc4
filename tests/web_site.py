"""A site on 127.0.0.1 for the tests: its pages can be changed between two visits, and it keeps who asked for what."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Coroutine[None, None, web.StreamResponse]]


@dataclass
class Site:
    """`pages` are HTML by path, or answers of their own; with `validators` it answers 304 where nothing changed."""

    address: str = ""
    pages: dict[str, str | bytes | Answer] = field(default_factory=dict)
    validators: bool = False
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str) -> str:
        return f"{self.address}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.agents.add(request.headers["User-Agent"])
        page = self.pages.get(request.path_qs)
        if page is None:
            return web.Response(status=404, text="nothing here")
        if callable(page):
            return await page(request)
        return self._page(request, page)

    async def silent(self, _request: web.Request) -> web.StreamResponse:
        """An answer that never comes."""
        await self.closing.wait()
        return web.Response()

    def _page(self, request: web.Request, page: str | bytes) -> web.Response:
        body = page.encode() if isinstance(page, str) else page
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": etag} if self.validators else {}
        if self.validators and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers={**headers, "Content-Type": media_type(request.path)})


def media_type(path: str) -> str:
    kinds = {".pdf": "application/pdf", ".txt": "text/plain", ".xml": "application/xml", ".zip": "application/zip"}
    return next((kind for suffix, kind in kinds.items() if path.endswith(suffix)), "text/html; charset=utf-8")


def status(code: int, **headers: str) -> Answer:
    """An answer with that status and nothing else."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def redirect(target: str) -> Answer:
    return status(302, Location=target)


def packed(body: bytes) -> Answer:
    """The body as gzip."""
    small = gzip.compress(body)

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=small, headers={"Content-Encoding": "gzip", "Content-Type": "text/html"})

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    """A body without an end and without a length."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * (1 << 16))


@asynccontextmanager
async def running_site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    site.closing.set()
    await runner.cleanup()
