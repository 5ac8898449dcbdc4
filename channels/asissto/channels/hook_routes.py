"""Where providers bring their events: stored and committed first, then acknowledged in the provider's own way."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.types import ControllerRouterHandler

from asissto.channels.accounts import HOOKS, connector_of
from asissto.channels.channels import API, find_channel
from asissto.channels.contract import Hook
from asissto.channels.inbox import take_in
from asissto.channels.send_errors import ChannelBroken
from asissto.platform.address_limits import BUCKET
from asissto.platform.errors import ChannelResting, NotFound
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.permissions import open_to_all
from asissto.platform.services import Services

LARGEST_HOOK = 2_000_000


@post(
    HOOKS + "/{tenant_id:uuid}/{channel_id:uuid}",
    operation_id="channels.hook",
    status_code=200,
    guards=[open_to_all],
    tags=["channels"],
    request_max_body_size=LARGEST_HOOK,
    opt={MEDIA_TYPES: ("*/*",), BUCKET: "hooks"},
)
async def take_hook(
    tenant_id: FromPath[UUID],
    channel_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    services: SkipValidation[NamedDependency[Services]],
) -> Response[bytes]:
    """A request that does not prove whose it is leaves nothing behind. A paused channel asks to be called again."""
    hook = Hook(
        method=request.method,
        query=request.scope["query_string"].decode("latin-1"),
        headers=dict(request.headers.items()),
        body=await request.body(),
    )
    async with services.database.tenant(tenant_id) as session:
        channel = await find_channel(session, tenant_id, channel_id)
        if channel.type == API:
            raise NotFound(kind="channel")
        try:
            taken = connector_of(services, channel).take(hook)
        except ChannelBroken:
            raise ChannelResting from None
        if channel.status == "paused":
            raise ChannelResting
        await take_in(session, channel, taken.events)
    return Response(taken.reply.body, status_code=taken.reply.status, media_type=taken.reply.media_type)


HANDLERS: list[ControllerRouterHandler] = [take_hook]
