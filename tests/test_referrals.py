"""The referral programme: who brought whom, what they earn of payments, and how they are paid."""

import csv
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from litestar import Litestar

from asissto.platform.attempts import MOST
from asissto.platform.commissions import earn, follow_refund, pay_partners
from asissto.platform.own_referrals import same_mailbox
from asissto.platform.payments import REFUNDED, SETTLED
from asissto.platform.referral_codes import ALPHABET, look_of, make_code
from asissto.platform.referral_terms import Rate, commission, remaining
from asissto.platform.services import Services
from partnering import Partner, Programme, days_ago, dispute, refund
from people import Person, bearer, make_client

NOTHING = {"pending": 0, "payable": 0, "in_payout": 0, "paid": 0}


def owed(**amounts: int) -> dict[str, int]:
    return NOTHING | amounts


@pytest.fixture
async def programme(
    app: Litestar, services: Services, charlie: Person, superuser: asyncpg.Connection
) -> AsyncIterator[Programme]:
    """20 % of every payment, payable at once; charlie runs the platform."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", charlie.user_id)
    async with make_client(app) as anybody:
        programme = Programme(services, app, anybody, charlie.client, superuser)
        (await programme.terms()).raise_for_status()
        yield programme


@pytest.fixture
async def dora(programme: Programme) -> AsyncIterator[Partner]:
    partner = await programme.partner("dora")
    async with partner.client:
        yield partner


async def test_a_link_brings_a_customer_whom_the_partner_does_not_get_to_know(
    programme: Programme, dora: Partner
) -> None:
    """From the click to the first commission; nothing that a partner reads names the customer."""
    code = await dora.code(code="Tea-Blog", campaign="the footer of my blog")
    assert (code["code"], code["link"]) == ("TEA-BLOG", f"{programme.services.settings.address}/?ref=TEA-BLOG")
    clicked = await programme.anybody.post("/api/v1/referrals/clicks", json={"code": " teab1og"})
    assert clicked.status_code == 204
    tenant_id = await programme.customer("erin", "teablog", referral_clicked_at=days_ago(59))
    referrer = "SELECT referrer_id FROM users WHERE email = 'erin@example.com'"
    assert await programme.database.fetchval(referrer) == dora.user_id
    before = await dora.get("overview")
    seen = await programme.pay(tenant_id, 9_999)
    after = await dora.get("overview")
    assert before == {"clicks": 1, "registrations": 1, "paying": 0, "money": [], "payout_details": None}
    assert after["paying"] == 1
    assert after["money"] == [owed(payable=1_999) | {"currency": "USD"}]
    (brought,) = (await dora.get("brought"))["items"]
    assert (brought["label"], brought["stage"], brought["code"]) == ("E…", "paying", "TEA-BLOG")
    assert brought["earned"] == {"USD": 1_999}
    (entry,) = (await dora.get("commissions"))["items"]
    assert (entry["kind"], entry["amount"], entry["standing"]) == ("earned", 1_999, "payable")
    shown = [await dora.get(name) for name in ("overview", "brought", "commissions", "codes", "payouts")]
    assert [part for part in ("rin", str(tenant_id), str(seen.payment_id), "9999") if part in str(shown)] == []
    assert [(each["clicks"], each["registrations"]) for each in shown[3]["items"]] == [(1, 1)]


async def test_a_link_that_was_followed_too_long_ago_brings_nobody(programme: Programme, dora: Partner) -> None:
    """Within the window of the programme; a clock that runs ahead counts as now, a typed code as just typed."""
    code = (await dora.code())["code"]
    noted = []
    for number, moment in enumerate((None, days_ago(59), days_ago(-1), days_ago(61), "0001-01-01T00:00:00+14:00")):
        tenant_id = await programme.customer(f"erin{number}", code, referral_clicked_at=moment)
        noted.append((await programme.of_tenant(tenant_id, "GET")).status_code)
    assert noted == [200, 200, 200, 404, 404]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("erin", ""),
        ("dora+shop", ""),
        ("erin", "UPDATE referral_codes SET status = 'disabled'"),
        ("erin", "UPDATE users SET role = 'user' WHERE email = 'dora@example.com'"),
        ("erin", "UPDATE users SET status = 'suspended' WHERE email = 'dora@example.com'"),
        ("erin", "UPDATE referral_programmes SET status = 'archived'"),
    ],
)
async def test_a_code_that_brings_nobody_hinders_nobody(
    programme: Programme, dora: Partner, name: str, change: str
) -> None:
    """Unknown, switched off, of a partner who is none any more, or of the person who registers."""
    code = "no\0code" if not change and name == "erin" else (await dora.code())["code"]
    await programme.database.execute(change or "SELECT")
    tenant_id = await programme.customer(name, code)
    assert (await programme.of_tenant(tenant_id, "GET")).status_code == 404
    assert await programme.database.fetchval("SELECT count(*) FROM users WHERE referrer_id IS NOT NULL") == 0


def test_codes_that_are_made_hold_nothing_to_be_mistaken() -> None:
    """And are looked for without what people take for one another."""
    made = {make_code() for _ in range(200)}
    assert len(made) == 200
    assert set("".join(made)) <= set(ALPHABET)
    assert not set(ALPHABET) & set("0O1IL")
    assert len({look_of(code) for code in ("LOOK-10", "l00kio", "1OOKl0")}) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Dora@example.com", "dora@example.com", True),
        ("dora+2@example.com", "dora@example.com", True),
        ("d.o.ra@gmail.com", "dora@googlemail.com", True),
        ("d-o@ya.ru", "d.o@yandex.ru", True),
        ("d.ora@example.com", "dora@example.com", False),
        ("dora@example.org", "dora@example.com", False),
    ],
)
def test_addresses_of_one_mailbox_are_one_person(one: str, other: str, same: bool) -> None:
    """As far as servers are known to leave something out."""
    assert same_mailbox(one, other) is same


async def test_a_code_is_taken_with_all_that_looks_like_it(programme: Programme, dora: Partner) -> None:
    """Nobody makes a link that reads as somebody else's."""
    await dora.code(code="ALICE")
    eve = await programme.partner("eve")
    clash = await eve.client.post("/api/v1/referrals/codes", json={"code": "a-1ice"})
    assert (clash.status_code, clash.json()["field"]) == (409, "code")
    assert (await eve.client.post("/api/v1/referrals/codes", json={"code": "-ab"})).status_code == 400
    await eve.client.aclose()


