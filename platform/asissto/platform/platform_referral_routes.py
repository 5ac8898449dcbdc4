"""The routes of the referral programme for administrators: programmes, codes, who brought whom, report, payouts."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, Response, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform import referral_codes, referral_corrections, referral_payouts, referral_report, referral_terms
from asissto.platform.given import Caller, Open
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.owed_commissions import PlatformCommissionOut, list_with_whose
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need
from asissto.platform.referral_codes import CodeOut, PartnerCodeIn, PartnerCodePatch
from asissto.platform.referral_corrections import Correction, ReferralIn, ReferralOut
from asissto.platform.referral_payouts import PartnerPayoutIn, PayoutOut, PayoutPatch
from asissto.platform.referral_report import PartnerOut
from asissto.platform.referral_tables import CommissionEntry, ReferralPayout
from asissto.platform.referral_terms import ProgrammeIn, ProgrammeOut

OfPartner = Annotated[UUID | None, QueryParameter(description="Only those of this partner.")]
OfTenant = Annotated[UUID | None, QueryParameter(description="Only those of payments of this workspace.")]
Standing = Annotated[
    Literal["requested", "approved", "paid", "failed", "cancelled"] | None,
    QueryParameter(name="state", description="Only payouts that stand so."),
]


class PlatformReferralController(Controller):
    path = "/api/v1/platform/referrals"
    tags = ("platform",)

    @get("/programmes", operation_id="platform.referrals.programmes.list", guards=[need("platform.referrals.read")])
    async def programmes(self, services: Open) -> list[ProgrammeOut]:
        """Terms under which partners earn."""
        async with services.database.system() as session:
            return await referral_terms.programmes(session)

    @put(
        "/programmes/{code:str}",
        operation_id="platform.referrals.programmes.put",
        guards=[need("platform.referrals.write")],
    )
    async def put_programme(
        self, code: FromPath[str], data: JSONBody[ProgrammeIn], services: Open, principal: Caller
    ) -> ProgrammeOut:
        """Adds or changes a programme, for whoever is brought from now on."""
        async with services.database.system() as session:
            return await referral_terms.put_programme(session, principal, code, data)

    @get("/report", operation_id="platform.referrals.report", guards=[need("platform.referrals.read")])
    async def report(self, services: Open) -> list[PartnerOut]:
        """What each partner has earned, what is payable, and what was paid, by currency."""
        async with services.database.system() as session:
            return await referral_report.report(session)

    @get(
        "/report/csv",
        operation_id="platform.referrals.report_csv",
        guards=[need("platform.referrals.read")],
        opt={MEDIA_TYPES: ("text/csv",)},
    )
    async def report_csv(self, services: Open) -> Response[str]:
        async with services.database.system() as session:
            return _spreadsheet(referral_report.report_table(await referral_report.report(session)), "referrals")

    @get("/commissions", operation_id="platform.referrals.commissions", guards=[need("platform.referrals.read")])
    async def commissions(
        self,
        services: Open,
        partner_id: OfPartner = None,
        tenant_id: OfTenant = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PlatformCommissionOut]:
        """What was earned and taken back, by which payment and which rule, newest first."""
        wanted = select(CommissionEntry)
        if partner_id is not None:
            wanted = wanted.where(CommissionEntry.partner_id == partner_id)
        if tenant_id is not None:
            wanted = wanted.where(CommissionEntry.tenant_id == tenant_id)
        async with services.database.system() as session:
            return await list_with_whose(session, wanted, limit, after)

    @get("/codes", operation_id="platform.referrals.codes.list", guards=[need("platform.referrals.read")])
    async def list_codes(
        self, services: Open, partner_id: OfPartner = None, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[CodeOut]:
        async with services.database.system() as session:
            return await referral_codes.list_codes(session, services.settings, partner_id, limit, after)

    @post("/codes", operation_id="platform.referrals.codes.create", guards=[need("platform.referrals.write")])
    async def create_code(self, data: JSONBody[PartnerCodeIn], services: Open, principal: Caller) -> CodeOut:
        """A code for a partner, in any programme."""
        async with services.database.system() as session:
            row = await referral_codes.add_code(session, principal, data, "platform.referrals.codes.create")
            return (await referral_codes.show_codes(session, services.settings, [row]))[0]

    @patch(
        "/codes/{code_id:uuid}",
        operation_id="platform.referrals.codes.update",
        guards=[need("platform.referrals.write")],
    )
    async def update_code(
        self, code_id: FromPath[UUID], data: JSONBody[PartnerCodePatch], services: Open, principal: Caller
    ) -> CodeOut:
        async with services.database.system() as session:
            row = await referral_codes.change_code(session, principal, code_id, data)
            return (await referral_codes.show_codes(session, services.settings, [row]))[0]


class PlatformPayoutController(Controller):
    path = "/api/v1/platform/referrals/payouts"
    tags = ("platform",)

    @get(operation_id="platform.referrals.payouts.list", guards=[need("platform.referrals.read")])
    async def list(
        self,
        services: Open,
        partner_id: OfPartner = None,
        standing: Standing = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PayoutOut]:
        """Newest first."""
        wanted = select(ReferralPayout)
        if partner_id is not None:
            wanted = wanted.where(ReferralPayout.partner_id == partner_id)
        if standing is not None:
            wanted = wanted.where(ReferralPayout.state == standing)
        async with services.database.system() as session:
            found = await newest_first(session, wanted, ReferralPayout.id, limit, after)
        return found.map(PayoutOut.of)

    @post(operation_id="platform.referrals.payouts.create", guards=[need("platform.referrals.write")])
    async def create(self, data: JSONBody[PartnerPayoutIn], services: Open, principal: Caller) -> PayoutOut:
        """Sets aside all that is payable to a partner in a currency; approved at once."""
        async with services.database.system() as session:
            return PayoutOut.of(await referral_payouts.create_payout(session, principal, data))

    @get("/{payout_id:uuid}", operation_id="platform.referrals.payouts.read", guards=[need("platform.referrals.read")])
    async def read(self, payout_id: FromPath[UUID], services: Open) -> PayoutOut:
        async with services.database.system() as session:
            return PayoutOut.of(await referral_payouts.find_payout(session, payout_id))

    @get(
        "/{payout_id:uuid}/csv",
        operation_id="platform.referrals.payouts.csv",
        guards=[need("platform.referrals.read")],
        opt={MEDIA_TYPES: ("text/csv",)},
    )
    async def csv(self, payout_id: FromPath[UUID], services: Open) -> Response[str]:
        """The entries that it is made of; none once it has failed or was cancelled."""
        async with services.database.system() as session:
            payout = await referral_payouts.find_payout(session, payout_id)
            return _spreadsheet(await referral_report.payout_table(session, payout), f"payout-{payout_id}")

    @patch(
        "/{payout_id:uuid}",
        operation_id="platform.referrals.payouts.update",
        guards=[need("platform.referrals.write")],
    )
    async def update(
        self, payout_id: FromPath[UUID], data: JSONBody[PayoutPatch], services: Open, principal: Caller
    ) -> PayoutOut:
        """Approves it, says that it was paid by which transfer, or that it does not come off."""
        async with services.database.system() as session:
            return PayoutOut.of(await referral_payouts.change_payout(session, principal, payout_id, data))


class TenantReferralController(Controller):
    path = "/api/v1/platform/tenants/{tenant_id:uuid}/referral"
    tags = ("platform",)

    @get(operation_id="platform.referrals.read", guards=[need("platform.referrals.read")])
    async def read(self, tenant_id: FromPath[UUID], services: Open, principal: Caller) -> ReferralOut:
        """Who has brought the workspace, and by which terms they earn."""
        async with services.database.system() as session:
            return await referral_corrections.read_referral(session, principal, tenant_id)

    @put(operation_id="platform.referrals.put", guards=[need("platform.referrals.write")])
    async def put(
        self, tenant_id: FromPath[UUID], data: JSONBody[ReferralIn], services: Open, principal: Caller
    ) -> ReferralOut:
        """Says who has brought it, for the payments from now on."""
        async with services.database.system() as session:
            return await referral_corrections.put_referral(session, principal, tenant_id, data)

    @post(
        "/remove",
        operation_id="platform.referrals.remove",
        status_code=204,
        guards=[need("platform.referrals.write")],
    )
    async def remove(
        self, tenant_id: FromPath[UUID], data: JSONBody[Correction], services: Open, principal: Caller
    ) -> None:
        """Says that nobody has brought it."""
        async with services.database.system() as session:
            await referral_corrections.remove_referral(session, principal, tenant_id, data)


def _spreadsheet(table: str, name: str) -> Response[str]:
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(table, media_type="text/csv", headers=headers)


HANDLERS: list[ControllerRouterHandler] = [
    PlatformReferralController,
    PlatformPayoutController,
    TenantReferralController,
]
