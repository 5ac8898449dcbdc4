"""Payments, refunds, disputes and payouts at random, told twice and in any order, and what partners must have of it."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg

from asissto.platform.authentication import Principal
from asissto.platform.errors import Conflict
from asissto.platform.payment_contract import Seen, SeenPayment, SeenReversal
from asissto.platform.referral_payouts import PartnerPayoutIn, PayoutPatch, change_payout, create_payout
from partnering import Programme

CURRENCY = "USD"


@dataclass(frozen=True)
class Rule:
    """Of a partner's programme, as the tests write it down anew: a share of payments, at most `fixed`, of so many."""

    basis_points: int = 0
    fixed: int = 0
    payments: int | None = None

    def of(self, amount: int) -> int:
        return min(self.fixed, amount) if self.fixed else amount * self.basis_points // 10_000


@dataclass
class Order:
    """A payment with what comes back of it; each state of a reversal follows on the one before."""

    tenant_id: UUID
    seen: SeenPayment
    courses: list[tuple[int, str, list[Seen]]] = field(default_factory=list)

    @property
    def given_back(self) -> int:
        return sum(amount for amount, _, states in self.courses if states[-1] == "settled")

    def told(self, chance: random.Random, *, is_last: bool) -> SeenPayment:
        """At some moment: each reversal as far as it has come, or not begun yet; or at the end of everything."""
        reversals = []
        for number, (amount, kind, states) in enumerate(self.courses):
            step = len(states) if is_last else chance.randint(0, len(states))
            if step:
                named: dict[str, Any] = {"provider_id": f"{kind}-{number}", "kind": kind}
                reversals.append(SeenReversal(amount=amount, state=states[step - 1], **named))
        plain = {name: getattr(self.seen, name) for name in self.seen.__struct_fields__}
        return SeenPayment(**plain | {"reversals": tuple(reversals)})


def courses(chance: random.Random, amount: int) -> list[tuple[int, str, list[Seen]]]:
    """Refunds and a dispute that come to no more than the payment, with all ways that they can go."""
    ways: list[list[Seen]] = [
        ["pending", "settled"],
        ["settled"],
        ["pending", "failed"],
        ["pending", "settled", "failed"],
    ]
    made, left = [], amount
    for kind in chance.sample(["refund", "refund", "refund", "dispute"], chance.randint(0, 3)):
        part = chance.randint(1, max(left // 2, 1))
        if part <= left:
            left -= part
            made.append((part, kind, chance.choice(ways)))
    return made


async def storm(
    programme: Programme,
    orders: Sequence[Order],
    admin: Principal,
    partners: Sequence[UUID],
    *,
    writers: int,
    seed: int,
) -> Counter[str]:
    """Everything is told three times about, all mixed with payouts; counts what was done, by its name."""
    chance = random.Random(seed)
    deeds: list[Callable[[], Awaitable[str]]] = []

    def tell(seen: SeenPayment) -> Callable[[], Awaitable[str]]:
        async def do() -> str:
            await programme.tell(seen, seen.reversals)
            return "told"

        return do

    for order in orders:
        told = [order.told(chance, is_last=number == 0) for number in range(3)]
        deeds += [tell(each) for each in [*told, told[0]]]
    deeds += [_pay_out(programme, admin, chance.choice(partners), chance.random()) for _ in range(len(orders))]
    chance.shuffle(deeds)
    waiting, done = iter(deeds), Counter[str]()

    async def work() -> None:
        for deed in waiting:
            done[await deed()] += 1

    await asyncio.gather(*(work() for _ in range(writers)))
    for order in orders:  # as when the provider is asked hours later
        await tell(order.told(chance, is_last=True))()
    return done


def _pay_out(programme: Programme, admin: Principal, partner: UUID, luck: float) -> Callable[[], Awaitable[str]]:
    """Begins a payout and, in transactions of their own, pays it, cancels it, or has it come back from the bank."""
    paid = PayoutPatch(state="paid", reference="TR", paid_on=date(2026, 11, 25))
    failed, cancelled = PayoutPatch(state="failed"), PayoutPatch(state="cancelled")
    steps = [paid] if luck < 0.5 else [paid, failed] if luck < 0.7 else [cancelled] if luck < 0.9 else []

    async def do() -> str:
        database = programme.services.database
        try:
            async with database.system() as session:
                what = PartnerPayoutIn(user_id=partner, currency=CURRENCY)
                payout_id = (await create_payout(session, admin, what)).id
        except Conflict:
            return "nothing payable"
        for step in steps:
            async with database.system() as session:
                await change_payout(session, admin, payout_id, step)
        return steps[-1].state if steps else "left open"

    return do


async def expected(
    connection: asyncpg.Connection, orders: Sequence[Order], rules: Mapping[UUID, Rule], owners: Mapping[UUID, UUID]
) -> dict[UUID, int]:
    """By partner, from the rules, the orders and the order of settlement alone."""
    rows = await connection.fetch("SELECT id, settled_at FROM payments WHERE settled_at IS NOT NULL")
    settled = {row["id"]: row["settled_at"] for row in rows}
    by_tenant: defaultdict[UUID, list[Order]] = defaultdict(list)
    for order in sorted(orders, key=lambda each: settled[each.seen.payment_id]):
        by_tenant[order.tenant_id].append(order)
    sums = dict.fromkeys(rules, 0)
    for tenant_id, paid in by_tenant.items():
        rule = rules[owners[tenant_id]]
        for order in [each for each in paid if rule.of(each.seen.amount)][: rule.payments]:
            rest = order.seen.amount - order.given_back
            sums[owners[tenant_id]] += rule.of(order.seen.amount) * rest // order.seen.amount
    return sums
