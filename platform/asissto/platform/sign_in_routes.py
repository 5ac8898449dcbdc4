"""The routes of sign-in: tokens for programs, cookies for browsers, and who one is."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import CookieParameter, JSONBody, SkipValidation

from asissto.platform import accounts
from asissto.platform.accounts import OpenedSession, Registration, Setup, SignIn, TenantHooks, Token
from asissto.platform.authentication import ACCESS_COOKIE
from asissto.platform.credentials import ACCESS_LIFE, REFRESH_LIFE, Claims, Visitor, csrf_token, sign_access_token
from asissto.platform.errors import NotSignedIn
from asissto.platform.given import Caller, Open, Session
from asissto.platform.impersonating import ImpersonatedBy, impersonated_by
from asissto.platform.members import TenantOut, UserOut, find_user
from asissto.platform.permissions import Permission, PlatformRole, Role, need, open_to_all
from asissto.platform.services import Services
from asissto.platform.tables import Tenant

REFRESH_COOKIE, REFRESH_PATH = "asissto_refresh", "/api/v1/auth/refresh"

# Litestar would otherwise ask msgspec to look into it at each request.
Hooks = SkipValidation[NamedDependency[TenantHooks]]


class SignedIn(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The tokens, or for `cookies: true` what goes into the X-CSRF-Token header beside them."""

    user_id: UUID
    tenant_id: UUID
    role: Role
    expires_in: int
    access_token: str | None = None
    refresh_token: str | None = None
    csrf_token: str | None = None


class RefreshIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without a token it is the cookie that counts."""

    refresh_token: Token | None = None


class MeOut(msgspec.Struct, frozen=True, kw_only=True):
    user: UserOut
    tenant: TenantOut
    role: Role
    platform_role: PlatformRole
    permissions: list[Permission]
    csrf_token: str
    email_confirmed: bool
    impersonated_by: ImpersonatedBy | None


class AuthController(Controller):
    path = "/api/v1/auth"
    tags = ("auth",)

    @post("/register", operation_id="auth.register", guards=[open_to_all])
    async def register(
        self, request: Request[Any, Any, Any], data: JSONBody[Registration], services: Open, tenant_hooks: Hooks
    ) -> Response[SignedIn]:
        opened = await accounts.register(services, data, tenant_hooks, visitor_of(request))
        return signed_in(services, opened, cookies=data.cookies)

    @post("/setup", operation_id="auth.setup", guards=[open_to_all])
    async def setup(self, request: Request[Any, Any, Any], data: JSONBody[Setup], services: Open) -> Response[SignedIn]:
        opened = await accounts.set_up(services, data, visitor_of(request))
        return signed_in(services, opened, cookies=data.cookies)

    @post("/sign-in", operation_id="auth.sign_in", status_code=200, guards=[open_to_all])
    async def sign_in(
        self, request: Request[Any, Any, Any], data: JSONBody[SignIn], services: Open
    ) -> Response[SignedIn]:
        opened = await accounts.sign_in(services, data, visitor_of(request))
        return signed_in(services, opened, cookies=data.cookies)

    @post("/refresh", operation_id="auth.refresh", status_code=200, guards=[open_to_all])
    async def refresh(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[RefreshIn],
        services: Open,
        cookie: Annotated[str | None, CookieParameter(name=REFRESH_COOKIE)] = None,
    ) -> Response[SignedIn]:
        token = data.refresh_token or cookie
        if not token:
            raise NotSignedIn
        opened = await accounts.refresh(services, token, visitor_of(request))
        return signed_in(services, opened, cookies=data.refresh_token is None)

    @post("/sign-out", operation_id="auth.sign_out", status_code=204, guards=[need("me.sign_out")])
    async def sign_out(self, services: Open, principal: Caller) -> Response[None]:
        await accounts.sign_out(services, principal, principal.session_id)
        return Response(None, status_code=204, cookies=_spent_cookies(services))

    @get("/me", operation_id="auth.me", guards=[need("me.read")])
    async def me(self, services: Open, principal: Caller, session: Session) -> MeOut:
        tenant = await session.get_one(Tenant, principal.tenant_id)
        user = await find_user(session, principal.user_id)
        return MeOut(
            user=UserOut.of(user, tenant),
            tenant=TenantOut.of(tenant),
            role=principal.role,
            platform_role=principal.platform_role,
            permissions=sorted(principal.permissions),
            csrf_token=csrf_token(services.keys, principal.session_id),
            email_confirmed=user.confirmed_at is not None,
            impersonated_by=await impersonated_by(services.database, principal),
        )


def signed_in(
    services: Services, opened: OpenedSession, *, cookies: bool, status_code: int | None = None
) -> Response[SignedIn]:
    grant = opened.grant
    body = SignedIn(
        user_id=grant.user_id,
        tenant_id=grant.tenant_id,
        role=opened.role,
        expires_in=int(ACCESS_LIFE.total_seconds()),
        access_token=None if cookies else _access_token(services, opened),
        refresh_token=None if cookies else grant.refresh_token,
        csrf_token=csrf_token(services.keys, grant.session_id) if cookies else None,
    )
    return Response(body, status_code=status_code, cookies=_session_cookies(services, opened) if cookies else None)


def visitor_of(request: Request[Any, Any, Any]) -> Visitor:
    client, device = request.client, request.headers.get("user-agent")
    return Visitor(
        ip=client.host if client else None,
        request_id=request.scope["state"].get("request_id"),
        device=device and printable(device)[:200],
    )


def printable(text: str) -> str:
    """What a stranger's program says of itself, without control characters."""
    return "".join(char for char in text if char.isprintable())


def _access_token(services: Services, opened: OpenedSession) -> str:
    grant = opened.grant
    claims = Claims(sub=grant.user_id, tid=grant.tenant_id, role=opened.role, sid=grant.session_id)
    return sign_access_token(services.keys, claims)


def _session_cookies(services: Services, opened: OpenedSession) -> list[Cookie]:
    """The same two tokens that a program gets, where no script can read them."""
    return [
        _cookie(services, ACCESS_COOKIE, _access_token(services, opened), int(ACCESS_LIFE.total_seconds())),
        _cookie(services, REFRESH_COOKIE, opened.grant.refresh_token, int(REFRESH_LIFE.total_seconds())),
    ]


def _spent_cookies(services: Services) -> list[Cookie]:
    return [_cookie(services, name, "", 0) for name in (ACCESS_COOKIE, REFRESH_COOKIE)]


def _cookie(services: Services, name: str, value: str, seconds: int) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        max_age=seconds,
        path=REFRESH_PATH if name == REFRESH_COOKIE else "/api",
        httponly=True,
        samesite="lax",
        secure=(services.settings.public_url or "").startswith("https:"),
    )