async def test_clicks_of_one_address_are_limited(programme: Programme, dora: Partner) -> None:
    """And a code that is none is counted nowhere."""
    code = (await dora.code())["code"]
    unknown = await programme.anybody.post("/api/v1/referrals/clicks", json={"code": "NOBODYS"})
    tries = [
        (await programme.anybody.post("/api/v1/referrals/clicks", json={"code": code})).status_code
        for _ in range(MOST["click"])
    ]
    assert (unknown.status_code, tries) == (404, [204] * (MOST["click"] - 1) + [429])
    assert (await dora.get("overview"))["clicks"] == MOST["click"] - 1


@pytest.mark.parametrize(
    ("rate", "amount", "currency", "expected"),
    [
        (Rate(basis_points=2_000), 9_999, "USD", 1_999),
        (Rate(basis_points=1), 9_999, "USD", 0),
        (Rate(basis_points=10_000), 1, "USD", 1),
        (Rate(fixed={"USD": 500}), 9_999, "USD", 500),
        (Rate(fixed={"USD": 500}), 300, "USD", 300),
        (Rate(fixed={"USD": 500}), 9_999, "RUB", 0),
    ],
)
def test_a_rate_gives_whole_units_and_no_more_than_was_paid(
    rate: Rate, amount: int, currency: str, expected: int
) -> None:
    """Parts of a unit are left to the operator."""
    assert commission(rate, amount, currency) == expected


def test_what_remains_of_a_commission_never_grows_with_refunds() -> None:
    """From all to nothing, in steps of a unit."""
    steps = [remaining(1_999, 9_999, refunded) for refunded in range(0, 10_000, 7)]
    assert (steps[0], remaining(1_999, 9_999, 9_999), remaining(1_999, 9_999, 20_000)) == (1_999, 0, 0)
    assert steps == sorted(steps, reverse=True)


