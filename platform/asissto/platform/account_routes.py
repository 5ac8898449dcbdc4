"""The routes of one's own account: a forgotten password, a new one, the address."""

from typing import Any

from litestar import Controller, Request, Response, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from litestar.types import ControllerRouterHandler

from asissto.platform import resetting
from asissto.platform.authentication import Principal
from asissto.platform.permissions import need, open_to_all
from asissto.platform.resetting import Followed, NewPassword, ResetAsked
from asissto.platform.services import Services
from asissto.platform.sign_in_routes import visitor_of

# Litestar would otherwise ask msgspec to look into it at each request.
Open = SkipValidation[NamedDependency[Services]]


class ResetController(Controller):
    path = "/api/v1/auth"
    tags = ("auth",)

    @post("/reset", operation_id="auth.reset_ask", status_code=204, guards=[open_to_all])
    async def ask_reset(
        self, request: Request[Any, Any, Any], data: JSONBody[ResetAsked], services: Open
    ) -> Response[None]:
        """The same answer for known and unknown addresses, before anything is looked up."""
        visitor = visitor_of(request)
        await resetting.check_reset(services, data.email, visitor)
        task = BackgroundTask(resetting.mail_reset, services, data.email, visitor)
        return Response(None, status_code=204, background=task)

    @post("/reset/password", operation_id="auth.reset", status_code=204, guards=[open_to_all])
    async def reset(self, request: Request[Any, Any, Any], data: JSONBody[NewPassword], services: Open) -> None:
        await resetting.reset_password(services, data, visitor_of(request))

    @post("/confirm", operation_id="auth.confirm", status_code=204, guards=[open_to_all])
    async def confirm(self, request: Request[Any, Any, Any], data: JSONBody[Followed], services: Open) -> None:
        await resetting.confirm_address(services, data, visitor_of(request))

    @post("/confirm/mail", operation_id="auth.confirm_ask", status_code=204, guards=[need("me.write")])
    async def ask_confirmation(self, services: Open, principal: NamedDependency[Principal]) -> None:
        await resetting.mail_confirmation(services, principal, principal.user_id)


HANDLERS: list[ControllerRouterHandler] = [ResetController]
