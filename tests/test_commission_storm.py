"""However payments, refunds, disputes and payouts come, partners have what the rules give, and nobody is paid twice."""

import random
from uuid import UUID

import asyncpg
import pytest
from litestar import Litestar

from asissto.platform.services import Services
from commission_storm import CURRENCY, Order, Rule, courses, expected, storm
from partnering import Programme
from people import Person, make_client

CUSTOMERS = 2
"""Of each partner."""

PAYMENTS = 8
"""Of each customer."""

RULES = {"share": Rule(basis_points=1_337), "fixed": Rule(fixed=150), "first": Rule(basis_points=3_000, payments=3)}


async def balances(connection: asyncpg.Connection, query: str, *values: object) -> dict[object, int]:
    return {row[0]: int(row[1]) for row in await connection.fetch(query, *values)}


@pytest.mark.parametrize("seed", [1, 2])
async def test_partners_have_what_the_rules_give(
    app: Litestar, services: Services, charlie: Person, superuser: asyncpg.Connection, seed: int
) -> None:
    """With eight writers at once; the sums are computed anew from the orders, and compared with rows and ledger."""
    await superuser.execute("UPDATE users SET role = 'admin' WHERE id = $1", charlie.user_id)
    chance = random.Random(seed)
    rules: dict[UUID, Rule] = {}
    owners: dict[UUID, UUID] = {}
    orders: list[Order] = []
    async with make_client(app) as anybody:
        programme = Programme(services, app, anybody, charlie.client, superuser)
        for name, rule in RULES.items():
            rate = {"fixed": {CURRENCY: rule.fixed}} if rule.fixed else {"basis_points": rule.basis_points}
            (await programme.terms(name, rate=rate | {"payments": rule.payments})).raise_for_status()
            partner = await programme.partner(f"partner-{name}")
            await partner.client.aclose()
            body = {"user_id": str(partner.user_id), "programme": name}
            code = (await programme.admin.post("/api/v1/platform/referrals/codes", json=body)).json()["code"]
            rules[partner.user_id] = rule
            for number in range(CUSTOMERS):
                tenant_id = await programme.customer(f"{name}-{number}", code)
                owners[tenant_id] = partner.user_id
                for _ in range(PAYMENTS):
                    amount = chance.choice([1, 7, 99, chance.randint(100, 50_000)])
                    seen = await programme.order(tenant_id, amount, CURRENCY)
                    orders.append(Order(tenant_id, seen, courses(chance, amount)))
        done = await storm(programme, orders, charlie.principal, list(rules), writers=8, seed=seed)
    assert done["told"] == 4 * len(orders)
    assert min(done[name] for name in ("paid", "failed", "cancelled")) > 0

    sums = await expected(superuser, orders, rules, owners)
    found = await balances(superuser, "SELECT partner_id, sum(amount) FROM commission_entries GROUP BY 1")
    assert {partner: found.get(partner, 0) for partner in rules} == sums
    once = "SELECT payment_id, count(*) FROM commission_entries WHERE kind = 'earned' GROUP BY 1 HAVING count(*) > 1"
    assert await balances(superuser, once) == {}

    paid = await balances(
        superuser, "SELECT partner_id, sum(amount) FROM referral_payouts WHERE state = 'paid' GROUP BY 1"
    )
    accounts = await balances(superuser, "SELECT name, sum(balance) FROM ledger_accounts GROUP BY 1")
    owed = {partner: accounts.get(f"commission:{partner}", 0) for partner in rules}
    assert owed == {partner: sums[partner] - paid.get(partner, 0) for partner in rules}
    assert accounts["cash:payouts"] == sum(paid.values())
    assert accounts["cost:commission"] == -sum(sums.values())
    assert set(
        (await balances(superuser, "SELECT tenant_id, sum(balance) FROM ledger_accounts GROUP BY 1")).values()
    ) == {0}
    wrong = """
        SELECT o.id, 1 FROM referral_payouts o LEFT JOIN commission_entries e ON e.payout_id = o.id
        GROUP BY o.id HAVING coalesce(sum(e.amount), 0)
            <> CASE WHEN o.state IN ('failed', 'cancelled') THEN 0 ELSE o.amount END
    """
    assert await balances(superuser, wrong) == {}
    given_back = {order.seen.payment_id: order.given_back for order in orders}
    assert await balances(superuser, "SELECT id, refunded FROM payments WHERE provider = 'yookassa'") == given_back
