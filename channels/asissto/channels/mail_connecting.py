"""Connects to mail servers: to the very address that was judged, and by the owner's proxy if there is one."""

import asyncio
import base64
import re
import socket
import ssl
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import httpx2
import msgspec
from msgspec import Meta

from asissto.channels.contract import Account
from asissto.channels.send_errors import ChannelBroken, Retryable
from asissto.platform.errors import AddressRefused
from asissto.platform.guarded_transport import public_addresses_of

CONNECT_SECONDS = 5.0
_LONGEST_ANSWER = 10_000

Host = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
User = Annotated[str, Meta(max_length=254, pattern=r"^[^\x00-\x1f\x7f]*$")]
Security = Literal["tls", "starttls", "none"]


class MailServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`none` sends passwords in the clear and works only where private addresses are allowed.

    Without a `user` nobody signs in, as at a relay of one's own.
    """

    host: Host
    port: Port
    security: Security = "tls"
    user: User = ""


async def open_connection(account: Account, server: MailServer) -> socket.socket:
    """Connected, not yet secured, without a time limit of its own. Raises Retryable, ChannelBroken."""
    if server.security == "none" and account.guarded:
        raise ChannelBroken("a connection without encryption is allowed to private addresses alone")
    proxy = account.secrets.proxy
    if proxy is not None:
        return await asyncio.to_thread(_by_proxy, proxy, server)
    addresses = await _addresses(account, server)
    for address in addresses:
        try:
            return await asyncio.to_thread(socket.create_connection, (address, server.port), CONNECT_SECONDS)
        except OSError as error:
            failure = error
    raise Retryable(f"{server.host}: {type(failure).__name__}")


async def _addresses(account: Account, server: MailServer) -> list[str]:
    if not account.guarded:
        return [server.host]
    try:
        found = await public_addresses_of(server.host, server.port)
    except (AddressRefused, httpx2.ConnectError) as error:
        raise Retryable(f"{server.host}: {type(error).__name__}") from error
    if not found:
        raise Retryable(f"{server.host}: no address")
    return found[:2]


def _by_proxy(url: str, server: MailServer) -> socket.socket:
    if url.startswith(("http:", "https:")):
        return _by_http_proxy(url, server)
    from python_socks import ProxyError, ProxyTimeoutError
    from python_socks.sync import Proxy

    by_name = url.startswith("socks5h:")  # the proxy looks the name up
    try:
        proxy = Proxy.from_url(url.replace("socks5h:", "socks5:", 1), rdns=by_name or None)
        return proxy.connect(server.host, server.port, timeout=CONNECT_SECONDS)
    except ValueError as error:
        raise ChannelBroken("mail goes by http, socks5 and socks5h proxies") from error
    except (ProxyError, ProxyTimeoutError, OSError) as error:
        raise Retryable(f"proxy: {type(error).__name__}") from error


def _by_http_proxy(url: str, server: MailServer) -> socket.socket:
    """Reads the proxy's answer to its end and no further: mail servers speak first, and that must not be swallowed.

    Libraries (python_socks, http.client) read as much as has come.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ChannelBroken("mail goes by http, socks5 and socks5h proxies")
    host = f"[{server.host}]" if ":" in server.host else server.host
    request = f"CONNECT {host}:{server.port} HTTP/1.1\r\nHost: {host}:{server.port}\r\n"
    if parts.username:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request += f"Proxy-Authorization: Basic {base64.b64encode(account.encode()).decode()}\r\n"
    try:
        connection = socket.create_connection((parts.hostname, parts.port or 80), CONNECT_SECONDS)
    except OSError as error:
        raise Retryable(f"proxy: {type(error).__name__}") from error
    try:
        connection.sendall(f"{request}\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n") and len(answer) < _LONGEST_ANSWER:
            byte = connection.recv(1)
            if not byte:
                break
            answer += byte
    except OSError as error:
        connection.close()
        raise Retryable(f"proxy: {type(error).__name__}") from error
    if not re.match(rb"HTTP/1\.\d 2\d\d\b", answer):
        connection.close()
        raise Retryable(f"proxy: {answer[:60].decode('latin-1').splitlines()[:1]}")
    connection.settimeout(None)
    return connection


def tls_context() -> ssl.SSLContext:
    """Certificates and names are always verified."""
    return ssl.create_default_context()
