"""Stripe's objects as far as they matter here: what they say of a payment, and which payment an event is about."""

import msgspec

from asissto.platform.payment_contract import Seen, SeenPayment, SeenReversal, id_or_none

SESSION_STATES: dict[str, Seen] = {"expired": "failed"}
INTENT_STATES: dict[str, Seen] = {"succeeded": "settled", "canceled": "failed"}
_REFUND_STATES: dict[str, Seen] = {"succeeded": "settled", "failed": "failed", "canceled": "failed"}
_DISPUTE_STATES: dict[str, Seen] = {
    "lost": "settled",
    "won": "failed",
    "prevented": "failed",
    "warning_closed": "failed",
}
ASKED = ("warning_needs_response", "warning_under_review", "warning_closed")
"""An inquiry of the bank; no money has moved."""

_ABOUT_SESSION = ("completed", "async_payment_succeeded", "async_payment_failed", "expired")
_ABOUT_INTENT = {
    "payment_intent.succeeded",
    "payment_intent.canceled",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "refund.created",
    "refund.updated",
    "refund.failed",
}


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    disputed: bool = False


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    amount: int
    currency: str
    metadata: dict[str, str] | None = None
    latest_charge: Charge | str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str | None = None
    url: str | None = None
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, str] | None = None
    payment_intent: str | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str | None = None
    amount: int
    metadata: dict[str, str] | None = None


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    amount: int


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Of an event's object only what names the payment."""

    id: str | None = None
    payment_intent: str | None = None


class EventData(msgspec.Struct, frozen=True):
    object: Happening


class Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: EventData


class Refunds(msgspec.Struct, frozen=True):
    data: list[Refund]


class Disputes(msgspec.Struct, frozen=True):
    data: list[Dispute]


def about_of(kind: str, told: Happening) -> str | None:
    if kind in _ABOUT_INTENT:
        return told.id if kind.startswith("payment_intent.") else told.payment_intent
    is_session = kind.startswith("checkout.session.") and kind.rsplit(".", 1)[1] in _ABOUT_SESSION
    return told.id if is_session else None


def seen_of(found: Session | Intent, amount: int, state: Seen, reversals: tuple[SeenReversal, ...] = ()) -> SeenPayment:
    ids = found.metadata or {}
    return SeenPayment(
        charge_id=found.id,
        state=state,
        amount=amount,
        currency=(found.currency or "").upper(),
        tenant_id=id_or_none(ids.get("tenant_id")),
        payment_id=id_or_none(ids.get("payment_id")),
        reversals=reversals,
    )


def refund_of(refund: Refund) -> SeenReversal:
    return SeenReversal(
        provider_id=refund.id,
        amount=refund.amount,
        state=_REFUND_STATES.get(refund.status or "", "pending"),
        reversal_id=id_or_none((refund.metadata or {}).get("reversal_id")),
    )


def dispute_of(dispute: Dispute) -> SeenReversal:
    state = _DISPUTE_STATES.get(dispute.status, "pending")
    return SeenReversal(provider_id=dispute.id, amount=dispute.amount, state=state, kind="dispute")
