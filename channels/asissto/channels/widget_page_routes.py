"""The widget as a page of its own, for sites that show it in a frame."""

from html import escape
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.enums import MediaType
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from asissto.channels.accounts import connector_of
from asissto.channels.send_errors import ChannelBroken
from asissto.channels.tables import Channel
from asissto.channels.web_widget import WEB
from asissto.platform.errors import ChannelResting, NotFound
from asissto.platform.given import Open, Reader
from asissto.platform.permissions import open_to_all
from asissto.platform.services import Services
from asissto.platform.texts import Language
from asissto.platform.web import FRAMED_BY

Named = Annotated[Language | None, QueryParameter()]
Theme = Annotated[str, QueryParameter(pattern="^(light|dark|auto)$")]
Color = Annotated[str, QueryParameter(pattern="^#?[0-9A-Fa-f]{6}$|^$")]


@get("/w/{tenant_id:uuid}/{channel_id:uuid}", include_in_schema=False, guards=[open_to_all])
async def show_widget_page(
    request: Request[Any, Any, Any],
    services: Open,
    language: Reader,
    tenant_id: FromPath[UUID],
    channel_id: FromPath[UUID],
    lang: Named = None,
    theme: Theme = "auto",
    color: Color = "",
) -> Response[str]:
    """Only the sites that may show the widget may show the page; its script asks as one of our own server."""
    request.scope["state"][FRAMED_BY] = ["'self'", *await _sites(services, tenant_id, channel_id)]
    given = {"id": f"{tenant_id}/{channel_id}", "lang": lang or language, "theme": theme, "frame": ""}
    if color:
        given["color"] = f"#{color.lstrip('#')}"
    data = " ".join(f'data-{name}="{escape(value)}"' for name, value in given.items())
    page = (
        f'<!doctype html><html lang="{lang or language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Asissto</title><body><script src="/widget.js" {data}></script></body></html>'
    )
    return Response(page, media_type=MediaType.HTML, headers={"cache-control": "no-cache"})


HANDLERS: list[ControllerRouterHandler] = [show_widget_page]


async def _sites(services: Services, tenant_id: UUID, channel_id: UUID) -> list[str]:
    """Raises NotFound and ChannelResting."""
    async with services.database.tenant(tenant_id) as session:
        channel = await session.get(Channel, (tenant_id, channel_id))
    if channel is None or channel.type != WEB:
        raise NotFound(kind="address")
    try:
        origins: list[str] = connector_of(services, channel).account.settings.allowed_origins
    except ChannelBroken:
        raise ChannelResting from None
    return origins
