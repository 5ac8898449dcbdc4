"""Calls to a payment provider over HTTP: what was surely refused is told apart from what may have been done."""

from typing import Any

import httpx2
import msgspec

from asissto.platform.errors import PaymentRefused, PaymentUnanswered

SECONDS = 20.0


class Refusal(msgspec.Struct, frozen=True):
    """YooKassa's error object, as far as it says anything to us."""

    code: str = ""
    parameter: str = ""


async def call(client: httpx2.AsyncClient, provider: str, method: str, path: str, **options: Any) -> bytes:
    """The body of a 200. Raises PaymentRefused for 4xx, PaymentUnanswered for everything else that is no answer."""
    try:
        response = await client.request(method, path, timeout=SECONDS, **options)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise PaymentUnanswered(provider=provider) from error
    status = response.status_code
    if status in (408, 409, 425, 429) or not 200 <= status < 500 or status == 202:
        raise PaymentUnanswered(provider=provider)
    if status != 200:
        raise PaymentRefused(provider=provider, reason=_reason(status, response.content))
    return response.content


def _reason(status: int, body: bytes) -> str:
    """The provider's code alone: its sentences may hold what was sent."""
    try:
        said = msgspec.json.decode(body, type=Refusal)
    except msgspec.MsgspecError:
        return f"HTTP {status}"
    return " ".join(part for part in (said.code[:60], said.parameter[:60]) if part) or f"HTTP {status}"
