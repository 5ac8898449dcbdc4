"""How text becomes SMS: what it costs in segments, and the plain signs that make it cost half."""

import unicodedata
from collections.abc import Iterable, Iterator

# 3GPP TS 23.038: what one septet of the default alphabet can say, and what takes an escape before it.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")

# In messages of more than one segment a header takes 7 of the septets, or 3 of the UTF-16 units.
_SEPTETS, _SEPTETS_OF_MANY = 160, 153
_UNITS, _UNITS_OF_MANY = 70, 67

_PLAIN_SIGNS = {
    **dict.fromkeys(map(ord, "“”„‟«»″"), '"'),
    **dict.fromkeys(map(ord, "‘’‚‛‹›′`´"), "'"),
    **dict.fromkeys(map(ord, "‐‑‒–—―−•·"), "-"),
    **dict.fromkeys(map(ord, "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"), " "),
    ord("…"): "...",
    ord("№"): "No.",
    ord("×"): "x",
    ord("→"): "->",
    ord("≤"): "<=",
    ord("≥"): ">=",
    ord("©"): "(c)",
    ord("®"): "(R)",
    ord("™"): "(TM)",
}
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u2060\ufeff"))


def fold(text: str) -> str:
    """The text with plain signs for typographic ones where they alone stand in the way of the 7-bit alphabet."""
    visible = text.translate(_INVISIBLE)
    plain = unicodedata.normalize("NFC", visible).translate(_PLAIN_SIGNS)
    return plain if is_seven_bit(plain) else visible


def is_seven_bit(text: str) -> bool:
    return all(letter in _BASIC or letter in _EXTENDED for letter in text)


def segments(text: str) -> int:
    """The messages that a network makes of the text, and is paid for; no letter is torn between two of them."""
    if is_seven_bit(text):
        return _count((2 if letter in _EXTENDED else 1 for letter in text), _SEPTETS, _SEPTETS_OF_MANY)
    return _count(_utf16_units(text), _UNITS, _UNITS_OF_MANY)


def _utf16_units(text: str) -> Iterator[int]:
    return (2 if letter > "\uffff" else 1 for letter in text)


def _count(sizes: Iterable[int], alone: int, of_many: int) -> int:
    count, used, total = 1, 0, 0
    for size in sizes:
        total += size
        if used + size > of_many:
            count, used = count + 1, 0
        used += size
    return 1 if total <= alone else count
