"""Tells two states of an assistant apart: texts line by line, settings by their paths."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec

from asissto.platform.tables import Json
from asissto.retrieval.assistants import VERSIONED

TEXTS = ("description", "role", "prompt", "instructions")
_CONTEXT = 3


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A field that differs; `lines` is a unified diff where it is a text. None: it is not set."""

    path: str
    before: Any
    after: Any
    lines: list[str] = []


def differences(before: Json, after: Json) -> list[Difference]:
    """In the order of the fields, settings by name; lists are compared as a whole."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    changed = [path for path in old.keys() | new.keys() if old.get(path) != new.get(path)]
    changed.sort(key=lambda path: (VERSIONED.index(path.partition(".")[0]), path))
    return [_difference(path, old.get(path), new.get(path)) for path in changed]


def _difference(path: str, before: Any, after: Any) -> Difference:
    is_text = path in TEXTS or path.endswith("_text")
    return Difference(path=path, before=before, after=after, lines=_lines(before, after) if is_text else [])


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        at = f"{path}.{name}" if path else name
        if isinstance(each, dict) and each:
            yield from _leaves(each, at)
        elif each != {}:
            yield at, each


def _lines(before: str | None, after: str | None) -> list[str]:
    old, new = ((text or "").splitlines() for text in (before, after))
    lines = difflib.unified_diff(old, new, "before", "after", lineterm="", n=_CONTEXT)
    return list(lines)[2:]
