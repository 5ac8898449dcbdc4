"""Tells Russian from English by script: the two languages that the product speaks never share letters."""

import re
from typing import Literal

TextLanguage = Literal["ru", "en", "und"]

_CYRILLIC = re.compile(r"[А-Яа-яЁё]")
_LATIN = re.compile(r"[A-Za-z]")


def language_of(text: str) -> TextLanguage:
    """The language most letters belong to; `und` where there are no letters.

    Russian prose is full of Latin names, English prose has no Cyrillic: a third of Cyrillic letters is enough.
    """
    cyrillic = len(_CYRILLIC.findall(text))
    latin = len(_LATIN.findall(text))
    if not cyrillic and not latin:
        return "und"
    return "ru" if 2 * cyrillic >= latin else "en"
