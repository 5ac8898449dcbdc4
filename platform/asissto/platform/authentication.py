"""Who is calling: a program by its bearer token, or a browser by its cookie and the CSRF header."""

from typing import Any, cast
from uuid import UUID

import structlog
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp
from sqlalchemy import select

from asissto.platform.address_limits import check_address
from asissto.platform.audit import Actor
from asissto.platform.credentials import Claims, is_csrf_token, read_access_token
from asissto.platform.database import Database
from asissto.platform.errors import CsrfMissing, NotSignedIn, TokenInvalid
from asissto.platform.keys import KeyRing
from asissto.platform.permissions import Role, is_open
from asissto.platform.services import Services
from asissto.platform.tables import Membership, RefreshToken, Tenant, User

ACCESS_COOKIE = "asissto_access"
CSRF_HEADER = "x-csrf-token"

OTHER_SITES = "other_sites"
"""In the `opt` of a route that pages of other sites may call: it looks at no cookie, so that nobody's is misused."""


class Principal(Actor, frozen=True, kw_only=True):
    """A signed-in person in one tenant; the role is the one of this moment."""

    user_id: UUID
    role: Role
    session_id: UUID


class Authentication(AbstractAuthenticationMiddleware):
    """Leaves a Principal in `request.user` on every route that is not open to all.

    Raises NotSignedIn, TokenExpired, TokenInvalid and CsrfMissing; on open routes TooManyRequests.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, scopes={ScopeType.HTTP})

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        _refuse_other_sites(connection)
        if is_open(connection.route_handler):
            check_address(connection)
            return AuthenticationResult(user=None, auth=None)
        services: Services = connection.app.state.services
        claims = _claims(connection, services.keys)
        principal = await _principal(connection, claims, services.database)
        structlog.contextvars.bind_contextvars(tenant=str(principal.tenant_id), user=str(principal.user_id))
        return AuthenticationResult(user=principal, auth=claims)


def _claims(connection: ASGIConnection[Any, Any, Any, Any], keys: KeyRing) -> Claims:
    header = connection.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenInvalid
        return read_access_token(keys, token.strip())
    cookie = connection.cookies.get(ACCESS_COOKIE)
    if cookie is None:
        raise NotSignedIn
    claims = read_access_token(keys, cookie)
    sent = connection.headers.get(CSRF_HEADER, "")
    if _is_unsafe(connection) and not is_csrf_token(keys, claims.sid, sent):
        raise CsrfMissing
    return claims


async def _principal(connection: ASGIConnection[Any, Any, Any, Any], claims: Claims, database: Database) -> Principal:
    """One query a request: a member who was removed or has signed out is out at once."""
    role = await current_role(database, claims.tid, claims.sub, claims.sid)
    if role is None:
        raise TokenInvalid
    return Principal(
        tenant_id=claims.tid,
        user_id=claims.sub,
        role=role,
        session_id=claims.sid,
        ip=connection.client.host if connection.client else None,
        request_id=connection.scope["state"].get("request_id"),
    )


async def current_role(database: Database, tenant_id: UUID, user_id: UUID, session_id: UUID) -> Role | None:
    """That of a member of the tenant whose session is open; None for everybody else."""
    mine = (
        select(Membership.role)
        .join(User, User.id == Membership.user_id)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .join(RefreshToken, RefreshToken.user_id == User.id)
        .where(Membership.tenant_id == tenant_id, User.id == user_id, RefreshToken.id == session_id)
        .where(User.status == "active", Tenant.status == "active", RefreshToken.revoked_at.is_(None))
    )
    async with database.system() as session:
        return cast("Role | None", await session.scalar(mine))


def _refuse_other_sites(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Guards sign-in and refresh, which come before there is a CSRF token; programs send no such header."""
    site = connection.headers.get("sec-fetch-site", "none")
    if connection.route_handler.opt.get(OTHER_SITES):
        return
    if _is_unsafe(connection) and site not in ("none", "same-origin"):
        raise CsrfMissing


def _is_unsafe(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return connection.scope.get("method") not in ("GET", "HEAD", "OPTIONS")
