"""The routes of those who run the platform: tenants, people, and signing in as a tenant."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from litestar.types import ControllerRouterHandler

from asissto.platform import impersonating, platform_tenants, platform_users
from asissto.platform.accounts import TenantHooks
from asissto.platform.given import Caller, Open
from asissto.platform.impersonating import ActingOut, Impersonation, ImpersonationIn
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import PlatformRole, need
from asissto.platform.platform_tenants import (
    ManagersIn,
    PlatformTenantDetails,
    PlatformTenantOut,
    SuspendIn,
    TenantIn,
    Wanted,
)
from asissto.platform.platform_users import PlatformUserDetails, PlatformUserOut, PlatformUserPatch, Sought

# Litestar would otherwise ask msgspec to look into it at each request.
Hooks = SkipValidation[NamedDependency[TenantHooks]]

Status = Annotated[Literal["active", "suspended"] | None, QueryParameter(description="Only those.")]
Part = Annotated[str | None, QueryParameter(max_length=100, description="A part of the name, in whatever case.")]
WithRole = Annotated[PlatformRole | None, QueryParameter(description="Only those with this role.")]


class PlatformTenantController(Controller):
    path = "/api/v1/platform/tenants"
    tags = ("platform",)

    @get(operation_id="platform.tenants.list", guards=[need("platform.tenants.read")])
    async def list(
        self,
        services: Open,
        principal: Caller,
        status: Status = None,
        name: Part = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PlatformTenantOut]:
        async with services.database.system() as session:
            wanted = Wanted(status=status, name=name)
            return await platform_tenants.list_tenants(session, principal, wanted, limit, after)

    @post(operation_id="platform.tenants.create", guards=[need("platform.tenants.write")])
    async def create(
        self, data: JSONBody[TenantIn], services: Open, principal: Caller, tenant_hooks: Hooks
    ) -> PlatformTenantOut:
        async with services.database.system() as session:
            made = await platform_tenants.create(session, principal, data, tenant_hooks)
            return platform_tenants.show_tenant(made)

    @get("/{tenant_id:uuid}", operation_id="platform.tenants.read", guards=[need("platform.tenants.read")])
    async def read(self, tenant_id: FromPath[UUID], services: Open, principal: Caller) -> PlatformTenantDetails:
        async with services.database.system() as session:
            return await platform_tenants.read_tenant(session, principal, tenant_id)

    @post(
        "/{tenant_id:uuid}/suspend",
        operation_id="platform.tenants.suspend",
        status_code=200,
        guards=[need("platform.tenants.write")],
    )
    async def suspend(
        self,
        tenant_id: FromPath[UUID],
        data: JSONBody[SuspendIn],
        services: Open,
        principal: Caller,
    ) -> PlatformTenantOut:
        async with services.database.system() as session:
            tenant = await platform_tenants.suspend(session, principal, tenant_id, data.reason)
            return platform_tenants.show_tenant(tenant)

    @post(
        "/{tenant_id:uuid}/resume",
        operation_id="platform.tenants.resume",
        status_code=200,
        guards=[need("platform.tenants.write")],
    )
    async def resume(self, tenant_id: FromPath[UUID], services: Open, principal: Caller) -> PlatformTenantOut:
        async with services.database.system() as session:
            return platform_tenants.show_tenant(await platform_tenants.resume(session, principal, tenant_id))

    @put(
        "/{tenant_id:uuid}/managers",
        operation_id="platform.tenants.managers",
        guards=[need("platform.tenants.write")],
    )
    async def assign_managers(
        self,
        tenant_id: FromPath[UUID],
        data: JSONBody[ManagersIn],
        services: Open,
        principal: Caller,
    ) -> PlatformTenantDetails:
        async with services.database.system() as session:
            await platform_tenants.assign_managers(session, principal, tenant_id, data.user_ids)
            return await platform_tenants.read_tenant(session, principal, tenant_id)

    @post(
        "/{tenant_id:uuid}/impersonate",
        operation_id="impersonations.begin",
        guards=[need("platform.impersonate")],
    )
    async def impersonate(
        self,
        tenant_id: FromPath[UUID],
        data: JSONBody[ImpersonationIn],
        services: Open,
        principal: Caller,
    ) -> Impersonation:
        """Signs in as the tenant, in the place of its oldest owner."""
        async with services.database.system() as session:
            return await impersonating.begin(session, services.keys, principal, tenant_id, data)


class PlatformUserController(Controller):
    path = "/api/v1/platform/users"
    tags = ("platform",)

    @get(operation_id="platform.users.list", guards=[need("platform.users.read")])
    async def list(
        self,
        services: Open,
        role: WithRole = None,
        status: Status = None,
        text: Part = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PlatformUserOut]:
        async with services.database.system() as session:
            sought = Sought(role=role, status=status, text=text)
            return await platform_users.list_users(session, sought, limit, after)

    @get("/{user_id:uuid}", operation_id="platform.users.read", guards=[need("platform.users.read")])
    async def read(self, user_id: FromPath[UUID], services: Open) -> PlatformUserDetails:
        async with services.database.system() as session:
            return await platform_users.read_user(session, user_id)

    @patch("/{user_id:uuid}", operation_id="platform.users.update", guards=[need("platform.users.write")])
    async def update(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[PlatformUserPatch],
        services: Open,
        principal: Caller,
    ) -> PlatformUserOut:
        async with services.database.system() as session:
            return platform_users.show_user(await platform_users.change_user(session, principal, user_id, data))


class ImpersonationController(Controller):
    path = "/api/v1/platform/impersonations"
    tags = ("platform",)

    @get(operation_id="impersonations.list", guards=[need("platform.impersonate")])
    async def list(self, services: Open, principal: Caller) -> list[ActingOut]:
        """Who acts as a tenant at this moment."""
        async with services.database.system() as session:
            return await impersonating.running(session, principal)

    @post(
        "/{session_id:uuid}/end",
        operation_id="impersonations.end",
        status_code=204,
        guards=[need("platform.impersonate")],
    )
    async def end(self, session_id: FromPath[UUID], services: Open, principal: Caller) -> None:
        """The token is worth nothing from now on; signing out in the session does the same."""
        async with services.database.system() as session:
            await impersonating.end(session, principal, session_id)


HANDLERS: list[ControllerRouterHandler] = [PlatformTenantController, PlatformUserController, ImpersonationController]
