"""Makes the names of files harmless to show, to store and to take apart."""

import re
import unicodedata
from pathlib import PurePath
from typing import Final

LONGEST_NAME: Final = 200
"""Characters; file systems stop at 255 bytes, and nobody reads that far."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SUFFIX = re.compile(r"\.(?=[a-z0-9]*[a-z])[a-z0-9]{1,10}")


def clean_name(name: str) -> str:
    """The last part of a path, without what nobody sees or what turns text around, in NFC, never empty.

    `../../etc/passwd.txt` becomes `passwd.txt`, and so does one with a backslash or a NUL in it.
    """
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    seen = "".join(char if unicodedata.category(char) not in _UNSEEN else " " * (char in "\t\n\r") for char in last)
    tidy = " ".join(unicodedata.normalize("NFC", seen).split()).strip(". ")
    return _shortened(tidy) or "document"


def suffix_of(name: str) -> str:
    """`.pdf` of `Report.PDF`; nothing of `Report of 12.05`, whose end names no type."""
    suffix = PurePath(clean_name(name)).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _shortened(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    suffix = PurePath(name).suffix
    if not _SUFFIX.fullmatch(suffix.lower()):
        return name[: LONGEST_NAME - 1] + "…"
    return name[: LONGEST_NAME - 1 - len(suffix)].rstrip(". ") + "…" + suffix