async def test_terms_go_by_the_plan_and_stay_those_of_the_registration(programme: Programme, dora: Partner) -> None:
    """What the programme says later is for those who come later."""
    plans = {"pro": {"basis_points": 3_000, "payments": 2}, "big": {"fixed": {"USD": 700}}}
    (await programme.terms(plans=plans)).raise_for_status()
    code = (await dora.code())["code"]
    tenant_id = await programme.customer("erin", code)
    (await programme.terms(rate={"basis_points": 1})).raise_for_status()
    earned = []
    for plan in ("free", "big", "pro", "pro"):
        await programme.database.execute("UPDATE tenants SET plan = $1 WHERE id = $2", plan, tenant_id)
        await programme.pay(tenant_id, 10_000)
        earned.append((await dora.money())["payable"])
    assert earned == [2_000, 2_700, 2_700, 2_700]
    later = await programme.customer("frank", code)
    await programme.pay(later, 10_000)
    assert (await dora.money())["payable"] == 2_701


async def test_a_rate_ends_with_its_days(programme: Programme, dora: Partner) -> None:
    """Counted from the registration of the workspace."""
    (await programme.terms(rate={"basis_points": 2_000, "days": 365})).raise_for_status()
    tenant_id = await programme.customer("erin", (await dora.code())["code"])
    for days, expected in ((364, 200), (366, 200)):
        moved = "UPDATE referrals SET registered_at = now() - make_interval(days => $1)"
        await programme.database.execute(moved, days)
        await programme.pay(tenant_id, 1_000)
        assert (await dora.money())["payable"] == expected


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET role = 'user' WHERE email = 'dora@example.com'",
        "UPDATE users SET status = 'suspended' WHERE email = 'dora@example.com'",
        "INSERT INTO memberships (tenant_id, user_id, role) SELECT tenant_id, partner_id, 'analyst' FROM referrals",
        "UPDATE users SET email = 'dora+2@example.com' WHERE email = 'erin@example.com'",
    ],
)
async def test_who_is_dismissed_or_pays_themselves_earns_nothing_more(
    programme: Programme, dora: Partner, change: str
) -> None:
    """Looked at with each payment, and not at the registration alone."""
    tenant_id = await programme.customer("erin", (await dora.code())["code"])
    await programme.pay(tenant_id, 1_000)
    await programme.database.execute(change)
    await programme.pay(tenant_id, 1_000)
    assert await programme.database.fetch("SELECT amount FROM commission_entries") == [(200,)]


async def test_a_commission_is_a_cost_of_the_operators_and_not_of_the_customers(
    programme: Programme, dora: Partner
) -> None:
    """Wallet and revenue stay; the accounts add up to zero; the customer's ledger does not show it."""
    made = await programme.register("erin", referral_code=(await dora.code())["code"])
    tenant_id = UUID(made["tenant_id"])
    await programme.pay(tenant_id, 10_000, refund(2_500))
    expected = {"wallet": 7_500, "cash:yookassa": -7_500, f"commission:{dora.user_id}": 1_500}
    assert await programme.accounts(tenant_id) == {**expected, "cost:commission": -1_500}
    owner = {"authorization": f"Bearer {made['access_token']}"}
    shown = (await programme.anybody.get("/api/v1/billing/ledger", headers=owner)).raise_for_status().json()
    assert [entry["kind"] for entry in shown["items"]] == ["refund", "top_up"]


async def test_money_that_goes_back_takes_the_commission_along(programme: Programme, dora: Partner) -> None:
    """In parts, told twice, and again when a bank sends the refund back; a rest of a unit is nobody's."""
    tenant_id = await programme.customer("erin", (await dora.code())["code"])
    seen = await programme.pay(tenant_id, 1_001)
    steps = []
    for reversals in (
        [refund(1)],
        [refund(1), refund(500, number=2)],
        [refund(1), refund(500, number=2)],
        [refund(1, "failed"), refund(500, number=2)],
        [refund(1, "failed"), refund(500, number=2), refund(501, number=3)],
    ):
        await programme.tell(seen, reversals)
        steps.append((await dora.money())["payable"])
    assert steps == [199, 99, 99, 100, 0]
    kinds = [row[0] for row in await programme.database.fetch("SELECT kind FROM commission_entries ORDER BY number")]
    assert kinds == ["earned", "reversed", "reversed", "restored", "reversed"]
    assert (await programme.accounts(tenant_id))["cost:commission"] == 0


