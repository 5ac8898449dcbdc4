"""Payments: whatever a provider tells, in whatever order and how often, a settled payment is booked exactly once."""

import asyncio
import os
import random
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from asissto.platform import payment_events, payments
from asissto.platform.payment_tables import Payment
from asissto.platform.payments import REFUNDED, SETTLED
from asissto.platform.services import Services
from paying import BANK, Shop, open_shop
from people import Person
from yookassa_peer import KEY, SHOP_ID, Fault, Refused, YooKassaPeer, notification

CASH = "cash:yookassa"


@pytest.fixture
async def peer_shop() -> AsyncIterator[YooKassaPeer]:
    async with YooKassaPeer() as shop:
        yield shop


@pytest.fixture
async def shop(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection, peer_shop: YooKassaPeer
) -> AsyncIterator[Shop]:
    given = {"yookassa_url": peer_shop.url, "yookassa_shop_id": SHOP_ID, "yookassa_key": KEY, "yookassa_vat_code": 1}
    shop = await open_shop(services, alice, charlie, superuser, "RUB", **given)
    yield shop
    await services.payments.close()


async def test_a_top_up_says_where_to_pay_and_is_booked_when_it_was_paid(
    shop: Shop, peer_shop: YooKassaPeer, alice: Person
) -> None:
    """From the order with its receipt to the wallet, the ledger and the invoice."""
    made = await shop.top_up(150_000, payer="Tea & Co LLC; Tax number 7702")
    order = await shop.order_of(made["id"])
    assert made["pay_url"] == peer_shop.payments[order]["confirmation"]["confirmation_url"]
    (body,) = peer_shop.bodies
    assert body["amount"] == {"value": "1500.00", "currency": "RUB"}
    assert body["metadata"] == {"tenant_id": str(alice.tenant_id), "payment_id": made["id"]}
    assert body["receipt"]["customer"] == {"email": "alice@example.com"}
    assert await shop.hook(peer_shop.pay(order)) == 200
    assert (await shop.wallet(), (await shop.payment(made["id"]))["state"]) == (0, "pending")
    await shop.work()
    shown = await shop.payment(made["id"])
    assert (shown["state"], shown["refunded"], shown["problem"], shown["reversals"]) == ("settled", 0, None, [])
    assert await shop.wallet() == 150_000
    assert await shop.ledger() == [("top_up", CASH, "wallet", 150_000)]
    assert await shop.papers() == [("invoice", 1, None, 150_000)]


