"""The routes of payments: topping up, what was paid, what an administrator does about it, and the providers' hooks."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from litestar import Controller, Request, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform.given import Caller, Open, Reader, Session
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.payment_events import take_event
from asissto.platform.payment_providers import set_up
from asissto.platform.payment_reversals import RefundIn, refund, reversals_of
from asissto.platform.payment_tables import Payment, PaymentReversal
from asissto.platform.payments import TopUpIn, find_payment, settle_by_hand, top_up
from asissto.platform.permissions import need, open_to_all
from asissto.platform.texts import Language, text

State = Literal["pending", "settled", "failed", "refunded", "disputed"]
Which = Annotated[State | None, QueryParameter(name="state", description="Only payments that stand so.")]

LARGEST_HOOK = 200_000
"""Bytes; Stripe's longest events, those of disputes, have about 20,000."""


class ReversalOut(msgspec.Struct, frozen=True, kw_only=True):
    """A refund or a dispute; a settled dispute was lost, a failed one was won."""

    id: UUID
    kind: str
    amount: int
    state: str
    reason: str | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: PaymentReversal) -> Self:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class PaymentOut(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in minor units; while it is pending, `pay_url` or `instructions` say where to pay.

    `problem` says in the caller's language what does not fit, where something does not.
    """

    id: UUID
    tenant_id: UUID
    provider: str
    amount: int
    currency: str
    refunded: int
    state: str
    pay_url: str | None
    instructions: str | None
    payer: str | None
    problem: str | None
    created_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, row: Payment, language: Language, **more: Any) -> Self:
        names = [name for name in PaymentOut.__struct_fields__ if name != "problem"]
        shown = {name: getattr(row, name) for name in names}
        return cls(**shown, problem=_problem(row, language), **more)


class PaymentWithReversals(PaymentOut, frozen=True, kw_only=True):
    reversals: list[ReversalOut]


class WaysOut(msgspec.Struct, frozen=True):
    """Names for `provider` of a top-up."""

    providers: list[str]


@post("/api/v1/billing/top-ups", operation_id="billing.top_up", guards=[need("billing.write")], tags=["payments"])
async def start_top_up(data: JSONBody[TopUpIn], services: Open, principal: Caller, language: Reader) -> PaymentOut:
    """Where to pay; the balance grows when the provider says that the money has come."""
    return PaymentOut.of(await top_up(services, principal, data), language)


def _problem(row: Payment, language: Language) -> str | None:
    if row.problem is None:
        return None
    code, _, detail = row.problem.partition(" ")
    return text(f"payment.problem.{code}", language, detail=detail)


class PaymentController(Controller):
    path = "/api/v1/payments"
    tags = ("payments",)

    @get(operation_id="payments.list", guards=[need("billing.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        language: Reader,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[PaymentOut]:
        mine = select(Payment).where(Payment.tenant_id == principal.tenant_id)
        found = await newest_first(session, mine, Payment.id, limit, after)
        return found.map(lambda row: PaymentOut.of(row, language))

    @get("/providers", operation_id="payments.providers", guards=[need("billing.read")])
    async def providers(self, services: Open) -> WaysOut:
        """By which one can pay here."""
        return WaysOut(set_up(services.settings))

    @get("/{payment_id:uuid}", operation_id="payments.read", guards=[need("billing.read")])
    async def read(
        self, payment_id: FromPath[UUID], principal: Caller, session: Session, language: Reader
    ) -> PaymentWithReversals:
        payment = await find_payment(session, principal.tenant_id, payment_id)
        reversals = [ReversalOut.of(row) for row in await reversals_of(session, payment)]
        return PaymentWithReversals.of(payment, language, reversals=reversals)


class PlatformPaymentController(Controller):
    path = "/api/v1/platform"
    tags = ("platform",)

    @get("/payments", operation_id="platform.payments", guards=[need("platform.payments.read")])
    async def list(
        self,
        services: Open,
        language: Reader,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
        standing: Which = None,
    ) -> Page[PaymentOut]:
        """Of all tenants."""
        wanted = select(Payment) if standing is None else select(Payment).where(Payment.state == standing)
        async with services.database.system() as session:
            found = await newest_first(session, wanted, Payment.id, limit, after)
        return found.map(lambda row: PaymentOut.of(row, language))

    @post(
        "/tenants/{tenant_id:uuid}/payments/{payment_id:uuid}/settle",
        operation_id="payments.settle",
        status_code=200,
        guards=[need("platform.payments.write")],
    )
    async def settle(
        self,
        tenant_id: FromPath[UUID],
        payment_id: FromPath[UUID],
        services: Open,
        principal: Caller,
        language: Reader,
    ) -> PaymentOut:
        """A bank transfer has come in: its money goes into the tenant's balance."""
        return PaymentOut.of(await settle_by_hand(services, principal, tenant_id, payment_id), language)

    @post(
        "/tenants/{tenant_id:uuid}/payments/{payment_id:uuid}/refund",
        operation_id="payments.refund",
        status_code=200,
        guards=[need("platform.payments.write")],
    )
    async def refund(
        self,
        tenant_id: FromPath[UUID],
        payment_id: FromPath[UUID],
        data: JSONBody[RefundIn],
        services: Open,
        principal: Caller,
    ) -> ReversalOut:
        """Through the provider; of a bank transfer it says that the money was sent back."""
        return ReversalOut.of(await refund(services, principal, tenant_id, payment_id, data))


@post(
    "/api/v1/payments/hooks/{provider_name:str}",
    operation_id="payments.hook",
    status_code=200,
    guards=[open_to_all],
    tags=["payments"],
    request_max_body_size=LARGEST_HOOK,
)
async def take_hook(provider_name: FromPath[str], request: Request[Any, Any, Any], services: Open) -> None:
    """Stored, then acknowledged; the worker asks the provider what is true of it."""
    address = request.client.host if request.client else None
    await take_event(services, provider_name, dict(request.headers.items()), await request.body(), address)


HANDLERS: list[ControllerRouterHandler] = [start_top_up, PaymentController, PlatformPaymentController, take_hook]