@pytest.mark.parametrize(("outcome", "left"), [("failed", 200), ("settled", 0)])
async def test_what_is_disputed_is_not_paid_out_meanwhile(
    programme: Programme, dora: Partner, outcome: str, left: int
) -> None:
    """A dispute that is won is payable again, one that is lost is taken back."""
    tenant_id = await programme.customer("erin", (await dora.code())["code"])
    seen = await programme.pay(tenant_id, 1_000, dispute(1_000, "pending"))
    assert await dora.money() == owed(pending=200)
    assert (await programme.payout(dora)).status_code == 409
    await programme.tell(seen, [dispute(1_000, outcome)])
    assert await dora.money() == owed(payable=left)


async def test_what_is_of_a_suspended_workspace_or_within_the_hold_waits(programme: Programme, dora: Partner) -> None:
    """A refund within the hold never shows in a payout."""
    code = (await dora.code())["code"]
    suspended, refunded = await programme.customer("erin", code), None
    await programme.pay(suspended, 1_000)
    (await programme.terms(hold_days=30)).raise_for_status()
    refunded = await programme.customer("frank", code)
    await programme.pay(refunded, 1_000, refund(500))
    assert await dora.money() == owed(payable=200, pending=100)
    await programme.database.execute("UPDATE tenants SET status = 'suspended' WHERE id = $1", suspended)
    assert await dora.money() == owed(pending=300)
    assert {each["stage"] for each in (await dora.get("brought"))["items"]} == {"inactive", "paying"}
    await programme.database.execute("UPDATE commission_entries SET payable_at = now() - interval '1 s'")
    assert await dora.money() == owed(payable=100, pending=200)


async def test_a_payout_goes_from_the_request_to_the_bank(programme: Programme, dora: Partner) -> None:
    """From the least amount on; what was set aside stays; the ledger follows when it is paid."""
    (await programme.terms(minimum_payouts={"USD": 300})).raise_for_status()
    code = (await dora.code())["code"]
    first, second = await programme.customer("erin", code), await programme.customer("frank", code)
    await programme.pay(first, 1_000)
    too_little = await dora.client.post("/api/v1/referrals/payouts", json={"currency": "USD"})
    assert (too_little.status_code, (await dora.money())["payable"]) == (409, 200)
    await programme.pay(second, 2_000)
    details = {"payout_details": "Account 1, Dora"}
    assert (await dora.client.put("/api/v1/referrals/details", json=details)).status_code == 204
    asked = await dora.client.post("/api/v1/referrals/payouts", json={"currency": "USD"})
    payout = asked.raise_for_status().json()
    assert (payout["state"], payout["amount"], payout["payout_details"]) == ("requested", 600, "Account 1, Dora")
    assert await dora.money() == owed(in_payout=600)
    assert (await programme.mark_paid(payout)).status_code == 409
    (await programme.turn(payout, "approved")).raise_for_status()
    assert (await programme.turn(payout, "paid")).status_code == 400
    assert (await dora.client.post(f"/api/v1/referrals/payouts/{payout['id']}/cancel")).status_code == 409
    table = await programme.admin.get(f"/api/v1/platform/referrals/payouts/{payout['id']}/csv")
    assert [(row["amount"], row["tenant_id"]) for row in csv.DictReader(StringIO(table.text))] == [
        ("2.00", str(first)),
        ("4.00", str(second)),
    ]
    paid = (await programme.mark_paid(payout)).raise_for_status().json()
    assert (paid["state"], paid["reference"], paid["paid_on"]) == ("paid", "TR-1", "2026-11-25")
    assert await dora.money() == owed(paid=600)
    assert (await programme.mark_paid(payout)).status_code == 409
    expected = {"wallet": 2_000, "cash:yookassa": -2_000, "cost:commission": -400, "cash:payouts": 400}
    assert await programme.accounts(second) == {**expected, f"commission:{dora.user_id}": 0}


