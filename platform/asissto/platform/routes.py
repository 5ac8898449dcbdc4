"""The routes of the ground: sign-in, people, workspace, audit trail, health, the page."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import CookieParameter, FromPath, JSONBody, SkipValidation
from litestar.response import File
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import accounts, members
from asissto.platform.accounts import Name, OpenedSession, Registration, Setup, SignIn, TenantHooks, Token, Visitor
from asissto.platform.audit import record
from asissto.platform.authentication import (
    REFRESH_COOKIE,
    Principal,
    access_token,
    session_cookies,
    spent_cookies,
)
from asissto.platform.credentials import ACCESS_LIFE, csrf_token
from asissto.platform.errors import NotSignedIn
from asissto.platform.health import check_ready
from asissto.platform.members import MemberIn, MemberOut, MemberPatch, UserOut, UserPatch
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first, page
from asissto.platform.permissions import PERMISSIONS, Permission, Role, need, open_to_all
from asissto.platform.services import Services
from asissto.platform.tables import AuditEntry, Membership, Tenant, User
from asissto.platform.texts import Language

PAGE = Path(__file__).with_name("page")

# Litestar would otherwise ask msgspec to look into them at each request.
Hooks = SkipValidation[NamedDependency[TenantHooks]]
Open = SkipValidation[NamedDependency[Services]]


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


class TenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """`balance` is in minor units of `currency`."""

    id: UUID
    name: str
    status: str
    language: str
    plan: str
    balance: int
    currency: str
    created_at: datetime

    @classmethod
    def of(cls, tenant: Tenant) -> Self:
        return cls(**{field: getattr(tenant, field) for field in cls.__struct_fields__})


class TenantPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name | UnsetType = UNSET
    language: Language | UnsetType = UNSET


class MeOut(msgspec.Struct, frozen=True, kw_only=True):
    user: UserOut
    tenant: TenantOut
    role: Role
    permissions: list[Permission]
    csrf_token: str


class AuditOut(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_kind: str
    ip: str | None
    action: str
    object_type: str
    object_id: UUID | None
    changes: dict[str, Any]
    request_id: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(**{field: getattr(entry, field) for field in cls.__struct_fields__})


class AuthController(Controller):
    path = "/api/v1/auth"
    tags = ("auth",)

    @post("/register", operation_id="auth.register", guards=[open_to_all])
    async def register(
        self, request: Request[Any, Any, Any], data: JSONBody[Registration], services: Open, tenant_hooks: Hooks
    ) -> Response[SignedIn]:
        opened = await accounts.register(services, data, tenant_hooks, _visitor(request))
        return _signed_in(services, opened, cookies=data.cookies)

    @post("/setup", operation_id="auth.setup", guards=[open_to_all])
    async def setup(self, request: Request[Any, Any, Any], data: JSONBody[Setup], services: Open) -> Response[SignedIn]:
        opened = await accounts.set_up(services, data, _visitor(request))
        return _signed_in(services, opened, cookies=data.cookies)

    @post("/sign-in", operation_id="auth.sign_in", status_code=200, guards=[open_to_all])
    async def sign_in(
        self, request: Request[Any, Any, Any], data: JSONBody[SignIn], services: Open
    ) -> Response[SignedIn]:
        opened = await accounts.sign_in(services, data, _visitor(request))
        return _signed_in(services, opened, cookies=data.cookies)

    @post("/refresh", operation_id="auth.refresh", status_code=200, guards=[open_to_all])
    async def refresh(
        self,
        data: JSONBody[RefreshIn],
        services: Open,
        cookie: Annotated[str | None, CookieParameter(name=REFRESH_COOKIE)] = None,
    ) -> Response[SignedIn]:
        token = data.refresh_token or cookie
        if not token:
            raise NotSignedIn
        opened = await accounts.refresh(services, token)
        return _signed_in(services, opened, cookies=data.refresh_token is None)

    @post("/sign-out", operation_id="auth.sign_out", status_code=204, guards=[need("me.write")])
    async def sign_out(self, services: Open, principal: NamedDependency[Principal]) -> Response[None]:
        await accounts.sign_out(services, principal, principal.session_id)
        return Response(None, status_code=204, cookies=spent_cookies(services))

    @get("/me", operation_id="auth.me", guards=[need("me.read")])
    async def me(
        self, services: Open, principal: NamedDependency[Principal], session: NamedDependency[AsyncSession]
    ) -> MeOut:
        tenant = await session.get_one(Tenant, principal.tenant_id)
        return MeOut(
            user=UserOut.of(await members.find_user(session, principal.user_id), tenant),
            tenant=TenantOut.of(tenant),
            role=principal.role,
            permissions=sorted(PERMISSIONS[principal.role]),
            csrf_token=csrf_token(services.keys, principal.session_id),
        )


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("users",)

    @get(operation_id="users.list", guards=[need("users.read")])
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[UserOut]:
        tenant = await session.get_one(Tenant, principal.tenant_id)
        mine = select(User).join(Membership, Membership.user_id == User.id)
        mine = mine.where(Membership.tenant_id == principal.tenant_id)
        found = await page(session, mine, User.id, limit, after)
        return found.map(lambda user: UserOut.of(user, tenant))

    @get("/{user_id:uuid}", operation_id="users.read", guards=[need("users.read")])
    async def read(
        self, user_id: FromPath[UUID], principal: NamedDependency[Principal], session: NamedDependency[AsyncSession]
    ) -> UserOut:
        user = await members.find_user(session, user_id)
        return UserOut.of(user, await session.get_one(Tenant, principal.tenant_id))

    @patch("/{user_id:uuid}", operation_id="users.update", guards=[need("me.write")])
    async def update(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[UserPatch],
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
    ) -> UserOut:
        user = await members.change_user(session, principal, user_id, data)
        return UserOut.of(user, await session.get_one(Tenant, principal.tenant_id))


class TenantController(Controller):
    path = "/api/v1/tenant"
    tags = ("tenants",)

    @get(operation_id="tenants.read", guards=[need("tenant.read")])
    async def read(self, principal: NamedDependency[Principal], session: NamedDependency[AsyncSession]) -> TenantOut:
        return TenantOut.of(await session.get_one(Tenant, principal.tenant_id))

    @patch(operation_id="tenants.update", guards=[need("tenant.write")])
    async def update(
        self,
        data: JSONBody[TenantPatch],
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
    ) -> TenantOut:
        tenant = await session.get_one(Tenant, principal.tenant_id)
        changes = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
        for name, value in changes.items():
            setattr(tenant, name, value)
        await record(session, principal, "tenants.update", "tenant", tenant.id, **changes)
        return TenantOut.of(tenant)


class MemberController(Controller):
    path = "/api/v1/members"
    tags = ("members",)

    @get(operation_id="members.list", guards=[need("members.read")])
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[MemberOut]:
        mine = select(Membership).where(Membership.tenant_id == principal.tenant_id)
        found = await page(session, mine, Membership.user_id, limit, after)
        ids = [member.user_id for member in found.items]
        people = {user.id: user for user in await session.scalars(select(User).where(User.id.in_(ids)))}
        return found.map(lambda member: MemberOut.of(member, people[member.user_id]))

    @post(operation_id="members.add", guards=[need("members.write")])
    async def add(
        self,
        data: JSONBody[MemberIn],
        services: Open,
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
    ) -> MemberOut:
        return await members.add_member(services.database, session, principal, data)

    @patch("/{user_id:uuid}", operation_id="members.update", guards=[need("members.write")])
    async def update(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[MemberPatch],
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
    ) -> MemberOut:
        return await members.change_role(session, principal, user_id, data.role)

    @delete("/{user_id:uuid}", operation_id="members.remove", guards=[need("members.write")])
    async def remove(
        self, user_id: FromPath[UUID], principal: NamedDependency[Principal], session: NamedDependency[AsyncSession]
    ) -> None:
        await members.remove_member(session, principal, user_id)


class AuditController(Controller):
    path = "/api/v1/audit"
    tags = ("audit",)

    @get(operation_id="audit.list", guards=[need("audit.read")])
    async def list(
        self,
        principal: NamedDependency[Principal],
        session: NamedDependency[AsyncSession],
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[AuditOut]:
        mine = select(AuditEntry).where(AuditEntry.tenant_id == principal.tenant_id)
        found = await newest_first(session, mine, AuditEntry.id, limit, after)
        return found.map(AuditOut.of)


class Health(msgspec.Struct, frozen=True):
    status: str


class HealthController(Controller):
    path = "/health"
    tags = ("health",)

    @get("/live", operation_id="health.live", guards=[open_to_all])
    async def live(self) -> Health:
        return Health("alive")

    @get("/ready", operation_id="health.ready", guards=[open_to_all])
    async def ready(self, services: Open) -> Health:
        await check_ready(services.database)
        return Health("ready")


@get(["/", "/setup"], include_in_schema=False, guards=[open_to_all])
async def show_page() -> File:
    return File(PAGE / "index.html", filename="index.html", media_type="text/html", content_disposition_type="inline")


HANDLERS: list[ControllerRouterHandler] = [
    AuthController,
    UserController,
    TenantController,
    MemberController,
    AuditController,
    HealthController,
    show_page,
    create_static_files_router("/page", directories=[PAGE], guards=[open_to_all], include_in_schema=False),
]


def _signed_in(services: Services, opened: OpenedSession, *, cookies: bool) -> Response[SignedIn]:
    grant = opened.grant
    body = SignedIn(
        user_id=grant.user_id,
        tenant_id=grant.tenant_id,
        role=opened.role,
        expires_in=int(ACCESS_LIFE.total_seconds()),
        access_token=None if cookies else access_token(services, opened),
        refresh_token=None if cookies else grant.refresh_token,
        csrf_token=csrf_token(services.keys, grant.session_id) if cookies else None,
    )
    return Response(body, cookies=session_cookies(services, opened) if cookies else None)


def _visitor(request: Request[Any, Any, Any]) -> Visitor:
    client = request.client
    return Visitor(ip=client.host if client else None, request_id=request.scope["state"].get("request_id"))
