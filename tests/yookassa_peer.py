"""A shop at YooKassa over a real socket, held to its published API v3; tests pay, cancel and refund behind our back.

Requests are refused as YooKassa refuses them: by basic auth, Idempotence-Key, names, lengths and sums of the receipt.
"""

import re
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

import msgspec
from aiohttp import web

SHOP_ID, KEY = "100500", "test_secret-that-nobody-logs"
Fault = int | Literal["lost"]
"""A status without doing anything; `lost` does it and ends the connection before the answer."""

_VALUE = re.compile(r"\d+\.\d{2}")
# Every name that the official SDK 3.13 knows; it sends two of them empty.
_PAYMENT = {"amount", "capture", "confirmation", "description", "metadata", "receipt", "recipient", "payment_token"}
_PAYMENT |= {"payment_method_id", "payment_method_data", "save_payment_method", "client_ip", "airline", "transfers"}
_PAYMENT |= {"deal", "merchant_customer_id", "statements", "payment_order", "receiver", "fraud_data"}
_REFUND = {"payment_id", "amount", "description", "metadata", "receipt", "sources", "deal", "refund_method_data"}
_ITEM = {"description", "quantity", "amount", "vat_code", "payment_mode", "payment_subject"}
_MODES = {"full_prepayment", "prepayment", "advance", "full_payment", "partial_payment", "credit", "credit_payment"}


class Refused(Exception):
    """What YooKassa says, with its status."""

    def __init__(self, status: int, code: str, parameter: str = "") -> None:
        self.status = status
        self.said = {"type": "error", "id": str(uuid4()), "code": code, "description": "no", "parameter": parameter}
        super().__init__(code, parameter)


class YooKassaPeer:
    """`async with YooKassaPeer() as shop:` serves at `shop.url`; `calls` are method and path as they came."""

    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.refund_status = "succeeded"
        self._done: dict[str, tuple[str, str]] = {}
        self._faults: deque[Fault] = deque()
        self.before_answer: Callable[[str], Awaitable[None]] | None = None
        """Called with the id of a payment that was made, before whoever asked for it is told."""

    def fail(self, *faults: Fault) -> None:
        """The next calls."""
        self._faults.extend(faults)

    def pay(self, payment_id: str) -> bytes:
        """The customer pays; returns the notification."""
        self.payments[payment_id] |= {"status": "succeeded", "paid": True, "refundable": True}
        return notification("payment.succeeded", self.payments[payment_id])

    def cancel(self, payment_id: str) -> bytes:
        self.payments[payment_id] |= {"status": "canceled"}
        return notification("payment.canceled", self.payments[payment_id])

    def refund(self, payment_id: str, value: str, status: str = "succeeded") -> bytes:
        """By the shop's own page, without our asking."""
        made = self._make_refund({"payment_id": payment_id, "amount": {"value": value, "currency": "RUB"}}, status)
        return notification("refund.succeeded", made)

    def end_refund(self, refund_id: str, status: str) -> bytes:
        self.refunds[refund_id]["status"] = status
        return notification(f"refund.{status}", self.refunds[refund_id])

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v3/payments", self._serve)
        app.router.add_get("/v3/payments/{id}", self._serve)
        app.router.add_post("/v3/refunds", self._serve)
        app.router.add_get("/v3/refunds/{id}", self._serve)
        app.router.add_get("/v3/refunds", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v3"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path_qs.removeprefix('/v3')}")
        fault = self._faults.popleft() if self._faults else None
        if isinstance(fault, int):
            return web.json_response({"type": "error", "code": "internal_server_error"}, status=fault)
        try:
            answer = self._read(request) if request.method == "GET" else await self._change(request)
        except Refused as refused:
            return web.json_response(refused.said, status=refused.status)
        if fault == "lost":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(answer)

    def _read(self, request: web.Request) -> dict[str, Any]:
        _check_auth(request)
        found = request.match_info.get("id")
        if found is None:
            return self._list(request)
        known = self.payments if "/payments/" in request.path else self.refunds
        if found not in known:
            raise Refused(404, "not_found")
        return known[found]

    def _list(self, request: web.Request) -> dict[str, Any]:
        """Newest first, one a page, so that nobody forgets the next."""
        mine = [each for each in self.refunds.values() if each["payment_id"] == request.query["payment_id"]][::-1]
        _need(1 <= int(request.query.get("limit", "10")) <= 100, "limit")
        begin = int(request.query.get("cursor", "0"))
        more = {"next_cursor": str(begin + 1)} if begin + 1 < len(mine) else {}
        return {"type": "list", "items": mine[begin : begin + 1], **more}

    async def _change(self, request: web.Request) -> dict[str, Any]:
        """The same key with the same body is the same answer, with another body it is refused."""
        _check_auth(request)
        key = request.headers.get("Idempotence-Key", "")
        _need(0 < len(key) <= 64, "Idempotence-Key")
        _need(request.content_type == "application/json", "Content-Type")
        raw = await request.read()
        body = msgspec.json.decode(raw)
        kind = request.path.rsplit("/", 1)[1]
        if key not in self._done:
            self.bodies.append(body)
            made = self._make_payment(body) if kind == "payments" else self._make_refund(body, self.refund_status)
            self._done[key] = (raw.decode(), made["id"])
            if self.before_answer is not None:
                await self.before_answer(made["id"])
        sent, made_id = self._done[key]
        _need(sent == raw.decode(), "Idempotence-Key")
        return (self.payments if kind == "payments" else self.refunds)[made_id]

    def _make_payment(self, body: dict[str, Any]) -> dict[str, Any]:
        _need(set(body) <= _PAYMENT, "unknown")
        _check_amount(body["amount"])
        _need(body["confirmation"].keys() == {"type", "return_url"}, "confirmation")
        _need(body["confirmation"]["type"] == "redirect", "confirmation.type")
        _need(len(body["description"]) <= 128, "description")
        _check_metadata(body["metadata"])
        _check_receipt(body)
        payment_id = str(uuid4())
        url = f"https://yoomoney.ru/checkout/payments/v2/contract?orderId={payment_id}"
        self.payments[payment_id] = {
            "id": payment_id,
            "status": "pending",
            "paid": False,
            "amount": body["amount"],
            "confirmation": {"type": "redirect", "confirmation_url": url},
            "created_at": datetime.now(UTC).isoformat(),
            "description": body["description"],
            "metadata": body["metadata"],
            "recipient": {"account_id": SHOP_ID, "gateway_id": "100700"},
            "refundable": False,
            "test": True,
        }
        return self.payments[payment_id]

    def _make_refund(self, body: dict[str, Any], status: str) -> dict[str, Any]:
        _need(set(body) <= _REFUND, "unknown")
        _check_amount(body["amount"])
        _check_metadata(body.get("metadata", {}))
        _check_receipt(body)
        payment = self.payments.get(body["payment_id"])
        if payment is None or payment["status"] != "succeeded":
            raise Refused(400, "invalid_request", "payment_id")
        back = [each for each in self.refunds.values() if each["payment_id"] == payment["id"]]
        gone = sum(float(each["amount"]["value"]) for each in back if each["status"] != "canceled")
        _need(gone + float(body["amount"]["value"]) <= float(payment["amount"]["value"]), "amount.value")
        refund_id = str(uuid4())
        made = {"id": refund_id, "status": status, "created_at": datetime.now(UTC).isoformat()}
        metadata = {"metadata": body["metadata"]} if "metadata" in body else {}
        self.refunds[refund_id] = {**made, "amount": body["amount"], "payment_id": payment["id"], **metadata}
        return self.refunds[refund_id]