async def test_a_refund_after_the_payout_makes_the_next_one_less(programme: Programme, dora: Partner) -> None:
    """Below zero until it is earned again."""
    code = (await dora.code())["code"]
    first, second = await programme.customer("erin", code), await programme.customer("frank", code)
    seen = await programme.pay(first, 1_000)
    await programme.mark_paid((await programme.payout(dora)).json())
    await programme.tell(seen, [refund(1_000)])
    assert await dora.money() == owed(paid=200, payable=-200)
    assert (await programme.payout(dora)).status_code == 409
    await programme.pay(second, 5_000)
    payout = (await programme.payout(dora)).raise_for_status().json()
    assert payout["amount"] == 800
    await programme.mark_paid(payout)
    assert await dora.money() == owed(paid=1_000)
    accounts = [await programme.accounts(tenant_id) for tenant_id in (first, second)]
    assert [(each["cash:payouts"], each[f"commission:{dora.user_id}"]) for each in accounts] == [(0, 0), (1_000, 0)]


@pytest.mark.parametrize("states", [("cancelled",), ("failed",), ("paid", "failed")])
async def test_what_does_not_come_off_is_payable_again(
    programme: Programme, dora: Partner, states: tuple[str, ...]
) -> None:
    """Also where the bank sends it back."""
    tenant_id = await programme.customer("erin", (await dora.code())["code"])
    await programme.pay(tenant_id, 1_000)
    payout = (await programme.payout(dora)).json()
    for state in states:
        await (programme.mark_paid(payout) if state == "paid" else programme.turn(payout, state))
    assert await dora.money() == owed(payable=200)
    assert (await programme.accounts(tenant_id))[f"commission:{dora.user_id}"] == 200
    again = (await programme.payout(dora)).raise_for_status().json()
    assert again["amount"] == 200
    assert (await programme.turn(payout, "approved")).status_code == 409


async def test_an_administrator_says_who_has_brought_a_workspace(programme: Programme, dora: Partner) -> None:
    """For payments from then on, with a reason in the workspace's own trail; what was earned stays, or is voided."""
    eve = await programme.partner("eve")
    codes = [(await partner.code())["code"] for partner in (dora, eve)]
    tenant_id = await programme.customer("erin")
    why = {"reason": "She called us about it."}
    put = await programme.of_tenant(tenant_id, "PUT", code=codes[0], **why)
    assert (put.status_code, put.json()["origin"], put.json()["partner_id"]) == (200, "admin", str(dora.user_id))
    seen = await programme.pay(tenant_id, 1_000)
    await programme.of_tenant(tenant_id, "PUT", code=codes[1], **why)
    await programme.pay(tenant_id, 2_000)
    assert (await dora.money(), await eve.money()) == (owed(payable=200), owed(payable=400))
    removed = await programme.of_tenant(tenant_id, "POST", "/remove", takes_back=True, **why)
    assert removed.status_code == 204
    await programme.pay(tenant_id, 3_000)
    await programme.tell(seen, [refund(500)])
    assert (await dora.money(), await eve.money()) == (owed(payable=100), owed())
    assert (await programme.of_tenant(tenant_id, "POST", "/remove", **why)).status_code == 404
    rows = await programme.database.fetch(
        "SELECT action, changes->>'reason' AS reason FROM audit_log WHERE tenant_id = $1 AND action LIKE 'platform.%' "
        "ORDER BY id",
        tenant_id,
    )
    actions = ("platform.referrals.put", "platform.referrals.put", "platform.referrals.remove")
    assert [tuple(row) for row in rows] == [(action, why["reason"]) for action in actions]
    await eve.client.aclose()


