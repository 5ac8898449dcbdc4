"""What a customer sent besides words, read from Twilio's media store."""

from collections.abc import AsyncIterator

import httpx2

from asissto.channels.calling import Keys, download, make_client
from asissto.channels.contract import Account

_MOST_HOPS = 3
"""Twilio redirects once or twice, to addresses that are good for some hours."""


async def read_media(account: Account, address: str, auth: tuple[str, str]) -> AsyncIterator[bytes]:
    """Only public hosts are asked, and only Twilio's own get the account's keys."""

    def keys_for(url: httpx2.URL) -> Keys:
        return auth if _is_twilios(account, url) else None

    async with make_client(account, is_own_address=True) as client:
        async for piece in download(client, address, most_hops=_MOST_HOPS, keys_for=keys_for):
            yield piece


def _is_twilios(account: Account, url: httpx2.URL) -> bool:
    """Whether it is the service that we speak to anyway, or a host of Twilio's own."""
    base = account.settings.api_base
    if base:
        own = httpx2.URL(base)
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)
    return url.scheme == "https" and (url.host == "twilio.com" or url.host.endswith(".twilio.com"))
