"""Money in words and figures: integer minor units inside, decimal figures towards people and providers."""

import re
from decimal import Decimal

_WITHOUT_MINOR = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_FIGURE = re.compile(r"(-?\d{1,15})(?:\.(\d{1,3}))?")


def decimals(currency: str) -> int:
    """Digits of the minor unit by ISO 4217."""
    if currency in _WITHOUT_MINOR:
        return 0
    return 3 if currency in _THOUSANDTHS else 2


def figure(amount: int, currency: str) -> str:
    """`1050`, `USD` as `10.50`."""
    return str(Decimal(amount).scaleb(-decimals(currency)))


def read_figure(value: str, currency: str) -> int:
    """`10.5`, `USD` as `1050`; raises ValueError for what is no figure and for fractions of the minor unit."""
    found = _FIGURE.fullmatch(value)
    if found is None:
        raise ValueError(value)
    scaled = Decimal(value).scaleb(decimals(currency))
    if scaled != int(scaled):
        raise ValueError(value)
    return int(scaled)
