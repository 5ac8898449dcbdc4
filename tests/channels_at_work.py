"""Channels under test: made through the API, with events brought as their provider would, and a worker at work."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from asissto.channels.signed_http import sign
from asissto.platform.entrypoints.worker import run_everything
from asissto.platform.services import Services
from gateway_peer import SECRET, Gateway
from people import Person

Json = dict[str, Any]


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 - what happens in the database sets no event here
            await asyncio.sleep(0.05)


@asynccontextmanager
async def everything_at_work(services: Services) -> AsyncIterator[None]:
    """What the worker process does."""
    running = asyncio.create_task(run_everything(services))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def make_channel(person: Person, kind: str, settings: Json, secrets: Json, **more: Any) -> Json:
    body = {"name": f"My {kind}", "type": kind, "settings": settings, "secrets": secrets, **more}
    made: Json = (await person.client.post("/api/v1/channels", json=body)).raise_for_status().json()
    return made


async def make_gateway(person: Person, gateway: Gateway, **settings: Any) -> Json:
    return await make_channel(person, "http", {"callback_url": gateway.url, **settings}, {"secret": SECRET})


async def bring(
    client: httpx.AsyncClient, channel: Json, tenant_id: object, key: str, body: Json, *, secret: str = SECRET
) -> httpx.Response:
    """A signed event of the generic channel."""
    raw, now = msgspec.json.encode(body), int(time.time())
    headers = {
        "webhook-id": key,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, key, now, raw),
    }
    return await client.post(f"/api/v1/hooks/{tenant_id}/{channel['id']}", content=raw, headers=headers)
