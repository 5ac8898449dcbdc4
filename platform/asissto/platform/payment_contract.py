"""What a payment provider has to do: take an order, tell how it stands, give money back, name what a hook is about."""

from collections.abc import Mapping
from typing import Literal, Protocol
from uuid import UUID

import msgspec

Seen = Literal["pending", "settled", "failed"]
"""How a payment or a reversal stands with the provider; a reversal that has failed gave nothing back."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to pay, in minor units; the provider keeps both ids, and repeats nothing for the same one."""

    tenant_id: UUID
    payment_id: UUID
    amount: int
    currency: str
    description: str
    email: str
    return_url: str


class Placed(msgspec.Struct, frozen=True):
    """Where to pay: an address to go to, or, for a bank transfer, what to write on it."""

    provider_id: str | None
    pay_url: str | None = None
    instructions: str | None = None


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be given back; `charge_id` is what the payment was charged under."""

    tenant_id: UUID
    reversal_id: UUID
    charge_id: str
    amount: int
    currency: str
    email: str


class SeenReversal(msgspec.Struct, frozen=True, kw_only=True):
    """A refund, or a dispute: pending while it is open, settled where the money is lost, failed where we keep it."""

    provider_id: str
    amount: int
    state: Seen
    kind: Literal["refund", "dispute"] = "refund"
    reversal_id: UUID | None = None


class SeenPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the provider itself told when it was asked; the ids are the order's, None where it is not ours."""

    charge_id: str
    state: Seen
    amount: int
    currency: str
    tenant_id: UUID | None
    payment_id: UUID | None
    reversals: tuple[SeenReversal, ...] = ()


class Notice(msgspec.Struct, frozen=True):
    """A hook's event: `about` is the id by which the provider is asked, None where it concerns no payment."""

    event_id: str
    kind: str
    about: str | None


class PaymentProvider(Protocol):
    """Calls raise PaymentRefused (the same call will fail again) and PaymentUnanswered (it may have been done)."""

    @property
    def name(self) -> str: ...

    @property
    def currencies(self) -> frozenset[str] | None:
        """None: any."""
        ...

    async def create_payment(self, order: Order) -> Placed:
        """Again for the same payment id: the same payment."""
        ...

    async def fetch_payment(self, about: str) -> SeenPayment:
        """By the id of `Placed` or of a `Notice`."""
        ...

    async def refund(self, what: Return) -> SeenReversal:
        """Again for the same reversal id: the same refund."""
        ...

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Header names in lower case. Raises HookRefused for what does not prove its origin or cannot be read."""
        ...

    async def close(self) -> None: ...


def id_or_none(value: object) -> UUID | None:
    """Of metadata, where a stranger may have put anything."""
    try:
        return UUID(str(value))
    except ValueError:
        return None