async def test_nothing_in_a_notification_is_believed_but_the_id(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """It is not signed: whoever sends one with a paid payment of any amount gets nothing."""
    made = await shop.top_up(10_000)
    order = await shop.order_of(made["id"])
    forged = peer_shop.payments[order] | {"status": "succeeded", "amount": {"value": "9999.00", "currency": "RUB"}}
    nobodys = forged | {"id": "11111111-1111-1111-1111-111111111111"}
    path = forged | {"id": "../payments?x="}
    for told in (forged, nobodys, path):
        assert await shop.hook(notification("payment.succeeded", told)) == 200
    await shop.work()
    assert (await shop.wallet(), await shop.ledger()) == (0, [])
    for junk in (b"", b"{}", b"[1]", b'{"type":"notification","event":"payment.succeeded","object":{"id":""}}'):
        assert await shop.hook(junk) == 403
    await shop.hook(peer_shop.pay(order))
    await shop.work()
    assert await shop.ledger() == [("top_up", CASH, "wallet", 10_000)]


async def test_a_notification_told_too_early_does_not_hide_the_true_one(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """The customer knows the id, and could send it before they pay: the event stays open until it is true."""
    made = await shop.top_up(10_000)
    order = await shop.order_of(made["id"])
    early = notification("payment.succeeded", peer_shop.payments[order])
    await shop.hook(early)
    await shop.work()
    row = await shop.database.fetchrow("SELECT state, outcome FROM payment_events")
    assert tuple(row) == ("new", "pending")
    await shop.hook(peer_shop.pay(order))
    await shop.work()
    row = await shop.database.fetchrow("SELECT state, outcome, deliveries FROM payment_events")
    assert (tuple(row), await shop.wallet()) == (("done", "booked", 2), 10_000)


async def test_an_amount_that_differs_is_left_to_a_person(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """Less was charged than was asked for: nothing is booked, and the payment says why."""
    made = await shop.top_up(10_000)
    order = await shop.order_of(made["id"])
    peer_shop.payments[order]["amount"] = {"value": "1.00", "currency": "RUB"}
    await shop.hook(peer_shop.pay(order))
    await shop.work()
    shown = await shop.payment(made["id"])
    assert shown["state"] == "pending"
    assert shown["problem"].startswith("The payment service charged 1.00 RUB, which is not what was asked for.")
    assert await shop.ledger() == []


async def test_a_currency_that_was_changed_meanwhile_is_left_to_a_person(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """Roubles are not booked as dollars, neither by the provider's word nor by an administrator's."""
    made, transfer = await shop.top_up(10_000), await shop.top_up(10_000, provider="manual")
    await shop.database.execute("UPDATE tenants SET currency = 'USD'")
    await shop.hook(peer_shop.pay(await shop.order_of(made["id"])))
    await shop.work()
    assert "another currency" in (await shop.payment(made["id"]))["problem"]
    assert (await shop.settle(transfer["id"])).json()["field"] == "currency"
    assert (await shop.ledger(), await shop.papers()) == ([], [])


async def test_made_up_notifications_fill_no_table(
    shop: Shop, peer_shop: YooKassaPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of unknown addresses so many wait at most; what the provider does not know is asked about three times."""
    monkeypatch.setattr(payment_events, "MOST_WAITING", 3)
    made_up = [notification("payment.succeeded", {"id": f"{n:036}"}) for n in range(4)]
    assert [await shop.hook(body) for body in made_up] == [200, 200, 200, 429]
    for _ in range(5):
        await shop.work()
    assert len(peer_shop.calls) == 9
    await shop.database.execute("UPDATE payment_events SET handled_at = handled_at - interval '31 days'")
    async with shop.services.database.system() as session:
        await payment_events.forget_old_events(session)
    assert await shop.database.fetchval("SELECT count(*) FROM payment_events") == 0


async def test_an_order_that_was_lost_for_good_fails(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """Nobody was told where to pay, and a day later the same key would be another order."""
    peer_shop.fail(500)
    body = {"provider": "yookassa", "amount": 5_000, "key": "july"}
    assert (await shop.owner.post("/api/v1/billing/top-ups", json=body)).status_code == 502
    await shop.database.execute("UPDATE payments SET created_at = now() - interval '26 hours'")
    assert (await shop.owner.post("/api/v1/billing/top-ups", json=body)).json()["code"] == "payment_key_reused"
    await shop.check_all()
    (listed,) = (await shop.owner.get("/api/v1/payments", headers={"accept-language": "ru"})).json()["items"]
    assert (listed["state"], listed["problem"].rstrip()) == (
        "failed",
        "Платёжный сервис не ответил вовремя. Начните новый платёж.",
    )


async def test_a_foreign_payment_of_the_same_shop_is_not_ours(
    shop: Shop, peer_shop: YooKassaPeer, charlie: Person
) -> None:
    """Without our ids, with our payment for another tenant, or with one that is to be paid in another way."""
    made, transfer = await shop.top_up(10_000), await shop.top_up(10_000, provider="manual")
    order = await shop.order_of(made["id"])
    ours, theirs = str(shop.tenant_id), str(charlie.tenant_id)
    foreign: list[dict[str, str]] = [
        {},
        {"payment_id": "x"},
        {"tenant_id": theirs, "payment_id": made["id"]},
        {"tenant_id": ours, "payment_id": transfer["id"]},
    ]
    for metadata in foreign:
        peer_shop.payments[order]["metadata"] = metadata
        told = peer_shop.pay(order)
        await shop.database.execute("DELETE FROM payment_events")
        await shop.hook(told)
        await shop.work()
        assert await shop.database.fetchval("SELECT outcome FROM payment_events") == "not ours"
    assert await shop.ledger() == []


async def test_a_hook_that_comes_before_the_order_is_answered_is_booked(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """The connection ends after the order was made; the customer pays, and the same request goes on all the same."""
    peer_shop.fail("lost")
    body = {"provider": "yookassa", "amount": 5_000, "key": "april"}
    assert (await shop.owner.post("/api/v1/billing/top-ups", json=body)).json()["code"] == "payment_unanswered"
    (order,) = peer_shop.payments
    again = (await shop.owner.post("/api/v1/billing/top-ups", json=body)).raise_for_status().json()
    assert (list(peer_shop.payments), await shop.order_of(again["id"])) == ([order], order)
    await shop.database.execute(
        "UPDATE payments SET provider_id = NULL, pay_url = NULL"
    )  # killed before it was written
    await shop.hook(peer_shop.pay(order))
    await shop.work()
    assert (await shop.payment(again["id"]))["state"] == "settled"
    assert await shop.ledger() == [("top_up", CASH, "wallet", 5_000)]


async def test_what_is_booked_while_the_order_is_still_being_made_stays_booked(
    shop: Shop, peer_shop: YooKassaPeer
) -> None:
    """The hook is handled before the create call has returned, whose answer then changes nothing but the address."""

    async def pay_at_once(order: str) -> None:
        peer_shop.before_answer = None
        await shop.hook(peer_shop.pay(order))
        await shop.work()

    peer_shop.before_answer = pay_at_once
    made = await shop.top_up(5_000)
    assert (made["state"], made["pay_url"] is not None, await shop.wallet()) == ("settled", True, 5_000)
    assert await shop.database.fetchval("SELECT next_check_at FROM payments") is None


async def test_a_refusal_that_comes_after_the_money_does_not_undo_it(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """The provider says no to an order that it has charged."""

    async def pay_and_refuse(order: str) -> None:
        await shop.hook(peer_shop.pay(order))
        await shop.work()
        raise Refused(400, "invalid_request")

    peer_shop.before_answer = pay_and_refuse
    refused = await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "yookassa", "amount": 5_000})
    assert refused.json()["code"] == "payment_refused"
    (listed,) = (await shop.owner.get("/api/v1/payments")).json()["items"]
    assert (listed["state"], listed["problem"], await shop.wallet()) == ("settled", None, 5_000)


async def test_a_key_is_one_payment(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """Sent twice at once it is one order; with another amount it is refused; when it was paid it is over."""
    asked = {"key": "may", "provider": "yookassa", "amount": 700}
    made = await asyncio.gather(*(shop.owner.post("/api/v1/billing/top-ups", json=asked) for _ in range(4)))
    assert len({each.raise_for_status().json()["id"] for each in made}) == len(peer_shop.payments) == 1
    other = await shop.owner.post("/api/v1/billing/top-ups", json=asked | {"amount": 800})
    assert (other.status_code, other.json()["code"]) == (409, "payment_key_reused")
    await shop.hook(peer_shop.pay(next(iter(peer_shop.payments))))
    await shop.work()
    over = await shop.owner.post("/api/v1/billing/top-ups", json=asked)
    assert (over.status_code, over.json()["code"]) == (409, "payment_not_open")


async def test_a_refused_order_fails_and_a_currency_is_asked_before(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """The provider's code is told, its key is not."""
    peer_shop.fail(403)
    refused = await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "yookassa", "amount": 1})
    assert (refused.status_code, refused.json()["code"]) == (502, "payment_refused")
    assert KEY not in refused.text
    (listed,) = (await shop.owner.get("/api/v1/payments")).json()["items"]
    assert listed["state"] == "failed"
    await shop.database.execute("UPDATE tenants SET currency = 'USD'")
    dollars = await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "yookassa", "amount": 1})
    assert (dollars.status_code, dollars.json()["field"]) == (400, "provider")
    other = await shop.admin.post("/api/v1/billing/top-ups", json={"provider": "manual", "amount": 1, "key": "x"})
    mine = await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "manual", "amount": 1, "key": "x"})
    assert other.json()["id"] != mine.json()["id"]  # keys are each tenant's own
    absent = await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "stripe", "amount": 1})
    assert absent.status_code == 404


