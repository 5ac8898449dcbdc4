"""Bank transfers: the customer is told where to pay, and an administrator of the platform says what came in."""

from collections.abc import Mapping

from asissto.platform.errors import NotFound, PaymentHookRefused
from asissto.platform.payment_contract import Notice, Order, Placed, Return, SeenPayment, SeenReversal


class ManualPayments:
    """Nobody can be asked: the administrator is the provider. A refund is recorded after it was transferred."""

    name = "manual"
    currencies = None

    def __init__(self, bank_details: str) -> None:
        self._bank_details = bank_details

    async def create_payment(self, order: Order) -> Placed:
        return Placed(None, instructions=f"{self._bank_details}\n{order.description}")

    async def fetch_payment(self, about: str) -> SeenPayment:
        del about
        raise NotFound(kind="payment")

    async def refund(self, what: Return) -> SeenReversal:
        reversal_id = what.reversal_id
        return SeenReversal(provider_id=str(reversal_id), amount=what.amount, state="settled", reversal_id=reversal_id)

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notice:
        del headers, body
        raise PaymentHookRefused

    async def close(self) -> None:
        pass