def notification(event: str, told: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": "notification", "event": event, "object": told})


def _check_auth(request: web.Request) -> None:
    expected = f"Basic {b64encode(f'{SHOP_ID}:{KEY}'.encode()).decode()}"
    if request.headers.get("Authorization") != expected:
        raise Refused(401, "invalid_credentials")


def _check_amount(amount: dict[str, Any]) -> None:
    _need(amount.keys() == {"value", "currency"} and amount["currency"] == "RUB", "amount.currency")
    _need(isinstance(amount["value"], str) and bool(_VALUE.fullmatch(amount["value"])), "amount.value")
    _need(float(amount["value"]) > 0, "amount.value")


def _check_metadata(metadata: dict[str, Any]) -> None:
    _need(len(metadata) <= 16, "metadata")
    _need(all(len(name) <= 32 and isinstance(value, str) and len(value) <= 512 for name, value in metadata.items()), "")


def _check_receipt(body: dict[str, Any]) -> None:
    if "receipt" not in body:
        return
    receipt = body["receipt"]
    _need(bool(receipt["customer"].get("email") or receipt["customer"].get("phone")), "receipt.customer")
    _need(0 < len(receipt["items"]) <= 100, "receipt.items")
    for item in receipt["items"]:
        _need(set(item) <= _ITEM and len(item["description"]) <= 128, "receipt.items")
        _need(item["vat_code"] in range(1, 13) and item["payment_mode"] in _MODES, "receipt.items")
    total = sum(float(item["amount"]["value"]) * float(item["quantity"]) for item in receipt["items"])
    _need(round(total, 2) == float(body["amount"]["value"]), "receipt.items")


def _need(holds: bool, parameter: str) -> None:
    if not holds:
        raise Refused(400, "invalid_request", parameter)
