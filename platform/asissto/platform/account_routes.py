"""The routes of one's own account: password, address, sessions, second factor."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from asissto.platform import own_password, resetting, second_factor, sessions
from asissto.platform.given import Caller, Open
from asissto.platform.own_password import PasswordChange
from asissto.platform.paging import Page
from asissto.platform.permissions import need, open_to_all
from asissto.platform.resetting import Followed, NewPassword, ResetAsked
from asissto.platform.second_factor import Confirm, Enrol, Enrolment, RecoveryCodes, Remove, SecondFactorOut
from asissto.platform.sessions import Closed, SessionOut
from asissto.platform.sign_in_routes import visitor_of


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
    async def ask_confirmation(self, services: Open, principal: Caller) -> None:
        await resetting.mail_confirmation(services, principal, principal.user_id)


class OwnAccountController(Controller):
    path = "/api/v1/auth"
    tags = ("auth",)

    @post("/password", operation_id="auth.password", status_code=204, guards=[need("me.write")])
    async def change_password(self, data: JSONBody[PasswordChange], services: Open, principal: Caller) -> None:
        await own_password.change_password(services, principal, data)

    @get("/sessions", operation_id="sessions.list", guards=[need("me.read")])
    async def list_sessions(self, services: Open, principal: Caller) -> Page[SessionOut]:
        return await sessions.list_sessions(services, principal)

    @delete("/sessions/{session_id:uuid}", operation_id="sessions.end", guards=[need("me.write")])
    async def end_session(self, session_id: FromPath[UUID], services: Open, principal: Caller) -> None:
        await sessions.end_session(services, principal, session_id)

    @post("/sessions/end-others", operation_id="sessions.end_others", status_code=200, guards=[need("me.write")])
    async def end_others(self, services: Open, principal: Caller) -> Closed:
        return await sessions.end_other_sessions(services, principal)


class SecondFactorController(Controller):
    path = "/api/v1/auth/second-factor"
    tags = ("auth",)

    @get(operation_id="second_factor.read", guards=[need("me.read")])
    async def read(self, services: Open, principal: Caller) -> SecondFactorOut:
        return await second_factor.read_second_factor(services, principal.user_id)

    @post(operation_id="second_factor.enrol", guards=[need("me.write")])
    async def enrol(self, data: JSONBody[Enrol], services: Open, principal: Caller) -> Enrolment:
        return await second_factor.enrol(services, principal, data)

    @post("/confirm", operation_id="second_factor.confirm", status_code=200, guards=[need("me.write")])
    async def confirm(self, data: JSONBody[Confirm], services: Open, principal: Caller) -> RecoveryCodes:
        return await second_factor.confirm(services, principal, data)

    @post("/recovery-codes", operation_id="second_factor.renew", status_code=200, guards=[need("me.write")])
    async def renew(self, data: JSONBody[Remove], services: Open, principal: Caller) -> RecoveryCodes:
        return await second_factor.renew_recovery_codes(services, principal, data)

    @post("/remove", operation_id="second_factor.remove", status_code=204, guards=[need("me.write")])
    async def remove(self, data: JSONBody[Remove], services: Open, principal: Caller) -> None:
        await second_factor.remove(services, principal, data)


HANDLERS: list[ControllerRouterHandler] = [ResetController, OwnAccountController, SecondFactorController]
