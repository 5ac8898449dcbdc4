"""Stripe by its SDK: customers pay on its own page (Checkout), events are signed, and the intent tells the truth."""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from asissto.platform.errors import PaymentHookRefused, PaymentRefused, PaymentUnanswered
from asissto.platform.payment_contract import Notice, Order, Placed, Return, SeenPayment, SeenReversal
from asissto.platform.stripe_objects import (
    ASKED,
    INTENT_STATES,
    SESSION_STATES,
    Charge,
    Dispute,
    Disputes,
    Event,
    Intent,
    Refund,
    Refunds,
    Session,
    about_of,
    dispute_of,
    refund_of,
    seen_of,
)

if TYPE_CHECKING:
    from stripe import RequestOptions, StripeClient, StripeObject
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

SECONDS = 20.0
T = TypeVar("T")


class Stripe:
    """Calls go over one async client; a key is tried once more by the SDK, with the same idempotency key."""

    name = "stripe"
    currencies = None

    def __init__(self, key: str, webhook_secret: str | None, url: str | None = None) -> None:
        self._key, self._secret, self._url = key, webhook_secret, url
        self._opened: StripeClient | None = None
        self._http: Any = None

    async def create_payment(self, order: Order) -> Placed:
        ids = {"tenant_id": str(order.tenant_id), "payment_id": str(order.payment_id)}
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.currency.lower(),
                        "unit_amount": order.amount,
                        "product_data": {"name": order.description},
                    },
                }
            ],
            "client_reference_id": str(order.payment_id),
            "customer_email": order.email,
            "metadata": ids,
            "payment_intent_data": {"metadata": ids, "description": order.description},
            "success_url": order.return_url,
            "cancel_url": order.return_url,
        }
        sessions = self._client.v1.checkout.sessions
        made = await self._ask(sessions.create_async(params, _once(order.payment_id)), Session)
        return Placed(made.id, made.url)

    async def fetch_payment(self, about: str) -> SeenPayment:
        """By the id of a Checkout session or of a payment intent."""
        if about.startswith("pi_"):
            return await self._intent(about)
        session = await self._ask(self._client.v1.checkout.sessions.retrieve_async(about), Session)
        if session.payment_intent is not None:
            return await self._intent(session.payment_intent)
        return seen_of(session, session.amount_total or 0, SESSION_STATES.get(session.status or "", "pending"))

    async def refund(self, what: Return) -> SeenReversal:
        ids = {"reversal_id": str(what.reversal_id)}
        params: RefundCreateParams = {"payment_intent": what.charge_id, "amount": what.amount, "metadata": ids}
        return refund_of(await self._ask(self._client.v1.refunds.create_async(params, _once(what.reversal_id)), Refund))

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notice:
        from stripe import SignatureVerificationError

        if self._secret is None:
            raise PaymentHookRefused
        try:
            self._client.construct_event(body, headers.get("stripe-signature"), self._secret)
            event = msgspec.json.decode(body, type=Event)
        except (SignatureVerificationError, ValueError, LookupError, AttributeError, TypeError):
            raise PaymentHookRefused from None
        return Notice(event.id, event.type, about_of(event.type, event.data.object))

    async def close(self) -> None:
        if self._opened is not None:
            await self._http.close_async()

    @property
    def _client(self) -> "StripeClient":
        """Made at the first use: the SDK takes 50 MB and a second to import."""
        if self._opened is None:
            from stripe import AIOHTTPClient, StripeClient

            self._http = AIOHTTPClient(timeout=SECONDS)
            own: Any = {} if self._url is None else {"base_addresses": {"api": self._url}}
            self._opened = StripeClient(self._key, http_client=self._http, max_network_retries=1, **own)
        return self._opened

    async def _intent(self, intent_id: str) -> SeenPayment:
        intents = self._client.v1.payment_intents
        intent = await self._ask(intents.retrieve_async(intent_id, {"expand": ["latest_charge"]}), Intent)
        reversals = await self._reversals(intent) if intent.status == "succeeded" else ()
        return seen_of(intent, intent.amount, INTENT_STATES.get(intent.status, "pending"), reversals)

    async def _reversals(self, intent: Intent) -> tuple[SeenReversal, ...]:
        about: Any = {"payment_intent": intent.id, "limit": 100}
        refunds = (await self._ask(self._client.v1.refunds.list_async(about), Refunds)).data
        disputes: list[Dispute] = []
        if isinstance(intent.latest_charge, Charge) and intent.latest_charge.disputed:
            disputes = (await self._ask(self._client.v1.disputes.list_async(about), Disputes)).data
        moved = [dispute for dispute in disputes if dispute.status not in ASKED]
        return tuple(map(refund_of, reversed(refunds))) + tuple(map(dispute_of, reversed(moved)))

    async def _ask(self, call: "Awaitable[StripeObject]", kind: type[T]) -> T:
        """The SDK's sentences may hold what was sent: only codes are told on."""
        from aiohttp import ClientError  # the SDK lets it out where a body is cut off
        from stripe import APIConnectionError, APIError, IdempotencyError, RateLimitError, StripeError

        unclear = APIConnectionError, APIError, RateLimitError, IdempotencyError, ClientError, OSError
        try:
            return msgspec.convert((await call).to_dict(), kind)
        except (*unclear, msgspec.ValidationError) as error:
            raise PaymentUnanswered(provider=self.name) from error
        except StripeError as error:
            if (error.http_status or 500) >= 500:
                raise PaymentUnanswered(provider=self.name) from error
            raise PaymentRefused(provider=self.name, reason=error.code or f"HTTP {error.http_status}") from error


def _once(key: object) -> "RequestOptions":
    return {"idempotency_key": str(key)}
