"""The payment providers that the operator has set up, opened at their first use."""

from asissto.platform.errors import NotFound
from asissto.platform.manual_payments import ManualPayments
from asissto.platform.payment_contract import PaymentProvider
from asissto.platform.settings import Settings
from asissto.platform.stripe_payments import Stripe
from asissto.platform.yookassa import YooKassa


class PaymentProviders:
    """Keys stand in the settings alone."""

    def __init__(self) -> None:
        self._opened: dict[str, PaymentProvider] = {}

    def of(self, settings: Settings, name: str) -> PaymentProvider:
        """Raises NotFound for one that is not set up."""
        if name not in self._opened:
            self._opened[name] = _open(settings, name)
        return self._opened[name]

    async def close(self) -> None:
        for provider in self._opened.values():
            await provider.close()
        self._opened.clear()


def set_up(settings: Settings) -> list[str]:
    """Names of those that can be used."""
    has_yookassa = settings.yookassa_shop_id and settings.yookassa_key
    can = {"manual": settings.bank_details, "stripe": settings.stripe_key, "yookassa": has_yookassa}
    return [name for name, given in can.items() if given]


def _open(settings: Settings, name: str) -> PaymentProvider:
    if name not in set_up(settings):
        raise NotFound(kind="payment_provider")
    if name == "manual":
        return ManualPayments(settings.bank_details or "")
    if name == "stripe":
        return Stripe(settings.stripe_key or "", settings.stripe_webhook_secret, settings.stripe_url)
    shop_id, key = settings.yookassa_shop_id or "", settings.yookassa_key or ""
    return YooKassa(settings.yookassa_url, shop_id, key, settings.yookassa_vat_code)