async def test_what_was_voided_does_not_come_back_with_a_refund(programme: Programme, dora: Partner) -> None:
    """The refund of a payment whose commission is gone changes nothing."""
    tenant_id = await programme.customer("erin", (await dora.code())["code"])
    seen = await programme.pay(tenant_id, 1_000)
    await programme.of_tenant(tenant_id, "POST", "/remove", reason="A false account.", takes_back=True)
    for state in ("settled", "failed"):
        await programme.tell(seen, [refund(500, state)])
        assert await dora.money() == owed()


async def test_nobody_is_said_to_have_brought_themselves(programme: Programme, dora: Partner) -> None:
    """Not by an administrator either; and there has to be a code and a workspace."""
    code = (await dora.code())["code"]
    query = "SELECT tenant_id FROM memberships WHERE user_id = $1"
    own = await programme.database.fetchval(query, dora.user_id)
    why = {"reason": "She called us about it."}
    refused = await programme.of_tenant(own, "PUT", code=code, **why)
    assert (refused.status_code, refused.json()["field"]) == (400, "code")
    assert (await programme.of_tenant(own, "PUT", code="NO-CODE", **why)).status_code == 404
    assert (await programme.of_tenant(dora.user_id, "PUT", code=code, **why)).status_code == 404


async def test_partners_see_nothing_of_each_other(programme: Programme, dora: Partner) -> None:
    """Neither lists nor, by their ids, codes and payouts."""
    eve = await programme.partner("eve")
    code = await dora.code()
    await programme.pay(await programme.customer("erin", code["code"]), 1_000)
    payout = (await dora.client.post("/api/v1/referrals/payouts", json={"currency": "USD"})).raise_for_status().json()
    lists = [(await eve.get(name))["items"] for name in ("brought", "commissions", "codes", "payouts")]
    assert lists == [[], [], [], []]
    tries = [
        await eve.client.patch(f"/api/v1/referrals/codes/{code['id']}", json={"status": "disabled"}),
        await eve.client.post(f"/api/v1/referrals/payouts/{payout['id']}/cancel"),
    ]
    assert [each.status_code for each in tries] == [404, 404]
    assert (await eve.client.get("/api/v1/platform/referrals/report")).status_code == 403
    assert (await dora.get("payouts"))["items"][0]["state"] == "requested"
    await eve.client.aclose()


async def test_the_report_names_all_partners(programme: Programme, dora: Partner) -> None:
    """With zeros where nothing was earned, also those who are partners no more; as a table without formulas."""
    await programme.pay(await programme.customer("erin", (await dora.code())["code"]), 1_000)
    await programme.database.execute("UPDATE users SET role = 'user', name = '=1+1' WHERE id = $1", dora.user_id)
    eve = await programme.partner("eve")
    rows = (await programme.admin.get("/api/v1/platform/referrals/report")).raise_for_status().json()
    shown = {"name": "=1+1", "email": "dora@example.com", "is_active": False, "currency": "USD"}
    assert rows[1] == {"partner_id": str(dora.user_id), **shown, **owed(payable=200)}
    assert (rows[0]["partner_id"], rows[0]["currency"], rows[0]["payable"]) == (str(eve.user_id), "", 0)
    table = await programme.admin.get("/api/v1/platform/referrals/report/csv")
    assert [(row["name"], row["payable"]) for row in csv.DictReader(StringIO(table.text))][1] == ("'=1+1", "2.00")
    await eve.client.aclose()


async def test_terms_that_say_nothing_clear_are_refused(programme: Programme) -> None:
    """A rate is a share or an amount; the standard programme stays."""
    share = {"basis_points": 1}
    found = []
    for body in (
        {"terms": {"name": "A", "rate": {}}},
        {"terms": {"name": "A", "rate": {**share, "fixed": {"USD": 1}}}},
        {"terms": {"name": "A", "rate": share, "plans": {"pro": {"days": 1}}}},
        {"terms": {"name": "A", "rate": share}, "status": "archived"},
        {"terms": {"name": "A", "rate": {"basis_points": 10_001}}},
    ):
        answer = await programme.admin.put("/api/v1/platform/referrals/programmes/standard", json=body)
        found.append((answer.status_code, answer.json()["field"]))
    names = ("terms.rate", "terms.rate", "terms.plans.pro", "status", "terms.rate.basis_points")
    assert found == [(400, name) for name in names]


