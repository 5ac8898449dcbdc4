"""YooKassa by the few endpoints that are needed: payments, refunds, and notifications that prove nothing."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Literal, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx2
import msgspec

from asissto.platform.amounts import figure, read_figure
from asissto.platform.errors import PaymentHookRefused, PaymentUnanswered
from asissto.platform.payment_calling import call
from asissto.platform.payment_contract import (
    Notice,
    Order,
    Placed,
    Return,
    Seen,
    SeenPayment,
    SeenReversal,
    id_or_none,
)

# Published for firewalls; https://yookassa.ru/developers/using-api/webhooks#ip
NETWORKS = tuple(
    ip_network(network)
    for network in (
        "185.71.76.0/27",
        "185.71.77.0/27",
        "77.75.153.0/25",
        "77.75.156.11",
        "77.75.156.35",
        "77.75.154.128/25",
        "2a02:5180::/32",
    )
)
T = TypeVar("T")
_STATES: dict[str, Seen] = {"succeeded": "settled", "canceled": "failed"}
_MOST_PAGES = 20


class Money(msgspec.Struct, frozen=True):
    value: str
    currency: str

    def minor(self) -> int:
        return read_figure(self.value, self.currency)


class Confirmation(msgspec.Struct, frozen=True):
    confirmation_url: str | None = None


class PaymentObject(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    amount: Money
    confirmation: Confirmation | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class RefundObject(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    amount: Money
    payment_id: str
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class RefundList(msgspec.Struct, frozen=True):
    items: list[RefundObject]
    next_cursor: str | None = None


class About(msgspec.Struct, frozen=True):
    """Of a notification's object nothing but this is read."""

    id: str


class Notification(msgspec.Struct, frozen=True):
    type: Literal["notification"]
    event: str
    object: About


class YooKassa:
    """A receipt by 54-FZ goes along where a VAT code is set; the same key never makes two payments or refunds."""

    name = "yookassa"
    currencies = frozenset({"RUB"})

    def __init__(self, url: str, shop_id: str, key: str, vat_code: int | None = None) -> None:
        self._client = httpx2.AsyncClient(base_url=url, auth=(shop_id, key), follow_redirects=False)
        self._vat_code = vat_code

    async def create_payment(self, order: Order) -> Placed:
        body: dict[str, Any] = {
            "amount": _money(order.amount, order.currency),
            "capture": True,
            "confirmation": {"type": "redirect", "return_url": order.return_url},
            "description": order.description[:128],
            "metadata": {"tenant_id": str(order.tenant_id), "payment_id": str(order.payment_id)},
            **self._receipt(order.amount, order.currency, order.email, order.description),
        }
        made = await self._post("payments", PaymentObject, order.payment_id, body)
        return Placed(made.id, made.confirmation.confirmation_url if made.confirmation else None)

    async def fetch_payment(self, about: str) -> SeenPayment:
        """`about` may be a refund's id after `refund:`, as in notices."""
        if about.startswith("refund:"):
            refund = await self._get(f"refunds/{quote(about.removeprefix('refund:'), safe='')}", RefundObject)
            about = refund.payment_id
        found = await self._get(f"payments/{quote(about, safe='')}", PaymentObject)
        reversals = await self._refunds_of(found.id) if found.status == "succeeded" else ()
        return SeenPayment(
            charge_id=found.id,
            state=_STATES.get(found.status, "pending"),
            amount=_minor(found.amount),
            currency=found.amount.currency,
            tenant_id=id_or_none(found.metadata.get("tenant_id")),
            payment_id=id_or_none(found.metadata.get("payment_id")),
            reversals=reversals,
        )

    async def refund(self, what: Return) -> SeenReversal:
        body: dict[str, Any] = {
            "payment_id": what.charge_id,
            "amount": _money(what.amount, what.currency),
            "metadata": {"reversal_id": str(what.reversal_id)},
            **self._receipt(what.amount, what.currency, what.email, "Refund"),
        }
        return _reversal(await self._post("refunds", RefundObject, what.reversal_id, body))

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Whose it is cannot be told from a notification: it is a reason to ask, and nothing else."""
        del headers
        try:
            told = msgspec.json.decode(body, type=Notification)
        except msgspec.MsgspecError:
            raise PaymentHookRefused from None
        if not 0 < len(told.object.id) <= 64 or len(told.event) > 64:
            raise PaymentHookRefused
        about = told.object.id if told.event.startswith("payment.") else None
        if told.event.startswith("refund."):
            about = f"refund:{told.object.id}"
        return Notice(f"{told.event}:{told.object.id}", told.event, about)

    async def close(self) -> None:
        await self._client.aclose()

    async def _refunds_of(self, payment_id: str) -> tuple[SeenReversal, ...]:
        found: list[RefundObject] = []
        query = {"payment_id": payment_id, "limit": "100"}
        for _ in range(_MOST_PAGES):
            page = await self._get("refunds", RefundList, params=query)
            found += page.items
            if page.next_cursor is None:
                break
            query["cursor"] = page.next_cursor
        return tuple(_reversal(each) for each in reversed(found) if each.payment_id == payment_id)

    async def _get(self, path: str, kind: type[T], **options: Any) -> T:
        return _read(await call(self._client, self.name, "GET", path, **options), kind)

    async def _post(self, path: str, kind: type[T], key: UUID, body: dict[str, Any]) -> T:
        headers = {"Idempotence-Key": str(key)}
        return _read(await call(self._client, self.name, "POST", path, json=body, headers=headers), kind)

    def _receipt(self, amount: int, currency: str, email: str, description: str) -> dict[str, Any]:
        if self._vat_code is None:
            return {}
        item = {
            "description": description[:128],
            "quantity": "1.00",
            "amount": _money(amount, currency),
            "vat_code": self._vat_code,
            "payment_mode": "advance",
            "payment_subject": "payment",
        }
        return {"receipt": {"customer": {"email": email}, "items": [item]}}


def is_known_address(address: str | None) -> bool:
    """A hint and no proof: behind a proxy every caller has the proxy's address."""
    try:
        return address is not None and any(ip_address(address) in network for network in NETWORKS)
    except ValueError:
        return False


def _money(amount: int, currency: str) -> dict[str, str]:
    return {"value": figure(amount, currency), "currency": currency}


def _minor(money: Money) -> int:
    try:
        return money.minor()
    except ValueError:
        raise PaymentUnanswered(provider=YooKassa.name) from None


def _reversal(refund: RefundObject) -> SeenReversal:
    return SeenReversal(
        provider_id=refund.id,
        amount=_minor(refund.amount),
        state=_STATES.get(refund.status, "pending"),
        reversal_id=id_or_none(refund.metadata.get("reversal_id")),
    )


def _read(body: bytes, kind: type[T]) -> T:
    """What cannot be read leaves open what was done."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise PaymentUnanswered(provider=YooKassa.name) from error
