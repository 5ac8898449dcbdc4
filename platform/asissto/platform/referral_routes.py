"""The routes of the referral programme for partners, who see their own alone, and for the page that counts clicks."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, get, patch, post, put
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy import select

from asissto.platform import referral_codes, referral_payouts, referral_report
from asissto.platform.given import Caller, Open
from asissto.platform.owed_commissions import CommissionOut, list_entries
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.permissions import need, open_to_all
from asissto.platform.referral_codes import CodeIn, CodeOut, CodePatch, PartnerCodeIn
from asissto.platform.referral_payouts import DetailsIn, PayoutIn, PayoutOut
from asissto.platform.referral_report import BroughtOut, OverviewOut
from asissto.platform.referral_tables import CommissionEntry, ReferralPayout
from asissto.platform.sign_in_routes import visitor_of


class ClickIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`code` as it stands in the link."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]


class ReferralController(Controller):
    path = "/api/v1/referrals"
    tags = ("referrals",)

    @post("/clicks", operation_id="referrals.clicks.count", status_code=204, guards=[open_to_all])
    async def click(self, request: Request[Any, Any, Any], data: JSONBody[ClickIn], services: Open) -> None:
        """Somebody follows a partner's link: counted by code and day, with nothing of who it is; 404 for no code."""
        await referral_codes.count_click(services, data.code, visitor_of(request))

    @get("/overview", operation_id="referrals.overview", guards=[need("platform.referrals.own")])
    async def overview(self, services: Open, principal: Caller) -> OverviewOut:
        """Clicks, registrations, who pays, and what is earned by them."""
        async with services.database.system() as session:
            return await referral_report.overview(session, principal.user_id)

    @get("/brought", operation_id="referrals.brought", guards=[need("platform.referrals.own")])
    async def brought(
        self, services: Open, principal: Caller, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[BroughtOut]:
        """Who has registered by the partner's codes, newest first, without names and addresses."""
        async with services.database.system() as session:
            return await referral_report.brought(session, principal.user_id, limit, after)

    @get("/commissions", operation_id="referrals.commissions", guards=[need("platform.referrals.own")])
    async def commissions(
        self, services: Open, principal: Caller, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[CommissionOut]:
        """What was earned and taken back, newest first."""
        mine = select(CommissionEntry).where(CommissionEntry.partner_id == principal.user_id)
        async with services.database.system() as session:
            return await list_entries(session, mine, limit, after)

    @get("/codes", operation_id="referrals.codes.list", guards=[need("platform.referrals.own")])
    async def list_codes(
        self, services: Open, principal: Caller, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[CodeOut]:
        async with services.database.system() as session:
            return await referral_codes.list_codes(session, services.settings, principal.user_id, limit, after)

    @post("/codes", operation_id="referrals.codes.create", guards=[need("platform.referrals.own")])
    async def create_code(self, data: JSONBody[CodeIn], services: Open, principal: Caller) -> CodeOut:
        """A code of the partner's own choice, or one that is made, in the standard programme."""
        what = PartnerCodeIn(user_id=principal.user_id, code=data.code, campaign=data.campaign)
        async with services.database.system() as session:
            row = await referral_codes.add_code(session, principal, what, "referrals.codes.create")
            return (await referral_codes.show_codes(session, services.settings, [row]))[0]

    @patch("/codes/{code_id:uuid}", operation_id="referrals.codes.update", guards=[need("platform.referrals.own")])
    async def update_code(
        self, code_id: FromPath[UUID], data: JSONBody[CodePatch], services: Open, principal: Caller
    ) -> CodeOut:
        async with services.database.system() as session:
            row = await referral_codes.change_code(session, principal, code_id, data, principal.user_id)
            return (await referral_codes.show_codes(session, services.settings, [row]))[0]

    @put("/details", operation_id="referrals.details.put", status_code=204, guards=[need("platform.referrals.own")])
    async def put_details(self, data: JSONBody[DetailsIn], services: Open, principal: Caller) -> None:
        """Where the partner is to be paid; payouts that were made keep what stood there then."""
        async with services.database.system() as session:
            await referral_payouts.put_details(session, principal, data)

    @get("/payouts", operation_id="referrals.payouts.list", guards=[need("platform.referrals.own")])
    async def list_payouts(
        self, services: Open, principal: Caller, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[PayoutOut]:
        """Newest first."""
        mine = select(ReferralPayout).where(ReferralPayout.partner_id == principal.user_id)
        async with services.database.system() as session:
            found = await newest_first(session, mine, ReferralPayout.id, limit, after)
        return found.map(PayoutOut.of)

    @post("/payouts", operation_id="referrals.payouts.request", guards=[need("platform.referrals.own")])
    async def request_payout(self, data: JSONBody[PayoutIn], services: Open, principal: Caller) -> PayoutOut:
        """Asks for all that is payable in a currency, from the least amount on."""
        async with services.database.system() as session:
            return PayoutOut.of(await referral_payouts.request_payout(session, principal, data))

    @post(
        "/payouts/{payout_id:uuid}/cancel",
        operation_id="referrals.payouts.cancel",
        status_code=200,
        guards=[need("platform.referrals.own")],
    )
    async def cancel_payout(self, payout_id: FromPath[UUID], services: Open, principal: Caller) -> PayoutOut:
        """Takes a request back, as long as it is not approved."""
        async with services.database.system() as session:
            return PayoutOut.of(await referral_payouts.cancel_payout(session, principal, payout_id))


HANDLERS: list[ControllerRouterHandler] = [ReferralController]
