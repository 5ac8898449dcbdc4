"""Who may use a widget's routes: pages of the origins that its owner names, within the limit of their address."""

import hmac
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.channels.accounts import connector_of
from asissto.channels.contract import Connector
from asissto.channels.send_errors import ChannelBroken
from asissto.channels.tables import Channel
from asissto.channels.web_widget import WEB, WebWidgetSettings
from asissto.channels.widget_sessions import Lock, Visitor, read_session
from asissto.platform.address_limits import network_of
from asissto.platform.counting import count
from asissto.platform.errors import (
    ChannelResting,
    IdentityRefused,
    NotSignedIn,
    OriginRefused,
    TooManyRequests,
)
from asissto.platform.keys import KeyRing
from asissto.platform.services import Services
from asissto.platform.web import PAGE_ORIGIN

AnyConnection = ASGIConnection[Any, Any, Any, Any]
_WIDGET = "widget"


class Widget(msgspec.Struct, frozen=True, kw_only=True):
    """A channel with a page in front of it; `reader` names the address behind the request without telling it."""

    channel: Channel
    settings: WebWidgetSettings
    lock: Lock
    origin: str
    reader: str

    @property
    def tenant_id(self) -> UUID:
        return self.channel.tenant_id

    def visitor(self, token: str | None) -> Visitor:
        """Raises NotSignedIn, TokenExpired, TokenInvalid and IdentityRefused."""
        if not token:
            raise NotSignedIn
        visitor = read_session(self.lock, token)
        if self.settings.require_identity and not visitor.is_known:
            raise IdentityRefused
        return visitor

    def guest(self, token: str | None) -> Visitor | None:
        """Who somebody was before they signed in; None where the token is of no use any more."""
        try:
            before = read_session(self.lock, token) if token else None
        except NotSignedIn:
            return None
        return None if before is None or before.is_known else before

    def refuse_if_paused(self) -> None:
        if self.channel.status != "active":
            raise ChannelResting


async def from_allowed_page(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """A guard: leaves the Widget in the request's state, and lets the page read whatever the answer is from here on.

    Raises OriginRefused, which is all that anybody else learns, and TooManyRequests.
    """
    services: Services = connection.app.state.services
    tenant_id, channel_id = (cast("UUID", connection.path_params[name]) for name in ("tenant_id", "channel_id"))
    state = connection.scope["state"]
    async with services.database.tenant(tenant_id) as session:
        widget = await open_widget(session, services, tenant_id, channel_id, _origin(connection, services))
        widget = msgspec.structs.replace(widget, reader=_reader(services.keys, connection))
        state[PAGE_ORIGIN] = widget.origin
        if connection.scope.get("method") != "OPTIONS":
            await _count(session, widget)
    state[_WIDGET] = widget


async def open_widget(
    session: AsyncSession, services: Services, tenant_id: UUID, channel_id: UUID, origin: str
) -> Widget:
    """Raises OriginRefused, also where there is no such widget, and ChannelResting."""
    channel = await session.get(Channel, (tenant_id, channel_id))
    if channel is None or channel.type != WEB:
        raise OriginRefused
    connector = _connector(services, channel)
    settings: WebWidgetSettings = connector.account.settings
    if origin not in settings.allowed_origins:
        raise OriginRefused
    lock = Lock(services.keys, tenant_id, channel_id, connector.account.secrets.identity_secret)
    return Widget(channel=channel, settings=settings, lock=lock, origin=origin, reader="")


def provide_widget(request: AnyConnection) -> Widget:
    """What the guard has left."""
    widget: Widget = request.scope["state"][_WIDGET]
    return widget


def provide_visitor(request: AnyConnection) -> Visitor:
    """By the bearer token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return provide_widget(request).visitor(token.strip() if scheme.lower() == "bearer" else None)


def _connector(services: Services, channel: Channel) -> Connector:
    try:
        return connector_of(services, channel)
    except ChannelBroken:
        raise ChannelResting from None


def _origin(connection: AnyConnection, services: Services) -> str:
    """A browser names none where a page of our own server reads from it, and says so in another header."""
    sent = connection.headers.get("origin", "")
    if not sent and connection.headers.get("sec-fetch-site") == "same-origin":
        own = urlsplit(services.settings.public_url or str(connection.base_url))
        return f"{own.scheme}://{own.netloc}"
    return sent


def _reader(keys: KeyRing, connection: AnyConnection) -> str:
    host = network_of(connection.client.host if connection.client else "")
    return hmac.digest(keys.derive("widget reader"), host.encode(), "sha256").hex()[:24]


async def _count(session: AsyncSession, widget: Widget) -> None:
    name = f"widget {widget.channel.id} {widget.reader}"
    if await count(session, widget.tenant_id, name, "minute") > widget.settings.address_per_minute:
        raise TooManyRequests(seconds=60)
