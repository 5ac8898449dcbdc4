"""Stripe over sockets: Checkout, signed events, refunds, disputes, with a third party's server behind it."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from stripe import WebhookSignature

from asissto.platform.services import Services
from paying import Shop, open_shop
from people import Person
from stripe_server import DECLINED, KEY, SECRET, StripeFront, running_localstripe

CASH = "cash:stripe"


@pytest.fixture(scope="module")
def localstripe() -> Iterator[str]:
    with running_localstripe() as address:
        yield address


@pytest.fixture
async def stripe(localstripe: str) -> AsyncIterator[StripeFront]:
    async with StripeFront(localstripe) as stripe:
        yield stripe


@pytest.fixture
async def shop(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection, stripe: StripeFront
) -> AsyncIterator[Shop]:
    given = {"stripe_url": stripe.url, "stripe_key": KEY, "stripe_webhook_secret": SECRET}
    yield await open_shop(services, alice, charlie, superuser, "EUR", **given)
    await services.payments.close()


def signed(kind: str, told: dict[str, Any], secret: str = SECRET, at: int | None = None) -> tuple[bytes, str]:
    body = msgspec.json.encode({"id": f"evt_{uuid4().hex}", "object": "event", "type": kind, "data": {"object": told}})
    return body, WebhookSignature.generate_signature_header(body.decode(), secret, at)


async def hear(shop: Shop, event: tuple[bytes, str]) -> int:
    return await shop.hook(event[0], "stripe", **{"stripe-signature": event[1]})


async def paid(shop: Shop, stripe: StripeFront, amount: int) -> tuple[str, str]:
    """Ids of a settled payment and of its intent, without the event of localstripe, which takes a second."""
    made = await shop.top_up(amount, provider="stripe")
    intent = await stripe.pay(await shop.order_of(made["id"]))
    await hear(shop, signed("payment_intent.succeeded", {"id": intent}))
    await shop.work()
    assert (await shop.payment(made["id"]))["state"] == "settled"
    return made["id"], intent


async def test_the_signed_event_of_a_payment_books_it_once(shop: Shop, stripe: StripeFront) -> None:
    """From the page to pay at to the wallet: localstripe signs, the SDK verifies, doubles change nothing."""
    made = await shop.top_up(2_550, provider="stripe")
    (session,) = stripe.sessions.values()
    assert (made["pay_url"], session["amount_total"], session["currency"]) == (session["url"], 2_550, "eur")
    await stripe.pay(session["id"])
    event = await stripe.next_event()
    assert msgspec.json.decode(event[0])["type"] == "payment_intent.succeeded"
    assert [await hear(shop, event) for _ in range(3)] == [200, 200, 200]
    await shop.work()
    assert await hear(shop, signed("checkout.session.completed", {"id": session["id"]})) == 200
    await shop.work()
    assert (await shop.wallet(), await shop.ledger()) == (2_550, [("top_up", CASH, "wallet", 2_550)])
    assert await shop.papers() == [("invoice", 1, None, 2_550)]
    seen = await shop.database.fetch("SELECT kind, outcome, deliveries FROM payment_events ORDER BY received_at")
    assert [tuple(row) for row in seen] == [
        ("payment_intent.succeeded", "booked", 3),
        ("checkout.session.completed", "known", 1),
    ]


async def test_an_event_without_a_valid_signature_leaves_nothing(shop: Shop, stripe: StripeFront) -> None:
    """A foreign secret, a changed body, an old one, none, and a server that has no secret."""
    intent = await stripe.pay(await shop.order_of((await shop.top_up(900, provider="stripe"))["id"]))
    told = {"id": intent}
    body, signature = signed("payment_intent.succeeded", told)
    forged = [
        signed("payment_intent.succeeded", told, secret="whsec_other"),
        signed("payment_intent.succeeded", told, at=int(time.time()) - 3_600),
        (body.replace(b"succeeded", b"canceled!"), signature),
        (body, ""),
        (body, "t=1,v1="),
        (b"\xff", signature),
    ]
    assert [await hear(shop, event) for event in forged] == [403] * len(forged)
    assert await shop.database.fetchval("SELECT count(*) FROM payment_events") == 0
    assert await hear(shop, signed("customer.created", {"id": "cus_1"})) == 200  # of no payment
    assert await shop.database.fetchval("SELECT count(*) FROM payment_events") == 0


async def test_an_answer_that_is_cut_off_leaves_the_order_to_be_sent_again(shop: Shop, stripe: StripeFront) -> None:
    """The same request with the same key finds the page that was made."""
    stripe.cut_next = True
    body = {"provider": "stripe", "amount": 900, "key": "june"}
    first = await shop.owner.post("/api/v1/billing/top-ups", json=body)
    assert (first.status_code, first.json()["code"]) == (502, "payment_unanswered")
    again = (await shop.owner.post("/api/v1/billing/top-ups", json=body)).raise_for_status().json()
    assert [session["url"] for session in stripe.sessions.values()] == [again["pay_url"]]


async def test_a_declined_card_leaves_the_page_open(shop: Shop, stripe: StripeFront) -> None:
    """The customer tries another one; a page that expired is a payment that failed."""
    made = await shop.top_up(900, provider="stripe")
    order = await shop.order_of(made["id"])
    await stripe.pay(order, DECLINED)
    stripe.sessions[order]["status"] = "open"
    await shop.check_all()
    assert (await shop.payment(made["id"]))["state"] == "pending"
    stripe.sessions[order] |= {"status": "expired", "payment_intent": None}
    await hear(shop, signed("checkout.session.expired", {"id": order}))
    await shop.work()
    assert ((await shop.payment(made["id"]))["state"], await shop.ledger()) == ("failed", [])


async def test_a_refund_goes_through_stripe_once(shop: Shop, stripe: StripeFront) -> None:
    """Also where the answer was lost: the SDK and the worker ask again with the same key."""
    payment_id, intent = await paid(shop, stripe, 5_000)
    stripe.lose_next = True
    first = await shop.refund(payment_id, amount=1_200)
    assert first.status_code == 200
    await shop.check_all()
    rest = await shop.refund(payment_id)
    assert (rest.json()["amount"], rest.json()["state"]) == (3_800, "settled")
    refunds = (await stripe.stored(f"refunds?payment_intent={intent}"))["data"]
    assert sorted(each["amount"] for each in refunds) == [1_200, 3_800]
    assert ((await shop.payment(payment_id))["state"], await shop.wallet()) == ("refunded", 0)
    await hear(shop, signed("charge.refunded", {"id": "ch_1", "payment_intent": intent}))
    await shop.work()
    assert [kind for kind, *_ in await shop.ledger()] == ["top_up", "refund", "refund"]


async def dispute(shop: Shop, stripe: StripeFront, intent: str, status: str) -> None:
    stripe.disputes["dp_1"] = {"id": "dp_1", "object": "dispute", "status": status, "amount": 5_000}
    stripe.disputes["dp_1"]["payment_intent"] = intent
    await hear(shop, signed("charge.dispute.updated", stripe.disputes["dp_1"]))
    await shop.work()


@pytest.mark.parametrize(
    ("end", "state", "wallet", "papers"),
    [
        ("won", "settled", 5_000, [("invoice", 1, None, 5_000)]),
        ("lost", "refunded", 0, [("invoice", 1, None, 5_000), ("credit_note", 1, 1, 5_000)]),
    ],
)
async def test_disputed_money_is_out_of_the_wallet_until_it_is_won(
    shop: Shop, stripe: StripeFront, end: str, state: str, wallet: int, papers: list[Any]
) -> None:
    """An inquiry moves nothing, and what is told late changes nothing."""
    payment_id, intent = await paid(shop, stripe, 5_000)
    await dispute(shop, stripe, intent, "warning_needs_response")
    assert await shop.wallet() == 5_000
    await dispute(shop, stripe, intent, "needs_response")
    assert ((await shop.payment(payment_id))["state"], await shop.wallet()) == ("disputed", 0)
    assert (await shop.refund(payment_id)).json()["code"] == "payment_not_open"
    for status in (end, "under_review", end):
        await dispute(shop, stripe, intent, status)
    shown = await shop.payment(payment_id)
    assert (shown["state"], await shop.wallet(), await shop.papers()) == (state, wallet, papers)


async def test_a_wrong_key_is_told_without_the_key(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection, stripe: StripeFront, capfd: Any
) -> None:
    """Stripe's own sentence has a piece of it."""
    shop = await open_shop(
        services, alice, charlie, superuser, "EUR", stripe_url=stripe.url, stripe_key="sk_test_wrong"
    )
    answer = await shop.owner.post("/api/v1/billing/top-ups", json={"provider": "stripe", "amount": 1_000})
    await services.payments.close()
    assert (answer.status_code, answer.json()["code"]) == (502, "payment_refused")
    said = answer.text + "".join(capfd.readouterr())
    assert [secret for secret in (KEY, "sk_test_wrong") if secret in said] == []
