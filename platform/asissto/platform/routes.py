"""The routes of the ground: people, workspace, audit trail, health, the page."""

from pathlib import Path
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.response import File
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from sqlalchemy import select

from asissto.platform import members
from asissto.platform.account_routes import HANDLERS as ACCOUNTS
from asissto.platform.api_key_routes import HANDLERS as KEYS
from asissto.platform.audit import record
from asissto.platform.audit_routes import HANDLERS as AUDIT
from asissto.platform.billing_routes import HANDLERS as BILLING
from asissto.platform.event_routes import HANDLERS as EVENTS
from asissto.platform.given import Caller, Open, Session
from asissto.platform.health import check_ready
from asissto.platform.invitation_routes import HANDLERS as INVITATIONS
from asissto.platform.invoice_routes import HANDLERS as INVOICES
from asissto.platform.members import MemberIn, MemberOut, MemberPatch, TenantOut, TenantPatch, UserOut, UserPatch
from asissto.platform.model_call_routes import HANDLERS as CALLS
from asissto.platform.moments import check_timezone
from asissto.platform.operations_routes import HANDLERS as OPERATIONS
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, page
from asissto.platform.payment_routes import HANDLERS as PAYMENTS
from asissto.platform.permissions import need, open_to_all
from asissto.platform.platform_referral_routes import HANDLERS as PARTNERS
from asissto.platform.platform_routes import HANDLERS as PLATFORM
from asissto.platform.provider_routes import HANDLERS as PROVIDERS
from asissto.platform.referral_routes import HANDLERS as REFERRALS
from asissto.platform.sign_in_routes import AuthController
from asissto.platform.tables import Membership, Tenant, User

PAGE = Path(__file__).with_name("page")


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("users",)

    @get(operation_id="users.list", guards=[need("users.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[UserOut]:
        tenant = await session.get_one(Tenant, principal.tenant_id)
        mine = select(User).join(Membership, Membership.user_id == User.id)
        mine = mine.where(Membership.tenant_id == principal.tenant_id)
        found = await page(session, mine, User.id, limit, after)
        return found.map(lambda user: UserOut.of(user, tenant))

    @get("/{user_id:uuid}", operation_id="users.read", guards=[need("users.read")])
    async def read(self, user_id: FromPath[UUID], principal: Caller, session: Session) -> UserOut:
        user = await members.find_user(session, user_id)
        return UserOut.of(user, await session.get_one(Tenant, principal.tenant_id))

    @patch("/{user_id:uuid}", operation_id="users.update", guards=[need("me.write")])
    async def update(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[UserPatch],
        principal: Caller,
        session: Session,
    ) -> UserOut:
        user = await members.change_user(session, principal, user_id, data)
        return UserOut.of(user, await session.get_one(Tenant, principal.tenant_id))


class TenantController(Controller):
    path = "/api/v1/tenant"
    tags = ("tenants",)

    @get(operation_id="tenants.read", guards=[need("tenant.read")])
    async def read(self, principal: Caller, session: Session) -> TenantOut:
        return TenantOut.of(await session.get_one(Tenant, principal.tenant_id))

    @patch(operation_id="tenants.update", guards=[need("tenant.write")])
    async def update(
        self,
        data: JSONBody[TenantPatch],
        principal: Caller,
        session: Session,
    ) -> TenantOut:
        tenant = await session.get_one(Tenant, principal.tenant_id)
        if data.timezone is not UNSET:
            await check_timezone(session, data.timezone)
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
        principal: Caller,
        session: Session,
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
        principal: Caller,
        session: Session,
    ) -> MemberOut:
        return await members.add_member(services, session, principal, data)

    @patch("/{user_id:uuid}", operation_id="members.update", guards=[need("members.write")])
    async def update(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[MemberPatch],
        principal: Caller,
        session: Session,
    ) -> MemberOut:
        return await members.change_role(session, principal, user_id, data.role)

    @delete("/{user_id:uuid}", operation_id="members.remove", guards=[need("members.write")])
    async def remove(self, user_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        await members.remove_member(session, principal, user_id)


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


@get(["/", "/setup", "/reset", "/confirm", "/invitation"], include_in_schema=False, guards=[open_to_all])
async def show_page() -> File:
    return File(PAGE / "index.html", filename="index.html", media_type="text/html", content_disposition_type="inline")


HANDLERS: list[ControllerRouterHandler] = [
    *BILLING,
    AuthController,
    *ACCOUNTS,
    *INVITATIONS,
    *KEYS,
    UserController,
    TenantController,
    MemberController,
    *AUDIT,
    HealthController,
    *EVENTS,
    *PROVIDERS,
    *CALLS,
    *PLATFORM,
    *OPERATIONS,
    *PAYMENTS,
    *INVOICES,
    *REFERRALS,
    *PARTNERS,
    show_page,
    create_static_files_router("/page", directories=[PAGE], guards=[open_to_all], include_in_schema=False),
]
