"""A real browser in front of the real server: who is signed in, in which language, theme and width."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Response,
    async_playwright,
    expect,
)

from asissto.platform.authentication import ACCESS_COOKIE
from asissto.platform.credentials import Claims, sign_access_token
from asissto.platform.entrypoints.serving import make_server
from asissto.platform.services import Services
from channels_at_work import everything_at_work
from npm import give_up
from people import Member

WEB = Path(__file__).resolve().parents[1] / "platform/web"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_SETTLED = "() => document.querySelector('h1') && !document.querySelector('.animate-breathe, .animate-spin')"
_REFUSED = "Failed to load resource"
"""What a browser writes down by itself of each answer that is no success; of files it is an error all the same."""
expect.set_options(timeout=20_000)  # a worker on a busy machine


def find_chromium(playwright: Playwright) -> str:
    """That of the setting CHROMIUM, else of the PATH, else playwright's own; skips where there is none."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None and Path(playwright.chromium.executable_path).exists():
        found = playwright.chromium.executable_path
    if found is None:
        give_up("no Chromium: install it, or name it in CHROMIUM")
    return found


def run_build(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(WEB / "build.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def build_console() -> Path:
    """The folder of the built console; skips where it cannot be built."""
    ran = run_build()
    if ran.returncode:
        give_up(f"the console cannot be built: {ran.stderr[-500:]}")
    return WEB / "dist"


@asynccontextmanager
async def opened(playwright: Playwright) -> AsyncIterator[Browser]:
    # As root Chromium has no sandbox of its own, and the pages here are our own.
    browser = await playwright.chromium.launch(executable_path=find_chromium(playwright), args=["--no-sandbox"])
    yield browser
    await browser.close()


@dataclass
class Console:
    """The served console with a worker behind it; `errors` are what the pages wrote to the browser's console."""

    services: Services
    address: str
    browser: Browser
    errors: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(
        self,
        member: Member | None = None,
        *,
        language: str = "en",
        theme: str = "light",
        size: dict[str, int] = WIDE,
    ) -> AsyncIterator[Page]:
        """A tab of its own with nothing of another; signed in where a member is given."""
        context = await self.browser.new_context(
            base_url=self.address,
            viewport=size,  # type: ignore[arg-type]
            locale={"en": "en-US", "ru": "ru-RU"}[language],
            timezone_id="UTC",
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        if member is not None:
            await sign_in(context, self.services, member, self.address)
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("response", self._see)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        try:
            yield page
        finally:
            await context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_REFUSED):
            self.errors.append(message.text)

    def _see(self, response: Response) -> None:
        if "/assets/" in response.url and not response.ok:
            self.errors.append(f"{response.status} {response.url}")


async def sign_in(context: BrowserContext, services: Services, member: Member, address: str) -> None:
    """As the server does it: a cookie that no script can read."""
    claims = Claims(sub=member.user_id, tid=member.tenant_id, role=member.role, sid=member.session_id)
    cookie = {"name": ACCESS_COOKIE, "value": sign_access_token(services.keys, claims), "url": f"{address}/api"}
    await context.add_cookies([cookie])  # type: ignore[list-item]


@asynccontextmanager
async def served(services: Services, browser: Browser, port: int) -> AsyncIterator[Console]:
    """The web server and everything that the worker process does, until the block ends without an error of a page."""
    services = structs.replace(services, settings=structs.replace(services.settings, port=port))
    server = make_server(services)
    serving = asyncio.create_task(server.serve())
    await server.wait_until_started()
    console = Console(services, f"http://127.0.0.1:{port}", browser)
    async with everything_at_work(services):
        yield console
    server.stop()
    await asyncio.wait_for(serving, 10)
    assert not console.errors, console.errors


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built console; `make test` has built it already."""
    return build_console()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright, opened(playwright) as browser:
        yield browser


@pytest.fixture
async def console(private: Services, browser: Browser, built: Path, unused_tcp_port: int) -> AsyncIterator[Console]:
    async with served(private, browser, unused_tcp_port) as console:
        yield console


async def settled(page: Page) -> None:
    """Everything has come that was on its way."""
    await page.wait_for_function(_SETTLED)
    await page.wait_for_function("() => document.fonts.status === 'loaded'")


@cache
def axe() -> str:
    """The source of axe-core, which the checks of the console bring."""
    source = WEB / "node_modules/axe-core/axe.min.js"
    ran = run_build("--tools")
    if ran.returncode or not source.exists():
        give_up(f"axe-core cannot be installed: {ran.stderr[-300:]}")
    return source.read_text(encoding="utf-8")


RULES: Sequence[str] = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


async def violations(page: Page) -> list[str]:
    """What keeps somebody from using the page, one line each; run from outside, so that the policy stands."""
    await page.evaluate(axe())
    run = f"axe.run({{runOnly: {json.dumps(RULES)}, resultTypes: ['violations']}})"
    found: dict[str, Any] = await page.evaluate(run)
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]
