"""Who is calling: a program by its bearer token, or a browser by its cookie and the CSRF header."""

from typing import Any, Self
from uuid import UUID

import msgspec
import structlog
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp
from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import aliased

from asissto.platform.address_limits import check_address
from asissto.platform.api_key_access import NOT_FOR_KEYS, PREFIX, holder_of
from asissto.platform.audit import Actor
from asissto.platform.credentials import Claims, is_csrf_token, read_access_token
from asissto.platform.database import Database
from asissto.platform.errors import CsrfMissing, NotSignedIn, TenantSuspended, TokenInvalid
from asissto.platform.keys import KeyRing
from asissto.platform.permissions import PERMISSIONS, Permission, PlatformRole, Role, granted, is_open
from asissto.platform.services import Services
from asissto.platform.tables import Membership, RefreshToken, Tenant, TenantManager, User

ACCESS_COOKIE = "asissto_access"
CSRF_HEADER = "x-csrf-token"

OTHER_SITES = "other_sites"
"""In the `opt` of a route that pages of other sites may call: it looks at no cookie, so that nobody's is misused."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is in a tenant and on the platform at this moment, and who acts as them in this session."""

    role: Role
    platform_role: PlatformRole
    impersonator_id: UUID | None
    is_suspended: bool
    """The tenant, and not the person."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """None in a tenant that is suspended."""
        if self.is_suspended:
            return frozenset()
        return granted(self.role, self.platform_role, is_impersonated=self.impersonator_id is not None)


class Principal(Actor, frozen=True, kw_only=True):
    """A signed-in person in one tenant; the roles are those of this moment.

    Or an API key: then `kind` says so, `user_id` is who made it, and `scopes` are what it may do of what they may.
    """

    user_id: UUID
    role: Role
    platform_role: PlatformRole = "user"
    session_id: UUID
    scopes: frozenset[str] | None = None

    def within(self, tenant_id: UUID) -> Self:
        """The same person for the audit log of the tenant that a deed is about."""
        return msgspec.structs.replace(self, tenant_id=tenant_id)

    @property
    def permissions(self) -> frozenset[Permission]:
        if self.scopes is not None:
            return (PERMISSIONS[self.role] & self.scopes) - NOT_FOR_KEYS
        return granted(self.role, self.platform_role, is_impersonated=self.impersonator_id is not None)


class Authentication(AbstractAuthenticationMiddleware):
    """Leaves a Principal in `request.user` on every route that is not open to all.

    Raises NotSignedIn, TokenExpired, TokenInvalid, CsrfMissing and TenantSuspended; on open routes TooManyRequests.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, scopes={ScopeType.HTTP})

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        _refuse_other_sites(connection)
        if is_open(connection.route_handler):
            check_address(connection)
            return AuthenticationResult(user=None, auth=None)
        services: Services = connection.app.state.services
        key = _api_key(connection)
        if key is not None:
            return AuthenticationResult(user=await _program(connection, key, services.database), auth=None)
        claims = _claims(connection, services.keys)
        principal = await _principal(connection, claims, services.database)
        structlog.contextvars.bind_contextvars(tenant=str(principal.tenant_id), user=str(principal.user_id))
        return AuthenticationResult(user=principal, auth=claims)


def _api_key(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip().startswith(PREFIX) else None


async def _program(connection: ASGIConnection[Any, Any, Any, Any], key: str, database: Database) -> Principal:
    """It has no session of its own: what a session could do with the account of a person is for no key."""
    holder = await holder_of(database, key)
    if holder is None:
        raise TokenInvalid
    structlog.contextvars.bind_contextvars(tenant=str(holder.tenant_id), key=str(holder.key_id))
    return Principal(
        tenant_id=holder.tenant_id,
        user_id=holder.user_id,
        key_id=holder.key_id,
        kind="api key",
        role=holder.role,
        session_id=holder.key_id,
        scopes=holder.scopes,
        ip=connection.client.host if connection.client else None,
        request_id=connection.scope["state"].get("request_id"),
    )


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
    standing = await current_standing(database, claims.tid, claims.sub, claims.sid)
    if standing is None:
        raise TokenInvalid
    if standing.is_suspended:
        raise TenantSuspended
    return Principal(
        tenant_id=claims.tid,
        user_id=claims.sub,
        role=standing.role,
        platform_role=standing.platform_role,
        impersonator_id=standing.impersonator_id,
        session_id=claims.sid,
        ip=connection.client.host if connection.client else None,
        request_id=connection.scope["state"].get("request_id"),
    )


async def current_standing(database: Database, tenant_id: UUID, user_id: UUID, session_id: UUID) -> Standing | None:
    """That of a member of the tenant whose session is open; None for everybody else."""
    acting = aliased(User)
    mine = (
        select(
            Membership.role,
            User.role.label("platform_role"),
            RefreshToken.impersonator_id,
            (Tenant.status != "active").label("is_suspended"),
        )
        .join(User, User.id == Membership.user_id)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .join(RefreshToken, RefreshToken.user_id == User.id)
        .where(Membership.tenant_id == tenant_id, User.id == user_id, RefreshToken.id == session_id)
        .outerjoin(acting, acting.id == RefreshToken.impersonator_id)
        .where(User.status == "active", RefreshToken.revoked_at.is_(None))
        .where(or_(RefreshToken.impersonator_id.is_(None), may_support(acting, tenant_id)))
    )
    async with database.system() as session:
        row = (await session.execute(mine)).one_or_none()
    return None if row is None else msgspec.convert(row._asdict(), Standing)


def may_support(user: type[User], tenant_id: UUID) -> ColumnElement[bool]:
    """Whether somebody may sign in as the tenant at this moment: an administrator, or a manager assigned to it."""
    assigned = exists().where(TenantManager.tenant_id == tenant_id, TenantManager.user_id == user.id)
    return and_(user.status == "active", or_(user.role == "admin", and_(user.role == "manager", assigned)))


def _refuse_other_sites(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Guards sign-in and refresh, which come before there is a CSRF token; programs send no such header."""
    site = connection.headers.get("sec-fetch-site", "none")
    if connection.route_handler.opt.get(OTHER_SITES):
        return
    if _is_unsafe(connection) and site not in ("none", "same-origin"):
        raise CsrfMissing


def _is_unsafe(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return connection.scope.get("method") not in ("GET", "HEAD", "OPTIONS")
