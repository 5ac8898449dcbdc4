"""Keeps the server from being sent into its own network: only addresses of the public internet are connected to."""

import socket

from aiohttp.abc import AbstractResolver
from aiohttp.connector import AddrInfoType, TCPConnector

from asissto.platform.errors import AddressRefused
from asissto.platform.public_addresses import is_public


def guarded_connector(*, private: bool, resolver: AbstractResolver | None = None) -> TCPConnector:
    """A connector that refuses by raising AddressRefused, unless `private` addresses are allowed.

    It judges the very address that the socket is then connected to, whatever was resolved before and however the
    address was spelt. Addresses are tried in turn: in a race aiohttp would hide the refusal of one of them.
    """

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        if not (private or is_public(host)):
            raise AddressRefused(address=host)
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        resolver=resolver, socket_factory=open_socket, happy_eyeballs_delay=None, use_dns_cache=False, limit=0
    )
