"""Calls of VK's methods through vk_api: several at once, each with an end, and none holding up another."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2

from asissto.channels.calling import call, make_client
from asissto.channels.contract import SEND_SECONDS, Account
from asissto.channels.send_errors import ChannelBroken, Retryable, Uncertain
from asissto.channels.vk_errors import refusal, refusal_of_http
from asissto.channels.vk_events import decoded

API_VERSION = "5.199"
SESSIONS = 8
"""A session of vk_api carries one call at a time: as many as the courier sends at once on one channel."""

CALLS_PER_SECOND = 20
"""What VK allows a community's token."""

CONNECT_SECONDS = 5.0

_CAPTCHA = "[14] VK wants a captcha to be solved"


class VkCalls:
    """The sessions of one channel, and the client below them, opened when they are first needed."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._opened: _Opened | None = None
        self._next_at = 0.0

    async def method(self, name: str, *, hurried: bool = False, **values: Any) -> Any:
        """VK's `response`; raises SendError within SEND_SECONDS. `hurried`: not at all where every session is busy."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SEND_SECONDS
        opened = self._open()
        if hurried and opened.idle.empty():
            raise Retryable("every session is busy")
        await self._pace(deadline)
        session = await _next(opened.idle, deadline)
        session.http.deadline = deadline

        def give_back(_done: object) -> None:
            with suppress(RuntimeError):  # the loop has ended before the call
                loop.call_soon_threadsafe(opened.idle.put_nowait, session)

        running = opened.threads.submit(_call, session, name, values)
        running.add_done_callback(give_back)
        return await asyncio.wrap_future(running)

    async def _pace(self, deadline: float) -> None:
        """Calls begin evenly, so that VK need not refuse any."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next_at)
        if mine > deadline:
            raise Retryable("more calls than VK allows")
        self._next_at = mine + 1 / CALLS_PER_SECOND
        await asyncio.sleep(mine - now)

    async def look(self, url: str, **params: Any) -> dict[str, Any]:
        """An answer of the Long Poll server."""
        response = await _in_time(
            call(self._open().client, "GET", url, params=params), asyncio.get_running_loop().time() + SEND_SECONDS
        )
        if not response.is_success:
            raise refusal_of_http(response.status_code, response.headers.get("retry-after", ""))
        try:
            return decoded(response.content)
        except ValueError:
            raise Retryable("not an answer of VK") from None

    @property
    def client(self) -> httpx2.AsyncClient:
        return self._open().client

    def _open(self) -> "_Opened":
        if self._opened is None:
            client = make_client(self._account, is_own_address=True)
            client.timeout = httpx2.Timeout(SEND_SECONDS, connect=CONNECT_SECONDS)
            self._opened = _Opened(self._account, client)
        return self._opened

    async def close(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened.client.aclose()
            opened.threads.shutdown(wait=False)


class _Opened:
    def __init__(self, account: Account, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.threads = ThreadPoolExecutor(SESSIONS, thread_name_prefix="vk")
        self.idle: asyncio.Queue[Any] = asyncio.Queue()
        for _ in range(SESSIONS):
            self.idle.put_nowait(_make_session(account, client))


def _make_session(account: Account, client: httpx2.AsyncClient) -> Any:
    from vk_api import VkApi

    class Session(VkApi):  # type: ignore[misc]
        """As it comes it waits for its turn of 3 in a second, and repeats by itself."""

        RPS_DELAY = 0.0

        def too_many_rps_handler(self, error: Exception) -> None:
            raise error

    http = _Http(client, account.settings.api_base, asyncio.get_running_loop())
    no_file: Any = lambda *_, **__: None  # noqa: E731 - it would keep its settings in one
    return Session(token=account.secrets.token, api_version=API_VERSION, config=no_file, session=http)


class _Http:
    """In the place of `requests`, which has no limit for a whole call, no guard, and no choice of the host."""

    def __init__(self, client: httpx2.AsyncClient, base: str, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._loop = loop
        self.deadline = 0.0
        """Of the call that follows, in the time of the loop."""

    def post(self, url: str, values: dict[str, Any], **_headers: object) -> "_Response":
        address = self._base + urlsplit(url).path
        sending = _in_time(call(self._client, "POST", address, data=values), self.deadline)
        return _Response(asyncio.run_coroutine_threadsafe(sending, self._loop).result(2 * SEND_SECONDS))


class _Response:
    """What vk_api reads of a response."""

    def __init__(self, response: httpx2.Response) -> None:
        self.ok = response.is_success
        self.status_code = response.status_code
        self.retry_after = response.headers.get("retry-after", "")
        self.json = response.json


async def _next(idle: "asyncio.Queue[Any]", deadline: float) -> Any:
    try:
        async with asyncio.timeout_at(deadline):
            return await idle.get()
    except TimeoutError:
        raise Retryable("every session is busy") from None


async def _in_time(answer: Any, deadline: float) -> httpx2.Response:
    try:
        async with asyncio.timeout_at(deadline):
            response: httpx2.Response = await answer
            return response
    except TimeoutError:
        raise Uncertain("no answer in time") from None


def _call(session: Any, name: str, values: dict[str, Any]) -> Any:
    """In a thread. The causes are left out of what is raised, since they hold the token."""
    from vk_api.exceptions import ApiError, ApiHttpError, Captcha

    try:
        return session.method(name, values)
    except Captcha:
        raise ChannelBroken(_CAPTCHA) from None
    except ApiError as error:
        told = str(error.error.get("error_msg", "")).replace(session.token["access_token"], "…")
        raise refusal(error.code, told) from None
    except ApiHttpError as error:
        raise refusal_of_http(error.response.status_code, error.response.retry_after) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if "captcha_" in str(error):  # vk_api wants its picture, which VK does not always send
            raise ChannelBroken(_CAPTCHA) from None
        raise Uncertain("not an answer of VK") from None


def field(told: Any, *path: str | int) -> Any:
    """What stands there in an answer; raises Uncertain where nothing does."""
    try:
        for step in path:
            told = told[step]
    except (LookupError, TypeError):
        raise Uncertain("not an answer of VK") from None
    return told
