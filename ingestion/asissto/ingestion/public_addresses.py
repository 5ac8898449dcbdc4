"""Keeps the server from being sent into its own network: only addresses of the public internet are connected to."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver
from aiohttp.connector import AddrInfoType, TCPConnector

from asissto.platform.errors import AddressRefused

_NAT64 = IPv6Network("64:ff9b::/96")
"""Behind NAT64 every IPv4 site has an address in here, so the address inside is what is judged."""


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet, also where an IPv6 address carries an IPv4 one inside."""
    ip = ip_address(address)
    inner = _inner(ip) if isinstance(ip, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    local = isinstance(ip, IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or local)


def _inner(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour


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
