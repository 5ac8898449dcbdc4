"""The routes of plans and balances: a workspace's own, and those of who runs the platform."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform import platform_money
from asissto.platform.audit import record
from asissto.platform.billing import (
    BillingOut,
    BillingPatch,
    EntryOut,
    PlanChangeIn,
    change_billing,
    check_billing,
    show_billing,
)
from asissto.platform.given import Caller, Open, Session
from asissto.platform.money_tables import LedgerEntry
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.plan_changes import PlanChangeOut, preview
from asissto.platform.plans import Terms, offered
from asissto.platform.platform_money import AdjustmentIn, MoneyOut, OverdraftIn, PlanIn
from asissto.platform.subscriptions import change_plan
from asissto.platform.usage import UsageOut, show_usage

Kind = Annotated[str | None, QueryParameter(max_length=40, description="Only entries of this kind.")]


class PlansOut(msgspec.Struct, frozen=True):
    items: list[Terms]


class CatalogueOut(msgspec.Struct, frozen=True):
    items: list[PlanIn]


class PlanController(Controller):
    path = "/api/v1/plans"
    tags = ("billing",)

    @get(operation_id="plans.list", guards=[need("billing.read")])
    async def list(self, session: Session) -> PlansOut:
        """What can be chosen, the cheapest first."""
        return PlansOut(await offered(session))


class BillingController(Controller):
    path = "/api/v1/billing"
    tags = ("billing",)

    @get(operation_id="billing.read", guards=[need("billing.read")])
    async def read(self, services: Open, principal: Caller, session: Session) -> BillingOut:
        """Plan, usage, limits, balance and what is set aside; 409 where the server has no billing."""
        check_billing(services.settings)
        return await show_billing(session, principal.tenant_id)

    @patch(operation_id="billing.update", guards=[need("billing.write")])
    async def update(
        self, data: JSONBody[BillingPatch], services: Open, principal: Caller, session: Session
    ) -> BillingOut:
        """What happens to customers' messages once nothing is left."""
        check_billing(services.settings)
        changes: dict[str, Any] = await change_billing(session, principal.tenant_id, data)
        await record(session, principal, "billing.update", "tenant", principal.tenant_id, **changes)
        return await show_billing(session, principal.tenant_id)

    @post("/plan", operation_id="billing.change_plan", status_code=200, guards=[need("billing.write")])
    async def change_plan(
        self, data: JSONBody[PlanChangeIn], services: Open, principal: Caller, session: Session
    ) -> BillingOut:
        """A dearer plan begins and is paid at once, a cheaper one when the period ends."""
        check_billing(services.settings)
        changed = await change_plan(session, principal.tenant_id, data.plan)
        told = {"plan": changed.plan, "next_plan": changed.next_plan}
        await record(session, principal, "billing.change_plan", "tenant", principal.tenant_id, **told)
        await session.flush()
        return await show_billing(session, principal.tenant_id)

    @get("/usage", operation_id="billing.usage", guards=[need("billing.read")])
    async def usage(self, services: Open, principal: Caller, session: Session) -> UsageOut:
        """Of the period that runs, against the plan, with a forecast for its end, and by model."""
        check_billing(services.settings)
        return await show_usage(session, principal.tenant_id)

    @get("/plan/{code:str}", operation_id="billing.preview_plan", guards=[need("billing.read")])
    async def preview(self, code: FromPath[str], services: Open, principal: Caller, session: Session) -> PlanChangeOut:
        """What changing to the plan would cost, when it would begin, and what would be more than it includes."""
        check_billing(services.settings)
        return await preview(session, principal.tenant_id, code)

    @get("/ledger", operation_id="ledger.list", guards=[need("billing.read")])
    async def ledger(
        self,
        principal: Caller,
        session: Session,
        kind: Kind = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[EntryOut]:
        """Newest first; what the operator owes to whoever brought the workspace is no business of the reader's."""
        mine = select(LedgerEntry).where(LedgerEntry.tenant_id == principal.tenant_id)
        mine = mine.where(~LedgerEntry.kind.startswith("commission"))
        if kind is not None:
            mine = mine.where(LedgerEntry.kind == kind)
        return (await newest_first(session, mine, LedgerEntry.id, limit, after)).map(EntryOut.of)


class PlatformPlanController(Controller):
    path = "/api/v1/platform/plans"
    tags = ("platform",)

    @get(operation_id="platform.plans.list", guards=[need("platform.billing.write")])
    async def list(self, services: Open) -> CatalogueOut:
        """Also those that are offered no more."""
        async with services.database.system() as session:
            return CatalogueOut(await platform_money.catalogue(session))

    @put("/{code:str}", operation_id="platform.plans.put", guards=[need("platform.billing.write")])
    async def put(self, code: FromPath[str], data: JSONBody[PlanIn], services: Open, principal: Caller) -> PlanIn:
        """Adds or changes a plan; periods that run keep the terms that they began with."""
        async with services.database.system() as session:
            return await platform_money.put(session, principal, code, data)


class PlatformMoneyController(Controller):
    path = "/api/v1/platform/tenants/{tenant_id:uuid}"
    tags = ("platform",)

    @post("/adjustments", operation_id="platform.adjustments.create", guards=[need("platform.billing.write")])
    async def adjust(
        self, tenant_id: FromPath[UUID], data: JSONBody[AdjustmentIn], services: Open, principal: Caller
    ) -> MoneyOut:
        """Gives to or takes from the wallet; the same `key` again changes nothing."""
        async with services.database.system() as session:
            return await platform_money.adjust(session, principal, tenant_id, data)

    @put("/overdraft", operation_id="platform.overdraft.put", guards=[need("platform.billing.write")])
    async def allow_overdraft(
        self, tenant_id: FromPath[UUID], data: JSONBody[OverdraftIn], services: Open, principal: Caller
    ) -> MoneyOut:
        """How far below zero the wallet may go; no less than it stands there already."""
        async with services.database.system() as session:
            return await platform_money.allow_overdraft(session, principal, tenant_id, data)


HANDLERS: list[ControllerRouterHandler] = [
    PlanController,
    BillingController,
    PlatformPlanController,
    PlatformMoneyController,
]
