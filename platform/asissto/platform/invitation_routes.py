"""The routes of invitations: making them, and following their links."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from asissto.platform import invitations, joining
from asissto.platform.given import Caller, Open, Session
from asissto.platform.invitations import InvitationIn, InvitationMade, InvitationOut
from asissto.platform.joining import InvitedTo, Joining, KnownPerson, NewPerson, Shown
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import need, open_to_all
from asissto.platform.sign_in_routes import SignedIn, signed_in, visitor_of


class InvitationController(Controller):
    path = "/api/v1/invitations"
    tags = ("members",)

    @get(operation_id="invitations.list", guards=[need("members.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[InvitationOut]:
        return await invitations.list_invitations(session, principal.tenant_id, limit, after)

    @post(operation_id="invitations.create", guards=[need("invitations.write")])
    async def create(
        self,
        data: JSONBody[InvitationIn],
        services: Open,
        principal: Caller,
        session: Session,
    ) -> InvitationMade:
        return await invitations.invite(session, services, principal, data)

    @delete("/{invitation_id:uuid}", operation_id="invitations.revoke", guards=[need("invitations.write")])
    async def revoke(
        self,
        invitation_id: FromPath[UUID],
        principal: Caller,
        session: Session,
    ) -> None:
        await invitations.revoke_invitation(session, principal, invitation_id)

    @post("/accept", operation_id="invitations.accept", status_code=200, guards=[need("me.write")])
    async def accept(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[Joining],
        services: Open,
        principal: Caller,
    ) -> Response[SignedIn]:
        """Opens a session in the workspace; the one that asked goes on."""
        opened = await joining.join_signed_in(services, principal, data.token, visitor_of(request))
        return signed_in(services, opened, cookies=data.cookies, status_code=200)


class JoiningController(Controller):
    path = "/api/v1/auth/invitation"
    tags = ("auth",)

    @post(operation_id="auth.invitation", status_code=200, guards=[open_to_all])
    async def show(self, request: Request[Any, Any, Any], data: JSONBody[Shown], services: Open) -> InvitedTo:
        return await joining.show_invitation(services, data.token, visitor_of(request))

    @post("/register", operation_id="auth.invitation_register", guards=[open_to_all])
    async def register(
        self, request: Request[Any, Any, Any], data: JSONBody[NewPerson], services: Open
    ) -> Response[SignedIn]:
        opened = await joining.join_as_new(services, data, visitor_of(request))
        return signed_in(services, opened, cookies=data.cookies, status_code=201)

    @post("/sign-in", operation_id="auth.invitation_sign_in", status_code=200, guards=[open_to_all])
    async def sign_in(
        self, request: Request[Any, Any, Any], data: JSONBody[KnownPerson], services: Open
    ) -> Response[SignedIn]:
        opened = await joining.join_as_known(services, data, visitor_of(request))
        return signed_in(services, opened, cookies=data.cookies, status_code=200)


HANDLERS: list[ControllerRouterHandler] = [InvitationController, JoiningController]