async def test_partners_of_other_programmes_earn_by_them(programme: Programme, dora: Partner) -> None:
    """An administrator makes the code; the partner sees it beside their own."""
    (await programme.terms("vip", rate={"basis_points": 5_000})).raise_for_status()
    made: dict[str, Any] = {"user_id": str(dora.user_id), "programme": "vip"}
    code = (await programme.admin.post("/api/v1/platform/referrals/codes", json=made)).raise_for_status().json()
    await programme.pay(await programme.customer("erin", code["code"]), 1_000)
    assert (await dora.money())["payable"] == 500
    assert [each["programme"] for each in (await dora.get("codes"))["items"]] == ["vip"]
    for user_id, programme_code, status in ((made["user_id"], "none", 400), (code["id"], "vip", 404)):
        body = {"user_id": user_id, "programme": programme_code}
        refused = await programme.admin.post("/api/v1/platform/referrals/codes", json=body)
        assert refused.status_code == status


async def test_each_change_leaves_one_row_in_the_trail(programme: Programme, dora: Partner) -> None:
    """Of partners in their own workspace, of administrators in theirs; without the account to pay to."""
    await programme.pay(await programme.customer("erin", (await dora.code())["code"]), 1_000)
    found: dict[str, str] = {}
    admin, own = "/api/v1/platform/referrals", "/api/v1/referrals"
    reference = {"reference": "TR-1", "paid_on": "2026-11-25"}
    changes: list[tuple[httpx.AsyncClient, str, str, dict[str, Any], str]] = [
        (dora.client, "POST", f"{own}/codes", {}, "referrals.codes.create"),
        (dora.client, "PATCH", f"{own}/codes/{{id}}", {"campaign": "x"}, "referrals.codes.update"),
        (programme.admin, "PATCH", f"{admin}/codes/{{id}}", {"status": "disabled"}, "platform.referrals.codes.update"),
        (
            programme.admin,
            "POST",
            f"{admin}/codes",
            {"user_id": str(dora.user_id)},
            "platform.referrals.codes.create",
        ),
        (dora.client, "PUT", f"{own}/details", {"payout_details": "Account 4070"}, "referrals.details.put"),
        (dora.client, "POST", f"{own}/payouts", {"currency": "USD"}, "referrals.payouts.request"),
        (dora.client, "POST", f"{own}/payouts/{{id}}/cancel", {}, "referrals.payouts.cancel"),
        (
            programme.admin,
            "POST",
            f"{admin}/payouts",
            {"user_id": str(dora.user_id), "currency": "USD"},
            "platform.referrals.payouts.create",
        ),
        (
            programme.admin,
            "PATCH",
            f"{admin}/payouts/{{id}}",
            {"state": "paid", **reference},
            "platform.referrals.payouts.update",
        ),
        (
            programme.admin,
            "PUT",
            f"{admin}/programmes/new",
            {"terms": {"name": "New", "rate": {"basis_points": 1}}},
            "platform.referrals.programmes.put",
        ),
    ]
    for client, method, path, body, action in changes:
        await programme.database.execute("TRUNCATE audit_log")
        answer = await client.request(method, path.format(**found), json=body)
        found = answer.raise_for_status().json() if answer.content else found
        rows = await programme.database.fetch("SELECT action, changes::text FROM audit_log")
        assert [row[0] for row in rows] == [action]
        assert "4070" not in str(rows)


def test_web_and_worker_pay_partners_once(app: Litestar) -> None:
    """However often an application is built in a process."""
    pay_partners()
    assert (SETTLED.count(earn), REFUNDED.count(follow_refund)) == (1, 1)


async def test_only_partners_and_administrators_come_in(
    programme: Programme, alice: Person, services: Services
) -> None:
    """An owner of a workspace is neither."""
    async with make_client(programme.app, authorization=bearer(services, alice)) as client:
        for path in ("referrals/overview", "referrals/codes", "platform/referrals/report"):
            assert (await client.get(f"/api/v1/{path}")).status_code == 403
