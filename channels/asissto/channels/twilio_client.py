"""Twilio's own client over our connections: its asynchronous one knows no time limit, and its errors no Retry-After."""

import logging
from typing import Any

import httpx2
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from asissto.channels.calling import call, in_time
from asissto.channels.send_errors import Uncertain
from asissto.channels.twilio_errors import refusal


def make_twilio(client: httpx2.AsyncClient, account_sid: str, auth_token: str, api_base: str | None) -> Client:
    """Its calls raise SendErrors, and end within SEND_SECONDS."""
    # It would read keys and regions from the environment if it were given none.
    nothing = {"TWILIO_EDGE": ""}
    twilio = Client(account_sid, auth_token, http_client=_Connections(client), environment=nothing)
    if api_base:
        twilio.api.base_url = api_base.rstrip("/")
    return twilio


class _Connections(AsyncHttpClient):  # type: ignore[misc]
    def __init__(self, client: httpx2.AsyncClient) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._client = client

    async def request(self, method: str, uri: str, **options: Any) -> Response:
        """`options` are Twilio's: of redirects and of time we have our own opinion."""
        asked = {name: options[name] for name in ("params", "data", "headers", "auth")}
        async with in_time():
            response = await call(self._client, method, uri, **asked)
        if not response.is_success:
            raise refusal(response)
        if not _is_json_object(response):
            raise Uncertain(f"{response.status_code}, but no JSON")
        return Response(response.status_code, response.text, response.headers)


def _is_json_object(response: httpx2.Response) -> bool:
    try:
        return isinstance(response.json(), dict)
    except ValueError:
        return False