async def test_the_first_payment_settles_the_currency(shop: Shop) -> None:
    """What was ordered in it keeps it; the same request may be sent again."""
    await shop.database.execute("UPDATE tenants SET currency = 'USD'")
    first = {"provider": "manual", "amount": 300_000, "currency": "RUB", "key": "first"}
    made = (await shop.owner.post("/api/v1/billing/top-ups", json=first)).json()
    again = (await shop.owner.post("/api/v1/billing/top-ups", json=first)).json()
    assert (made["currency"], again["id"]) == ("RUB", made["id"])
    other = await shop.owner.post("/api/v1/billing/top-ups", json=first | {"currency": "EUR", "key": "other"})
    assert (other.status_code, other.json()["code"]) == (409, "currency_differs")


async def test_what_no_hook_told_is_found_by_asking(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """A lost notification costs a minute and no money."""
    made = await shop.top_up(900)
    unpaid = await shop.top_up(800)
    peer_shop.pay(await shop.order_of(made["id"]))
    peer_shop.cancel(await shop.order_of(unpaid["id"]))
    await shop.work()
    assert await shop.wallet() == 0  # not asked yet
    await shop.check_all()
    states = [(await shop.payment(each["id"]))["state"] for each in (made, unpaid)]
    assert (await shop.wallet(), states) == (900, ["settled", "failed"])
    assert await shop.database.fetchval("SELECT count(*) FROM payments WHERE next_check_at IS NOT NULL") == 0


async def test_a_bank_transfer_is_settled_and_refunded_by_hand_once(shop: Shop) -> None:
    """By an administrator of the platform, with one row in the trail for each."""
    made = await shop.top_up(30_000, provider="manual")
    assert made["instructions"].startswith(f"{BANK}\n")
    assert made["id"].replace("-", "")[-12:].upper() in made["instructions"]
    answers = await asyncio.gather(*(shop.settle(made["id"]) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    first = await shop.refund(made["id"], amount=10_000, key="one", reason="too much")
    again = await shop.refund(made["id"], amount=10_000, key="one")
    assert (first.status_code, first.json()["state"]) == (200, "settled")
    assert again.json() == first.json()
    too_much = await shop.refund(made["id"], amount=20_001)
    assert (too_much.status_code, too_much.json()["field"]) == (400, "amount")
    rest = await shop.refund(made["id"])
    assert (rest.json()["amount"], (await shop.payment(made["id"]))["state"]) == (20_000, "refunded")
    assert (await shop.refund(made["id"])).json()["code"] == "payment_not_open"
    assert await shop.ledger() == [
        ("top_up", "cash:manual", "wallet", 30_000),
        ("refund", "wallet", "cash:manual", 10_000),
        ("refund", "wallet", "cash:manual", 20_000),
    ]
    assert await shop.papers() == [
        ("invoice", 1, None, 30_000),
        ("credit_note", 1, 1, 10_000),
        ("credit_note", 2, 1, 20_000),
    ]
    trail = await shop.database.fetch(
        "SELECT action FROM audit_log WHERE object_type = 'payment' AND tenant_id = $1 ORDER BY id", shop.tenant_id
    )
    assert [row[0] for row in trail] == ["billing.top_up", "payments.settle", "payments.refund", "payments.refund"]


async def paid(shop: Shop, peer_shop: YooKassaPeer, amount: int) -> tuple[str, str]:
    """Ids of a settled payment: ours and the provider's."""
    made = await shop.top_up(amount)
    order = await shop.order_of(made["id"])
    await shop.hook(peer_shop.pay(order))
    await shop.work()
    return made["id"], order


async def test_a_refund_takes_the_money_out_before_it_goes(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """What was used meanwhile cannot be refunded, and what a provider refuses comes back."""
    payment_id, _ = await paid(shop, peer_shop, 10_000)
    await shop.spend(4_000)
    assert (await shop.refund(payment_id)).json()["code"] == "balance_too_low"
    peer_shop.fail(400)
    refused = await shop.refund(payment_id, amount=5_000)
    assert (refused.status_code, refused.json()["code"]) == (502, "payment_refused")
    assert (await shop.wallet(), peer_shop.refunds) == (6_000, {})
    assert (await shop.refund(payment_id, amount=6_000)).json()["state"] == "settled"
    shown = await shop.payment(payment_id)
    assert (await shop.wallet(), shown["refunded"], shown["state"]) == (0, 6_000, "settled")
    assert [(each["amount"], each["state"]) for each in shown["reversals"]] == [(5_000, "failed"), (6_000, "settled")]


@pytest.mark.parametrize("fault", ["lost", 500])
async def test_a_refund_that_was_not_answered_is_made_once(shop: Shop, peer_shop: YooKassaPeer, fault: Fault) -> None:
    """Killed or cut off between the request and its answer: the worker goes on with the same key."""
    payment_id, _ = await paid(shop, peer_shop, 10_000)
    peer_shop.fail(fault)
    assert (await shop.refund(payment_id, amount=2_500)).json()["state"] == "pending"
    assert await shop.wallet() == 7_500
    await shop.check_all()
    assert len(peer_shop.refunds) == 1
    shown = await shop.payment(payment_id)
    assert ([each["state"] for each in shown["reversals"]], shown["refunded"]) == (["settled"], 2_500)
    assert await shop.papers() == [("invoice", 1, None, 10_000), ("credit_note", 1, 1, 2_500)]


async def test_refunds_made_elsewhere_are_booked_too(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """By the shop's own page, though the money was used: the operator stands in for what the wallet lacks."""
    payment_id, order = await paid(shop, peer_shop, 10_000)
    await shop.spend(7_000)
    told = [peer_shop.refund(order, "40.00"), peer_shop.refund(order, "50.00")]
    for body in (*told, *told):
        await shop.hook(body)
    await shop.work()
    assert await shop.ledger() == [
        ("top_up", CASH, "wallet", 10_000),
        ("spend", "wallet", "revenue", 7_000),
        ("refund", "wallet", CASH, 3_000),
        ("refund_uncovered", "adjustment", CASH, 1_000),
        ("refund_uncovered", "adjustment", CASH, 5_000),
    ]
    shown = await shop.payment(payment_id)
    assert (shown["refunded"], shown["state"], await shop.wallet()) == (9_000, "settled", 0)


async def test_a_refund_that_a_bank_sends_back_is_undone(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """The money is the tenant's again, with a paper that says so."""
    payment_id, _ = await paid(shop, peer_shop, 10_000)
    peer_shop.refund_status = "pending"
    assert (await shop.refund(payment_id)).json()["state"] == "pending"
    (refund_id,) = peer_shop.refunds
    peer_shop.end_refund(refund_id, "canceled")
    await shop.check_all()
    shown = await shop.payment(payment_id)
    assert (await shop.wallet(), shown["state"], shown["refunded"]) == (10_000, "settled", 0)
    assert await shop.papers() == [("invoice", 1, None, 10_000)]
    assert [kind for kind, *_ in await shop.ledger()] == ["top_up", "refund", "refund_returned"]


async def test_hooks_of_the_application_are_told_once_and_with_the_booking(shop: Shop, peer_shop: YooKassaPeer) -> None:
    """One that fails takes the booking with it, so that the next look does both."""
    told: list[tuple[str, int]] = []
    failures = [RuntimeError("no")]

    async def settled(_session: object, payment: Payment) -> None:
        if failures:
            raise failures.pop()
        told.append(("settled", payment.amount))

    async def refunded(_session: object, payment: Payment, amount: int) -> None:
        told.append(("refunded", amount))

    SETTLED.append(settled)
    REFUNDED.append(refunded)
    try:
        made = await shop.top_up(10_000)
        await shop.hook(peer_shop.pay(await shop.order_of(made["id"])))
        await shop.work()
        assert (await shop.wallet(), await shop.papers()) == (0, [])
        await shop.work()
        await shop.refund(made["id"], amount=1_000)
        await shop.check_all()
    finally:
        SETTLED.remove(settled)
        REFUNDED.remove(refunded)
    assert told == [("settled", 10_000), ("refunded", 1_000)]
    assert await shop.papers() == [("invoice", 1, None, 10_000), ("credit_note", 1, 1, 1_000)]


async def test_the_worker_settles_by_itself_and_outlives_what_fails(
    shop: Shop, peer_shop: YooKassaPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that refuses a round, and a payment that cannot be booked, keep no other waiting."""
    monkeypatch.setattr(payment_events, "POLL_SECONDS", 0.01)
    broken, sound = await shop.top_up(100), await shop.top_up(200)
    for made in (broken, sound):
        await shop.hook(peer_shop.pay(await shop.order_of(made["id"])))

    async def fail_for_one(session: object, payment: Payment) -> None:
        if str(payment.id) == broken["id"]:
            raise RuntimeError(KEY)

    SETTLED.append(fail_for_one)
    await shop.database.execute("ALTER TABLE payment_events RENAME TO away")
    settling = asyncio.create_task(payment_events.keep_settling(shop.services))
    await asyncio.sleep(0.05)
    await shop.database.execute("ALTER TABLE away RENAME TO payment_events")
    try:
        for _ in range(500):
            if await shop.wallet() == 200:
                break
            await asyncio.sleep(0.02)
    finally:
        settling.cancel()
        SETTLED.remove(fail_for_one)
    assert (await shop.payment(broken["id"]))["state"] == "pending"
    await shop.check_all()
    assert await shop.wallet() == 300


async def test_whatever_comes_in_whatever_order_is_booked_once(
    shop: Shop, peer_shop: YooKassaPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payments and refunds whose events are doubled, shuffled, forged, lost in part, and handled by two at once, while
    processes die between the charge and the booking."""
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    dying = 0.3
    booking = payments.book_payment

    async def killed(*arguments: object) -> bool:
        booked = await booking(*arguments)  # type: ignore[arg-type]
        if chance.random() < dying:
            raise ProcessLookupError  # as a kill: the transaction never commits
        return booked

    monkeypatch.setattr(payment_events, "book_payment", killed)
    amounts = [chance.randrange(1_000, 50_000) for _ in range(6)]
    paid_ones, told = list[str](), list[bytes]()
    for amount in amounts:
        order = await shop.order_of((await shop.top_up(amount))["id"])
        told.append(notification("payment.succeeded", peer_shop.payments[order] | {"status": "succeeded"}))
        if chance.random() < 0.8:
            told += [peer_shop.pay(order)] * 3
            paid_ones.append(order)
            if chance.random() < 0.7:
                told += [peer_shop.refund(order, "3.00"), peer_shop.refund(order, "4.50")] * 2
        else:
            told += [peer_shop.cancel(order)] * 2
    chance.shuffle(told)
    for part in (told[: len(told) // 2], told[len(told) // 3 :]):
        await asyncio.gather(*(shop.hook(body) for body in part))
        await shop.make_due()
        await asyncio.gather(*(payment_events.settle_round(shop.services) for _ in range(3)))
    dying = 0.0
    await shop.check_all()
    await shop.check_all()
    back = 100 * sum(float(refund["amount"]["value"]) for refund in peer_shop.refunds.values())
    came = 100 * sum(float(peer_shop.payments[order]["amount"]["value"]) for order in paid_ones)
    kinds = [kind for kind, *_ in await shop.ledger()]
    counted = {kind: kinds.count(kind) for kind in ("top_up", "refund")}
    assert await shop.wallet() == round(came - back), seed
    assert counted == {"top_up": len(paid_ones), "refund": len(peer_shop.refunds)}, seed
    papers = await shop.papers()
    for kind in ("invoice", "credit_note"):
        numbers = sorted(number for name, number, *_ in papers if name == kind)
        assert numbers == list(range(1, len(numbers) + 1)), seed


async def test_keys_of_providers_stand_in_no_log_and_no_answer(
    shop: Shop, peer_shop: YooKassaPeer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where the provider is down, refuses or answers nonsense."""
    said = ""
    faults: list[Fault] = [401, 500, "lost", 404]
    for fault in faults:
        peer_shop.fail(fault)
        said += (await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "yookassa", "amount": 1})).text
    made = await shop.top_up(100)
    await shop.hook(peer_shop.pay(await shop.order_of(made["id"])))
    peer_shop.fail(500)
    await shop.work()
    said += "".join(capfd.readouterr())
    assert "event of a payment" in said
    assert [secret for secret in (KEY, b64encode(f"{SHOP_ID}:{KEY}".encode()).decode()) if secret in said] == []


@pytest.mark.parametrize(("moment", "wallet_then"), [("booked", 0), ("committed", 7_700)])
async def test_kill_9_between_charge_and_booking(
    shop: Shop, peer_shop: YooKassaPeer, moment: str, wallet_then: int
) -> None:
    """A worker of its own dies with the money booked and not committed, or committed and the event not closed."""
    made = await shop.top_up(7_700)
    await shop.hook(peer_shop.pay(await shop.order_of(made["id"])))
    urls = [url.render_as_string(hide_password=False) for url in structs.astuple(shop.services.database.addresses)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import payment_victim; payment_victim.main()", moment, peer_shop.url, *urls),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL
    assert (await shop.wallet(), await shop.papers() == []) == (wallet_then, wallet_then == 0)
    await shop.work()
    await shop.check_all()
    assert await shop.ledger() == [("top_up", CASH, "wallet", 7_700)]
    assert await shop.papers() == [("invoice", 1, None, 7_700)]
    assert await shop.database.fetchval("SELECT state FROM payment_events") == "done"


@pytest.mark.parametrize("door", ["tenant", "system"])
@pytest.mark.parametrize("change", ["UPDATE invoices SET amount = 1", "DELETE FROM invoices"])
async def test_papers_cannot_be_changed(shop: Shop, peer_shop: YooKassaPeer, door: str, change: str) -> None:
    """By neither runtime role."""
    database = shop.services.database
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.tenant(shop.tenant_id) if door == "tenant" else database.system() as session:
            await session.execute(text(change))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payments SET state = 'settled'",
        "INSERT INTO payments (tenant_id, id, provider, amount, currency, idempotency_key, email, state)"
        " SELECT id, id, 'manual', 1, 'RUB', 'x', 'x', 'settled' FROM tenants",
        "INSERT INTO payment_reversals (tenant_id) SELECT id FROM tenants",
        "SELECT * FROM payment_events",
        "UPDATE invoice_series SET last = 0",
    ],
)
async def test_the_application_cannot_settle_for_itself(shop: Shop, change: str) -> None:
    """What a payment is worth is written by the system role, after the provider was asked."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with shop.services.database.tenant(shop.tenant_id) as session:
            await session.execute(text(change))


async def test_what_no_database_can_hold_is_refused(shop: Shop) -> None:
    """Zero bytes and amounts beyond reason are the caller's mistake."""
    address = "/api/v1/billing/top-ups"
    for wrong in ({"payer": "a\0b"}, {"key": "a\0b"}, {"amount": 0}, {"amount": 10**19}, {"amount": 1.5}, {"more": 1}):
        answer = await shop.owner.post(address, json={"provider": "manual", "amount": 5, **wrong})
        assert answer.status_code == 400, wrong
    made = await shop.top_up(500, provider="manual")
    await shop.settle(made["id"])
    assert (await shop.refund(made["id"], reason="a\0b")).status_code == 400
    assert await shop.wallet() == 500


async def test_only_an_administrator_settles(shop: Shop, alice: Person) -> None:
    """The owner of the workspace that has to pay is the last to say that it has."""
    made = await shop.top_up(500, provider="manual")
    address = f"/api/v1/platform/tenants/{alice.tenant_id}/payments/{made['id']}/settle"
    assert (await shop.owner.post(address)).status_code == 403
    listed = (await shop.admin.get("/api/v1/platform/payments", params={"state": "pending"})).json()["items"]
    assert [each["id"] for each in listed] == [made["id"]]
    missing = f"/api/v1/platform/tenants/{UUID(int=1)}/payments/{made['id']}/settle"
    assert (await shop.admin.post(missing)).status_code == 404
